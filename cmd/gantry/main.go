// Command gantry is Gantry's one binary: the worker, the API, the operator's commands and the local stack.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newRootCommand().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "gantry:", err)
		os.Exit(1)
	}
}

// newRootCommand lists the commands; each lives in a file of its own and gets a context that ends on SIGINT or SIGTERM.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "gantry",
		Short:         "Move data between systems and Apache RocketMQ, on Temporal",
		Version:       version(),
		SilenceErrors: true, // main prints an error once
		SilenceUsage:  true,
	}
	root.AddCommand(
		newServerCommand(), newWorkerCommand(), newAPICommand(),
		newMigrateCommand(), newConfigCommand(), newOpenAPICommand(), newTokenCommand(), newAuditCommand(),
		newDemoCommand(), newBenchCommand(), newDevCommand(),
	)
	return root
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
