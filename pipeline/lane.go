package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/internal/failpoint"
)

// sender is what all lanes of a task share.
type sender struct {
	broker      Broker
	ledger      Ledger
	lease       Lease
	writer      uint32
	epoch       int64
	fences      bool
	sendTimeout time.Duration // after which a message that was sent is stored or never will be; used without fences only
	maxRecords  int           // of one send
	maxBytes    int
	mark        *watermark
	retry       *retrier
	progress    *Progress
	points      *failpoint.Set
	doubts      *doubts
}

// lane is one queue as its writer sees it: one goroutine, one send in flight, messages in order.
type lane struct {
	*sender
	queue Queue
	in    chan chunk
	term  atomic.Uint32 // of what is sent next; raised by the lane's goroutine, read by the one that stamps

	// The encoder's own.
	started bool
	stamped uint64 // number of the next message to stamp; 0: the queue was never open
	place   int    // of the lane in the batch being grouped

	readBackBy int64 // epoch of an earlier owner that read the queue back, as the read-back has seen by its fence

	// The lane's goroutine's own.
	suspect bool      // the broker may have lost the last message since it was seen
	buffer  []Message // memory for batch
	batch   []Message // the send at hand: what is not acknowledged of it
	chunks  []chunk   // that it consists of, and at most one more

	mu      sync.Mutex
	state   laneState
	closed  chan struct{} // while closing: closed once the commit is through
	next    int64         // no message that is still to be sent will lie below
	low     int64         // no message that the committed position does not cover lies below
	number  uint64        // of the first message not acknowledged
	pending int           // messages taken in and not acknowledged
	active  time.Time     // when the last one was
	seen    time.Time     // when the last one that was acknowledged was known to be there
	spans   []*span       // acknowledged and not covered by a committed position, by offset
	held    int           // of them found by a read-back
	last    sent          // the newest message that is acknowledged
	tail    sent          // the newest that a position covers, that and all before it
}

// sent is where one of the writer's messages lies; number 0 is none.
type sent struct {
	offset int64
	number uint64
}

type laneState uint8

const (
	laneClosed  laneState = iota // the ledger does not expect anything of us in the queue
	laneOpen                     // it does
	laneClosing                  // a commit that closes it is under way
)

// chunk is messages of one source batch for one lane.
type chunk struct {
	seq   uint64
	term  uint32 // of their stamps
	msgs  []Message
	bytes int
}

// span is a run of messages in a queue that one position covers.
type span struct {
	seq    uint64 // of the source batch; spanUnclaimed for a message found by a read-back and not yet read from the source
	offset int64  // of the first
	number uint64
	count  int
	found  bool // by a read-back
}

func (s *span) last() sent {
	return sent{s.offset + int64(s.count) - 1, s.number + uint64(s.count) - 1}
}

const spanUnclaimed = math.MaxUint64

// laneCapacity is how many chunks wait at most; records are bounded by the window.
const laneCapacity = 64

func newLane(s *sender, q Queue) *lane {
	return &lane{sender: s, queue: q, in: make(chan chunk, laneCapacity)}
}

// run sends what comes in until in is closed.
func (l *lane) run(ctx context.Context) error {
	for {
		if len(l.chunks) == 0 {
			select {
			case c, ok := <-l.in:
				if !ok {
					return nil
				}
				l.chunks = append(l.chunks, c)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		l.gather()
		if err := l.send(ctx); err != nil {
			return fmt.Errorf("queue %v: %w", l.queue, err)
		}
	}
}

// gather makes a batch of the waiting chunks, as many as fit. A chunk always fits alone: whoever stamps sees to that. One
// that does not fit any more stays as the first of the next batch.
func (l *lane) gather() {
	l.buffer = append(l.buffer[:0], l.chunks[0].msgs...)
	bytes := l.chunks[0].bytes
	defer func() { l.batch = l.buffer }()
	for {
		select {
		case c, ok := <-l.in:
			if !ok {
				return
			}
			l.chunks = append(l.chunks, c)
			bytes += c.bytes
			if len(l.buffer)+len(c.msgs) > l.maxRecords || bytes > l.maxBytes {
				return
			}
			l.buffer = append(l.buffer, c.msgs...)
		default:
			return
		}
	}
}

// send stores the batch, whatever it takes. Nothing is sent a second time unless it certainly was not stored, or a fence and
// a look into the queue have told so.
func (l *lane) send(ctx context.Context) error {
	l.restamp()
	for len(l.batch) > 0 {
		stored, err := l.attempt(ctx)
		if err != nil {
			return err
		}
		if stored {
			return nil
		}
		l.points.Reached(failpoint.SourceUnsure)
		if err := l.resolve(ctx); err != nil {
			return err
		}
		l.restamp()
	}
	return nil
}

// attempt sends the batch until it is stored; false says that its fate is unknown.
func (l *lane) attempt(ctx context.Context) (stored bool, err error) {
	unsure := false
	err = l.retry.do(ctx, "send to "+l.queue.String(), func() error {
		if err := l.maySend(ctx); err != nil {
			return err
		}
		l.points.Reached(failpoint.SourceBeforeSend)
		base, err := l.broker.Send(ctx, l.queue, l.batch)
		switch {
		case err == nil:
			l.points.Reached(failpoint.SourceSent)
			return l.acknowledge(func(i int) int64 { return base + int64(i) }, len(l.batch))
		case errors.Is(err, ErrNotStored) || connector.IsPermanent(err):
			l.suspect = true
			return err
		case ctx.Err() != nil:
			return err // the next owner finds out
		}
		l.progress.failing("send to "+l.queue.String(), err)
		l.retry.logger.Warn("send is unsure, looking into the queue", "queue", l.queue.String(), "error", err)
		unsure = true
		return nil
	})
	return err == nil && !unsure, err
}

// acknowledge counts the first n messages of the batch as stored at the offsets given, and takes them out of the batch.
func (l *lane) acknowledge(offset func(i int) int64, n int) error {
	if n == 0 {
		return nil
	}
	l.mu.Lock()
	if first := offset(0); first < l.next {
		low := l.low
		l.mu.Unlock()
		return &LostError{Queue: l.queue, Offset: first, Expected: uint64(l.next), Found: uint64(first), Covered: first < low}
	}
	l.last = sent{offset(n - 1), l.number + uint64(n) - 1}
	bytes, taken := 0, 0
	finished := l.chunks[:0:0]
	for taken < n {
		c := &l.chunks[0]
		k := min(len(c.msgs), n-taken)
		l.spans = append(l.spans, &span{seq: c.seq, offset: offset(taken), number: l.number + uint64(taken), count: k})
		finished = append(finished, chunk{seq: c.seq, msgs: c.msgs[:k]})
		for i := range c.msgs[:k] {
			bytes += len(c.msgs[i].Body)
		}
		taken += k
		if c.msgs = c.msgs[k:]; len(c.msgs) == 0 {
			l.chunks = slices.Delete(l.chunks, 0, 1)
		}
	}
	l.next = offset(n-1) + 1
	l.number += uint64(n)
	l.pending -= n
	l.active = time.Now()
	l.seen = l.active
	l.mu.Unlock()
	l.batch = l.batch[n:]
	l.progress.recovered("send to " + l.queue.String())
	l.progress.copied(int64(n), int64(bytes))
	for i := range finished { // spans first: a position that covers the batch must find them
		l.mark.done(finished[i].seq, len(finished[i].msgs))
	}
	return nil
}

// restamp gives messages stamped before the last fence the present term.
func (l *lane) restamp() {
	term := l.term.Load()
	for i := range l.chunks {
		c := &l.chunks[i]
		if c.term == term {
			continue
		}
		c.term = term
		for j := range c.msgs {
			s, err := parseStamp(c.msgs[j].Properties[0].Value)
			if err != nil {
				panic(fmt.Sprintf("own stamp: %v", err))
			}
			s.Term = term
			c.msgs[j].Properties[0].Value = string(s.appendTo(nil)) // the batch's messages have the same properties in memory
		}
	}
}

// uncoveredLocked forgets what a position up to seq covers, and returns where a read-back would have to begin. The caller
// holds mu.
func (l *lane) uncoveredLocked(seq uint64) OpenQueue {
	n := 0
	for ; n < len(l.spans) && l.spans[n].seq <= seq; n++ {
		if l.spans[n].found {
			l.held--
		}
	}
	if n > 0 {
		l.tail = l.spans[n-1].last()
	}
	l.spans = slices.Delete(l.spans, 0, n)
	if len(l.spans) > maxSpans { // behind a found message that the source does not give again
		l.spans = slices.DeleteFunc(l.spans, func(s *span) bool {
			if s.seq <= seq && s.found {
				l.held--
			}
			return s.seq <= seq
		})
	}
	o := OpenQueue{Queue: l.queue, Low: l.next, Seq: l.number, Tail: l.tail.offset, TailSeq: l.tail.number}
	if len(l.spans) > 0 {
		o.Low, o.Seq = l.spans[0].offset, l.spans[0].number
	}
	return o
}

// holds reports whether messages that a read-back found are not covered yet. What lies behind them may be: a position that is
// committed meanwhile is none to go back to, as Tail does not speak for all of it.
func (l *lane) holds() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held > 0
}

// maxSpans is more than a window of spans.
const maxSpans = 1 << 16

// claim says which batch covers a message that a read-back found.
func (l *lane) claim(s *span, seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.seq = seq
}

// take notes that n messages are about to come in. It is refused unless the lane is open; wait, if not nil, tells when to
// ask again, else the lane has to be opened.
func (l *lane) take(n int) (open bool, wait <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch l.state {
	case laneOpen:
		l.pending += n
		return true, nil
	case laneClosing:
		return false, l.closed
	}
	return false, nil
}

// open notes that the ledger expects messages from o on, and that n are about to come in: between the two the lane must
// not be found idle. seen is when the message at o.Tail was.
func (l *lane) open(o OpenQueue, n int, seen time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = seen
	l.state, l.next, l.low, l.number, l.active = laneOpen, o.Low, o.Low, o.Seq, time.Now()
	l.tail = sent{o.Tail, o.TailSeq}
	l.last = l.tail
	l.pending += n
}

// covered notes that the catalog holds low as the lane's.
func (l *lane) covered(low int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.low = low
}

// beginClose starts to close the lane if it is open and has nothing to send or to cover, and has been so for idle.
func (l *lane) beginClose(seq uint64, idle time.Duration) (OpenQueue, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.uncoveredLocked(seq)
	if l.state != laneOpen || l.pending > 0 || len(l.spans) > 0 || time.Since(l.active) < idle {
		return o, false
	}
	l.state, l.closed = laneClosing, make(chan struct{})
	return o, true
}

// endClose is called once the commit is through.
func (l *lane) endClose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = laneClosed
	close(l.closed)
}

func (l *lane) isOpen() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state == laneOpen
}
