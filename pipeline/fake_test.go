package pipeline

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-connect/gantry/connector"
)

// fate is what becomes of one send.
type fate int

const (
	stored     fate = iota
	notStored       // refused, and the sender knows
	unsureIn        // stored, but the ack is lost
	unsureOut       // never stored, and the sender does not know
	unsureLate      // stored later than the sender thinks possible
)

// memBroker is queues in memory whose sends and pulls misbehave on request. It stands for the network and the broker.
type memBroker struct {
	mu     sync.Mutex
	queues map[Queue]*memQueue
	late   []func() // sends on their way, see unsureLate
	grown  chan struct{}
	random *rand.Rand
	fate   func(q Queue, msgs []Message) fate // nil: all is stored
	ops    func(what string) error            // called before each call; its error is the call's, as if nothing was done
}

type memQueue struct {
	min  int64
	msgs []Received
}

func newMemBroker(seed uint64) *memBroker {
	return &memBroker{queues: map[Queue]*memQueue{}, grown: make(chan struct{}), random: rand.New(rand.NewPCG(seed, 1))}
}

func (b *memBroker) queue(q Queue) *memQueue {
	if b.queues[q] == nil {
		b.queues[q] = &memQueue{}
	}
	return b.queues[q]
}

func (b *memBroker) append(q Queue, msgs []Message) int64 {
	mq := b.queue(q)
	base := mq.min + int64(len(mq.msgs))
	for i, m := range msgs {
		var props strings.Builder
		for _, p := range m.Properties {
			props.WriteString(p.Name + "\x01" + p.Value + "\x02")
		}
		mq.msgs = append(mq.msgs, Received{Queue: q, Offset: base + int64(i), Key: strings.Clone(m.Key), Tag: m.Tag,
			Body: slices.Clone(m.Body), Properties: Properties(props.String())})
	}
	close(b.grown)
	b.grown = make(chan struct{})
	return base
}

// deliverLate lets sends arrive that were thought lost: each with the chance given.
func (b *memBroker) deliverLate(chance float64) {
	b.late = slices.DeleteFunc(b.late, func(arrive func()) bool {
		if b.random.Float64() >= chance {
			return false
		}
		arrive()
		return true
	})
}

func (b *memBroker) Send(ctx context.Context, q Queue, msgs []Message) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ops != nil {
		if err := b.ops("send"); err != nil {
			return 0, err
		}
	}
	b.deliverLate(0.1)
	f := stored
	if b.fate != nil {
		f = b.fate(q, msgs)
	}
	switch f {
	case notStored:
		return 0, fmt.Errorf("busy: %w", ErrNotStored)
	case unsureIn:
		b.append(q, msgs)
		return 0, fmt.Errorf("ack lost: %w", ErrUnsure)
	case unsureOut:
		return 0, fmt.Errorf("request lost: %w", ErrUnsure)
	case unsureLate:
		kept := make([]Message, len(msgs))
		for i, m := range msgs {
			m.Key, m.Body, m.Properties = strings.Clone(m.Key), slices.Clone(m.Body), slices.Clone(m.Properties)
			for j := range m.Properties {
				m.Properties[j].Value = strings.Clone(m.Properties[j].Value)
			}
			kept[i] = m
		}
		b.late = append(b.late, func() { b.append(q, kept) })
		return 0, fmt.Errorf("still on its way: %w", ErrUnsure)
	}
	base := b.append(q, msgs)
	return base, nil
}

func (b *memBroker) Pull(ctx context.Context, q Queue, offset int64, limit int) (Pulled, error) {
	for {
		b.mu.Lock()
		if b.ops != nil {
			if err := b.ops("pull"); err != nil {
				b.mu.Unlock()
				return Pulled{}, err
			}
		}
		mq := b.queue(q)
		end := mq.min + int64(len(mq.msgs))
		if offset < mq.min || offset > end {
			b.mu.Unlock()
			return Pulled{}, ErrOffsetOutOfRange
		}
		if offset < end {
			n := min(int64(limit), end-offset, 1+b.random.Int64N(9))
			p := Pulled{Messages: slices.Clone(mq.msgs[offset-mq.min:][:n]), Next: offset + n, Min: mq.min, Max: end}
			b.mu.Unlock()
			return p, nil
		}
		grown := b.grown
		b.mu.Unlock()
		select {
		case <-grown:
		case <-time.After(5 * time.Second):
			return Pulled{Next: offset, Min: mq.min, Max: end}, nil
		case <-ctx.Done():
			return Pulled{}, ctx.Err()
		}
	}
}

func (b *memBroker) Bounds(_ context.Context, q Queue) (int64, int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ops != nil {
		if err := b.ops("bounds"); err != nil {
			return 0, 0, err
		}
	}
	mq := b.queue(q)
	return mq.min, mq.min + int64(len(mq.msgs)), nil
}

func (b *memBroker) snapshot() map[Queue][]Received {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[Queue][]Received{}
	for q, mq := range b.queues {
		all[q] = slices.Clone(mq.msgs)
	}
	return all
}

// memCatalog is one task's page, with its epochs.
type memCatalog struct {
	mu       sync.Mutex
	epoch    int64
	position connector.Position
	open     map[Queue]OpenQueue
	closed   map[Queue]OpenQueue
	base     map[Queue]int64 // where a queue ended when it was first opened
	past     []memPast
	fences   []Fence
	commits  int
	schemas  map[string]*connector.Schema
	ops      func(what string) (before, after error)
}

func newMemCatalog() *memCatalog {
	return &memCatalog{position: connector.Position{}, open: map[Queue]OpenQueue{}, closed: map[Queue]OpenQueue{},
		base: map[Queue]int64{}, schemas: map[string]*connector.Schema{}}
}

// claim starts a new epoch.
func (c *memCatalog) claim() (*memLedger, Start) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	s := Start{Writer: 7, Epoch: c.epoch, Position: maps.Clone(c.position)}
	for _, q := range slices.SortedFunc(maps.Keys(c.open), func(a, b Queue) int { return a.ID - b.ID }) {
		s.Open = append(s.Open, c.open[q])
	}
	for q, o := range c.closed {
		if _, open := c.open[q]; !open {
			s.Closed = append(s.Closed, o)
		}
	}
	return &memLedger{c, c.epoch}, s
}

func (c *memCatalog) state() (connector.Position, map[Queue]OpenQueue) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.position), maps.Clone(c.open)
}

// memLedger is the page under one epoch.
type memLedger struct {
	c     *memCatalog
	epoch int64
}

func (l *memLedger) do(what string, apply func()) error {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	var before, after error
	if l.c.ops != nil {
		before, after = l.c.ops(what)
	}
	if before != nil {
		return before
	}
	if l.epoch != l.c.epoch {
		return fmt.Errorf("%s: %w", what, ErrFenced)
	}
	apply()
	return after
}

func (l *memLedger) OpenQueues(_ context.Context, queues []OpenQueue) error {
	return l.do("open", func() {
		for _, q := range queues {
			l.c.open[q.Queue] = q
			if _, known := l.c.base[q.Queue]; !known {
				l.c.base[q.Queue] = q.Low
			}
		}
	})
}

func (l *memLedger) Commit(_ context.Context, p Checkpoint) error {
	return l.do("commit", func() {
		l.c.commits++
		maps.Copy(l.c.position, p.Position)
		for _, q := range p.Queues {
			l.c.open[q.Queue] = q
		}
		for _, q := range p.Close {
			l.c.closed[q] = l.c.open[q]
			delete(l.c.open, q)
		}
	})
}

func (l *memLedger) RecordFence(_ context.Context, f Fence) error {
	return l.do("fence", func() { l.c.fences = append(l.c.fences, f) })
}

// memPast is a checkpoint that is remembered.
type memPast struct {
	Past
	position connector.Position
}

func (l *memLedger) Remember(context.Context) error {
	return l.do("remember", func() {
		p := memPast{Past{Version: int64(len(l.c.past) + 1), At: time.Now()}, maps.Clone(l.c.position)}
		for q := range l.c.base {
			o, open := l.c.open[q]
			if !open {
				o = l.c.closed[q]
			}
			p.Queues = append(p.Queues, o)
		}
		l.c.past = append(l.c.past, p)
	})
}

func (l *memLedger) Past(context.Context) (all []Past, err error) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	for _, p := range slices.Backward(l.c.past) {
		all = append(all, p.Past)
	}
	return all, nil
}

func (l *memLedger) GoBack(_ context.Context, to Past) (moved []Moved, err error) {
	return moved, l.do("go back", func() {
		p := l.c.past[to.Version-1]
		l.c.past = l.c.past[:to.Version]
		for partition, o := range l.c.position {
			if o != p.position[partition] {
				moved = append(moved, Moved{partition, o, p.position[partition]})
			}
		}
		l.c.position = maps.Clone(p.position)
		for q, base := range l.c.base {
			l.c.open[q] = OpenQueue{Queue: q, Low: base}
		}
		for _, q := range p.Queues {
			l.c.open[q.Queue] = q
		}
	})
}

func (l *memLedger) FencesBefore(_ context.Context, q Queue, offset int64) ([]Fence, error) {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	best := map[uint32]Fence{}
	for _, f := range l.c.fences {
		b, ok := best[f.Writer]
		if f.Queue == q && f.Offset < offset && (!ok || generation{b.Epoch, b.Term}.less(generation{f.Epoch, f.Term})) {
			best[f.Writer] = f
		}
	}
	return slices.Collect(maps.Values(best)), nil
}

func (c *memCatalog) Put(_ context.Context, s *connector.Schema) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.schemas[s.Fingerprint()] = s
	return nil
}

func (c *memCatalog) Get(_ context.Context, fingerprint string) (*connector.Schema, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.schemas[fingerprint]; s != nil {
		return s, nil
	}
	return nil, ErrNoSchema
}

// always is a lease that never runs out: safety may not rest on leases.
type always struct{}

func (always) Deadline() time.Time        { return time.Now().Add(time.Hour) }
func (always) Wait(context.Context) error { return nil }

// someQueues is a queue map.
type someQueues int

func (n someQueues) Queues(_ context.Context, topic string) ([]Queue, error) {
	list := make([]Queue, n)
	for i := range list {
		list[i] = Queue{Topic: topic, Broker: "b", ID: i}
	}
	return list, nil
}

func config(t testing.TB, more ...string) map[string]string {
	t.Helper()
	c := map[string]string{"name": "test", "connector.class": "Test", "topic": "t", "topics": "t", "checkpoint.interval.ms": "10"}
	for i := 0; i < len(more); i += 2 {
		c[more[i]] = more[i+1]
	}
	return c
}
