package pipeline

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
)

// The checker reads raw queues and judges them by docs/exactly-once.md alone: it shares no code with the package, not even
// for stamps.

type rawStamp struct {
	fence                       bool
	writer, epoch, term, number uint64
}

func readRawStamp(properties string) (s rawStamp, ok bool) {
	for _, item := range strings.Split(properties, "\x02") {
		name, value, _ := strings.Cut(item, "\x01")
		if name != "gantry-stamp" {
			continue
		}
		raw, err := base64.RawURLEncoding.DecodeString(value)
		if err != nil {
			return s, false
		}
		numbers := make([]uint64, 0, 4)
		for len(numbers) < 4 && len(raw) > 0 {
			n, width := binary.Uvarint(raw)
			if width <= 0 {
				return s, false
			}
			numbers, raw = append(numbers, n), raw[width:]
		}
		if len(numbers) < 3 {
			return s, false
		}
		s = rawStamp{fence: numbers[0]&7 == 1, term: numbers[0] >> 3, writer: numbers[1], epoch: numbers[2]}
		if !s.fence {
			if len(numbers) < 4 {
				return s, false
			}
			s.number = numbers[3]
		}
		return s, true
	}
	return s, false
}

// rawVerdict is what the checker found in all queues of a topic.
type rawVerdict struct {
	counted    map[string]int   // bodies that count, and how often
	order      map[string][]int // per key: bodies' numbers in queue order, filled by the caller's number function
	rawDoubles int              // bodies stored more than once, whatever counts
	problems   []string
}

// checkRaw applies the readers' rule.
func checkRaw(queues map[Queue][]Received, key func(body string) (key string, number int)) rawVerdict {
	v := rawVerdict{counted: map[string]int{}, order: map[string][]int{}}
	all := map[string]int{}
	for q, msgs := range queues {
		type highest struct{ epoch, term, number, numberEpoch uint64 }
		writers := map[uint64]*highest{}
		for _, m := range msgs {
			s, ok := readRawStamp(string(m.Properties))
			if !ok {
				v.problems = append(v.problems, fmt.Sprintf("%v@%d: no stamp", q, m.Offset))
				continue
			}
			if !s.fence {
				all[string(m.Body)]++
			}
			h := writers[s.writer]
			if h == nil {
				h = &highest{}
				writers[s.writer] = h
			}
			if s.epoch < h.epoch || (s.epoch == h.epoch && s.term < h.term) {
				continue
			}
			h.epoch, h.term = s.epoch, s.term
			if s.fence {
				continue
			}
			if s.number != h.number+1 && !(s.number == 1 && s.epoch > h.numberEpoch) {
				v.problems = append(v.problems, fmt.Sprintf("%v@%d: number %d after %d", q, m.Offset, s.number, h.number))
			}
			h.number, h.numberEpoch = s.number, s.epoch
			v.counted[string(m.Body)]++
			k, n := key(string(m.Body))
			v.order[k] = append(v.order[k], n)
		}
	}
	for _, n := range all {
		if n > 1 {
			v.rawDoubles += n - 1
		}
	}
	return v
}
