package activities

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A topic whose records all lie in one queue, as those without keys may, is shown as far as is asked for.
func TestSamplesAreSharedByWhatQueuesHold(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		ends   []int64
		n      int
		shares []int
	}{
		{[]int64{0, 1000, 0, 0}, 10, []int{0, 10, 0, 0}}, {[]int64{9, 9}, 5, []int{3, 2}}, {[]int64{1, 9, 3}, 10, []int{1, 6, 3}},
		{[]int64{1, 1}, 10, []int{1, 1}}, {[]int64{5}, 0, []int{0}}, {[]int64{0, 0}, 3, []int{0, 0}},
	} {
		places, sum := make([]place, len(tt.ends)), 0
		for i, end := range tt.ends {
			places[i] = place{at: 7, end: 7 + end, share: 99}
		}
		some := share(places, tt.n)
		got := make([]int, len(places))
		for i, p := range places {
			got[i] = p.share
			sum += p.share
		}
		require.Equal(t, tt.shares, got)
		require.Equal(t, sum > 0, some)
	}
}
