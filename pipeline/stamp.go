package pipeline

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/gantry-connect/gantry/connector"
)

// stampProperty is the message property that holds a stamp.
const stampProperty = "gantry-stamp"

// stampKind says what a stamped message is.
type stampKind uint8

const (
	stampRecord stampKind = iota
	stampFence
	// stampLoose is a record of a writer that sends no fences: what an owner thought dead sends late cannot be told apart,
	// so readers must not take a number that comes twice for lost data.
	stampLoose
	stampKinds // kinds from here on belong to later releases, such as the chunks of a large record
)

// maxTerm is what the stamp has room for. An owner that used up its terms ends, and its successor has a new epoch.
const maxTerm = 1<<18 - 1

// maxNumber is the highest message number that the stamp has room for.
const maxNumber = 1<<56 - 1

// stamp says who sent a message, and which record it is.
type stamp struct {
	Kind   stampKind
	Writer uint32
	Epoch  int64
	Term   uint32
	// The rest is zero in a fence.
	Number    uint64 // of the writer's messages in the queue, from 1
	Partition uint64 // partitionHash
	Mark      connector.Mark
}

// generation orders what one writer sends: (epoch, term).
type generation struct {
	Epoch int64
	Term  uint32
}

func (g generation) less(h generation) bool {
	return g.Epoch < h.Epoch || (g.Epoch == h.Epoch && g.Term < h.Term)
}

func (s *stamp) generation() generation { return generation{s.Epoch, s.Term} }

// maxStampBytes is what a stamp takes at most before base64, which makes 64 characters of it.
const maxStampBytes = 48

// appendTo appends the stamp's text: base64url of uvarints, the first of them term<<3 | kind, then writer and epoch; of a
// record also number, partition hash (8 bytes, big endian), mark offset and mark index.
func (s *stamp) appendTo(dst []byte) []byte {
	var raw [maxStampBytes + 2*binary.MaxVarintLen64]byte
	b := binary.AppendUvarint(raw[:0], uint64(s.Term)<<3|uint64(s.Kind))
	b = binary.AppendUvarint(b, uint64(s.Writer))
	b = binary.AppendUvarint(b, uint64(s.Epoch))
	if s.Kind != stampFence {
		b = binary.AppendUvarint(b, s.Number)
		b = binary.BigEndian.AppendUint64(b, s.Partition)
		b = binary.AppendUvarint(b, s.Mark.Offset)
		b = binary.AppendUvarint(b, uint64(s.Mark.Index))
	}
	return base64.RawURLEncoding.AppendEncode(dst, b)
}

var errStamp = errors.New("not a stamp of this release")

// parseStamp reads a stamp's text.
func parseStamp(text string) (stamp, error) {
	var buf [maxStampBytes]byte
	if len(text) > 64 || strings.IndexByte(text, '\n') >= 0 || strings.IndexByte(text, '\r') >= 0 { // base64 passes over line ends
		return stamp{}, fmt.Errorf("%w: %d characters", errStamp, len(text))
	}
	var in [64]byte
	n, err := base64.RawURLEncoding.Strict().Decode(buf[:], in[:copy(in[:], text)])
	if err != nil {
		return stamp{}, fmt.Errorf("%w: %v", errStamp, err)
	}
	r := varints{b: buf[:n]}
	head := r.uvarint(maxTerm<<3 | 7)
	s := stamp{Kind: stampKind(head & 7), Term: uint32(head >> 3)}
	if s.Kind >= stampKinds {
		return stamp{}, fmt.Errorf("%w: kind %d", errStamp, s.Kind)
	}
	s.Writer = uint32(r.uvarint(1<<32 - 1))
	s.Epoch = int64(r.uvarint(1<<63 - 1))
	if s.Kind != stampFence {
		s.Number = r.uvarint(maxNumber)
		s.Partition = r.uint64()
		s.Mark.Offset = r.uvarint(1<<64 - 1)
		s.Mark.Index = uint32(r.uvarint(1<<32 - 1))
	}
	if r.bad || len(r.b) > 0 {
		return stamp{}, fmt.Errorf("%w: malformed", errStamp)
	}
	return s, nil
}

// varints reads numbers off a text; bad is set by the first that is missing, too large, or longer than it need be.
type varints struct {
	b   []byte
	bad bool
}

func (r *varints) uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > limit || (n > 1 && r.b[n-1] == 0) {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *varints) uint64() uint64 {
	if len(r.b) < 8 {
		r.bad, r.b = true, nil
		return 0
	}
	v := binary.BigEndian.Uint64(r.b)
	r.b = r.b[8:]
	return v
}
