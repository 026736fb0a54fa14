package file

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/gantry-connect/gantry/connector"
)

// appendJSON writes a value as a JSON document on one line. What JSON has no form for is a string: dates and times in
// ISO 8601, bytes in base64, UUIDs in hex, not-a-number by name. Decimals are numbers with all their digits.
func appendJSON(dst []byte, s *connector.Schema, v connector.Value) ([]byte, error) {
	if v.IsNull() {
		return append(dst, "null"...), nil
	}
	switch s.Type {
	case connector.Bool, connector.Int8, connector.Int16, connector.Int32, connector.Int64:
		return appendPlain(dst, s, v), nil
	case connector.Float32, connector.Float64:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			break
		}
		return appendPlain(dst, s, v), nil
	case connector.Decimal:
		if text := v.Text(); text != "NaN" {
			return append(dst, text...), nil
		}
		return append(dst, `"NaN"`...), nil
	case connector.String, connector.Enum:
		return appendQuoted(dst, v.Text()), nil
	case connector.JSON:
		return appendCompact(dst, v.Text())
	case connector.Bytes:
		dst = append(dst, '"')
		return append(base64.StdEncoding.AppendEncode(dst, v.Bytes()), '"'), nil
	case connector.Array, connector.Map, connector.Struct:
		return appendNested(dst, s, v)
	}
	return append(appendPlain(append(dst, '"'), s, v), '"'), nil
}

// appendNested writes what has parts. A map whose keys are not texts is an array of pairs.
func appendNested(dst []byte, s *connector.Schema, v connector.Value) (_ []byte, err error) {
	items := v.List()
	if s.Type == connector.Array {
		dst = append(dst, '[')
		for i, item := range items {
			if dst, err = appendJSON(comma(dst, i), s.Elem, item); err != nil {
				return dst, fmt.Errorf("element %d: %w", i, err)
			}
		}
		return append(dst, ']'), nil
	}
	if s.Type == connector.Struct {
		dst = append(dst, '{')
		for i, f := range s.Fields {
			dst = append(appendQuoted(comma(dst, i), f.Name), ':')
			if dst, err = appendJSON(dst, f.Schema, items[i]); err != nil {
				return dst, fmt.Errorf("field %q: %w", f.Name, err)
			}
		}
		return append(dst, '}'), nil
	}
	object := s.Key.Type == connector.String || s.Key.Type == connector.Enum
	marks := "[]"
	if object {
		marks = "{}"
	}
	dst = append(dst, marks[0])
	for i := 0; i+1 < len(items); i += 2 {
		dst = comma(dst, i)
		between := byte(':')
		if !object {
			dst, between = append(dst, '['), ','
		}
		if dst, err = appendJSON(dst, s.Key, items[i]); err != nil {
			return dst, fmt.Errorf("map key: %w", err)
		}
		if dst, err = appendJSON(append(dst, between), s.Elem, items[i+1]); err != nil {
			return dst, fmt.Errorf("map value: %w", err)
		}
		if !object {
			dst = append(dst, ']')
		}
	}
	return append(dst, marks[1]), nil
}

func comma(dst []byte, i int) []byte {
	if i > 0 {
		return append(dst, ',')
	}
	return dst
}

// appendPlain writes a scalar without quotes; see appendText for texts and bytes.
func appendPlain(dst []byte, s *connector.Schema, v connector.Value) []byte {
	switch s.Type {
	case connector.Bool:
		return strconv.AppendBool(dst, v.Bool())
	case connector.Float32:
		return appendFloat(dst, v.Float(), 32)
	case connector.Float64:
		return appendFloat(dst, v.Float(), 64)
	case connector.Date:
		return time.Unix(v.Int()*daySeconds, 0).UTC().AppendFormat(dst, time.DateOnly)
	case connector.Time:
		return time.Unix(0, v.Int()).UTC().AppendFormat(dst, "15:04:05.999999999")
	case connector.Timestamp:
		return v.Time().AppendFormat(dst, "2006-01-02T15:04:05.999999999")
	case connector.TimestampTZ:
		return v.Time().AppendFormat(dst, time.RFC3339Nano)
	case connector.UUID:
		b := v.Bytes()
		for i, part := range [][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:]} {
			if i > 0 {
				dst = append(dst, '-')
			}
			dst = hex.AppendEncode(dst, part)
		}
		return dst
	}
	return strconv.AppendInt(dst, v.Int(), 10)
}

// appendFloat writes the shortest form that reads back the same, without an exponent where people expect none.
func appendFloat(dst []byte, f float64, bits int) []byte {
	if size := math.Abs(f); size != 0 && (size < 1e-6 || size >= 1e21) {
		return strconv.AppendFloat(dst, f, 'e', -1, bits)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, bits)
}

const hexDigits = "0123456789abcdef"

// appendQuoted writes a JSON string. Bytes that are not UTF-8 become U+FFFD, as in encoding/json.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[start:i]...), "\ufffd"...)
				start = i + 1
			}
			i += size
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}
