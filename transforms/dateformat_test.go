package transforms

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDateFormatsWriteAndRead(t *testing.T) {
	t.Parallel()
	moment := time.Date(2024, 2, 29, 13, 4, 5, 67_000_000, time.UTC)
	day := moment.Truncate(24 * time.Hour)
	for _, tt := range []struct {
		pattern, text string
		read          time.Time // what the text says
	}{
		{"yyyy-MM-dd'T'HH:mm:ss.SSSX", "2024-02-29T13:04:05.067Z", moment},
		{"yyyyMMddHHmmssSSS", "20240229130405067", moment},
		{"yyyyMMdd", "20240229", day},
		{"yy.M.d", "24.2.29", day},
		{"dd MMM yyyy", "29 Feb 2024", day},
		{"EEEE, d MMMM yyyy G", "Thursday, 29 February 2024 AD", day},
		{"E d.M.y", "Thu 29.2.2024", day},
		{"yyyy-DDD", "2024-060", day},
		{"yyyy-MM-dd hh:mm:ss.SSS a", "2024-02-29 01:04:05.067 PM", moment},
		{"yyyy-MM-dd K:mm a", "2024-02-29 1:04 PM", moment.Truncate(time.Minute)},
		{"yyyy-MM-dd k:mm:ss z", "2024-02-29 13:04:05 UTC", moment.Truncate(time.Second)},
		{"yyyy/MM/dd'at'HH''mm Z", "2024/02/29at13'04 +0000", moment.Truncate(time.Minute)},
		{"yyyy-MM-dd u", "2024-02-29 4", day},
		{"yyyy-MM-dd HH:mm zzzz", "2024-02-29 13:04 Coordinated Universal Time", moment.Truncate(time.Minute)},
		{"HH:mm:ss.SSSSSS", "13:04:05.067000", time.Date(1970, 1, 1, 13, 4, 5, 67_000_000, time.UTC)},
		{"'it''s' yyyy", "it's 2024", time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		t.Run(tt.pattern, func(t *testing.T) {
			t.Parallel()
			f, err := parseDateFormat(tt.pattern)
			require.NoError(t, err)
			require.Equal(t, tt.text, string(f.append(nil, moment)))
			got, err := f.parse(tt.text)
			require.NoError(t, err)
			require.Equal(t, tt.read, got.UTC())
		})
	}
}

func TestDatesAreReadStrictly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ pattern, text, want string }{ // want is empty for an error
		{"yyyy-MM-dd", "2023-2-3", "2023-02-03T00:00:00Z"},
		{"yyyy-MM-dd", "2023-02-29", ""},
		{"yyyy-MM-dd", "2023-13-01", ""},
		{"yyyy-MM-dd", "2023-01-01T10", ""},
		{"yyyy-MM-dd", "2023-01", ""},
		{"yyyyMMdd", "202301", ""},
		{"yyyy-DDD", "2023-366", ""},
		{"HH", "24", ""},
		{"kk", "24", "1970-01-01T00:00:00Z"},
		{"hh a", "12 am", "1970-01-01T00:00:00Z"},
		{"hh a", "13 PM", ""},
		{"HH:mm", "10:60", ""},
		{"ss.S", "01.5", "1970-01-01T00:00:01.5Z"},
		{"yyyy X", "2023 -01:30", "2023-01-01T01:30:00Z"},
		{"yyyy X", "2023 CET", ""},
		{"MMM", "Foo", ""},
		{"yyyy u", "2023 8", ""},
		{"yy", "69", "2069-01-01T00:00:00Z"},
		{"yy", "70", "1970-01-01T00:00:00Z"},
	} {
		f, err := parseDateFormat(tt.pattern)
		require.NoError(t, err)
		got, err := f.parse(tt.text)
		if tt.want == "" {
			require.ErrorContains(t, err, "as a date: ", "%s as %s is %v", tt.text, tt.pattern, got)
			continue
		}
		require.NoError(t, err, "%s as %s", tt.text, tt.pattern)
		require.Equal(t, tt.want, got.UTC().Format(time.RFC3339Nano), "%s as %s", tt.text, tt.pattern)
	}
}

func TestBadDateFormatsAreRefused(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"", "YYYY", "yyyy'T", "w", "XXXX"} {
		_, err := parseDateFormat(pattern)
		require.Error(t, err, pattern)
	}
}

// FuzzDates reads texts by some patterns, and reads again what it then writes.
func FuzzDates(f *testing.F) {
	patterns := []string{"yyyy-MM-dd'T'HH:mm:ss.SSSSSSSSSX", "EEE, d MMM yyyy hh:mm a z", "yyyyMMddHHmmss", "DDDyyyy k", "MMMM G K a"}
	for i, text := range []string{"2024-02-29T13:04:05.067000000Z", "Thu, 29 Feb 2024 01:04 PM +02:00", "20240229130405", "0602024 24", "may AD 0 PM"} {
		f.Add(uint8(i), text)
	}
	f.Fuzz(func(t *testing.T, which uint8, text string) {
		d, err := parseDateFormat(patterns[int(which)%len(patterns)])
		require.NoError(t, err)
		moment, err := d.parse(text)
		if err != nil || moment.UTC().Year() < 1 || moment.UTC().Year() > 9999 {
			return
		}
		written := string(d.append(nil, moment))
		again, err := d.parse(written)
		require.NoError(t, err, "%q was read as %v", text, moment)
		require.Equal(t, written, string(d.append(nil, again)), "%q was read as %v", text, moment)
	})
}
