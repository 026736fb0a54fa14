package file

import "github.com/gantry-connect/gantry/connector"

const daySeconds = 24 * 60 * 60

// date reads YYYY-MM-DD as days since 1970-01-01.
func date(b []byte) (days int64, ok bool) {
	if len(b) != 10 || b[4] != '-' || b[7] != '-' {
		return 0, false
	}
	century, ok1 := twoDigits(b[0:2])
	year, ok2 := twoDigits(b[2:4])
	month, ok3 := twoDigits(b[5:7])
	day, ok4 := twoDigits(b[8:10])
	year += century * 100
	if !ok1 || !ok2 || !ok3 || !ok4 || month < 1 || month > 12 || day < 1 || day > monthDays(year, month) {
		return 0, false
	}
	return civilDays(year, month, day), true
}

func twoDigits(b []byte) (int, bool) {
	high, low := b[0]-'0', b[1]-'0'
	return int(high)*10 + int(low), high <= 9 && low <= 9
}

func monthDays(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// civilDays counts days in years that begin in March, so that the leap day is a year's last.
func civilDays(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	dayOfYear := (153*(month-3)+2)/5 + day - 1 // 153 days in five months from March, August or January on
	days := 365*year + floorDiv(year, 4) - floorDiv(year, 100) + floorDiv(year, 400) + dayOfYear
	return int64(days - 719468) // days from 0000-03-01 to 1970-01-01
}

func floorDiv(a, b int) int {
	if a < 0 {
		return -((-a + b - 1) / b)
	}
	return a / b
}

// clock reads HH:MM:SS with up to nine fractional digits and returns what is left of b.
func clock(b []byte) (seconds int64, nanos uint32, rest []byte, ok bool) {
	if len(b) < 8 || b[2] != ':' || b[5] != ':' {
		return 0, 0, nil, false
	}
	h, ok1 := twoDigits(b[0:2])
	m, ok2 := twoDigits(b[3:5])
	s, ok3 := twoDigits(b[6:8])
	if !ok1 || !ok2 || !ok3 || h > 23 || m > 59 || s > 59 {
		return 0, 0, nil, false
	}
	seconds, rest = int64(h*3600+m*60+s), b[8:]
	if len(rest) > 0 && rest[0] == '.' {
		n := countDigits(rest[1:])
		if n == 0 || n > 9 {
			return 0, 0, nil, false
		}
		fraction, _ := integer(rest[1 : 1+n])
		for range 9 - n {
			fraction *= 10
		}
		nanos, rest = uint32(fraction), rest[1+n:]
	}
	return seconds, nanos, rest, true
}

// zone reads Z, +HH, +HHMM or +HH:MM as seconds east of UTC.
func zone(b []byte) (seconds int64, ok bool) {
	if len(b) == 1 && (b[0] == 'Z' || b[0] == 'z') {
		return 0, true
	}
	if len(b) < 3 || (b[0] != '+' && b[0] != '-') {
		return 0, false
	}
	h, ok := twoDigits(b[1:3])
	m := 0
	switch {
	case !ok:
		return 0, false
	case len(b) == 5:
		m, ok = twoDigits(b[3:5])
	case len(b) == 6 && b[3] == ':':
		m, ok = twoDigits(b[4:6])
	case len(b) != 3:
		return 0, false
	}
	if !ok || h > 18 || m > 59 {
		return 0, false
	}
	seconds = int64(h*3600 + m*60)
	if b[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

func parseDate(b []byte) (connector.Value, bool) {
	days, ok := date(b)
	return connector.IntValue(days), ok
}

func parseClock(b []byte) (connector.Value, bool) {
	seconds, nanos, rest, ok := clock(b)
	return connector.IntValue(seconds*1e9 + int64(nanos)), ok && len(rest) == 0
}

// wallClock reads a date, T or a space, and a time; it returns what is left of b.
func wallClock(b []byte) (seconds int64, nanos uint32, rest []byte, ok bool) {
	if len(b) < 19 || (b[10] != 'T' && b[10] != ' ') {
		return 0, 0, nil, false
	}
	days, ok := date(b[:10])
	if !ok {
		return 0, 0, nil, false
	}
	seconds, nanos, rest, ok = clock(b[11:])
	return days*daySeconds + seconds, nanos, rest, ok
}

func parseTimestamp(b []byte) (connector.Value, bool) {
	seconds, nanos, rest, ok := wallClock(b)
	return connector.TimestampValue(seconds, nanos), ok && len(rest) == 0
}

func parseInstant(b []byte) (connector.Value, bool) {
	seconds, nanos, rest, ok := wallClock(b)
	if !ok {
		return connector.Null, false
	}
	east, ok := zone(rest)
	return connector.TimestampValue(seconds-east, nanos), ok
}
