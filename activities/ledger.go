package activities

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/pipeline"
)

// fencedAs lets the copy loop recognize the catalog's verdict.
func fencedAs(err error) error {
	if errors.Is(err, catalog.ErrFenced) {
		return fmt.Errorf("%w: %w", pipeline.ErrFenced, err)
	}
	return err
}

// leaseClock is a lease as the copy loop sees it.
type leaseClock struct{ lease *catalog.Lease }

func (l leaseClock) Deadline() time.Time            { return l.lease.Deadline() }
func (l leaseClock) Wait(ctx context.Context) error { return fencedAs(l.lease.Wait(ctx)) }

// ledger is the task's page in the catalog as the copy loop sees it. It also remembers what the activity wants to know.
type ledger struct {
	lease   *catalog.Lease
	pages   pages
	commits *latency // nil: not counted

	mu       sync.Mutex
	open     map[pipeline.Queue]bool
	position connector.Position // as far as it moved under this lease
}

func newLedger(lease *catalog.Lease, p pages) *ledger {
	l := &ledger{lease: lease, pages: p, open: map[pipeline.Queue]bool{}, position: connector.Position{}}
	for _, q := range lease.Start().Open {
		l.open[pipeline.Queue(q.Queue)] = true
	}
	return l
}

func (l *ledger) OpenQueues(ctx context.Context, queues []pipeline.OpenQueue) error {
	l.mu.Lock()
	for _, q := range queues {
		l.open[q.Queue] = true // whether or not it gets through
	}
	l.mu.Unlock()
	return fencedAs(l.lease.OpenQueues(ctx, openQueues(queues)))
}

func (l *ledger) Commit(ctx context.Context, c pipeline.Checkpoint) error {
	cp := catalog.Checkpoint{Position: make(map[string]string, len(c.Position)), Queues: openQueues(c.Queues),
		Records: c.Records, Bytes: c.Bytes}
	for p, o := range c.Position {
		cp.Position[string(p)] = string(o)
	}
	for _, q := range c.Close {
		cp.Close = append(cp.Close, catalog.Queue(q))
	}
	began := time.Now()
	if err := l.lease.Commit(ctx, cp); err != nil {
		return fencedAs(err)
	}
	if l.commits != nil {
		l.commits.observe(time.Since(began))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range c.Close {
		delete(l.open, q)
	}
	maps.Copy(l.position, c.Position)
	return nil
}

func (l *ledger) RecordFence(ctx context.Context, f pipeline.Fence) error {
	return fencedAs(l.lease.RecordFence(ctx, catalog.Fence{Queue: catalog.Queue(f.Queue), Writer: f.Writer, Epoch: f.Epoch,
		Term: f.Term, Offset: f.Offset}))
}

func (l *ledger) FencesBefore(ctx context.Context, q pipeline.Queue, offset int64) ([]pipeline.Fence, error) {
	found, err := l.pages.FencesBefore(ctx, catalog.Queue(q), offset)
	if err != nil {
		return nil, err
	}
	fences := make([]pipeline.Fence, len(found))
	for i, f := range found {
		fences[i] = pipeline.Fence{Queue: pipeline.Queue(f.Queue), Writer: f.Writer, Epoch: f.Epoch, Term: f.Term, Offset: f.Offset}
	}
	return fences, nil
}

// Remember implements pipeline.History, as do Past and GoBack.
func (l *ledger) Remember(ctx context.Context) error { return fencedAs(l.lease.Remember(ctx)) }

func (l *ledger) Past(ctx context.Context) ([]pipeline.Past, error) {
	found, err := l.lease.Checkpoints(ctx)
	if err != nil {
		return nil, err
	}
	past := make([]pipeline.Past, len(found))
	for i, p := range found {
		past[i] = pipeline.Past{Version: p.Version, At: p.At, Queues: pipelineQueues(p.Queues)}
	}
	return past, nil
}

func (l *ledger) GoBack(ctx context.Context, to pipeline.Past) ([]pipeline.Moved, error) {
	l.mu.Lock()
	for _, q := range to.Queues {
		l.open[q.Queue] = true // whether or not it gets through
	}
	l.mu.Unlock()
	found, err := l.lease.GoBack(ctx, to.Version)
	if err != nil {
		return nil, fencedAs(err)
	}
	moved := make([]pipeline.Moved, len(found))
	for i, m := range found {
		moved[i] = pipeline.Moved{Partition: connector.Partition(m.Partition)}
		if m.Before != nil {
			moved[i].From = connector.Offset(*m.Before)
		}
		if m.Offset != nil {
			moved[i].To = connector.Offset(*m.Offset)
		}
	}
	return moved, nil
}

// clean reports whether no queue is open: the task's next start has nothing to read back.
func (l *ledger) clean() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open) == 0
}

const (
	summaryPartitions = 3   // shown of a position
	summaryBytes      = 120 // of a partition or an offset
)

// summary is some of the position, for people.
func (l *ledger) summary() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := make(map[string]string, summaryPartitions)
	for _, p := range slices.Sorted(maps.Keys(l.position)) {
		if len(text) == summaryPartitions {
			break
		}
		text[cut(string(p), summaryBytes)] = cut(string(l.position[p]), summaryBytes)
	}
	return text
}

func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return text[:limit] + "…"
}

func openQueues(queues []pipeline.OpenQueue) []catalog.OpenQueue {
	out := make([]catalog.OpenQueue, len(queues))
	for i, q := range queues {
		out[i] = catalog.OpenQueue{Queue: catalog.Queue(q.Queue), Low: q.Low, Seq: q.Seq, Tail: q.Tail, TailSeq: q.TailSeq}
	}
	return out
}

func pipelineQueues(queues []catalog.OpenQueue) []pipeline.OpenQueue {
	var out []pipeline.OpenQueue
	for _, q := range queues {
		out = append(out, pipeline.OpenQueue{Queue: pipeline.Queue(q.Queue), Low: q.Low, Seq: q.Seq, Tail: q.Tail, TailSeq: q.TailSeq})
	}
	return out
}

// startOf is where a task goes on.
func startOf(s catalog.LeaseStart) pipeline.Start {
	start := pipeline.Start{Writer: s.Writer, Epoch: s.Epoch, Generation: s.PositionGeneration,
		Position: make(connector.Position, len(s.Position)), Open: pipelineQueues(s.Open), Closed: pipelineQueues(s.Closed)}
	for p, o := range s.Position {
		start.Position[connector.Partition(p)] = connector.Offset(o)
	}
	for _, p := range s.Elsewhere {
		start.Elsewhere = append(start.Elsewhere, connector.Partition(p))
	}
	return start
}

// queueMap is a connector's frozen map from keys to queues. The first to ask creates a missing topic, where that is
// allowed, and freezes the map.
type queueMap struct {
	a      *Activities
	uid    int64
	create bool
	queues int // of a topic that is created
}

func (m queueMap) Queues(ctx context.Context, topic string) ([]pipeline.Queue, error) {
	frozen, err := m.a.Catalog.QueueMap(ctx, m.uid, topic)
	if errors.Is(err, catalog.ErrNotFound) {
		frozen, err = m.freeze(ctx, topic)
	}
	if err != nil {
		return nil, err
	}
	queues := make([]pipeline.Queue, len(frozen))
	for i, q := range frozen {
		queues[i] = pipeline.Queue(q)
	}
	return queues, nil
}

func (m queueMap) freeze(ctx context.Context, topic string) ([]catalog.Queue, error) {
	found, err := m.a.Topics.Queues(ctx, topic)
	if errors.Is(err, ErrNoTopic) {
		if !m.create {
			return nil, connector.Permanent(fmt.Errorf("topic %s: %w, and topic.create is false; create it first", topic, err))
		}
		if err := m.a.Topics.CreateTopic(ctx, topic, m.queues); err != nil {
			return nil, fmt.Errorf("create topic %s: %w", topic, err)
		}
		found, err = m.a.Topics.Queues(ctx, topic)
	}
	if err != nil {
		return nil, fmt.Errorf("look up the queues of topic %s: %w", topic, err)
	}
	return m.a.Catalog.FreezeQueueMap(ctx, m.uid, topic, found)
}
