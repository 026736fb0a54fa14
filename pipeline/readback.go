package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/internal/failpoint"
)

// fenceTag lets other readers of the topic leave fences out by a tag filter.
const fenceTag = "gantry-fence"

// pullLimit is how many messages a pull asks for at most.
const pullLimit = 1024

var errTermsUsedUp = fmt.Errorf("more than %d sends of one start were unsure; the task goes on under a new epoch", maxTerm)

// fence ends the lane's present term: what was sent before and is not in front of the returned offset will never count.
// Without fences it waits until nothing can be on its way any more, and returns the queue's end.
func (l *lane) fence(ctx context.Context) (end int64, err error) {
	if !l.fences {
		return l.waitOut(ctx)
	}
	if err := l.nextTerm(); err != nil {
		return 0, err
	}
	what := "fence " + l.queue.String()
	err = l.retry.do(ctx, what, func() error {
		if err := awaitLease(ctx, l.retry, l.lease); err != nil {
			return err
		}
		s := stamp{Kind: stampFence, Writer: l.writer, Epoch: l.epoch, Term: l.term.Load()}
		base, err := l.broker.Send(ctx, l.queue, []Message{{Tag: fenceTag, Body: placeholder,
			Properties: []Property{{Name: stampProperty, Value: string(s.appendTo(nil))}}}})
		if err != nil && !errors.Is(err, ErrNotStored) && !connector.IsPermanent(err) && ctx.Err() == nil {
			if termErr := l.nextTerm(); termErr != nil { // a fence is never sent twice: the late one would be the later one
				return connector.Permanent(termErr)
			}
		}
		end = base
		return err
	})
	if err != nil {
		if errors.Is(err, errTermsUsedUp) {
			return 0, errTermsUsedUp
		}
		return 0, err
	}
	l.points.Reached(failpoint.SourceFenced)
	if err := l.recordFence(ctx, end, l.term.Load(), l.epoch); err != nil {
		return 0, err
	}
	return end + 1, nil
}

func (l *lane) nextTerm() error {
	if l.term.Load() == maxTerm {
		return errTermsUsedUp
	}
	l.term.Add(1)
	return nil
}

func (l *lane) recordFence(ctx context.Context, offset int64, term uint32, epoch int64) error {
	return l.retry.do(ctx, "record the fence of "+l.queue.String(), func() error {
		return l.ledger.RecordFence(ctx, Fence{Queue: l.queue, Writer: l.writer, Epoch: epoch, Term: term, Offset: offset})
	})
}

func (l *lane) waitOut(ctx context.Context) (int64, error) {
	if err := l.nextTerm(); err != nil {
		return 0, err
	}
	if err := sleep(ctx, l.sendTimeout); err != nil {
		return 0, err
	}
	_, end, err := l.bounds(ctx)
	return end, err
}

func (l *lane) bounds(ctx context.Context) (minimum, maximum int64, err error) {
	err = l.retry.do(ctx, "look up the offsets of "+l.queue.String(), func() error {
		minimum, maximum, err = l.broker.Bounds(ctx, l.queue)
		return err
	})
	return minimum, maximum, err
}

// scanner is what a scan of a queue does with what it meets.
type scanner struct {
	rules *readers                                      // what is known of the writers where the scan has come to
	found func(offset int64, s *stamp)                  // is shown the writer's own records that count
	lost  func(ctx context.Context, e *LostError) error // decides about messages that are missing; nil takes no loss
}

// scan looks at the messages from offset up to end, in order.
func (l *lane) scan(ctx context.Context, offset, end int64, sc *scanner) error {
	what := "read back " + l.queue.String()
	for offset < end {
		var p Pulled
		err := l.retry.do(ctx, what, func() (err error) {
			p, err = l.broker.Pull(ctx, l.queue, offset, pullLimit)
			return err
		})
		if err != nil {
			return err
		}
		for i := range p.Messages {
			m := &p.Messages[i]
			if m.Offset >= end {
				return nil
			}
			if err := l.look(ctx, m, sc); err != nil {
				return err
			}
		}
		if offset = p.Next; len(p.Messages) == 0 && offset < end {
			if err := l.reaches(ctx, end); err != nil {
				return err
			}
		}
	}
	return nil
}

// reaches returns a *LostError if the queue, which has been longer, ends before end.
func (l *lane) reaches(ctx context.Context, end int64) error {
	_, now, err := l.bounds(ctx)
	if err == nil && now < end {
		err = &LostError{Queue: l.queue, Offset: now, Expected: uint64(end), Found: uint64(now)}
	}
	return err
}

func (l *lane) look(ctx context.Context, m *Received, sc *scanner) error {
	text := m.Property(stampProperty)
	if text == "" {
		return nil
	}
	s, err := parseStamp(text)
	if err != nil {
		return connector.Permanent(fmt.Errorf("stamp %q at offset %d of %v: %w", text, m.Offset, l.queue, err))
	}
	if s.Writer != l.writer {
		return nil
	}
	if s.Epoch > l.epoch {
		return fmt.Errorf("queue %v holds a message of epoch %d at offset %d, this is epoch %d: %w", l.queue, s.Epoch, m.Offset, l.epoch, ErrFenced)
	}
	v, err := sc.rules.judge(&s)
	var lost *LostError
	if errors.As(err, &lost) {
		lost.Queue, lost.Offset = l.queue, m.Offset
		if sc.lost != nil {
			err = sc.lost(ctx, lost)
			sc.rules.skip(&s)
		}
	}
	switch {
	case err != nil:
		return err
	case v == fence && s.Epoch == l.epoch && s.Term < l.term.Load(): // one whose ack did not arrive
		return l.recordFence(ctx, m.Offset, s.Term, s.Epoch)
	case v == fence && s.Epoch < l.epoch:
		l.readBackBy = s.Epoch
		return l.recordFence(ctx, m.Offset, s.Term, s.Epoch) // its owner may have died before it could
	case v == counts:
		sc.found(m.Offset, &s)
	}
	return nil
}

// resolve finds out which messages of an unsure send were stored, and leaves the others in the batch.
func (l *lane) resolve(ctx context.Context) error {
	rules := readers{writers: []writerState{{Writer: l.writer, generation: generation{l.epoch, l.term.Load()}, Next: l.number}}}
	end, err := l.fence(ctx)
	if err != nil {
		return err
	}
	from, err := l.resolveFrom(ctx, end)
	if err != nil {
		return err
	}
	var offsets []int64
	err = l.scan(ctx, from, end, &scanner{rules: &rules, found: func(offset int64, _ *stamp) { offsets = append(offsets, offset) }})
	if err != nil {
		return err
	}
	if len(offsets) > len(l.batch) {
		return &LostError{Queue: l.queue, Writer: l.writer, Offset: offsets[len(l.batch)], Expected: l.number + uint64(len(l.batch)),
			Found: l.number + uint64(len(offsets))}
	}
	if err := l.acknowledge(func(i int) int64 { return offsets[i] }, len(offsets)); err != nil {
		return err
	}
	l.mu.Lock()
	l.next = end
	l.mu.Unlock()
	return nil
}

// recover brings a queue that the last owner left open into a known state. It returns what arrived and counts, in order.
func (l *lane) recover(ctx context.Context, o OpenQueue) ([]arrived, error) {
	end, err := l.fence(ctx)
	if err != nil {
		return nil, err
	}
	if o, err = l.recoverFrom(ctx, o, end); err != nil {
		return nil, err
	}
	rules, err := l.rulesAt(ctx, o)
	if err != nil {
		return nil, err
	}
	l.spans, l.held, l.readBackBy = nil, 0, 0
	l.open(OpenQueue{Queue: l.queue, Low: end, Tail: o.Tail, TailSeq: o.TailSeq}, 0, time.Time{}) // other queues may take long
	l.covered(min(o.Low, end))
	var found []arrived
	var first int64 // epoch of found[0]
	err = l.scan(ctx, o.Low, end, &scanner{rules: &rules, lost: l.doubts.lost, found: func(offset int64, s *stamp) {
		if len(found) == 0 {
			first = s.Epoch
		}
		sp := &span{seq: spanUnclaimed, offset: offset, number: s.Number, count: 1, found: true}
		if s.Partition == unmarked { // nothing that a source gives again
			sp.seq = 0
		}
		l.last = sp.last()
		l.spans = append(l.spans, sp)
		l.held++
		found = append(found, arrived{partition: s.Partition, mark: s.Mark, lane: l, span: sp})
	}})
	if err != nil {
		return nil, err
	}
	l.number = max(rules.writer(l.writer).Next, 1)
	l.stamped = l.number
	if l.readBackBy > first { // an owner in between has skipped some of it, and committed while the first one held Low
		for i := range found[min(1, len(found)):] {
			found[i+1].perhapsCovered = true
		}
	}
	return found, nil
}

// rulesAt is what a reader that begins at o.Low must know of this writer: the fences below, which it cannot see. Without
// them a message that a dead owner's broker stored behind such a fence would look as if it counted.
func (l *lane) rulesAt(ctx context.Context, o OpenQueue) (readers, error) {
	rules := readers{writers: []writerState{{Writer: l.writer, Next: o.Seq}}}
	var fences []Fence
	err := l.retry.do(ctx, "look up the fences of "+l.queue.String(), func() (err error) {
		fences, err = l.ledger.FencesBefore(ctx, l.queue, o.Low)
		return err
	})
	for _, f := range fences {
		if f.Writer == l.writer {
			rules.raise(f.Writer, generation{f.Epoch, f.Term})
		}
	}
	return rules, err
}

// unmarked is the partition hash of messages that are no record of a source, such as the dead letter of one that could not
// be read.
const unmarked = 0

// arrived is a record that a read-back found in a queue.
type arrived struct {
	partition uint64
	mark      connector.Mark
	lane      *lane
	span      *span
	// perhapsCovered says that the position may lie behind it already: then the source does not give it again.
	perhapsCovered bool
}

// foundSet is what a read-back found and the source has not given again yet. A source gives the marks of a partition in
// rising order, so each partition is a list with a head.
type foundSet struct {
	left       int
	partitions map[uint64][]arrived
}

func newFoundSet(found []arrived) *foundSet {
	f := &foundSet{partitions: map[uint64][]arrived{}}
	for _, a := range found {
		if a.partition != unmarked {
			f.partitions[a.partition] = append(f.partitions[a.partition], a)
			f.left++
		}
	}
	for _, list := range f.partitions {
		slices.SortFunc(list, func(a, b arrived) int { return compareMarks(a.mark, b.mark) })
	}
	return f
}

func compareMarks(a, b connector.Mark) int {
	return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Index, b.Index))
}

// missing is how many records the source still has to give again.
func (f *foundSet) missing() (n int) {
	for _, list := range f.partitions {
		for _, a := range list {
			if !a.perhapsCovered {
				n++
			}
		}
	}
	return n
}

// take reports whether a record has arrived, which the batch seq then covers. missed counts records in front of it that had
// arrived and that the source should have given again.
func (f *foundSet) take(partition uint64, mark connector.Mark, seq uint64) (found bool, missed int) {
	list := f.partitions[partition]
	n := 0
	for ; n < len(list); n++ {
		order := compareMarks(list[n].mark, mark)
		if order > 0 {
			break
		}
		switch {
		case order == 0:
			found = true
		case !list[n].perhapsCovered:
			missed++
		}
		list[n].lane.claim(list[n].span, seq)
	}
	f.left -= n
	if f.partitions[partition] = list[n:]; n == len(list) {
		delete(f.partitions, partition)
	}
	return found, missed
}

// forget lets the next commit cover whatever had arrived and was not taken.
func (f *foundSet) forget() {
	for _, list := range f.partitions {
		for _, a := range list {
			a.lane.claim(a.span, 0)
		}
	}
	f.left = 0
	clear(f.partitions)
}

// readBack brings all open queues into a known state and returns what had arrived in them.
func (s *Source) readBack(ctx context.Context) (*foundSet, error) {
	started := time.Now()
	results := make([][]arrived, len(s.start.Open))
	g := newGroup(ctx, s.logger, 4)
	for i, o := range s.start.Open {
		l := s.lane(o.Queue)
		g.Go("read-back", func(ctx context.Context) (err error) {
			results[i], err = l.recover(ctx, o)
			if err != nil {
				err = fmt.Errorf("read back %v from %d: %w", o.Queue, o.Low, err)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	found := newFoundSet(slices.Concat(results...))
	s.logger.Info("last owner stopped uncleanly", "queues", len(s.start.Open), "arrived", found.left, "took", time.Since(started))
	s.points.Reached(failpoint.SourceReadBack)
	return found, nil
}
