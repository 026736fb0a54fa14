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
	"github.com/gantry-connect/gantry/rocketmq"
	"github.com/gantry-connect/gantry/workers"
	"github.com/gantry-connect/gantry/workflows"
)

// parts is what server processes are built from. Whoever opens it closes it.
type parts struct {
	settings *loaded
	log      *slog.Logger
	catalog  *catalog.Catalog
	temporal client.Client
	rocketmq *rocketmq.Client
}

// openParts reaches catalog and Temporal, and prepares RocketMQ's client, which connects when it is used.
func openParts(ctx context.Context, settings *loaded, log *slog.Logger) (_ *parts, err error) {
	p := &parts{settings: settings, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.catalog, err = catalog.Open(ctx, catalog.Config{URL: settings.catalogURL(), Logger: log}); err != nil {
		return nil, err
	}
	address := settings.get("temporal.address")
	p.temporal, err = client.DialContext(ctx, client.Options{HostPort: address, Namespace: settings.get("temporal.namespace"),
		Identity: settings.get("worker.id"), Logger: temporallog.NewStructuredLogger(quietTemporal(log)),
		ConnectionOptions: client.ConnectionOptions{DialOptions: []grpc.DialOption{workers.ShortPolls(workflows.TaskTaskQueue)}}})
	if err != nil {
		return nil, fmt.Errorf("reach Temporal at %s (temporal.address): %w", address, err)
	}
	p.rocketmq, err = rocketmq.Open(rocketmq.Config{NameServers: addresses(settings.get("rocketmq.nameservers")),
		AccessKey: settings.get("rocketmq.accesskey"), SecretKey: settings.get("rocketmq.secretkey"), Logger: log})
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

// quietTemporal leaves out what Temporal's client says on ordinary days.
func quietTemporal(log *slog.Logger) *slog.Logger {
	return slog.New(atLeast{log.Handler(), slog.LevelWarn})
}

// atLeast drops what is below a level.
type atLeast struct {
	slog.Handler
	level slog.Level
}

func (h atLeast) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.level && h.Handler.Enabled(ctx, level)
}

func (h atLeast) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(attrs), h.level}
}

func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.Handler.WithGroup(name), h.level}
}

func addresses(list string) []string {
	var out []string
	for _, a := range strings.Split(list, ",") {
		out = append(out, strings.TrimSpace(a))
	}
	return out
}
