package operate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// Groups are the headings under which Commands are listed in the help of the root command, in order.
func Groups() []*cobra.Group {
	return []*cobra.Group{
		{ID: "look", Title: "Look:"},
		{ID: "declare", Title: "Declare connectors:"},
		{ID: "act", Title: "Act on connectors:"},
		{ID: "try", Title: "Try before you do:"},
		{ID: "installation", Title: "The installation:"},
	}
}

// Tree is the operator's commands.
type Tree struct {
	Commands []*cobra.Command // for the root command
	Workers  []*cobra.Command // for the command that runs a worker
	Topics   []*cobra.Command // for gantry help
}

// New makes the commands. version is told to servers.
func New(version string) Tree {
	t := &tool{version: version}
	tree := Tree{Workers: t.workerCommands(), Topics: []*cobra.Command{exitCodesTopic()}}
	for _, g := range []struct {
		id       string
		commands []*cobra.Command
	}{
		{"look", []*cobra.Command{t.getCommand(), t.describeCommand(), t.eventsCommand(), t.logsCommand(), t.topCommand()}},
		{"declare", []*cobra.Command{t.applyCommand(), t.diffCommand(), t.createCommand(), t.editCommand(), t.patchCommand(),
			t.labelCommand(), t.rollbackCommand(), t.deleteCommand(), t.importCommand()}},
		{"act", []*cobra.Command{t.verbCommand(pause), t.verbCommand(resume), t.verbCommand(stop), t.restartCommand(), t.offsetsCommand(), t.requeueCommand()}},
		{"try", []*cobra.Command{t.checkCommand(), t.previewCommand()}},
		{"installation", []*cobra.Command{t.contextCommand(), t.pluginsCommand(), t.loggerCommand()}},
	} {
		for _, cmd := range g.commands {
			cmd.GroupID = g.id
			tree.Commands = append(tree.Commands, cmd)
		}
	}
	for _, cmd := range slices.Concat(tree.Commands, tree.Workers) {
		if cmd.Name() != "context" {
			t.withConnection(cmd)
		}
	}
	return tree
}

// Group is a command that only has subcommands.
func Group(name, short, long string) *cobra.Command {
	return &cobra.Command{Use: name, Short: short, Long: strings.TrimSpace(short + ".\n\n" + long), Args: cobra.ArbitraryArgs,
		SuggestionsMinimumDistance: 2, RunE: Subcommand}
}

// Subcommand is what a command does by itself that only has subcommands: tell of them, or that there is none of the name given.
func Subcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	hint := ""
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		hint = "; did you mean " + strings.Join(like, " or ") + "?"
	}
	return usagef("unknown command %q for %q%s", args[0], cmd.CommandPath(), hint)
}

// hideDefault keeps a value out of the help that stands for nothing given.
func hideDefault(cmd *cobra.Command, flag string) { cmd.Flags().Lookup(flag).DefValue = "0" } // which the help takes for none

// Args has a check of arguments answer with how the command is called.
func Args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check(cmd, args) == nil {
			return nil
		}
		given := plural(len(args), "argument") + " are given"
		switch len(args) {
		case 0:
			given = "no argument is given"
		case 1:
			given = fmt.Sprintf("one argument is given, %q", args[0])
		}
		return usagef("%s, but it is called so: %s", given, strings.TrimSuffix(cmd.UseLine(), " [flags]"))
	}
}
