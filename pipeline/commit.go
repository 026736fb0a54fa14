package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gantry-connect/gantry/internal/failpoint"
)

// commitAll commits as often as the window and the interval want, until sent is closed; then it closes all queues.
func (s *Source) commitAll(ctx context.Context, sent <-chan struct{}) error {
	interval := s.config.CheckpointInterval
	timer := time.NewTicker(interval)
	defer timer.Stop()
	last := time.Now()
	for {
		select {
		case <-s.mark.moved:
			if !s.mark.due() && time.Since(last) < interval {
				continue
			}
		case <-timer.C:
			s.tidings.nudge()
		case <-sent:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return s.commitLast(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
		if done, err := s.commit(ctx, s.idle); err != nil {
			return err
		} else if done {
			last = time.Now()
		}
	}
}

// commitLast closes all queues, unless one holds records that the source has not given again yet: then the next start reads it
// back as well. Whatever was read has been acknowledged.
func (s *Source) commitLast(ctx context.Context) error {
	if !s.mark.empty() {
		return errors.New("drained with messages that are not acknowledged")
	}
	if _, err := s.commit(ctx, 0); err != nil {
		return err
	}
	for _, l := range s.opened {
		if s.settle && l.isOpen() {
			return fmt.Errorf("not settled: %v holds records that the source has not given again", l.queue)
		}
	}
	s.points.Reached(failpoint.SourceDrained)
	return nil
}

// commit writes a checkpoint if there is anything new, and closes queues that have been idle for that long.
func (s *Source) commit(ctx context.Context, idle time.Duration) (done bool, err error) {
	c := s.mark.take()
	point := Checkpoint{Position: c.position, Records: c.size.records, Bytes: c.size.bytes}
	s.mu.Lock()
	opened := s.opened
	s.mu.Unlock()
	var open, closing []*lane
	held := false
	for _, l := range opened {
		if !l.isOpen() {
			continue
		}
		o, closes := l.beginClose(c.seq, idle)
		held = held || l.holds()
		if closes {
			closing = append(closing, l)
			point.Close = append(point.Close, l.queue)
		}
		open, point.Queues = append(open, l), append(point.Queues, o)
	}
	if c.position == nil && len(closing) == 0 {
		return false, nil
	}
	s.points.Reached(failpoint.SourceBeforeCommit)
	err = s.retry.do(ctx, "commit the position", func() error { return s.ledger.Commit(ctx, point) })
	if err != nil {
		return false, err
	}
	s.mark.committed(c.size)
	for i, l := range open {
		l.covered(point.Queues[i].Low)
	}
	for _, l := range closing {
		l.endClose()
	}
	s.progress.committed()
	s.points.Reached(failpoint.SourceCommitted)
	if c.position != nil {
		s.tidings.add(c.position)
	}
	if !held {
		err = s.past.committed(ctx, c.size.records)
	}
	return true, err
}
