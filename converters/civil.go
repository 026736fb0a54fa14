package converters

import (
	"errors"
	"math"
)

// Dates reach as far as java.time.LocalDate's, which is further than any database's.
const (
	maxYear       = 999_999_999
	maxDay        = 365241780471  // 999999999-12-31
	minDay        = -365243219162 // -999999999-01-01
	secondsPerDay = 86400
	nanosPerDay   = secondsPerDay * 1_000_000_000
)

var (
	errDate      = errors.New("is no date of the form 2006-01-02")
	errTime      = errors.New("is no time of the form 15:04:05.999999999")
	errTimestamp = errors.New("is no timestamp of the form 2006-01-02T15:04:05.999999999")
	errZone      = errors.New("is no timestamp with a zone, of the form 2006-01-02T15:04:05.999999999Z")
	errDateRange = errors.New("the date is outside the years -999999999 to 999999999")
	errTimeRange = errors.New("the time of day is not between 00:00:00 and 24:00:00")
	errNanos     = errors.New("the timestamp has a second or more of nanoseconds")
)

// civil gives the proleptic Gregorian date of a day counted from 1970-01-01; day lies in minDay to maxDay. The years
// are counted from March within eras of 400 years, so that the leap day comes last.
func civil(day int64) (year int64, month, dom int) {
	day += 719468 // to 0000-03-01
	era := day / 146097
	if day < 0 {
		era = (day - 146096) / 146097
	}
	doe := uint32(day - era*146097)
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	year = int64(yoe) + era*400
	month = int(mp) + 3
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, int(doy-(153*mp+2)/5) + 1
}

// dayOf is the inverse of civil.
func dayOf(year int64, month, dom int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	if year < 0 {
		era = (year - 399) / 400
	}
	yoe := year - era*400
	doy := int64((153*(month-3)+2)/5 + dom - 1)
	return era*146097 + yoe*365 + yoe/4 - yoe/100 + doy - 719468
}

func daysIn(year int64, month int) int {
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

func append2(dst []byte, n int) []byte {
	return append(dst, byte('0'+n/10), byte('0'+n%10))
}

// appendDate writes years outside 0000 to 9999 with a sign and as many digits as they need, at least four (ISO 8601's
// expanded form). Year 0 is 1 BC.
func appendDate(dst []byte, day int64) ([]byte, error) {
	if day < minDay || day > maxDay {
		return dst, errDateRange
	}
	year, month, dom := civil(day)
	switch {
	case year < 0:
		dst, year = append(dst, '-'), -year
	case year > 9999:
		dst = append(dst, '+')
	}
	if year > 9999 {
		width := int64(10000)
		for year/width >= 10 {
			width *= 10
		}
		for ; width >= 10000; width /= 10 {
			dst = append(dst, byte('0'+year/width%10))
		}
	}
	dst = append2(append2(dst, int(year/100%100)), int(year%100))
	dst = append2(append(dst, '-'), month)
	return append2(append(dst, '-'), dom), nil
}

func appendTime(dst []byte, nanos int64) ([]byte, error) {
	if nanos < 0 || nanos > nanosPerDay {
		return dst, errTimeRange
	}
	return appendClock(dst, int(nanos/1e9), uint32(nanos%1e9)), nil
}

// appendClock writes only the digits of the fraction that are needed.
func appendClock(dst []byte, second int, nanos uint32) []byte {
	dst = append2(dst, second/3600)
	dst = append2(append(dst, ':'), second/60%60)
	dst = append2(append(dst, ':'), second%60)
	if nanos == 0 {
		return dst
	}
	dst = append(dst, '.')
	for width := uint32(100_000_000); nanos > 0; width /= 10 {
		dst = append(dst, byte('0'+nanos/width))
		nanos %= width
	}
	return dst
}

func appendTimestamp(dst []byte, seconds int64, nanos uint32) ([]byte, error) {
	if nanos >= 1e9 {
		return dst, errNanos
	}
	day, second := floorDiv(seconds, secondsPerDay)
	dst, err := appendDate(dst, day)
	if err != nil {
		return dst, err
	}
	return appendClock(append(dst, 'T'), int(second), nanos), nil
}

func floorDiv(a, b int64) (quotient, remainder int64) {
	quotient, remainder = a/b, a%b
	if remainder < 0 {
		quotient, remainder = quotient-1, remainder+b
	}
	return quotient, remainder
}

// digits2 reads two digits; the result is above 99 if they are none.
func digits2(t []byte) int {
	hi, lo := t[0]-'0', t[1]-'0'
	if hi > 9 || lo > 9 {
		return math.MaxInt32
	}
	return int(hi)*10 + int(lo)
}

// parseDate reads what appendDate writes and returns what follows the date.
func parseDate(t []byte) (day int64, rest []byte, ok bool) {
	sign, width := byte(0), 4
	if len(t) > 0 && (t[0] == '+' || t[0] == '-') {
		sign, t = t[0], t[1:]
		for width = 0; width < len(t) && t[width]-'0' <= 9; width++ {
		}
		// The shortest form is the only one: four digits behind a minus, more behind a plus or without a leading zero.
		if width < 4 || width > 9 || (sign == '+' && width == 4) || (width > 4 && t[0] == '0') {
			return 0, nil, false
		}
	}
	if len(t) < width+6 || t[width] != '-' || t[width+3] != '-' {
		return 0, nil, false
	}
	year := int64(0)
	for _, c := range t[:width] {
		if c-'0' > 9 {
			return 0, nil, false
		}
		year = year*10 + int64(c-'0')
	}
	if sign == '-' {
		if year == 0 {
			return 0, nil, false
		}
		year = -year
	}
	month, dom := digits2(t[width+1:]), digits2(t[width+4:])
	if month < 1 || month > 12 || dom < 1 || dom > daysIn(year, month) {
		return 0, nil, false
	}
	return dayOf(year, month, dom), t[width+6:], true
}

// parseClock reads hours, minutes, seconds and a fraction of 1 to 9 digits, and returns what follows them. 24:00:00 is
// the end of a day; there are no leap seconds, as no timestamp can count them.
func parseClock(t []byte) (second int, nanos uint32, rest []byte, ok bool) {
	if len(t) < 8 || t[2] != ':' || t[5] != ':' {
		return 0, 0, nil, false
	}
	h, m, s := digits2(t), digits2(t[3:]), digits2(t[6:])
	if h > 24 || m > 59 || s > 59 {
		return 0, 0, nil, false
	}
	t = t[8:]
	if len(t) > 0 && t[0] == '.' {
		i := 1
		for width := uint32(100_000_000); i < len(t) && t[i]-'0' <= 9; i++ {
			if width == 0 {
				return 0, 0, nil, false
			}
			nanos += uint32(t[i]-'0') * width
			width /= 10
		}
		if i == 1 {
			return 0, 0, nil, false
		}
		t = t[i:]
	}
	second = h*3600 + m*60 + s
	return second, nanos, t, second < secondsPerDay || (second == secondsPerDay && nanos == 0)
}

// parseStamp reads a date, a T and a time of day before 24:00.
func parseStamp(t []byte) (seconds int64, nanos uint32, rest []byte, ok bool) {
	day, t, ok := parseDate(t)
	if !ok || len(t) == 0 || t[0] != 'T' {
		return 0, 0, nil, false
	}
	second, nanos, rest, ok := parseClock(t[1:])
	return day*secondsPerDay + int64(second), nanos, rest, ok && second < secondsPerDay
}

// parseZone reads Z or an offset such as +05:30 in seconds, to the end.
func parseZone(t []byte) (seconds int64, ok bool) {
	if len(t) == 1 && t[0] == 'Z' {
		return 0, true
	}
	if len(t) != 6 || t[3] != ':' || (t[0] != '+' && t[0] != '-') {
		return 0, false
	}
	h, m := digits2(t[1:]), digits2(t[4:])
	if h > 23 || m > 59 {
		return 0, false
	}
	seconds = int64(h*3600 + m*60)
	if t[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}
