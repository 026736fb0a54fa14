package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gantry-connect/gantry/rocketmq"
)

// stored says what a topic holds, and the broker's times of the first and the last message.
type stored struct {
	records     int
	first, last time.Time
	indexed     time.Time // when the last one could be pulled
}

func (s stored) rate() float64      { return rate(s.records, s.last.Sub(s.first)) }
func (s stored) sustained() float64 { return rate(s.records, s.indexed.Sub(s.first)) }

// awaitTopic waits until Gantry has put so many records into a topic, which it may still have to create.
func (l *lab) awaitTopic(ctx context.Context, topic string, records int, connectors ...string) (stored, error) {
	looked := time.Now()
	err := poll(ctx, copyBound, fmt.Sprintf("%s holds %d records", topic, records), func() (bool, error) {
		if time.Since(looked) > time.Second {
			looked = time.Now()
			if err := l.api.failed(ctx, connectors...); err != nil {
				return false, err
			}
		}
		n, err := l.count(ctx, topic)
		if n > 0 {
			l.moving()
		}
		return n >= records, err
	})
	if err != nil {
		return stored{}, err
	}
	indexed := time.Now()
	s, err := l.stored(ctx, topic, records)
	s.indexed = indexed
	return s, err
}

func (l *lab) count(ctx context.Context, topic string) (int, error) {
	all, err := l.rocketmq.Queues(ctx, topic)
	if errors.Is(err, rocketmq.ErrNoTopic) {
		return 0, nil
	}
	n := int64(0)
	for _, q := range all {
		minimum, maximum, err := l.rocketmq.Bounds(ctx, q)
		if err != nil {
			return 0, err
		}
		n += maximum - minimum
	}
	return int(n), err
}

// stored looks at the ends of a topic's queues. A copy without failures leaves exactly its records there.
func (l *lab) stored(ctx context.Context, topic string, want int) (s stored, err error) {
	all, err := l.rocketmq.Queues(ctx, topic)
	if err != nil {
		return s, err
	}
	for _, q := range all {
		minimum, maximum, err := l.rocketmq.Bounds(ctx, q)
		if err != nil {
			return s, err
		}
		if minimum == maximum {
			continue
		}
		s.records += int(maximum - minimum)
		for _, at := range []int64{minimum, maximum - 1} {
			p, err := l.rocketmq.Pull(ctx, q, at, 1)
			if err != nil {
				return s, err
			}
			t := p.Messages[0].Stored
			if s.first.IsZero() || t.Before(s.first) {
				s.first = t
			}
			if t.After(s.last) {
				s.last = t
			}
		}
	}
	if s.records != want {
		return s, fmt.Errorf("topic %s holds %d messages, and the source has %d records", topic, s.records, want)
	}
	return s, nil
}
