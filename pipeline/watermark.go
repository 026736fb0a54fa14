package pipeline

import (
	"context"
	"maps"
	"sync"

	"github.com/gantry-connect/gantry/connector"
)

// watermark follows batches from the source to the broker's acks. It knows the position behind the last batch of which,
// and of all before it, every message is acknowledged; and it bounds what may be sent beyond the committed position. A
// quarter of that may lack its acknowledgement: it is held in memory, while the rest only waits for a commit, which a busy
// catalog may take its time for.
type watermark struct {
	window, flight volume
	moved          chan struct{} // has an element when due may have become true

	mu      sync.Mutex
	batches []sourceBatch // not covered yet, oldest first
	first   uint64        // seq of batches[0]
	last    uint64        // seq of the newest batch; seqs start at 1
	covered coverage      // since the last take
	out     volume        // sent, or reserved for sending, beyond the committed position
	flying  volume        // of that, not known to be acknowledged
	space   chan struct{} // closed when one of them shrinks; nil if nobody waits
}

type volume struct{ records, bytes int64 }

func (v *volume) add(o volume)  { v.records, v.bytes = v.records+o.records, v.bytes+o.bytes }
func (v *volume) take(o volume) { v.records, v.bytes = v.records-o.records, v.bytes-o.bytes }

// takes reports whether o fits beside what is there. What is larger than all the room fits when it is alone.
func (v volume) takes(o, there volume) bool {
	return there == volume{} || (there.records+o.records <= v.records && there.bytes+o.bytes <= v.bytes)
}

// sourceBatch is one batch that was read.
type sourceBatch struct {
	pending int // messages not acknowledged; handed over whole before the next batch, so it only falls
	next    connector.Position
	size    volume
	release func() // gives the messages' memory back; nil if there is none
}

// coverage is what a checkpoint may say.
type coverage struct {
	seq      uint64 // of the last batch covered
	position connector.Position
	size     volume
}

func newWatermark(maxRecords, maxBytes int64) *watermark {
	return &watermark{window: volume{maxRecords, maxBytes}, flight: volume{maxRecords / 4, maxBytes / 4},
		moved: make(chan struct{}, 1), first: 1}
}

// reserve waits until a batch of this size may be sent. A batch larger than all of the window waits until it is alone.
func (w *watermark) reserve(ctx context.Context, size volume) error {
	for {
		w.mu.Lock()
		if w.window.takes(size, w.out) && w.flight.takes(size, w.flying) {
			w.out.add(size)
			w.flying.add(size)
			w.mu.Unlock()
			return nil
		}
		if w.space == nil {
			w.space = make(chan struct{})
		}
		space := w.space
		w.mu.Unlock()
		w.wake()
		select {
		case <-space:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// begin takes a batch in, for which reserve was called, and returns its seq. A batch without messages is done at once.
func (w *watermark) begin(b sourceBatch) uint64 {
	w.mu.Lock()
	w.batches = append(w.batches, b)
	w.last++
	seq := w.last
	w.advance()
	w.mu.Unlock()
	w.wake()
	return seq
}

// nextSeq is what begin will return; for the one goroutine that calls begin.
func (w *watermark) nextSeq() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last + 1
}

// done counts n messages of a batch as acknowledged.
func (w *watermark) done(seq uint64, n int) {
	w.mu.Lock()
	w.batches[seq-w.first].pending -= n
	advanced := w.advance()
	w.mu.Unlock()
	if advanced {
		w.wake()
	}
}

// advance covers the finished batches at the front.
func (w *watermark) advance() bool {
	n := 0
	for n < len(w.batches) && w.batches[n].pending == 0 {
		b := &w.batches[n]
		if w.covered.position == nil {
			w.covered.position = make(connector.Position, len(b.next))
		}
		maps.Copy(w.covered.position, b.next)
		w.covered.size.add(b.size)
		w.flying.take(b.size)
		w.covered.seq = w.first + uint64(n)
		if b.release != nil {
			b.release()
		}
		*b = sourceBatch{}
		n++
	}
	w.batches = w.batches[n:]
	w.first += uint64(n)
	if len(w.batches) == 0 {
		w.batches = nil // the array's front is used up
	}
	if n > 0 {
		w.makeSpace()
	}
	return n > 0
}

func (w *watermark) makeSpace() {
	if w.space != nil {
		close(w.space)
		w.space = nil
	}
}

func (w *watermark) wake() {
	select {
	case w.moved <- struct{}{}:
	default:
	}
}

// due reports whether to commit before the interval is over: a quarter of the window is covered but not committed, or
// sending waits for a commit because all that was sent is acknowledged.
func (w *watermark) due() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.covered.size
	return 4*c.records >= w.window.records || 4*c.bytes >= w.window.bytes || (w.space != nil && w.covered.position != nil && len(w.batches) == 0)
}

// take hands over what is covered since the last take; position is nil if that is nothing.
func (w *watermark) take() coverage {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.covered
	w.covered = coverage{seq: c.seq}
	return c
}

// committed makes room for as much as was committed.
func (w *watermark) committed(size volume) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out.take(size)
	w.makeSpace()
}

// empty reports whether all that was read is covered.
func (w *watermark) empty() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.batches) == 0
}
