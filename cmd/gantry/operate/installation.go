package operate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/client"
)

// levels are those of logs, from all to nothing.
var levels = []string{"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "OFF"}

func pluginSheet() sheet[client.Plugin] {
	type row = client.Plugin
	return sheet[row]{kind: "plugin", name: func(p row) string { return p.Class }, columns: []column[row]{
		{title: "CLASS", text: func(p row) string { return p.Class }},
		{title: "TYPE", text: func(p row) string { return p.Type }},
		{title: "VERSION", text: func(p row) string { return p.Version }},
	}}
}

func (t *tool) pluginsCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{Use: "plugins [CLASS]", Aliases: []string{"plugin"}, Short: "List the connector classes, or explain the config of one", Args: Args(cobra.MaximumNArgs(1)),
		Example: `  gantry plugins
  gantry plugins FileSource
  gantry plugins --all`,
		ValidArgsFunction: t.asking(1, pluginClasses),
		RunE: t.run(func(ctx context.Context, s *session, args []string) error {
			if len(args) == 0 {
				return getPlugins(ctx, s, &getting{all: all}, nil)
			}
			keys, err := s.api.PluginConfig(ctx, args[0])
			if err != nil {
				return err
			}
			if s.out.structured() {
				return s.out.encode(map[string]any{"class": args[0], "keys": keys})
			}
			explainKeys(s.out, keys)
			return nil
		})}
	cmd.Flags().BoolVar(&all, "all", false, "also converters, transforms and predicates")
	return t.withOutput(cmd)
}

// explainKeys writes the keys as text to read, by group; -o wide adds what programs are told.
func explainKeys(o *output, keys []client.Key) {
	last := "\x00"
	for _, k := range keys {
		if k.Group != last {
			if last != "\x00" {
				o.printf("\n")
			}
			if k.Group != "" {
				o.printf("%s\n", o.paint(bold, oneLine(k.Group)))
			}
			last = k.Group
		}
		facts := []string{strings.ToLower(k.Type)}
		switch {
		case k.Required:
			facts = append(facts, o.paint(yellow, "required"))
		case k.DefaultValue != nil && *k.DefaultValue != "":
			facts = append(facts, "default "+*k.DefaultValue)
		}
		if o.format == asWide {
			facts = append(facts, strings.ToLower(k.Importance)+" importance")
			if len(k.Dependents) > 0 {
				facts = append(facts, "decides about "+strings.Join(k.Dependents, ", "))
			}
		}
		o.printf("  %s  %s\n", o.paint(green, k.Name), strings.Join(facts, ", "))
		for _, line := range wrap(oneLine(k.Documentation), 96) {
			o.printf("      %s\n", line)
		}
	}
}

// wrap breaks a text into lines of at most width characters where it has blanks.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

func (t *tool) loggerCommand() *cobra.Command {
	cmd := Group("logger", "Look at and change the levels of logs while processes run", "A level counts for a logger and those below it, until the process ends.")
	get := &cobra.Command{Use: "get [NAME]", Short: "Show the levels", Args: Args(cobra.MaximumNArgs(1)), ValidArgsFunction: t.asking(1, loggerNames),
		RunE: t.run(func(ctx context.Context, s *session, args []string) error {
			return getLoggers(ctx, s, &getting{}, args)
		})}
	var worker bool
	set := &cobra.Command{Use: "set NAME LEVEL", Short: "Set a logger's level", Args: Args(cobra.ExactArgs(2)),
		Example: "  gantry logger set root DEBUG\n  gantry logger set root INFO --this-process",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return levels, cobra.ShellCompDirectiveNoFileComp
			}
			return t.asking(1, loggerNames)(cmd, args, typed)
		},
		RunE: t.run(func(ctx context.Context, s *session, args []string) error {
			if !slices.Contains(levels, strings.ToUpper(args[1])) {
				return usagef("level %q: must be one of %s", args[1], strings.Join(levels, ", "))
			}
			changed, err := s.api.SetLogger(ctx, args[0], strings.ToUpper(args[1]), !worker)
			if err != nil {
				return err
			}
			if worker {
				s.said("%s: %s", strings.ToUpper(args[1]), strings.Join(changed, ", "))
			} else {
				s.said("logger/%s is %s in every process within seconds", args[0], strings.ToUpper(args[1]))
			}
			return nil
		})}
	set.Flags().BoolVar(&worker, "this-process", false, "only in the process that answers, not in the whole cluster")
	cmd.AddCommand(t.withOutput(get), set)
	return cmd
}

func workerSheet(now func() time.Time) sheet[client.Worker] {
	type row = client.Worker
	return sheet[row]{kind: "worker", name: func(w row) string { return w.ID }, columns: []column[row]{
		{title: "ID", text: func(w row) string { return w.ID }},
		{title: "STATE", text: workerState, paint: func(w row) paint { return workerPaint(w) }},
		{title: "TASKS", text: func(w row) string { return fraction(w.Running, w.Capacity) }},
		{title: "LOAD", text: func(w row) string { return fmt.Sprintf("%.0f%%", w.Load*100) }},
		{title: "RATE", text: func(w row) string { return rate(w.Rate) }},
		{title: "GROUP", text: func(w row) string { return w.Group }},
		{title: "HOST", wide: true, text: func(w row) string { return w.Host }},
		{title: "VERSION", wide: true, text: func(w row) string { return strings.ReplaceAll(w.Version, " ", "-") }},
		{title: "SEEN", wide: true, text: func(w row) string { return age(w.SeenAt, now()) }},
		{title: "AGE", text: func(w row) string { return age(w.Since, now()) }},
	}}
}

func workerState(w client.Worker) string {
	switch {
	case !w.Alive:
		return "silent"
	case w.Cordoned:
		return "drained"
	case w.Draining:
		return "draining"
	}
	return "ready"
}

func workerPaint(w client.Worker) paint {
	switch workerState(w) {
	case "ready":
		return green
	case "silent":
		return red
	}
	return yellow
}

// workerCommands are the subcommands of the command that runs a worker.
func (t *tool) workerCommands() []*cobra.Command {
	list := &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "List the workers and their load", Args: Args(cobra.NoArgs),
		RunE: t.run(func(ctx context.Context, s *session, _ []string) error { return getWorkers(ctx, s, &getting{}, nil) })}
	rebalance := &cobra.Command{Use: "rebalance", Short: "Have the workers share the tasks evenly now", Args: Args(cobra.NoArgs),
		Long: "Have the workers share the tasks evenly now. They do so by themselves, slowly.",
		RunE: t.run(func(ctx context.Context, s *session, _ []string) error {
			r, err := s.api.Rebalance(ctx)
			if err != nil {
				return err
			}
			if s.out.structured() {
				return s.out.encode(r)
			}
			s.said("%s asked to share %s", plural(r.Workers, "worker"), plural(r.Tasks, "task"))
			return nil
		})}
	return []*cobra.Command{t.withOutput(list), t.drainCommand(), t.undrainCommand(), t.withOutput(rebalance)}
}

func (t *tool) drainCommand() *cobra.Command {
	w := waiting{kind: "worker"}
	cmd := &cobra.Command{Use: "drain ID…", Short: "Have workers hand over their tasks and take no more", Args: Args(cobra.MinimumNArgs(1)),
		Long:              "Have workers hand over their tasks, one by one, and take none until undrain or their end. Their processes go on.",
		Example:           "  gantry worker drain host-1-4711 --wait",
		ValidArgsFunction: t.asking(0, workerIDs),
		RunE: t.run(func(ctx context.Context, s *session, args []string) error {
			for _, id := range trimKind(args, "worker/") {
				if _, err := s.api.Drain(ctx, id); err != nil {
					return err
				}
				s.said("worker/%s drains", id)
			}
			if !w.wait {
				return nil
			}
			return w.until(ctx, s, trimKind(args, "worker/"), func(ctx context.Context, api *client.Client, id string) (string, error) {
				now, err := api.Worker(ctx, id)
				if err != nil || now.Running == 0 {
					return "", err
				}
				return "it still runs " + plural(now.Running, "task"), nil
			})
		})}
	w.add(cmd)
	return cmd
}

func (t *tool) undrainCommand() *cobra.Command {
	return &cobra.Command{Use: "undrain ID…", Short: "Let workers take tasks again", Args: Args(cobra.MinimumNArgs(1)), ValidArgsFunction: t.asking(0, workerIDs),
		RunE: t.run(func(ctx context.Context, s *session, args []string) error {
			for _, id := range trimKind(args, "worker/") {
				if _, err := s.api.Undrain(ctx, id); err != nil {
					return err
				}
				s.said("worker/%s takes tasks again", id)
			}
			return nil
		})}
}

// trimKind takes names as -o name writes them, too.
func trimKind(args []string, kind string) []string {
	names := slices.Clone(args)
	for i := range names {
		names[i] = strings.TrimPrefix(names[i], kind)
	}
	return names
}
