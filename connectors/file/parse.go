package file

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/gantry-connect/gantry/connector"
)

// parserOf gives the function that reads a field as t; nil for types that a field cannot hold. A parser shares the
// field's bytes.
func parserOf(t connector.Type) func([]byte) (connector.Value, bool) {
	switch t {
	case connector.Bool:
		return parseBool
	case connector.Int8:
		return integerParser(8)
	case connector.Int16:
		return integerParser(16)
	case connector.Int32:
		return integerParser(32)
	case connector.Int64:
		return integerParser(64)
	case connector.Float32:
		return floatParser(32)
	case connector.Float64:
		return floatParser(64)
	case connector.Decimal:
		return parseDecimal
	case connector.String:
		return func(b []byte) (connector.Value, bool) { return connector.TextOf(b), utf8.Valid(b) }
	case connector.Date:
		return parseDate
	case connector.Time:
		return parseClock
	case connector.Timestamp:
		return parseTimestamp
	case connector.TimestampTZ:
		return parseInstant
	case connector.UUID:
		return parseUUID
	case connector.JSON:
		return func(b []byte) (connector.Value, bool) { return connector.TextOf(b), utf8.Valid(b) && json.Valid(b) }
	}
	return nil
}

// fitting is the set of types that a value's text fits without changing its meaning: 007 is no number.
func fitting(b []byte) typeSet {
	if len(b) == 0 {
		return 0
	}
	if c := b[0]; c == '-' || (c >= '0' && c <= '9') {
		if set := fittingNumber(b); set != 0 {
			return set
		}
		return fittingTime(b)
	}
	if _, ok := parseBool(b); ok {
		return 1 << connector.Bool
	}
	return 0
}

func fittingNumber(b []byte) typeSet {
	digits := b
	if b[0] == '-' {
		digits = b[1:]
	}
	whole := countDigits(digits)
	if whole == 0 || (digits[0] == '0' && whole > 1) {
		return 0
	}
	if whole == len(digits) {
		n, ok := integer(b)
		switch {
		case !ok:
			return 1 << connector.Decimal
		case n == 0 && b[0] == '-':
			return 1 << connector.Float64
		case n > 1<<53 || n < -1<<53:
			return 1<<connector.Int64 | 1<<connector.Decimal
		case int64(int32(n)) != n:
			return numbers &^ (1 << connector.Int32)
		}
		return numbers
	}
	if !isNumber(b) {
		return 0
	}
	if bytes.ContainsAny(b, "eE") {
		return 1 << connector.Float64
	}
	if len(digits) > 18 { // 17 digits and the point: the most that a float64 keeps apart
		return 1 << connector.Decimal
	}
	return 1<<connector.Float64 | 1<<connector.Decimal
}

func fittingTime(b []byte) (set typeSet) {
	if _, ok := parseDate(b); ok {
		set |= 1 << connector.Date
	}
	if _, ok := parseClock(b); ok {
		set |= 1 << connector.Time
	}
	if _, ok := parseTimestamp(b); ok {
		set |= 1 << connector.Timestamp
	}
	if _, ok := parseInstant(b); ok {
		set |= 1 << connector.TimestampTZ
	}
	return set
}

func countDigits(b []byte) int {
	n := 0
	for n < len(b) && b[n]-'0' <= 9 {
		n++
	}
	return n
}

// isNumber reports whether b is a JSON number, which is also what every system's decimal and float parsers take.
func isNumber(b []byte) bool {
	if len(b) > 0 && b[0] == '-' {
		b = b[1:]
	}
	n := countDigits(b)
	if n == 0 {
		return false
	}
	b = b[n:]
	if len(b) > 0 && b[0] == '.' {
		if n = countDigits(b[1:]); n == 0 {
			return false
		}
		b = b[1+n:]
	}
	if len(b) > 0 && b[0]|0x20 == 'e' {
		b = b[1:]
		if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
			b = b[1:]
		}
		return len(b) > 0 && countDigits(b) == len(b)
	}
	return len(b) == 0
}

// integer reads a decimal integer that fits in 64 bits.
func integer(b []byte) (int64, bool) {
	negative := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		negative = b[0] == '-'
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 19 {
		return 0, false
	}
	var n uint64
	for _, c := range b {
		d := c - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + uint64(d)
	}
	if negative {
		return -int64(n), n <= 1<<63
	}
	return int64(n), n <= math.MaxInt64
}

func integerParser(bits int) func([]byte) (connector.Value, bool) {
	least, most := int64(-1)<<(bits-1), int64(1)<<(bits-1)-1
	return func(b []byte) (connector.Value, bool) {
		n, ok := integer(b)
		return connector.IntValue(n), ok && n >= least && n <= most
	}
}

// powers of ten that a float64 holds exactly. An integer below 2^53 divided by one is rounded once, and so is exactly
// the float64 that the digits mean.
var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

func floatParser(bits int) func([]byte) (connector.Value, bool) {
	return func(b []byte) (connector.Value, bool) {
		if bits == 64 {
			if f, ok := shortFloat(b); ok {
				return connector.FloatValue(f), true
			}
		}
		if len(b) == 0 {
			return connector.Null, false
		}
		f, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(b), len(b)), bits)
		return connector.FloatValue(f), err == nil && !bytes.ContainsAny(b, "xX_")
	}
}

// shortFloat reads plain decimals of at most 15 digits, which is most of them.
func shortFloat(b []byte) (float64, bool) {
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 16 {
		return 0, false
	}
	var n uint64
	point, digits := -1, 0
	for i, c := range b {
		if c == '.' && point < 0 {
			point = i
			continue
		}
		d := c - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + uint64(d)
		digits++
	}
	if digits == 0 || digits > 15 {
		return 0, false
	}
	f := float64(n)
	if point >= 0 {
		f /= powers[len(b)-point-1]
	}
	if negative {
		f = -f
	}
	return f, true
}

func parseDecimal(b []byte) (connector.Value, bool) {
	ok := string(b) == "NaN" || (isNumber(b) && !bytes.ContainsAny(b, "eE"))
	return connector.TextOf(b), ok
}

func parseBool(b []byte) (connector.Value, bool) {
	switch {
	case bytes.EqualFold(b, []byte("true")):
		return connector.BoolValue(true), true
	case bytes.EqualFold(b, []byte("false")):
		return connector.BoolValue(false), true
	}
	return connector.Null, false
}

func parseUUID(b []byte) (connector.Value, bool) {
	if len(b) != 36 {
		return connector.Null, false
	}
	out := make([]byte, 0, 16)
	for i := 0; i < 36; {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if b[i] != '-' {
				return connector.Null, false
			}
			i++
			continue
		}
		high, low := hexDigit(b[i]), hexDigit(b[i+1])
		if high > 15 || low > 15 {
			return connector.Null, false
		}
		out = append(out, high<<4|low)
		i += 2
	}
	return connector.BytesValue(out), true
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 0xff
}
