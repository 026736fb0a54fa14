package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/internal/failpoint"
)

// pull reads a queue until ctx ends, and hands over what it finds in runs small enough for one write.
func (s *Sink) pull(ctx context.Context, q *sinkQueue) error {
	key, value, err := s.job.Converters()
	if err != nil {
		return err
	}
	maker := recordMaker{key: key, value: value, schemas: retryingSchemas{s.job.Schemas, s.retry},
		known: map[string]*connector.Schema{}, partition: q.partition}
	if s.job.Transforms != nil {
		if maker.transform, err = s.job.Transforms(); err != nil {
			return err
		}
	}
	what := "pull " + q.queue.String()
	limit := min(pullLimit, s.config.BatchMaxRecords)
	for offset := q.offset; ; {
		var p Pulled
		err := s.retry.do(ctx, what, func() (err error) {
			p, err = s.job.Broker.Pull(ctx, q.queue, offset, limit)
			return err
		})
		switch {
		case errors.Is(err, ErrOffsetOutOfRange):
			return fmt.Errorf("%w: it is %d: %w", errPosition, offset, err)
		case err != nil:
			return err
		}
		s.points.Reached(failpoint.SinkPulled)
		s.noteLag(q, p.Max-p.Next)
		if err := s.sort(ctx, q, &maker, &p); err != nil {
			return err
		}
		offset = p.Next
	}
}

// sort applies the readers' rule to what was pulled, makes records of what counts, and hands them over.
func (s *Sink) sort(ctx context.Context, q *sinkQueue, maker *recordMaker, p *Pulled) error {
	var props properties
	c := s.run(q, len(p.Messages))
	for i := range p.Messages {
		m := &p.Messages[i]
		props.read(m.Properties)
		v, err := q.judge(m, &props)
		if err != nil {
			return err
		}
		c.next = m.Offset + 1
		switch v {
		case dropped:
			s.progress.drops.Add(1)
			continue
		case fence:
			continue
		}
		rec, err := maker.record(ctx, m, &props)
		keep := false
		if err == nil {
			keep, err = s.take(c, maker.transform, rec)
		}
		var bad *stageError
		switch {
		case errors.As(err, &bad):
			c.bad = append(c.bad, badMessage{*m, bad})
		case err != nil:
			return err
		case !keep:
			continue
		default:
			c.messages = append(c.messages, m)
		}
		c.bytes += int64(len(m.Body))
		c.charge += int64(rec.Size)
		if len(c.records) >= s.config.BatchMaxRecords || c.bytes >= int64(s.config.BatchMaxBytes) {
			if err := s.handOver(ctx, q, c); err != nil {
				return err
			}
			c = s.run(q, len(p.Messages)-i-1)
		}
	}
	if c.next == 0 { // nothing more; an offset that moved without a message shows again with the next one
		return nil
	}
	c.next = p.Next
	return s.handOver(ctx, q, c)
}

func (s *Sink) run(q *sinkQueue, n int) *pulled {
	return &pulled{from: q, records: runSlices.get(n), messages: make([]*Received, 0, n)}
}

// recordSlices are slices of records that a target has taken, to be filled again: records are large, and a task may go
// through a million of them in seconds.
type recordSlices struct{ kept sync.Pool }

var (
	runSlices   recordSlices
	batchSlices recordSlices // larger ones
)

// get returns an empty slice with room for n records.
func (p *recordSlices) get(n int) []connector.Record {
	if n == 0 {
		return nil
	}
	if kept, ok := p.kept.Get().(*[]connector.Record); ok && cap(*kept) >= n {
		return *kept
	}
	return make([]connector.Record, 0, n)
}

// put is called when nobody uses the slice any more. It lets go of what the records hold.
func (p *recordSlices) put(s []connector.Record) {
	if cap(s) == 0 {
		return
	}
	clear(s)
	s = s[:0]
	p.kept.Put(&s)
}

// judge is the readers' rule; messages without a stamp are other programs' and count.
func (q *sinkQueue) judge(m *Received, props *properties) (verdict, error) {
	if props.stamp == "" {
		return counts, nil
	}
	st, err := parseStamp(props.stamp)
	if err != nil {
		return counts, connector.Permanent(fmt.Errorf("queue %v, offset %d: stamp %q: %w", q.queue, m.Offset, props.stamp, err))
	}
	v, err := q.rules.judge(&st)
	var lost *LostError
	if errors.As(err, &lost) {
		lost.Queue, lost.Offset = q.queue, m.Offset
	}
	return v, err
}

func (s *Sink) handOver(ctx context.Context, q *sinkQueue, c *pulled) error {
	c.rules = q.rules.clone()
	if err := s.buffer.take(ctx, c.charge); err != nil {
		return err
	}
	select {
	case s.chunks <- c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// noteLag keeps the sum over the queues.
func (s *Sink) noteLag(q *sinkQueue, lag int64) {
	s.buffer.mu.Lock()
	defer s.buffer.mu.Unlock()
	q.lag = max(lag, 0)
	sum := int64(0)
	for _, other := range s.queues {
		sum += other.lag
	}
	s.progress.lagRecords.Store(sum)
}

// byteBudget bounds bytes in memory. A taker larger than all of it waits until it is alone.
type byteBudget struct {
	max int64

	mu    sync.Mutex
	used  int64
	freed chan struct{} // closed when used shrinks; nil if nobody waits
}

func newByteBudget(limit int64) *byteBudget { return &byteBudget{max: limit} }

func (b *byteBudget) take(ctx context.Context, n int64) error {
	for {
		b.mu.Lock()
		if b.used == 0 || b.used+n <= b.max {
			b.used += n
			b.mu.Unlock()
			return nil
		}
		if b.freed == nil {
			b.freed = make(chan struct{})
		}
		freed := b.freed
		b.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b *byteBudget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	if b.freed != nil {
		close(b.freed)
		b.freed = nil
	}
}
