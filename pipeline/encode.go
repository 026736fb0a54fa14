package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gantry-connect/gantry/connector"
)

// staged is a message on its way to its lane.
type staged struct {
	msg  Message
	size int
	lane *lane
	rec  int // index of its record; -1 for one that could not be read
}

// encodeAll makes messages of what was read and hands them to the lanes. It returns when there is nothing more to read, or at
// the first error. Then the lanes send what they have, and end.
func (s *Source) encodeAll(ctx context.Context, g *group, found *foundSet, stop func()) error {
	defer s.running.Done()
	defer func() {
		for _, l := range s.lanes {
			close(l.in)
		}
	}()
	var out []staged
	for {
		var b batchRead
		select {
		case item, ok := <-s.read:
			if !ok {
				return nil
			}
			b = item
		case <-ctx.Done():
			return ctx.Err()
		}
		if b.end {
			if err := s.atEnd(ctx, found); err != nil {
				return err
			}
			continue
		}
		p := s.parcel()
		var err error
		if out, err = s.encode(ctx, p, b, found, out[:0]); err != nil {
			return err
		}
		if err := s.dispatch(ctx, g, p, b, out); err != nil {
			return err
		}
		maps.Copy(s.reached, b.Next)
		if s.settle && (found == nil || found.left == 0) {
			stop()
		}
	}
}

// atEnd is called when the source has no more records, for now: what had arrived must have come again.
func (s *Source) atEnd(ctx context.Context, found *foundSet) error {
	if found == nil || found.left == 0 {
		return nil
	}
	if n := found.missing(); n > 0 {
		if err := s.missed(ctx, n); err != nil {
			return err
		}
	}
	found.forget()
	return nil
}

// encode makes the messages of one batch, in order.
func (s *Source) encode(ctx context.Context, p *parcel, b batchRead, found *foundSet, out []staged) ([]staged, error) {
	if b.bad != nil {
		return s.give(ctx, p, out, -1, b.Next, nil, &stageError{stageRead, b.bad})
	}
	spread := s.turn
	s.turn++
	var last connector.Partition
	var hash uint64
	for i := range b.Records {
		rec := &b.Records[i]
		if rec.Partition != last || hash == 0 {
			last, hash = rec.Partition, partitionHash(rec.Partition)
		}
		if found != nil && found.left > 0 {
			ok, missed := found.take(hash, rec.Mark, s.mark.nextSeq())
			if missed > 0 {
				if err := s.missed(ctx, missed); err != nil {
					return nil, err
				}
			}
			if ok {
				s.progress.skipped.Add(1)
				continue
			}
		}
		keep, err := s.transformed(rec)
		if err == nil && !keep {
			continue
		}
		var msg Message
		var size int
		var hashed string
		if err == nil {
			msg, size, hashed, err = s.maker.message(ctx, p, rec)
		}
		var bad *stageError
		if errors.As(err, &bad) {
			if out, err = s.give(ctx, p, out, i, b.Next, rec, bad); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		lanes, err := s.lanesOf(ctx, rec.Topic)
		if err != nil {
			return nil, err
		}
		out = append(out, staged{msg, size, lanes[s.laneFor(rec, hashed, hash, spread, len(lanes))], i})
	}
	return out, nil
}

// laneFor chooses one of n lanes: by the key's text, else by the partition's hash, or in turn where unkeyed records are spread.
func (s *Source) laneFor(rec *connector.Record, hashed string, partition uint64, turn, n int) int {
	switch {
	case n == 1:
		return 0
	case hashed != "":
		return queueFor(hashed, n)
	case s.config.Unkeyed == unkeyedSpread && rec.Op != connector.Truncate:
		return turn % n
	}
	s.warnTruncate(rec, n)
	return int(partition % uint64(n))
}

const unkeyedSpread = "spread"

// warnTruncate says once that a truncate is in order with its own queue only.
func (s *Source) warnTruncate(rec *connector.Record, queues int) {
	if rec.Op == connector.Truncate && !s.warned {
		s.warned = true
		s.logger.Warn("a truncate is in order with the records of one queue only; use topic.queues = 1 where that matters",
			"partition", rec.Partition, "queues", queues)
	}
}

// give gives a bad record up, if that is allowed, and stages its dead letter, if there is a topic for it.
func (s *Source) give(ctx context.Context, p *parcel, out []staged, index int, next connector.Position, rec *connector.Record, bad *stageError) ([]staged, error) {
	topic := s.config.Topic
	if rec != nil && rec.Topic != "" {
		topic = rec.Topic
	}
	c := badRecord{stage: bad.stage, err: bad.err, topic: topic, record: rec}
	if rec != nil {
		c.partition, c.offset = string(rec.Partition), fmt.Sprintf("%d.%d", rec.Mark.Offset, rec.Mark.Index)
	} else {
		c.partition, c.offset = s.describe(next)
	}
	if err := s.errors.check(&c); err != nil {
		return nil, err
	}
	dead := s.config.DeadLetterTopic
	if dead == "" {
		return out, nil
	}
	lanes, err := s.lanesOf(ctx, dead)
	if err != nil {
		return nil, err
	}
	s.progress.deadLetters.Add(1)
	msg := s.errors.letter(&c, p)
	return append(out, staged{msg, msg.size(), lanes[queueFor(c.partition, len(lanes))], index}), nil
}

// describe names the record that could not be read: the partition that a batch without records moves, the first if there are
// several, and the offset behind which reading on failed.
func (s *Source) describe(next connector.Position) (partition, offset string) {
	for p := range next {
		if partition == "" || string(p) < partition {
			partition = string(p)
		}
	}
	for _, pos := range []connector.Position{s.reached, s.start.Position} {
		if at, ok := pos[connector.Partition(partition)]; ok {
			return partition, string(at)
		}
	}
	return partition, "none: it is the partition's first record"
}

// missed decides about records that had arrived and that the source did not give again.
func (s *Source) missed(ctx context.Context, n int) error {
	return s.doubts.mayDouble(ctx, fmt.Errorf("the source did not give %d records again that it gave before the unclean stop, so others may be sent twice", n))
}

func (s *Source) parcel() *parcel {
	select {
	case p := <-s.parcels:
		p.reset()
		return p
	default:
		return &parcel{}
	}
}

// maxParcel is above what a batch of the usual size takes; larger ones are not kept.
const maxParcel = 4 << 20

func (s *Source) release(p *parcel) {
	if cap(p.body)+cap(p.text) > maxParcel {
		return
	}
	select {
	case s.parcels <- p:
	default:
	}
}

// dispatch stamps the messages of a batch and hands them to their lanes, once the window has room.
func (s *Source) dispatch(ctx context.Context, g *group, p *parcel, b batchRead, out []staged) error {
	size := volume{records: int64(len(out))}
	for i := range out {
		size.bytes += int64(out[i].size)
	}
	if err := s.mark.reserve(ctx, size); err != nil {
		return err
	}
	chunks := p.byLane(out)
	if err := s.openLanes(ctx, g, chunks); err != nil {
		return err
	}
	for _, c := range chunks {
		s.stampChunk(p, b.Records, &c)
	}
	seq := s.mark.begin(sourceBatch{pending: len(out), next: b.Next, size: size, release: func() { s.release(p) }})
	for _, c := range chunks {
		if err := s.hand(ctx, c, seq); err != nil {
			return err
		}
	}
	return nil
}

// hand gives a chunk to its lane in pieces that can be sent at once.
func (s *Source) hand(ctx context.Context, c laneChunk, seq uint64) error {
	for from := 0; from < len(c.msgs); {
		to, bytes := from+1, c.sizes[from]
		for to < len(c.msgs) && to-from < s.maxRecords && bytes+c.sizes[to] <= s.maxBytes {
			bytes += c.sizes[to]
			to++
		}
		select {
		case c.lane.in <- chunk{seq: seq, term: c.term, msgs: c.msgs[from:to:to], bytes: bytes}:
		case <-ctx.Done():
			return ctx.Err()
		}
		from = to
	}
	return nil
}

// stampChunk puts the stamps on a lane's messages.
func (s *Source) stampChunk(p *parcel, records []connector.Record, c *laneChunk) {
	st := stamp{Kind: stampRecord, Writer: s.writer, Epoch: s.epoch, Term: c.term}
	if !s.fences {
		st.Kind = stampLoose
	}
	var last connector.Partition
	var hash uint64
	for i := range c.msgs {
		st.Number = c.lane.stamped
		c.lane.stamped++
		st.Partition, st.Mark = unmarked, connector.Mark{}
		if n := c.records[i]; n >= 0 {
			rec := &records[n]
			if rec.Partition != last || hash == 0 {
				last, hash = rec.Partition, partitionHash(rec.Partition)
			}
			st.Partition, st.Mark = hash, rec.Mark
		}
		start := len(p.text)
		p.text = st.appendTo(p.text)
		c.msgs[i].Properties[0].Value = p.textFrom(start)
	}
}

// laneChunk is what one batch has for one lane.
type laneChunk struct {
	lane    *lane
	term    uint32
	msgs    []Message
	records []int // index of each message's record
	sizes   []int
}

// byLane groups staged messages by lane, in order. The messages live in the parcel.
func (p *parcel) byLane(out []staged) []laneChunk {
	p.chunks, p.msgs = p.chunks[:0], slices.Grow(p.msgs[:0], len(out))[:len(out)]
	p.records, p.sizes = slices.Grow(p.records[:0], len(out))[:len(out)], slices.Grow(p.sizes[:0], len(out))[:len(out)]
	for i := range out {
		c := p.chunkOf(out[i].lane)
		c.count++
	}
	start := 0
	for i := range p.chunks {
		c := &p.chunks[i]
		c.start, start = start, start+c.count
		c.count = 0
	}
	for i := range out {
		c := p.chunkOf(out[i].lane)
		at := c.start + c.count
		p.msgs[at], p.records[at], p.sizes[at] = out[i].msg, out[i].rec, out[i].size
		c.count++
	}
	chunks := make([]laneChunk, len(p.chunks))
	for i, c := range p.chunks {
		from, to := c.start, c.start+c.count
		chunks[i] = laneChunk{lane: c.lane, msgs: p.msgs[from:to], records: p.records[from:to], sizes: p.sizes[from:to]}
	}
	return chunks
}

// share is one lane's part of a parcel.
type share struct {
	lane         *lane
	start, count int
}

func (p *parcel) chunkOf(l *lane) *share {
	if l.place < len(p.chunks) && p.chunks[l.place].lane == l {
		return &p.chunks[l.place]
	}
	l.place = len(p.chunks)
	p.chunks = append(p.chunks, share{lane: l})
	return &p.chunks[l.place]
}
