package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gantry-connect/gantry/cmd/gantry/operate"
	"github.com/gantry-connect/gantry/internal/devstack"
	"github.com/spf13/cobra"
)

// newDevCommand is the local stack of real servers, for development, tests and the demo. It needs a checkout.
func newDevCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run Postgres, RocketMQ and Temporal on this machine, without Docker",
		Args:  cobra.ArbitraryArgs, SuggestionsMinimumDistance: 2, RunE: operate.Subcommand,
	}
	var flags devFlags
	cmd.PersistentFlags().StringVar(&flags.dir, "dir", "", "state directory: data, logs, stack.json (default .cache/stack in the checkout)")
	cmd.PersistentFlags().StringVar(&flags.parts, "parts", "all", "comma-separated: all, postgres, rocketmq (nameserver, broker), temporal, tctl; gantry (worker and API, on top of all)")
	cmd.AddCommand(newDevPrepareCommand(&flags), newDevUpCommand(&flags), newDevDownCommand(&flags),
		newDevStatusCommand(&flags), newDevLogsCommand(&flags), newDevRunCommand(&flags))
	return cmd
}

type devFlags struct {
	dir   string
	parts string
}

func (f *devFlags) options() (devstack.Options, error) {
	parts, err := devstack.ParseParts(f.parts)
	if err != nil {
		return devstack.Options{}, err
	}
	binary, err := os.Executable()
	if err != nil {
		return devstack.Options{}, err
	}
	return devstack.Options{Dir: f.dir, Parts: parts, Binary: binary}.WithDefaults()
}

func newDevPrepareCommand(flags *devFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "prepare",
		Short: "Build and fetch the servers into .cache/ (again only what changed)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := flags.options()
			if err != nil {
				return err
			}
			return devstack.Prepare(cmd.Context(), o, printLine(cmd.OutOrStdout()))
		},
	}
}

func newDevUpCommand(flags *devFlags) *cobra.Command {
	var ports string
	var background, unsafe bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start the servers and wait until they are ready",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := flags.options()
			if err != nil {
				return err
			}
			if o.Ports, err = devstack.ParsePorts(ports); err != nil {
				return err
			}
			o.Background, o.Unsafe = background, unsafe
			return devUp(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
	devPortsFlag(cmd, &ports)
	cmd.Flags().BoolVar(&background, "background", false, "leave the servers running and return (stop them with: gantry dev down)")
	devUnsafeFlag(cmd, &unsafe)
	return cmd
}

func devPortsFlag(cmd *cobra.Command, ports *string) {
	cmd.Flags().StringVar(ports, "ports", "common", "common (free ones where those are taken), free, or a list such as postgres=5433,nameserver=9876,broker=10911,temporal=7233,ui=8233")
}

func devUnsafeFlag(cmd *cobra.Command, unsafe *bool) {
	cmd.Flags().BoolVar(unsafe, "unsafe", false, "no fsync: faster, and lost only if the machine crashes; for tests")
}

func devUp(ctx context.Context, o devstack.Options, out io.Writer) error {
	if err := devstack.Prepare(ctx, o, printLine(out)); err != nil {
		return err
	}
	fmt.Fprintln(out, "starting the servers")
	begin := time.Now()
	stack, err := devstack.Start(ctx, o)
	if err != nil {
		return err
	}
	printStack(out, stack)
	fmt.Fprintf(out, "ready after %s\n", time.Since(begin).Round(100*time.Millisecond))
	if o.Background {
		return nil
	}
	fmt.Fprintln(out, "Ctrl-C stops them")
	<-ctx.Done()
	fmt.Fprintln(out, "stopping the servers")
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return stack.Stop(stopCtx)
}

func newDevDownCommand(flags *devFlags) *cobra.Command {
	var clean bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop the servers that run in the state directory",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := flags.options()
			if err != nil {
				return err
			}
			if err := devstack.Down(cmd.Context(), o.Dir); errors.Is(err, devstack.ErrNotRunning) {
				fmt.Fprintln(cmd.OutOrStdout(), "no servers are running in", o.Dir)
			} else if err != nil {
				return err
			}
			if clean {
				return devstack.Remove(cmd.Context(), o.Dir)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&clean, "clean", false, "also delete all data and logs of the stack")
	return cmd
}

func newDevStatusCommand(flags *devFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show what runs and where; fails if something does not",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := flags.options()
			if err != nil {
				return err
			}
			stack, err := devstack.Attach(o.Dir)
			if err != nil {
				return err
			}
			printStack(cmd.OutOrStdout(), stack)
			for _, st := range stack.Status() {
				if !st.Running {
					return fmt.Errorf("%s has ended: see %s", st.Part, st.Log)
				}
			}
			return nil
		},
	}
}

func newDevLogsCommand(flags *devFlags) *cobra.Command {
	var lines int
	cmd := &cobra.Command{
		Use:   "logs [part]...",
		Short: "Print the newest lines of the servers' logs",
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := flags.options()
			if err != nil {
				return err
			}
			parts := devstack.Servers()
			if len(args) > 0 {
				if parts, err = devstack.ParseParts(strings.Join(args, ",")); err != nil {
					return err
				}
			}
			for _, p := range parts {
				devstack.PrintLogs(cmd.OutOrStdout(), o.Dir, p, lines)
			}
			return nil
		},
	}
	cmd.Flags().IntVarP(&lines, "lines", "n", 20, "lines of each log")
	return cmd
}

func printStack(out io.Writer, stack *devstack.Stack) {
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for _, st := range stack.Status() {
		state := fmt.Sprintf("process %d", st.PID)
		if !st.Running {
			state = "ended"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", st.Part, st.Address, state)
	}
	if stack.GantryAddress != "" {
		fmt.Fprintf(table, "API docs\thttp://%s/docs/\t\n", stack.GantryAddress)
	}
	if stack.UIURL != "" {
		fmt.Fprintf(table, "Temporal Web UI\t%s\t\n", stack.UIURL)
	}
	if url := stack.PostgresURL("gantry"); url != "" {
		fmt.Fprintf(table, "Postgres\tpsql '%s'\t\n", url)
	}
	fmt.Fprintf(table, "logs\t%s\t\n", filepath.Join(stack.Dir, "logs"))
	_ = table.Flush() // nothing to do when the terminal is gone
}

func printLine(out io.Writer) func(string) {
	return func(line string) { fmt.Fprintln(out, line) }
}
