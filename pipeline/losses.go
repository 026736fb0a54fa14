package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// suspectAfter is how long a message that was seen in its queue counts as being there: the broker may have restarted since, which
// takes longer. What is sent behind a loss leaves a gap in the numbers, at which sinks stop.
const suspectAfter = 5 * time.Second

// audit looks once whether the queues that were closed before still have what the position covers: a source that has nothing
// more to send would never find out. It ends with reading; ctx is the job's.
func (s *Source) audit(reading, ctx context.Context) error {
	for i := range s.start.Closed {
		o := &s.start.Closed[i]
		l := newLane(&s.sender, o.Queue) // to look only; the queue may be opened meanwhile
		start, end, err := l.bounds(reading)
		if err == nil {
			err = l.lostBelow(reading, o, start, end)
		}
		switch {
		case reading.Err() != nil:
			return nil
		case errors.Is(err, ErrBrokerLostData):
			return cmp.Or(s.recordOpen(ctx, []OpenQueue{*o}), err) // the next start reads it back
		case err != nil:
			return err
		}
	}
	return nil
}

// maySend returns once the lease holds and there is no reason to doubt that the last message that was acknowledged is still there.
func (l *lane) maySend(ctx context.Context) error {
	for {
		if err := awaitLease(ctx, l.retry, l.lease); err != nil {
			return err
		}
		l.mu.Lock()
		last, since := l.last, time.Since(l.seen)
		l.mu.Unlock()
		if last.number == 0 || (!l.suspect && since < suspectAfter) {
			return nil
		}
		if err := l.lookBack(ctx, last); err != nil {
			return err
		}
	}
}

// lookBack makes sure that a message is still there.
func (l *lane) lookBack(ctx context.Context, last sent) error {
	start, end, err := l.bounds(ctx)
	if err != nil {
		return err
	}
	if err := l.stillThere(ctx, last, start, end, false); err != nil {
		return err
	}
	l.suspect = false
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = time.Now()
	return nil
}

// stillThere returns a *LostError if one of the writer's messages is not where it was acknowledged any more. The broker loses the
// end of a queue, so all before it are there if it is. start and end are what the queue holds.
func (l *lane) stillThere(ctx context.Context, m sent, start, end int64, covered bool) error {
	if m.number == 0 || m.offset < start { // none is known, or it has expired, as messages do
		return nil
	}
	lost := &LostError{Queue: l.queue, Writer: l.writer, Offset: m.offset, Expected: m.number, Covered: covered}
	if m.offset >= end {
		return lost
	}
	var p Pulled
	err := l.retry.do(ctx, "look into "+l.queue.String(), func() (err error) {
		p, err = l.broker.Pull(ctx, l.queue, m.offset, 1)
		return err
	})
	switch {
	case errors.Is(err, ErrOffsetOutOfRange): // it has expired, or got lost, just now
		return lost
	case err != nil:
		return err
	}
	if len(p.Messages) == 0 || p.Messages[0].Offset != m.offset {
		return lost
	}
	s, err := parseStamp(p.Messages[0].Property(stampProperty))
	if err != nil || s.Writer != l.writer || s.Number != m.number {
		return lost
	}
	return nil
}

// lostBelow returns a *LostError if the broker has lost messages that the position covers. What the queue holds is start to end.
func (l *lane) lostBelow(ctx context.Context, o *OpenQueue, start, end int64) error {
	if o.TailSeq > 0 {
		return l.stillThere(ctx, sent{o.Tail, o.TailSeq}, start, end, true)
	}
	if end < o.Low && o.Seq > 1 { // something may be covered
		return &LostError{Queue: l.queue, Offset: end, Expected: uint64(o.Low), Found: uint64(end), Covered: true}
	}
	return nil
}

// resolveFrom is from where on an unsure send is looked for, up to end, behind the fence. A *LostError says that messages
// acknowledged before are lost: the next start sends them again, in order, as nothing but the fence lies behind the loss.
func (l *lane) resolveFrom(ctx context.Context, end int64) (int64, error) {
	start, bound, err := l.bounds(ctx)
	if err != nil {
		return 0, err
	}
	l.mu.Lock()
	last, low, next := l.last, l.low, l.next
	l.mu.Unlock()
	if err := l.stillThere(ctx, last, start, bound, last.offset < low); err != nil {
		return 0, err
	}
	if !l.shorter(end, next) {
		return next, nil
	}
	// The queue has lost messages of others only; what was sent may lie among what replaced them.
	if last.number > 0 {
		return max(last.offset+1, start), nil
	}
	return max(start, end-learnBehind), nil
}

// shorter reports whether the queue, which fence says ends at end, ended behind that before, at was.
func (l *lane) shorter(end, was int64) bool {
	if l.fences {
		return end <= was // the fence lies at end-1
	}
	return end < was
}

// recoverFrom says from where on an open queue, of which o is recorded, is read back up to end, behind the fence.
func (l *lane) recoverFrom(ctx context.Context, o OpenQueue, end int64) (OpenQueue, error) {
	start, bound, err := l.bounds(ctx)
	if err != nil {
		return o, err
	}
	err = l.lostBelow(ctx, &o, start, bound)
	var lost *LostError
	switch {
	case errors.As(err, &lost):
		if err := l.doubts.lost(ctx, lost); err != nil {
			return o, err
		}
		// Nothing tells which number was the last to survive. Readers take a new epoch that begins at 1.
		o = OpenQueue{Queue: o.Queue, Low: min(o.Low, end)}
	case err != nil:
		return o, err
	case !l.shorter(end, o.Low):
	case o.TailSeq > 0: // others' messages are lost, and what was sent may lie among what replaced them
		o.Low = max(o.Tail+1, start)
	default:
		o.Low = max(start, end-learnBehind)
	}
	if o.Low >= end || start <= o.Low {
		return o, nil
	}
	err = l.doubts.mayDouble(ctx, fmt.Errorf("queue %v: offsets %d to %d have expired before they could be read back, so records in them may be sent twice",
		l.queue, o.Low, start-1))
	o.Low, o.Seq = start, 0
	return o, err
}
