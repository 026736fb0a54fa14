package pipeline

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

var stamps = []struct {
	name  string
	stamp stamp
	text  string
}{
	{"first record", stamp{Writer: 1, Epoch: 1, Number: 1, Partition: 2, Mark: connector.Mark{}}, "AAEBAQAAAAAAAAACAAA"},
	{"usual record", stamp{Writer: 42, Epoch: 1795000000000000, Term: 1, Number: 123456, Partition: 0xfedcba9876543210, Mark: connector.Mark{Offset: 99_999_999, Index: 7}},
		"CCqA4PyKsJGYA8DEB_7cuph2VDIQ_8HXLwc"},
	{"fence", stamp{Kind: stampFence, Writer: 42, Epoch: 1795000000000000, Term: 2}, "ESqA4PyKsJGYAw"},
	{"record without fences", stamp{Kind: stampLoose, Writer: 42, Epoch: 3, Number: 1, Partition: 2}, "AioDAQAAAAAAAAACAAA"},
	{"largest", stamp{Kind: stampLoose, Writer: math.MaxUint32, Epoch: math.MaxInt64, Term: maxTerm, Number: maxNumber, Partition: math.MaxUint64,
		Mark: connector.Mark{Offset: math.MaxUint64, Index: math.MaxUint32}}, "-v9______w___________3__________f_______________________Af____8P"},
}

// TestStampsArePinned: stamps lie in topics for as long as the topics live.
func TestStampsArePinned(t *testing.T) {
	t.Parallel()
	for _, tt := range stamps {
		text := string(tt.stamp.appendTo(nil))
		require.Equal(t, tt.text, text, tt.name)
		require.LessOrEqual(t, len(text), 64, tt.name)
		back, err := parseStamp(text)
		require.NoError(t, err, tt.name)
		require.Equal(t, tt.stamp, back, tt.name)
	}
}

func TestParseStampRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing": "", "half": "AAEBAQAA", "a longer one": "AAEBAQAAAAAAAAACAAAA", "a later kind": "AwEB", "no base64": "!!!!",
		"a number longer than need be": "gAABAQ", "too long": "AAEBAQAAAAAAAAACAAAAAAEBAQAAAAAAAAACAAAAAAEBAQAAAAAAAAACAAAAAAEBAQAA",
	} {
		_, err := parseStamp(text)
		require.ErrorIs(t, err, errStamp, name)
	}
}

// FuzzParseStamp: whatever is accepted is written the same way again.
func FuzzParseStamp(f *testing.F) {
	for _, tt := range stamps {
		f.Add(tt.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseStamp(text)
		if err != nil {
			return
		}
		if again := string(s.appendTo(nil)); again != text {
			t.Fatalf("%q became %q", text, again)
		}
	})
}

func TestQueueForIsJavasHash(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		key   string
		n     int
		queue int
	}{
		{"", 8, 0}, {"a", 8, 97 % 8}, {"hello", 1000, 99162322 % 1000}, {"polygenelubricants", 10, 2147483648 % 10},
		{"Ünï", 1 << 20, (220*31*31 + 110*31 + 239) % (1 << 20)}, {"😀", 1 << 30, 55357*31 + 56832},
		{"order-12345", 7, 478832884 % 7},
	} {
		require.Equal(t, tt.queue, queueFor(tt.key, tt.n), tt.key)
	}
}

func TestPartitionHashIsPinned(t *testing.T) {
	t.Parallel()
	require.Equal(t, uint64(0xaf63dc4c8601ec8c), partitionHash("a"))
	require.NotEqual(t, uint64(unmarked), partitionHash(""))
}
