package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/internal/bench"
)

// newBenchCommand measures Gantry on this machine. It needs a checkout.
func newBenchCommand() *cobra.Command {
	var o bench.Options
	run := func(cmd *cobra.Command, _ []string) (err error) {
		slack := make([]byte, collectorSlack) // raw rates are measured in this process, with the collector set as in a worker
		defer runtime.KeepAlive(slack)
		if o.Gantry, err = os.Executable(); err != nil {
			return fmt.Errorf("find this binary, which is to run as worker: %w", err)
		}
		o.Out, o.Version = cmd.OutOrStdout(), version()
		return bench.Run(cmd.Context(), o)
	}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this machine's raw rates and Gantry's, and how fast it fails over",
		Long: `Measure this machine's raw rates and Gantry's, and how fast it fails over.

Starts servers, workers and an API of its own on free ports, measures each way through Gantry beside the raw rates of its
stages (file, RocketMQ, Postgres), and prints every target, what was reached, and whether that meets it. Needs about
10 GB in .cache/bench while it runs. An otherwise idle machine gives figures worth comparing.`,
		Args: cobra.NoArgs,
		RunE: run,
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&o.Dir, "dir", "", "state directory (default .cache/bench in the checkout)")
	flags.IntVar(&o.Failures, "runs", 5, "failovers of each kind: kill -9, SIGTERM, SIGSTOP")
	cmd.Flags().StringSliceVar(&o.Only, "only", nil, "what to measure: "+strings.Join(bench.All, ", ")+" (default all)")
	cmd.Flags().IntVar(&o.Lines, "records", 1_500_000, "lines of 100 bytes to copy")
	cmd.Flags().IntVar(&o.Rows, "rows", 1_000_000, "rows of the flights table to copy to Postgres, at least")
	cmd.Flags().IntVar(&o.Rounds, "rounds", 3, "how often to measure; the median counts")
	cmd.Flags().StringVar(&o.Profiles, "profiles", "", "folder for CPU and allocation profiles of the workers; costs some of their speed")
	cmd.AddCommand(&cobra.Command{
		Use:   "failover",
		Short: "Measure only how fast Gantry fails over",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Only = []string{bench.Failover}
			return run(cmd, args)
		},
	})
	return cmd
}
