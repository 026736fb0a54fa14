package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"go.temporal.io/sdk/client"
	temporallog "go.temporal.io/sdk/log"
	"google.golang.org/grpc"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/logging"
	"github.com/gantry-connect/gantry/rocketmq"
	"github.com/gantry-connect/gantry/workers"
	"github.com/gantry-connect/gantry/workflows"
)

// parts is what server processes are built from. Whoever opens it closes it.
type parts struct {
	settings *loaded
	levels   *logging.Levels
	log      *slog.Logger // of the process itself
	catalog  *catalog.Catalog
	temporal client.Client
	rocketmq *rocketmq.Client
	metrics  *metrics
}

// openParts reaches catalog and Temporal, and prepares RocketMQ's client, which connects when it is used.
func openParts(ctx context.Context, settings *loaded, levels *logging.Levels) (_ *parts, err error) {
	p := &parts{settings: settings, levels: levels, log: levels.Logger("gantry")}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.catalog, err = catalog.Open(ctx, catalog.Config{URL: settings.catalogURL(), Logger: levels.Logger("catalog")}); err != nil {
		return nil, err
	}
	if p.metrics, err = newMetrics(); err != nil {
		return nil, err
	}
	address := settings.get("temporal.address")
	p.temporal, err = client.DialContext(ctx, client.Options{MetricsHandler: p.metrics.temporal, HostPort: address, Namespace: settings.get("temporal.namespace"),
		Identity: settings.get("worker.id"), Logger: temporallog.NewStructuredLogger(levels.Logger("temporal")),
		ConnectionOptions: client.ConnectionOptions{DialOptions: []grpc.DialOption{workers.PlainHeaders(), workers.ShortPolls(workflows.TaskTaskQueue)}}})
	if err != nil {
		return nil, fmt.Errorf("reach Temporal at %s (temporal.address): %w", address, err)
	}
	p.rocketmq, err = rocketmq.Open(rocketmq.Config{NameServers: addresses(settings.get("rocketmq.nameservers")),
		AccessKey: settings.get("rocketmq.accesskey"), SecretKey: settings.get("rocketmq.secretkey"), Logger: levels.Logger("rocketmq")})
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (p *parts) close() error {
	var errs []error
	if p.rocketmq != nil {
		errs = append(errs, p.rocketmq.Close())
	}
	if p.temporal != nil {
		p.temporal.Close()
	}
	if p.catalog != nil {
		p.catalog.Close()
	}
	return errors.Join(errs...)
}

func addresses(list string) []string {
	var out []string
	for _, a := range strings.Split(list, ",") {
		out = append(out, strings.TrimSpace(a))
	}
	return out
}
