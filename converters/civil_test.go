package converters

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestDatesAgreeWithTheStandardLibrary compares with package time, which knows the same calendar.
func TestDatesAgreeWithTheStandardLibrary(t *testing.T) {
	t.Parallel()
	check := func(day int64) {
		date := time.Unix(day*secondsPerDay, 0).UTC()
		year, month, dom := civil(day)
		require.Equal(t, [3]int{date.Year(), int(date.Month()), date.Day()}, [3]int{int(year), month, dom}, "day %d", day)
		require.Equal(t, day, dayOf(year, month, dom))
		require.LessOrEqual(t, dom, daysIn(year, month))
		text, err := appendDate(nil, day)
		require.NoError(t, err)
		back, rest, ok := parseDate(text)
		require.True(t, ok && len(rest) == 0 && back == day, "%s", text)
	}
	for day := int64(-800_000); day < 800_000; day += 61 {
		check(day)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 5_000 {
		check(minDay + r.Int64N(maxDay-minDay+1))
	}
	check(minDay)
	check(maxDay)
	first, err := appendDate(nil, minDay)
	require.NoError(t, err)
	require.Equal(t, "-999999999-01-01", string(first))
	last, err := appendDate(nil, maxDay)
	require.NoError(t, err)
	require.Equal(t, "+999999999-12-31", string(last))
	for _, day := range []int64{minDay - 1, maxDay + 1, math.MinInt64, math.MaxInt64} {
		_, err := appendDate(nil, day)
		require.ErrorIs(t, err, errDateRange)
	}
	for _, seconds := range []int64{math.MinInt64, math.MaxInt64} {
		_, err := appendTimestamp(nil, seconds, 0)
		require.ErrorIs(t, err, errDateRange)
	}
	_, err = appendTimestamp(nil, 0, 1e9)
	require.ErrorIs(t, err, errNanos)
	for _, nanos := range []int64{-1, nanosPerDay + 1, math.MinInt64, math.MaxInt64} {
		_, err := appendTime(nil, nanos)
		require.ErrorIs(t, err, errTimeRange)
	}
}

func TestTextOfDatesAndTimesIsReadStrictly(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "2013", "2013-1-1", "2013-01-1", "2013-00-01", "2013-13-01", "2013-01-00", "2013-01-32", "2013-02-29", "1900-02-29",
		"2013-04-31", "2013/01/01", "20130101", "+2013-01-01", "-0000-01-01", "-44-03-15", "12013-01-01", "+02013-01-01", "+1000000000-01-01", "2013-01-0x", "x013-01-01"} {
		_, _, ok := parseDate([]byte(text))
		require.False(t, ok, text)
	}
	for _, text := range []string{"", "15:04", "15:04:5", "25:00:00", "15:60:00", "23:59:60", "24:00:01", "24:00:00.1", "15:04:05.", "15:04:05.1234567890", "15-04-05", "-1:00:00"} {
		_, _, _, ok := parseClock([]byte(text))
		require.False(t, ok, text)
	}
	for _, text := range []string{"", "2013-01-01", "2013-01-01 05:00:00Z", "2013-01-01t05:00:00Z", "2013-01-01T05:00:00", "2013-01-01T05:00:00z", "2013-01-01T05:00:00+5:00",
		"2013-01-01T05:00:00+24:00", "2013-01-01T05:00:00+05:60", "2013-01-01T05:00:00+0500", "2013-01-01T24:00:00Z", "2013-01-01T05:00:00Zx", "-999999999-01-01T00:00:00+01:00", "+999999999-12-31T23:59:59-01:00"} {
		_, err := parseInstant([]byte(text))
		require.Error(t, err, text)
	}
	for text, want := range map[string]string{
		"2013-01-01T05:00:00+05:30":     "2012-12-31T23:30:00Z",
		"2013-01-01T05:00:00.250-08:00": "2013-01-01T13:00:00.25Z",
		"0000-02-29T00:00:00Z":          "0000-02-29T00:00:00Z",
	} {
		v, err := parseInstant([]byte(text))
		require.NoError(t, err)
		seconds, nanos := v.Timestamp()
		back, err := appendTimestamp(nil, seconds, nanos)
		require.NoError(t, err)
		require.Equal(t, want, string(back)+"Z")
	}
}
