package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/pipeline"
	"github.com/gantry-connect/gantry/workflows"
)

// settleDown is how long a watcher's changes are collected before a new plan is asked for.
const settleDown = time.Second

// calmWatch is how many times less often topics are looked at once all exist.
const calmWatch = 10

// errTurnOver ends a watch that nothing was wrong with.
var errTurnOver = errors.New("turn over")

// WatchConnector waits until a connector may need a new plan: a source's own watcher says so, or a sink's topics have other
// queues. It returns without a change after an hour, and when the worker stops.
func (a *Activities) WatchConnector(ctx context.Context, in workflows.WatchConnectorInput) (workflows.WatchConnectorResult, error) {
	ctx, stop := beat(ctx, a.config.HeartbeatEvery)
	defer stop()
	wctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	workerStop := activity.GetWorkerStopChannel(ctx)
	turn := time.AfterFunc(a.config.Turn, func() { cancel(errTurnOver) })
	defer turn.Stop()
	ended := make(chan struct{})
	defer func() { <-ended }()
	defer cancel(nil)
	go func() { // waited for above
		defer close(ended)
		select {
		case <-workerStop:
			cancel(errTurnOver)
		case <-wctx.Done():
		}
	}()
	changed := false
	err := a.watch(wctx, in, func() { changed = true })
	switch {
	case changed || errors.Is(context.Cause(wctx), errTurnOver):
		return workflows.WatchConnectorResult{Changed: changed}, nil
	case ctx.Err() != nil:
		return workflows.WatchConnectorResult{}, ctx.Err()
	case err == nil:
		err = errors.New("its watcher ended by itself")
	}
	return workflows.WatchConnectorResult{}, toTemporal(fmt.Errorf("watch %s: %w", in.Name, err), failure{})
}

// watch returns soon after the first change, or with an error.
func (a *Activities) watch(ctx context.Context, in workflows.WatchConnectorInput, changed func()) (err error) {
	conn, err := a.load(ctx, in.UID)
	if err != nil {
		return err
	}
	plugin, err := a.Plugins.Find(conn.Class)
	if err != nil {
		return connector.Permanent(err)
	}
	values, err := a.resolve(ctx, conn.Name, plugin, conn.Config)
	if err != nil {
		return err
	}
	defer func() { err = values.Scrub.Error(err) }()
	resolved := values.Config
	if plugin.Kind == connector.KindSink {
		return a.watchTopics(ctx, conn, resolved, changed)
	}
	wctx, cancel := context.WithCancel(ctx)
	defer cancel()
	first := make(chan struct{}, 1)
	done := make(chan error, 1)
	go func() { // ends with wctx: its result is waited for below
		done <- guarded("watching", func() error {
			return plugin.Watch(wctx, resolved, func() {
				select {
				case first <- struct{}{}:
				default:
				}
			})
		})
	}()
	select {
	case err := <-done:
		return err
	case <-first:
	}
	changed()
	select { // more changes may follow on its heels
	case <-time.After(settleDown):
	case <-ctx.Done():
	}
	cancel()
	<-done
	return nil
}

// watchTopics compares the topics' queues with the plan's.
func (a *Activities) watchTopics(ctx context.Context, conn catalog.Connector, resolved map[string]string, changed func()) error {
	c, err := pipeline.ParseSinkConfig(resolved)
	if err != nil {
		return err
	}
	plan, err := a.Catalog.Plan(ctx, conn.UID)
	if err != nil {
		return err
	}
	planned := map[catalog.Queue]bool{}
	for _, t := range plan {
		for _, q := range t.Queues {
			planned[q] = true
		}
	}
	for every := a.config.WatchEvery; ; {
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return ctx.Err()
		}
		queues, missing, err := a.sinkQueues(ctx, c.TopicNames())
		if err != nil {
			continue // name servers and brokers come back; until then nothing is known to have changed
		}
		if len(missing) == 0 {
			every = calmWatch * a.config.WatchEvery
		}
		for _, q := range queues {
			if !planned[q] {
				changed()
				return nil
			}
		}
	}
}
