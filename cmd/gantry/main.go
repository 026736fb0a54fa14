// Command gantry is Gantry's one binary: the worker, the API, the operator's commands and the local stack.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/cmd/gantry/operate"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	root, began := newRootCommand(), false
	root.PersistentPreRun = func(*cobra.Command, []string) { began = true }
	cmd, err := root.ExecuteContextC(ctx)
	stop()
	if err == nil {
		return
	}
	if !began {
		err = operate.Usage(err) // nothing has run: the command line itself is wrong
	}
	operate.Report(os.Stderr, cmd, err)
	os.Exit(operate.ExitCode(err))
}

// newRootCommand lists the commands; each lives in a file of its own, the operator's in package operate, and gets a context
// that ends on SIGINT or SIGTERM.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "gantry",
		Short:         "Move data between systems and Apache RocketMQ, on Temporal",
		Version:       version(),
		SilenceErrors: true, // main prints an error once
		SilenceUsage:  true,
	}
	operator := operate.New(version())
	root.AddGroup(&cobra.Group{ID: headingRun, Title: "Run Gantry:"})
	root.AddGroup(operate.Groups()...)
	root.AddGroup(&cobra.Group{ID: headingCheckout, Title: "In a checkout:"})
	worker := newWorkerCommand()
	worker.AddCommand(operator.Workers...)
	root.AddCommand(operator.Commands...)
	root.AddCommand(operator.Topics...)
	add(root, headingRun, newServerCommand(), worker, newAPICommand(), newMigrateCommand(), newConfigCommand(), newTokenCommand(), newAuditCommand(), newKeyCommand(), newOpenAPICommand())
	add(root, headingCheckout, newDemoCommand(), newBenchCommand(), newDevCommand())
	refuseUnknown(root)
	return root
}

// refuseUnknown has the commands that cobra makes itself fail where it would be content: a script must not take a mistake in a
// name for a success.
func refuseUnknown(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "completion":
			cmd.Args, cmd.RunE = cobra.ArbitraryArgs, operate.Subcommand
		case "help":
			tell := cmd.Run
			cmd.Run, cmd.RunE = nil, func(cmd *cobra.Command, args []string) error {
				if found, rest, err := root.Find(args); err != nil || len(rest) > 0 && found.HasSubCommands() {
					return operate.Usage(fmt.Errorf("there is no help on %q", strings.Join(args, " ")))
				}
				tell(cmd, args)
				return nil
			}
		}
	}
}

// The headings of the commands that are no operator's.
const (
	headingRun      = "run"
	headingCheckout = "checkout"
)

func add(root *cobra.Command, heading string, commands ...*cobra.Command) {
	for _, cmd := range commands {
		cmd.GroupID = heading
		root.AddCommand(cmd)
	}
}

// version is the module's version, or the commit for a build from a checkout.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v += " " + s.Value
			}
		}
	}
	return v + " " + info.GoVersion
}
