package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/cmd/gantry/operate"
	"github.com/gantry-connect/gantry/internal/devstack"
)

func newDevRunCommand(flags *devFlags) *cobra.Command {
	var ports string
	var unsafe bool
	cmd := &cobra.Command{
		Use:   "run -- command [argument]...",
		Short: "Run a command beside the servers, and stop them after the last of such commands",
		Long: `Runs a command while the servers of the state directory run. If they do not run yet they are started, empty; the last of the
commands that share them so stops them and deletes their data. Servers that gantry dev up has started stay.`,
		Example: "  gantry dev run --dir .cache/test-stack --ports free --unsafe -- go test ./catalog",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := flags.options()
			if err != nil {
				return err
			}
			if o.Ports, err = devstack.ParsePorts(ports); err != nil {
				return err
			}
			o.Unsafe = unsafe
			_, release, err := devstack.Share(cmd.Context(), o, printLine(cmd.OutOrStdout()))
			if err != nil {
				return err
			}
			err = runBeside(cmd.Context(), args)
			ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), time.Minute)
			defer cancel()
			return errors.Join(err, release(ctx))
		},
	}
	devPortsFlag(cmd, &ports)
	devUnsafeFlag(cmd, &unsafe)
	return cmd
}

// runBeside runs a command in this one's terminal; its exit code becomes this one's. When ctx ends the command is asked to
// end, which Ctrl-C has then done already.
func runBeside(ctx context.Context, args []string) error {
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = time.Minute
	err := c.Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.Exited() {
		return operate.Ended(ended.ExitCode())
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", args[0], err)
	}
	return nil
}
