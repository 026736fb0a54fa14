package pipeline

import (
	"testing"

	"github.com/stretchr/testify/require"
)

type step struct {
	kind   stampKind
	epoch  int64
	term   uint32
	number uint64
	want   verdict
	lost   bool
}

func TestReadersRule(t *testing.T) {
	t.Parallel()
	const record, loose = stampRecord, stampLoose
	for name, steps := range map[string][]step{
		"a writer's messages count":   {{record, 1, 0, 1, counts, false}, {record, 1, 0, 2, counts, false}},
		"a reader may begin anywhere": {{record, 1, 0, 17, counts, false}, {record, 1, 0, 18, counts, false}},
		"behind a fence, what is older is dropped": {{record, 1, 0, 1, counts, false}, {stampFence, 2, 1, 0, fence, false},
			{record, 1, 0, 2, dropped, false}, {record, 2, 1, 2, counts, false}, {record, 1, 9, 3, dropped, false}},
		"a later term is a fence as well": {{record, 1, 0, 1, counts, false}, {record, 1, 1, 2, counts, false}, {record, 1, 0, 2, dropped, false}},
		"an old fence that comes late changes nothing": {{stampFence, 1, 2, 0, fence, false}, {record, 1, 2, 1, counts, false},
			{stampFence, 1, 1, 0, dropped, false}, {record, 1, 2, 2, counts, false}},
		"numbers go on behind a fence":            {{record, 1, 0, 5, counts, false}, {stampFence, 2, 1, 0, fence, false}, {record, 2, 1, 6, counts, false}},
		"a gap is lost data":                      {{record, 1, 0, 1, counts, false}, {record, 1, 0, 3, counts, true}},
		"a gap behind a fence is lost data":       {{record, 1, 0, 1, counts, false}, {stampFence, 2, 1, 0, fence, false}, {record, 2, 1, 3, counts, true}},
		"numbers that go back are lost data":      {{record, 1, 0, 5, counts, false}, {record, 1, 0, 5, counts, true}},
		"a new epoch may begin at 1":              {{record, 1, 0, 5, counts, false}, {record, 2, 0, 1, counts, false}, {record, 2, 0, 2, counts, false}},
		"also behind a fence":                     {{record, 1, 0, 5, counts, false}, {stampFence, 2, 1, 0, fence, false}, {stampFence, 2, 2, 0, fence, false}, {record, 2, 2, 1, counts, false}},
		"but once":                                {{record, 1, 0, 5, counts, false}, {record, 2, 0, 1, counts, false}, {record, 2, 1, 1, counts, true}},
		"a new term may not begin at 1":           {{record, 1, 0, 5, counts, false}, {record, 1, 1, 1, counts, true}},
		"without fences numbers may repeat":       {{loose, 1, 0, 5, counts, false}, {loose, 2, 0, 4, counts, false}, {loose, 2, 0, 5, counts, false}},
		"without fences a gap is still lost data": {{loose, 1, 0, 5, counts, false}, {loose, 2, 0, 7, counts, true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r readers
			for i, s := range steps {
				// What is stored between two steps must not change the outcome.
				text := r.String()
				var err error
				r, err = parseReaders(text)
				require.NoError(t, err)
				st := stamp{Kind: s.kind, Writer: 3, Epoch: s.epoch, Term: s.term, Number: s.number}
				v, err := r.judge(&st)
				require.Equal(t, s.want, v, "step %d", i)
				if s.lost {
					require.ErrorIs(t, err, ErrBrokerLostData, "step %d", i)
				} else {
					require.NoError(t, err, "step %d", i)
				}
			}
		})
	}
}

func TestReadersKeepWritersApart(t *testing.T) {
	t.Parallel()
	var r readers
	for _, s := range []stamp{{Writer: 1, Epoch: 9, Number: 1}, {Writer: 2, Epoch: 1, Number: 1}, {Writer: 1, Epoch: 9, Number: 2}, {Writer: 2, Epoch: 1, Number: 2}} {
		v, err := r.judge(&s)
		require.NoError(t, err)
		require.Equal(t, counts, v)
	}
}

func TestReadersStateIsPinned(t *testing.T) {
	t.Parallel()
	r := readers{writers: []writerState{{Writer: 7, generation: generation{1795000000000000, 3}, Next: 12}, {Writer: 300, generation: generation{5, 0}, fresh: true}}}
	require.Equal(t, "B4Dg_IqwkZgDBgysAgUBAA", r.String())
	back, err := parseReaders(r.String())
	require.NoError(t, err)
	require.Equal(t, r, back)
	require.Empty(t, (&readers{}).String())
}

func FuzzParseReaders(f *testing.F) {
	f.Add("B4Dg_IqwkZgDBgysAgUBAA")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseReaders(text)
		if err != nil {
			return
		}
		if again := r.String(); again != text {
			t.Fatalf("%q became %q", text, again)
		}
	})
}
