package main

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/internal/demo"
	"github.com/gantry-connect/gantry/logging"
)

// newDemoCommand runs the main job on real input. It needs a checkout.
func newDemoCommand() *cobra.Command {
	o := demo.Options{
		Migrate: func(ctx context.Context, s demo.Server) error {
			_, _, err := catalog.Migrate(ctx, s.CatalogURL)
			return err
		},
		Serve: func(ctx context.Context, s demo.Server, log *slog.Logger) error {
			return serve(ctx, demoSettings(s), logging.New(log.Handler(), slog.LevelInfo), runBoth)
		},
	}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Copy the New York flights tables through RocketMQ into Postgres, and verify the copy",
		Long: `Copy the New York flights tables through RocketMQ into Postgres, and verify the copy.

Builds and fetches the real servers, starts them on 127.0.0.1, runs a worker and the API, creates five file sources and a
Postgres sink over REST, shows their progress, and lets Postgres itself compare the result with the input. Leaves
everything running until Ctrl-C. The next run goes on where this one ended.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out = cmd.OutOrStdout()
			return demo.Run(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.Once, "once", false, "end after the verification; exit code 0 only if every table is equal")
	cmd.Flags().StringVar(&o.Dir, "dir", "", "state directory (default .cache/demo in the checkout)")
	return cmd
}

func demoSettings(s demo.Server) *loaded {
	l := defaultSettings()
	for key, value := range map[string]string{"catalog.url": s.CatalogURL, "temporal.address": s.TemporalAddress,
		"temporal.namespace": s.TemporalNamespace, "rocketmq.nameservers": s.NameServer, "api.listen": s.Listen} {
		l.values[key], l.origins[key] = value, "demo"
	}
	return l
}
