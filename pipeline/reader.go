package pipeline

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
)

// readers is what a reader of one queue knows of its writers. Readers' rule: a message below the highest (epoch, term) seen
// of its writer does not count. What counts is decided by the queue alone, so all readers agree, whenever they read.
type readers struct {
	writers []writerState
}

// writerState is what a reader remembers of one writer.
type writerState struct {
	Writer uint32
	generation
	Next  uint64 // the number its next message must have; 0: unknown, the first one seen is taken
	fresh bool   // the epoch has sent no record yet, so numbers may start again
	// forgiven: an operator has set the position here, perhaps behind a loss, so the next number may be higher. Not stored.
	forgiven bool
}

// verdict says what a message is to a reader.
type verdict uint8

const (
	counts  verdict = iota // a record
	dropped                // sent by an owner that was replaced before it arrived
	fence                  // no record
)

func (r *readers) writer(id uint32) *writerState {
	for i := range r.writers {
		if r.writers[i].Writer == id {
			return &r.writers[i]
		}
	}
	r.writers = append(r.writers, writerState{Writer: id})
	return &r.writers[len(r.writers)-1]
}

// raise takes over what is known of a writer from elsewhere, such as a recorded fence.
func (r *readers) raise(writer uint32, g generation) {
	if w := r.writer(writer); w.less(g) {
		w.rise(g)
	}
}

func (w *writerState) rise(g generation) {
	w.fresh = w.fresh || w.Epoch < g.Epoch
	w.generation = g
}

// judge decides about the message behind all those judged before. A *LostError says that messages are missing before it; its
// Queue and Offset are the caller's to fill in.
func (r *readers) judge(s *stamp) (verdict, error) {
	w := r.writer(s.Writer)
	g := s.generation()
	if g.less(w.generation) {
		return dropped, nil
	}
	w.rise(g)
	switch {
	case s.Kind == stampFence:
		return fence, nil
	case w.Next == 0, s.Number == w.Next: // the first one seen, or the right one
	case s.Number == 1 && w.fresh: // the queue had been closed: numbers start again
	case s.Kind == stampLoose && s.Number < w.Next:
	case w.forgiven && s.Number > w.Next:
	default:
		return counts, &LostError{Writer: s.Writer, Expected: w.Next, Found: s.Number}
	}
	w.Next, w.fresh, w.forgiven = s.Number+1, false, false
	return counts, nil
}

// follow is judge for messages that are not delivered: what is missing among them is nobody's loss here, and an operator who
// sets a position behind a loss must be able to go on.
func (r *readers) follow(s *stamp) {
	if v, err := r.judge(s); v == counts && err != nil {
		r.skip(s)
	}
}

// skip goes on behind a message in front of which others are missing.
func (r *readers) skip(s *stamp) {
	w := r.writer(s.Writer)
	w.Next, w.fresh, w.forgiven = s.Number+1, false, false
}

// clone is for a state that travels with a chunk while the reader goes on.
func (r *readers) clone() readers { return readers{writers: append([]writerState(nil), r.writers...)} }

// String is the state as a sink's position holds it: base64url of uvarints, four for each writer: writer, epoch, term<<1 |
// fresh, next number. It is empty when there are none.
func (r *readers) String() string {
	var b []byte
	for _, w := range r.writers {
		b = binary.AppendUvarint(b, uint64(w.Writer))
		b = binary.AppendUvarint(b, uint64(w.Epoch))
		term := uint64(w.Term) << 1
		if w.fresh {
			term |= 1
		}
		b = binary.AppendUvarint(b, term)
		b = binary.AppendUvarint(b, w.Next)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// parseReaders is the inverse of String.
func parseReaders(text string) (readers, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return readers{}, fmt.Errorf("writers %q: %w", text, err)
	}
	if strings.ContainsAny(text, "\r\n") { // base64 passes over line ends
		return readers{}, fmt.Errorf("writers %q: more than one line", text)
	}
	var r readers
	for v := (varints{b: raw}); len(v.b) > 0; {
		w := writerState{Writer: uint32(v.uvarint(1<<32 - 1))}
		w.Epoch = int64(v.uvarint(1<<63 - 1))
		term := v.uvarint(maxTerm<<1 | 1)
		w.Term, w.fresh = uint32(term>>1), term&1 == 1
		w.Next = v.uvarint(maxNumber + 1)
		if v.bad {
			return readers{}, fmt.Errorf("writers %q: malformed", text)
		}
		r.writers = append(r.writers, w)
	}
	return r, nil
}
