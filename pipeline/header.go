package pipeline

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gantry-connect/gantry/connector"
)

// appendHeader appends a header's value as text: the type's name, a colon, the value; the type alone is a null. Bytes are in
// base64url; a timestamp is "seconds.nanoseconds"; other texts have the separators of RocketMQ escaped.
func appendHeader(dst []byte, d connector.Datum) ([]byte, error) {
	if !d.Present() {
		return nil, fmt.Errorf("has no value")
	}
	t, v := d.Schema.Type, d.Value
	dst = append(dst, t.String()...)
	if v.IsNull() {
		return dst, nil
	}
	dst = append(dst, ':')
	switch t {
	case connector.Bool:
		return strconv.AppendBool(dst, v.Bool()), nil
	case connector.Int8, connector.Int16, connector.Int32, connector.Int64, connector.Date, connector.Time:
		return strconv.AppendInt(dst, v.Int(), 10), nil
	case connector.Float32, connector.Float64:
		return strconv.AppendFloat(dst, v.Float(), 'g', -1, 64), nil
	case connector.String, connector.Decimal, connector.JSON, connector.Enum:
		if !utf8.ValidString(v.Text()) {
			return nil, fmt.Errorf("is not valid UTF-8")
		}
		return appendEscaped(dst, v.Text()), nil
	case connector.Bytes, connector.UUID:
		return base64.RawURLEncoding.AppendEncode(dst, v.Bytes()), nil
	case connector.Timestamp, connector.TimestampTZ:
		seconds, nanos := v.Timestamp()
		dst = strconv.AppendInt(dst, seconds, 10)
		return strconv.AppendUint(append(dst, '.'), uint64(nanos), 10), nil
	}
	return nil, fmt.Errorf("has type %v; headers hold scalars only", t)
}

// parseHeader is the inverse of appendHeader.
func parseHeader(text string) (connector.Datum, error) {
	name, value, given := strings.Cut(text, ":")
	t, err := connector.ParseType(name)
	if err != nil {
		return connector.Datum{}, err
	}
	if !given {
		return connector.Datum{Schema: connector.OptionalOf(t)}, nil
	}
	v, err := parseScalar(t, value)
	if err != nil {
		return connector.Datum{}, fmt.Errorf("%v %q: %w", t, value, err)
	}
	d := connector.Datum{Schema: connector.Of(t), Value: v}
	if t == connector.Enum {
		d.Schema.Symbols = []string{v.Text()}
	}
	return d, nil
}

func parseScalar(t connector.Type, text string) (connector.Value, error) {
	switch t {
	case connector.Bool:
		b, err := strconv.ParseBool(text)
		return connector.BoolValue(b), err
	case connector.Int8, connector.Int16, connector.Int32, connector.Int64, connector.Date, connector.Time:
		i, err := strconv.ParseInt(text, 10, 64)
		return connector.IntValue(i), err
	case connector.Float32, connector.Float64:
		f, err := strconv.ParseFloat(text, 64)
		return connector.FloatValue(f), err
	case connector.String, connector.Decimal, connector.JSON, connector.Enum:
		return connector.TextValue(unescape(text)), nil
	case connector.Bytes, connector.UUID:
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err == nil && t == connector.UUID && len(b) != 16 {
			err = fmt.Errorf("%d bytes", len(b))
		}
		return connector.BytesValue(b), err
	case connector.Timestamp, connector.TimestampTZ:
		whole, part, _ := strings.Cut(text, ".")
		seconds, err := strconv.ParseInt(whole, 10, 64)
		if err != nil {
			return connector.Null, err
		}
		nanos, err := strconv.ParseUint(part, 10, 32)
		if err == nil && nanos >= 1e9 {
			err = strconv.ErrRange
		}
		return connector.TimestampValue(seconds, uint32(nanos)), err
	}
	return connector.Null, fmt.Errorf("headers hold scalars only")
}

// appendEscaped appends text with "%" and RocketMQ's separators as %25, %01 and %02.
func appendEscaped(dst []byte, text string) []byte {
	for i := range len(text) {
		switch c := text[i]; c {
		case 1, 2, '%':
			dst = append(dst, '%', '0'+c>>4, '0'+c&15)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

var unescaper = strings.NewReplacer("%25", "%", "%01", "\x01", "%02", "\x02")

func unescape(text string) string {
	if strings.IndexByte(text, '%') < 0 {
		return text
	}
	return unescaper.Replace(text)
}
