package activities

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/converters"
	"github.com/gantry-connect/gantry/internal/failpoint"
	"github.com/gantry-connect/gantry/pipeline"
	"github.com/gantry-connect/gantry/secrets"
	"github.com/gantry-connect/gantry/transforms"
)

// job is one start of a copy loop, in a goroutine of its own: code of a connector may hang in it or panic.
type job struct {
	done     chan error // capacity 1: the result
	drain    chan struct{}
	cancel   context.CancelFunc
	progress *pipeline.Progress
	ledger   *ledger
	opened   atomic.Bool                      // the connector is open and copies
	left     atomic.Bool                      // nobody waits any more
	scrub    atomic.Pointer[secrets.Scrubber] // keeps the config's secrets out of texts; nil before they are known
}

// plan is what a task consists of, as the catalog has it.
type plan struct {
	conn   catalog.Connector
	task   catalog.PlannedTask
	settle bool // only end cleanly what an earlier owner left
	log    *slog.Logger
}

// start opens the connector and copies until the job is drained or ctx ends. Values of ctx are not used.
func (a *Activities) start(ctx context.Context, p plan, lease *catalog.Lease) *job {
	jctx, cancel := context.WithCancel(ctx)
	j := &job{done: make(chan error, 1), drain: make(chan struct{}), cancel: cancel, progress: pipeline.NewProgress(),
		ledger: newLedger(lease, a.Catalog)}
	j.ledger.commits = &a.commits
	go func() { // waited for through done; what does not end is counted as abandoned
		defer cancel()
		err := guarded("the task", func() error { return a.copy(jctx, p, lease, j) })
		err = j.scrub.Load().Error(err)
		var crash *crashError
		if errors.As(err, &crash) {
			p.log.Error("a connector panicked", "error", err, "stack", j.scrub.Load().Text(string(crash.stack)))
		}
		j.done <- err
		if j.left.Load() {
			a.abandoned.Add(-1)
			p.log.Warn("a task that was abandoned has ended", "error", err)
		}
	}()
	return j
}

// stop asks the job to end. One that is still opening its connector has nothing to drain.
func (j *job) stop() {
	close(j.drain)
	if !j.opened.Load() {
		j.cancel()
	}
}

func (a *Activities) copy(ctx context.Context, p plan, lease *catalog.Lease, j *job) error {
	plugin, err := a.Plugins.Find(p.task.Config["connector.class"]) // the plan's; the connector's newest config may name another
	if err != nil {
		return connector.Permanent(err)
	}
	resolved, err := a.resolve(ctx, p.conn.Name, plugin, p.task.Config)
	if err != nil {
		return err
	}
	j.scrub.Store(resolved.Scrub)
	p.log = resolved.Scrub.Logger(p.log)
	config := resolved.Config
	start := startOf(lease.Start())
	task := connector.Task{Connector: p.conn.Name, UID: p.conn.UID, Number: p.task.Number, Epoch: start.Epoch,
		Generation: start.Generation, Position: start.Position, Logger: p.log,
		Working: j.progress.Alive,
		Reached: func(point string) { a.config.Failpoints.Reached(failpoint.Point(point)) }}
	if plugin.Kind == connector.KindSource {
		return a.copySource(ctx, p, plugin, config, task, start, lease, j)
	}
	return a.copySink(ctx, p, plugin, config, task, start, lease, j)
}

func (a *Activities) copySource(ctx context.Context, p plan, plugin connector.Plugin, config map[string]string,
	task connector.Task, start pipeline.Start, lease *catalog.Lease, j *job) error {
	c, err := pipeline.ParseSourceConfig(config)
	if err != nil {
		return err
	}
	key, value, err := newConverters(c.CommonConfig, config)
	if err != nil {
		return err
	}
	transform, err := transformer(config, plugin.Kind)
	if err != nil {
		return err
	}
	source, err := plugin.OpenSource(ctx, config, task)
	if err != nil {
		return fmt.Errorf("open the source: %w", err)
	}
	defer closing(p.log, source)
	loop, err := pipeline.NewSource(pipeline.SourceJob{
		Config: c, Task: task.Number, Source: source, Guarantee: plugin.Guarantee(config), Key: key, Value: value, Transform: transform,
		Broker: a.Broker, Ledger: j.ledger, Lease: leaseClock{lease}, Schemas: a.schemas,
		Queues: usedTopics{queueMap{a, p.conn.UID, c.TopicCreate, c.TopicQueues}}, Start: start, Settle: p.settle,
		History: j.ledger, Report: func(ctx context.Context, problem error) {
			a.note(ctx, p, eventOf(problem), j.scrub.Load().Text(problem.Error()))
		},
		Logger: p.log, Failpoints: a.config.Failpoints, Progress: j.progress, Scrub: j.scrub.Load().Text,
	})
	if err != nil {
		return err
	}
	j.opened.Store(true)
	return loop.Run(ctx, j.drain)
}

func (a *Activities) copySink(ctx context.Context, p plan, plugin connector.Plugin, config map[string]string,
	task connector.Task, start pipeline.Start, lease *catalog.Lease, j *job) error {
	c, err := pipeline.ParseSinkConfig(config)
	if err != nil {
		return err
	}
	if _, _, err := newConverters(c.CommonConfig, config); err != nil {
		return err
	}
	if _, err := transformer(config, plugin.Kind); err != nil {
		return err
	}
	a.config.Failpoints.Reached(failpoint.SinkClaimed)
	sink, err := plugin.OpenSink(ctx, config, task)
	if err != nil {
		return fmt.Errorf("open the sink: %w", err)
	}
	defer closing(p.log, sink)
	if p.settle {
		return settleSink(ctx, pipeline.TargetPosition(sink, start), p.task.Queues, j.ledger)
	}
	if err := a.noteReads(ctx, p.conn.UID, p.task.Queues); err != nil {
		return err
	}
	reads := make([]pipeline.Queue, len(p.task.Queues))
	for i, q := range p.task.Queues {
		reads[i] = pipeline.Queue(q)
	}
	later, err := a.laterQueues(ctx, p.conn.UID, c.StartOffset, reads)
	if err != nil {
		return err
	}
	loop, err := pipeline.NewSink(pipeline.SinkJob{
		Config: c, Task: task.Number, Sink: sink, Reads: reads, Later: later,
		Converters: func() (key, value pipeline.Converter, err error) { return newConverters(c.CommonConfig, config) },
		Transforms: func() (pipeline.Transformer, error) { return transformer(config, plugin.Kind) },
		Broker:     a.Broker, Ledger: j.ledger, Lease: leaseClock{lease}, Schemas: a.schemas,
		Queues: queueMap{a, p.conn.UID, true, deadLetterQueues}, Start: start, History: j.ledger,
		Logger: p.log, Failpoints: a.config.Failpoints, Progress: j.progress, Scrub: j.scrub.Load().Text,
	})
	if err != nil {
		return err
	}
	j.opened.Store(true)
	return loop.Run(ctx, j.drain)
}

// laterQueues are the queues of reads that were not there when the connector was first planned; see freezeKnown.
func (a *Activities) laterQueues(ctx context.Context, uid int64, startOffset string, reads []pipeline.Queue) (later []pipeline.Queue, err error) {
	if startOffset != pipeline.StartLatest {
		return nil, nil
	}
	known := map[string][]catalog.Queue{}
	for _, q := range reads {
		if _, ok := known[q.Topic]; !ok {
			known[q.Topic], err = a.Catalog.QueueMap(ctx, uid, q.Topic)
			if err != nil && !errors.Is(err, catalog.ErrNotFound) {
				return nil, err
			}
		}
		if !slices.Contains(known[q.Topic], catalog.Queue(q)) {
			later = append(later, q)
		}
	}
	return later, nil
}

// deadLetterQueues is how many queues a dead-letter topic gets that a sink has to create.
const deadLetterQueues = 1

// closing closes what a connector opened. What is to be kept is committed by then, so its error changes nothing.
func closing(log *slog.Logger, c io.Closer) {
	if err := c.Close(); err != nil {
		log.Warn("close the connector", "error", err)
	}
}

func newConverters(c pipeline.CommonConfig, config map[string]string) (key, value pipeline.Converter, err error) {
	if key, err = converters.New(c.KeyConverter, optionsOf(config, "key.converter."), true); err != nil {
		return nil, nil, err
	}
	if value, err = converters.New(c.ValueConverter, optionsOf(config, "value.converter."), false); err != nil {
		return nil, nil, err
	}
	return key, value, nil
}

// transformer makes the transforms that a config asks for; nil if it asks for none.
func transformer(config map[string]string, kind connector.Kind) (pipeline.Transformer, error) {
	chain, err := transforms.New(config, kind)
	if err != nil {
		return nil, err
	}
	if chain.Len() == 0 {
		return nil, nil // not a nil chain: an interface that holds one is not nil
	}
	return chain, nil
}

// optionsOf are the keys behind a prefix.
func optionsOf(config map[string]string, prefix string) map[string]string {
	options := map[string]string{}
	for key, v := range config {
		if name, ok := strings.CutPrefix(key, prefix); ok {
			options[name] = v
		}
	}
	return options
}
