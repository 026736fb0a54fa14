package postgres

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/gantry-connect/gantry/connector"
)

// appendJSON appends v as a JSON document: structs and maps as objects, bytes in base64, dates and times as ISO 8601
// text, decimals as numbers with all their digits.
func appendJSON(dst []byte, v connector.Value, s *connector.Schema) ([]byte, error) {
	if v.IsNull() {
		return append(dst, "null"...), nil
	}
	switch s.Type {
	case connector.Bool:
		return strconv.AppendBool(dst, v.Bool()), nil
	case connector.Int8, connector.Int16, connector.Int32, connector.Int64:
		return strconv.AppendInt(dst, v.Int(), 10), nil
	case connector.Float32, connector.Float64:
		return appendJSONFloat(dst, v.Float(), s.Type)
	case connector.Decimal:
		return appendJSONDecimal(dst, v.Text())
	case connector.JSON:
		return append(dst, v.Text()...), nil
	case connector.Array:
		return appendJSONArray(dst, v.List(), s.Elem)
	case connector.Map:
		return appendJSONMap(dst, v.List(), s)
	case connector.Struct:
		return appendJSONStruct(dst, v.List(), s)
	default:
		return appendJSONText(dst, v, s)
	}
}

// appendJSONText appends the types that are text in JSON.
func appendJSONText(dst []byte, v connector.Value, s *connector.Schema) ([]byte, error) {
	dst = append(dst, '"')
	switch s.Type {
	case connector.String, connector.Enum:
		dst = appendEscaped(dst, v.Text())
	case connector.Bytes:
		dst = base64.StdEncoding.AppendEncode(dst, v.Bytes())
	case connector.UUID:
		dst = appendUUIDText(dst, v.Bytes())
	case connector.Date:
		dst = time.Unix(v.Int()*86400, 0).UTC().AppendFormat(dst, time.DateOnly)
	case connector.Time:
		dst = time.Unix(0, v.Int()).UTC().AppendFormat(dst, "15:04:05.999999999")
	case connector.Timestamp:
		dst = v.Time().AppendFormat(dst, "2006-01-02T15:04:05.999999999")
	case connector.TimestampTZ:
		dst = v.Time().AppendFormat(dst, time.RFC3339Nano)
	default:
		return dst, fmt.Errorf("a %v cannot be part of a JSON document", s.Type)
	}
	return append(dst, '"'), nil
}

func appendJSONFloat(dst []byte, f float64, t connector.Type) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return dst, fmt.Errorf("JSON has no number for %v", f)
	}
	bits := 64
	if t == connector.Float32 {
		bits = 32
	}
	return strconv.AppendFloat(dst, f, 'g', -1, bits), nil
}

func appendJSONDecimal(dst []byte, text string) ([]byte, error) {
	whole, fraction, sign, ok := splitDecimal(text)
	if !ok {
		return dst, fmt.Errorf("JSON has no number for the decimal %q", text)
	}
	if sign == numericNegative {
		dst = append(dst, '-')
	}
	for len(whole) > 1 && whole[0] == '0' {
		whole = whole[1:]
	}
	if whole == "" {
		whole = "0"
	}
	dst = append(dst, whole...)
	if fraction != "" {
		dst = append(append(dst, '.'), fraction...)
	}
	return dst, nil
}

func appendJSONArray(dst []byte, items []connector.Value, elem *connector.Schema) (_ []byte, err error) {
	dst = append(dst, '[')
	for i, item := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = appendJSON(dst, item, elem); err != nil {
			return dst, fmt.Errorf("element %d: %w", i, err)
		}
	}
	return append(dst, ']'), nil
}

func appendJSONMap(dst []byte, items []connector.Value, s *connector.Schema) (_ []byte, err error) {
	dst = append(dst, '{')
	for i := 0; i+1 < len(items); i += 2 {
		if i > 0 {
			dst = append(dst, ',')
		}
		switch s.Key.Type {
		case connector.Bool, connector.Int8, connector.Int16, connector.Int32, connector.Int64, connector.Float32,
			connector.Float64, connector.Decimal:
			dst = append(dst, '"')
			dst, err = appendJSON(dst, items[i], s.Key)
			dst = append(dst, '"')
		default:
			dst, err = appendJSONText(dst, items[i], s.Key)
		}
		if err != nil {
			return dst, fmt.Errorf("map key: %w", err)
		}
		if dst, err = appendJSON(append(dst, ':'), items[i+1], s.Elem); err != nil {
			return dst, fmt.Errorf("map value: %w", err)
		}
	}
	return append(dst, '}'), nil
}

func appendJSONStruct(dst []byte, items []connector.Value, s *connector.Schema) (_ []byte, err error) {
	if len(items) != len(s.Fields) {
		return dst, fmt.Errorf("struct %q with %d values for %d fields", s.Name, len(items), len(s.Fields))
	}
	dst = append(dst, '{')
	for i, item := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendEscaped(append(dst, '"'), s.Fields[i].Name), '"', ':')
		if dst, err = appendJSON(dst, item, s.Fields[i].Schema); err != nil {
			return dst, fmt.Errorf("field %q: %w", s.Fields[i].Name, err)
		}
	}
	return append(dst, '}'), nil
}

// appendEscaped appends text as the inside of a JSON string. Invalid UTF-8 stays as it is, for Postgres to refuse.
func appendEscaped(dst []byte, text string) []byte {
	start := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= utf8.RuneSelf || (c >= 0x20 && c != '"' && c != '\\') {
			continue
		}
		dst = append(dst, text[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\r':
			dst = append(dst, '\\', 'r')
		default:
			dst = append(dst, '\\', 'u', '0', '0', "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		}
		start = i + 1
	}
	return append(dst, text[start:]...)
}
