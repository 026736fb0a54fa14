package e2e

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The checker judges raw queues by docs/exactly-once.md alone.

// mark is a message's stamp: who sent it.
type mark struct {
	fence                       bool
	writer, epoch, term, number uint64
}

// readMark reads the property "gantry-stamp": base64url of varints, term<<3 | kind first (0 and 2 are records, 1 is a fence), then writer,
// epoch and, except for fences, the message's number; what follows does not matter here.
func readMark(m stored) (s mark, err error) {
	text, ok := m.properties["gantry-stamp"]
	if !ok {
		return s, errors.New("no stamp")
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return s, err
	}
	var n [4]uint64
	for i := range n {
		if i == 3 && n[0]&7 == 1 {
			break
		}
		v, width := binary.Uvarint(raw)
		if width <= 0 {
			return s, fmt.Errorf("the stamp %s is cut short", text)
		}
		n[i], raw = v, raw[width:]
	}
	if n[0]&7 > 2 {
		return s, fmt.Errorf("the stamp %s is of an unknown kind", text)
	}
	return mark{fence: n[0]&7 == 1, term: n[0] >> 3, writer: n[1], epoch: n[2], number: n[3]}, nil
}

// row is what every input record consists of.
type row struct {
	ID   int64  `json:"id"`
	Key  string `json:"key"`
	Text string `json:"text"`
}

// verdict is what the checker found in a topic, or at a sink.
type verdict struct {
	messages int // all of them, fences included
	fences   int
	dropped  int // do not count by the readers' rule
	records  int // count

	rawDoubles int      // copies too many among all messages
	doubles    []string // among those that count
	disorder   []string
	problems   []string // broken stamps, gaps in numbers, foreign rows

	count map[int64]int
	last  map[string]int64 // by lane and key
}

func newVerdict() *verdict { return &verdict{count: map[int64]int{}, last: map[string]int64{}} }

// add takes the next record that counts. Within a lane, records of one key must come in rising order.
func (v *verdict) add(where, lane string, r row) {
	v.records++
	if v.count[r.ID]++; v.count[r.ID] > 1 {
		v.doubles = append(v.doubles, fmt.Sprintf("%d at %s", r.ID, where))
	} else if last, ok := v.last[lane+r.Key]; ok && r.ID < last {
		v.disorder = append(v.disorder, fmt.Sprintf("%d after %d of key %s at %s", r.ID, last, r.Key, where))
	}
	v.last[lane+r.Key] = max(v.last[lane+r.Key], r.ID)
}

// judge applies the readers' rule to a topic: of each writer, a message below the highest (epoch, term) seen in its queue does
// not count.
func judge(queues [][]stored) *verdict {
	v := newVerdict()
	raw := map[int64]int{}
	for q, messages := range queues {
		seen := map[uint64]*mark{} // by writer: highest epoch and term, last number
		counted := map[uint64]uint64{}
		for _, m := range messages {
			where := fmt.Sprintf("queue %d offset %d", q, m.offset)
			v.messages++
			s, err := readMark(m)
			if err != nil {
				v.problems = append(v.problems, fmt.Sprintf("%s: %v", where, err))
				continue
			}
			var r row
			if !s.fence {
				if err := json.Unmarshal(m.body, &r); err != nil {
					v.problems = append(v.problems, fmt.Sprintf("%s: %v", where, err))
					continue
				}
				if raw[r.ID]++; raw[r.ID] > 1 {
					v.rawDoubles++
				}
			}
			h := seen[s.writer]
			if h == nil {
				h = &mark{}
				seen[s.writer] = h
			}
			if s.epoch < h.epoch || (s.epoch == h.epoch && s.term < h.term) {
				v.dropped++
				continue
			}
			h.epoch, h.term = s.epoch, s.term
			if s.fence {
				v.fences++
				continue
			}
			// Numbers run on from message to message; an epoch may begin again with 1.
			if s.number != h.number+1 && !(s.number == 1 && s.epoch > counted[s.writer]) {
				v.problems = append(v.problems, fmt.Sprintf("%s: number %d follows %d", where, s.number, h.number))
			}
			h.number, counted[s.writer] = s.number, s.epoch
			v.add(where, "", r)
		}
	}
	return v
}

// requireExactly fails unless every record from 0 to want-1 is there once, in order per key.
func (v *verdict) requireExactly(t *testing.T, what string, want int) {
	t.Helper()
	missing := []string{}
	for id := range int64(want) {
		if v.count[id] == 0 {
			missing = append(missing, fmt.Sprint(id))
		}
	}
	foreign := len(v.count) + len(missing) - want
	require.Empty(t, excerpt(missing), "%s: lost", what)
	require.Empty(t, excerpt(v.doubles), "%s: doubled", what)
	require.Empty(t, excerpt(v.disorder), "%s: out of order", what)
	require.Empty(t, excerpt(v.problems), "%s: broken", what)
	require.Zero(t, foreign, "%s: records that the input does not have", what)
}

// requireOnce fails if a record is there twice or out of order; some may be missing.
func (v *verdict) requireOnce(t *testing.T, what string) {
	t.Helper()
	require.Empty(t, excerpt(v.doubles), "%s: doubled", what)
	require.Empty(t, excerpt(v.disorder), "%s: out of order", what)
	require.Empty(t, excerpt(v.problems), "%s: broken", what)
}

// excerpt keeps failures readable.
func excerpt(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return fmt.Sprintf("%d: %s", len(list), strings.Join(list[:min(len(list), 10)], "; "))
}
