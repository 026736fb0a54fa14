package pipeline

import (
	"context"
	"fmt"

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
	for i, c := range closed {
		o, err := s.beginOpen(ctx, c.lane)
		if err != nil {
			return err
		}
		open[i] = o
	}
	err := s.retry.do(ctx, "record queues as open", func() error {
		if err := awaitLease(ctx, s.retry, s.lease); err != nil {
			return err
		}
		return s.ledger.OpenQueues(ctx, open)
	})
	if err != nil {
		return err
	}
	s.points.Reached(failpoint.SourceOpened)
	for i, c := range closed {
		c.lane.open(open[i], len(c.msgs))
	}
	return nil
}

// beginOpen returns where a queue that is about to be opened ends, and the number of its next message.
func (s *Source) beginOpen(ctx context.Context, l *lane) (OpenQueue, error) {
	_, end, err := l.bounds(ctx)
	if err != nil {
		return OpenQueue{}, err
	}
	o := OpenQueue{Queue: l.queue, Low: end, Seq: max(l.stamped, 1)}
	known := l.next // 0 unless it was open before
	if l.stamped == 0 {
		for _, c := range s.start.Closed {
			if c.Queue == l.queue && c.Seq > 0 {
				o.Seq, known = c.Seq, c.Low
			}
		}
	}
	if end < known {
		lost := &LostError{Queue: l.queue, Offset: end, Expected: uint64(known), Found: uint64(end), Covered: true}
		if err := l.doubts.lost(ctx, lost); err != nil {
			return OpenQueue{}, err
		}
		if l.stamped > 0 { // readers take numbers that begin again from a new epoch only
			return OpenQueue{}, lost
		}
		o.Seq = 1
	}
	l.stamped = o.Seq
	return o, nil
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
