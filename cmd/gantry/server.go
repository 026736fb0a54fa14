package main

import (
	"context"
	"errors"
	"runtime"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/gantry-connect/gantry/activities"
	"github.com/gantry-connect/gantry/api"
	"github.com/gantry-connect/gantry/control"
	"github.com/gantry-connect/gantry/internal/failpoint"
	"github.com/gantry-connect/gantry/logging"
	"github.com/gantry-connect/gantry/workers"
)

// newWorkerCommand runs tasks.
func newWorkerCommand() *cobra.Command {
	return serverCommand("worker", "Run a worker: connectors and their tasks",
		"Run a worker. Workers are equal, share the load, and may come and go at any time. SIGTERM hands all tasks over.", runWorker)
}

// newAPICommand serves REST.
func newAPICommand() *cobra.Command {
	return serverCommand("api", "Serve the REST API",
		"Serve the REST API, by default on http://127.0.0.1:8083, with its documentation under /docs/.", runAPI)
}

// newServerCommand is both in one process.
func newServerCommand() *cobra.Command {
	return serverCommand("server", "Run a worker and the REST API in one process", "", runBoth)
}

func serverCommand(name, short, long string, run func(ctx context.Context, p *parts) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: name, Short: short, Long: long, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := loadSettings(cmd)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), settings, settings.levels(cmd.ErrOrStderr()), run)
		},
	}
	addSettings(cmd)
	return cmd
}

// serve opens the parts, runs on them until ctx ends, and closes them.
func serve(ctx context.Context, settings *loaded, levels *logging.Levels, run func(ctx context.Context, p *parts) error) error {
	p, err := openParts(ctx, settings, levels)
	if err != nil {
		return err
	}
	following, stop := context.WithCancel(ctx)
	defer stop()
	var g errgroup.Group // owns the goroutine
	g.Go(func() error {
		followLevels(following, p.catalog, levels, p.log)
		return nil
	})
	err = run(ctx, p)
	stop()
	return errors.Join(err, g.Wait(), p.close())
}

func runBoth(ctx context.Context, p *parts) error {
	g, ctx := errgroup.WithContext(ctx) // owns both
	g.Go(func() error { return runWorker(ctx, p) })
	g.Go(func() error { return runAPI(ctx, p) })
	return g.Wait()
}

func runWorker(ctx context.Context, p *parts) error {
	points, err := failpoint.FromEnv()
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx) // owns worker, profiles and metrics
	if address := p.settings.get("worker.pprof"); address != "" {
		g.Go(func() error { return servePprof(ctx, address) })
	}
	if address := p.settings.get("worker.metrics"); address != "" {
		g.Go(func() error { return p.metrics.serve(ctx, address) })
	}
	g.Go(func() error { return work(ctx, p, points) })
	return g.Wait()
}

// collectorSlack keeps the garbage collector from running many times a second while the heap is small and records rush
// through it: it lets the heap grow by as much more before it collects. It is never written to, so it takes no memory.
const collectorSlack = 24 << 20

func work(ctx context.Context, p *parts, points *failpoint.Set) error {
	slack := make([]byte, collectorSlack)
	defer runtime.KeepAlive(slack)
	s := p.settings
	resolver, err := p.resolver(ctx)
	if err != nil {
		return err
	}
	return workers.Run(ctx, workers.Config{
		ID: s.get("worker.id"), Version: version(), Group: s.get("worker.group"), Capacity: s.number("worker.capacity"),
		Namespace: s.get("temporal.namespace"), Activities: activities.Config{Failpoints: points, SchemaTopic: s.get("rocketmq.schema-topic")}, Logger: p.levels.Logger("workers"),
		Metrics: p.metrics.registry,
	}, workers.Deps{Temporal: p.temporal, Catalog: p.catalog, RocketMQ: p.rocketmq, Plugins: plugins, Secrets: resolver})
}

func runAPI(ctx context.Context, p *parts) error {
	if err := p.settings.checkExposure(); err != nil {
		return err
	}
	var gate api.Gate
	g, gctx := errgroup.WithContext(ctx) // owns the server
	g.Go(func() error { return listenAndServe(gctx, p, &gate) })
	service, err := openAPI(gctx, p, &gate)
	if err != nil {
		g.Go(func() error { return err }) // ends the server
		return g.Wait()
	}
	defer service.Close()
	return g.Wait()
}

// openAPI makes what answers the API's requests and opens the gate to it. Close the service once no request comes any more.
func openAPI(ctx context.Context, p *parts, gate *api.Gate) (*control.Service, error) {
	environment, err := p.catalog.BindEnvironment(ctx, p.settings.get("temporal.namespace"))
	if err != nil {
		return nil, err
	}
	box, err := p.box(ctx)
	if err != nil {
		return nil, err
	}
	service := control.New(control.Options{Connectors: p.catalog, Progress: p.catalog, Plugins: plugins,
		Notifier: control.Temporal{Client: p.temporal}, Prober: control.Temporal{Client: p.temporal}, Queues: workers.Broker{Client: p.rocketmq}, Environment: environment, Version: version(), Logger: p.levels.Logger("control"), Loggers: p.levels,
		Secrets: box, Tracking: control.Tracking{Disabled: p.settings.get("topic.tracking.enable") == "false",
			ResetForbidden: p.settings.get("topic.tracking.allow.reset") == "false"}})
	guard, err := newGuard(p)
	if err != nil {
		return nil, err
	}
	guard.Stopping = ctx.Done()
	gate.Open(api.NewGuarded(service, p.levels.Logger("api"), guard))
	return service, nil
}
