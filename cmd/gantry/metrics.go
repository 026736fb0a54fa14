package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gantry-connect/gantry/workers"
)

// metrics is what a worker process tells Prometheus.
type metrics struct {
	registry *prometheus.Registry
	temporal *workers.ClientMetrics
}

func newMetrics() (*metrics, error) {
	m := &metrics{prometheus.NewRegistry(), workers.NewClientMetrics()}
	for _, c := range []prometheus.Collector{m.temporal, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := m.registry.Register(c); err != nil {
			return nil, fmt.Errorf("prepare the worker's metrics: %w", err)
		}
	}
	return m, nil
}

// serve answers GET /metrics until ctx ends.
func (m *metrics) serve(ctx context.Context, address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %s (worker.metrics): %w", address, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // an answer under way is of no use to an ending process
	defer stop()
	if err := server.Serve(listener); ctx.Err() == nil {
		return fmt.Errorf("serve metrics on %s (worker.metrics): %w", address, err)
	}
	return nil
}

// checkMaybeAddress accepts nothing, or an address.
func checkMaybeAddress(v string) error {
	if v == "" {
		return nil
	}
	return checkAddress(v)
}
