package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gantry-connect/gantry/internal/failpoint"
)

// lanesOf returns the lanes of a topic, in the order of its queue map.
func (s *Source) lanesOf(ctx context.Context, topic string) ([]*lane, error) {
	if topic == "" {
		topic = s.config.Topic
	}
	if lanes := s.topics[topic]; lanes != nil {
		return lanes, nil
	}
	var queues []Queue
	err := s.retry.do(ctx, "look up the queues of topic "+topic, func() (err error) {
		queues, err = s.queues.Queues(ctx, topic)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(queues) == 0 {
		return nil, fmt.Errorf("topic %s has no queues", topic)
	}
	lanes := make([]*lane, len(queues))
	for i, q := range queues {
		lanes[i] = s.lane(q)
	}
	s.topics[topic] = lanes
	return lanes, nil
}

// lane returns the queue's lane; only one goroutine calls it at a time.
func (s *Source) lane(q Queue) *lane {
	l := s.lanes[q]
	if l == nil {
		l = newLane(&s.sender, q)
		s.lanes[q] = l
	}
	return l
}

// openLanes makes sure that the ledger knows of every queue that is about to get messages.
func (s *Source) openLanes(ctx context.Context, g *group, chunks []laneChunk) error {
	var closed []*laneChunk
	for i := range chunks {
		for {
			open, wait := chunks[i].lane.take(len(chunks[i].msgs))
			if open {
				break
			}
			if wait == nil {
				closed = append(closed, &chunks[i])
				break
			}
			select {
			case <-wait:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	if len(closed) > 0 {
		if err := s.openClosed(ctx, closed); err != nil {
			return err
		}
	}
	for i := range chunks {
		chunks[i].term = chunks[i].lane.term.Load()
		s.startLane(g, chunks[i].lane)
	}
	return nil
}

func (s *Source) openClosed(ctx context.Context, closed []*laneChunk) error {
	open := make([]OpenQueue, len(closed))
	seen := make([]time.Time, len(closed))
	g := newGroup(ctx, s.logger, 8)
	for i, c := range closed {
		g.Go("opener", func(ctx context.Context) (err error) {
			open[i], err = s.beginOpen(ctx, c.lane)
			seen[i] = time.Now() // the others, and recording them, may take long
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := s.recordOpen(ctx, open); err != nil {
		return err
	}
	s.points.Reached(failpoint.SourceOpened)
	for i, c := range closed {
		c.lane.open(open[i], len(c.msgs), seen[i])
	}
	return nil
}

func (s *Source) recordOpen(ctx context.Context, open []OpenQueue) error {
	return s.retry.do(ctx, "record queues as open", func() error {
		if err := awaitLease(ctx, s.retry, s.lease); err != nil {
			return err
		}
		return s.ledger.OpenQueues(ctx, open)
	})
}

// beginOpen returns where a queue that is about to be opened ends, and the number of its next message. A queue that has lost
// messages since it was closed is recorded as open as it was then, so that the next start reads it back.
func (s *Source) beginOpen(ctx context.Context, l *lane) (OpenQueue, error) {
	start, end, err := l.bounds(ctx)
	if err != nil {
		return OpenQueue{}, err
	}
	o := OpenQueue{Queue: l.queue, Low: end, Seq: 1}
	was, known := s.closedAt(l)
	if known {
		err := l.lostBelow(ctx, &was, start, end)
		if errors.Is(err, ErrBrokerLostData) {
			return OpenQueue{}, cmp.Or(s.recordOpen(ctx, []OpenQueue{was}), err)
		}
		if err != nil {
			return OpenQueue{}, err
		}
		o.Seq, o.Tail, o.TailSeq = was.Seq, was.Tail, was.TailSeq
	}
	l.stamped = o.Seq
	return o, nil
}

// closedAt is where a queue ended when it was closed, by this start or before.
func (s *Source) closedAt(l *lane) (OpenQueue, bool) {
	if l.stamped > 0 {
		l.mu.Lock()
		defer l.mu.Unlock()
		return OpenQueue{Queue: l.queue, Low: l.next, Seq: l.stamped, Tail: l.tail.offset, TailSeq: l.tail.number}, true
	}
	for _, c := range s.start.Closed {
		if c.Queue == l.queue && c.Seq > 0 {
			return c, true
		}
	}
	return OpenQueue{}, false
}

// startLane starts the lane's goroutine if it does not run.
func (s *Source) startLane(g *group, l *lane) {
	if l.started {
		return
	}
	l.started = true
	s.mu.Lock()
	s.opened = append(s.opened, l)
	s.mu.Unlock()
	s.running.Add(1)
	g.Go("lane", func(ctx context.Context) error {
		defer s.running.Done()
		return l.run(ctx)
	})
}
