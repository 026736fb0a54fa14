package transforms

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-connect/gantry/connector"
)

// castConfig is the keys of Cast.
type castConfig struct {
	Spec []string `config:"spec" required:"true" doc:"Fields and their new types, as field:type pairs; or one type alone, for a value that is no struct. Types: int8, int16, int32, int64, float32, float64, boolean, string."`
	nullDefaults
	fieldSyntax
}

const (
	secondsPerDay = 24 * 60 * 60
	millisPerSec  = 1000
)

var castTypes = map[string]connector.Type{"int8": connector.Int8, "int16": connector.Int16, "int32": connector.Int32,
	"int64": connector.Int64, "float32": connector.Float32, "float64": connector.Float64, "boolean": connector.Bool,
	"string": connector.String}

func newCast(c *castConfig, on side, _ connector.Kind) (transform, error) {
	e := &editor{}
	var alone connector.Type
	var errs connector.ConfigErrors
	seen := map[string]bool{}
	for _, spec := range c.Spec {
		field, name := "", spec
		if i := strings.LastIndexByte(spec, ':'); i >= 0 {
			field, name = spec[:i], spec[i+1:]
		}
		t, ok := castTypes[strings.ToLower(strings.TrimSpace(name))]
		var err error
		switch {
		case !ok:
			err = errors.New("names no type to cast to: use int8, int16, int32, int64, float32, float64, boolean or string")
		case field == name || field == "" && strings.Contains(spec, ":"):
			err = errors.New("names no field")
		case seen[field]:
			err = errors.New("casts the same field twice")
		case field == "":
			alone = t
		default:
			var at selector
			at, err = c.parse(strings.TrimSpace(field))
			e.actions = append(e.actions, action{at: at, does: converts, leaf: &leafPlans{make: castTo(t)}})
		}
		seen[field] = true
		if err != nil {
			errs = append(errs, &connector.ConfigError{Field: "spec", Value: spec, Reason: err.Error()})
		}
	}
	switch {
	case len(errs) > 0:
		return nil, errs
	case alone == connector.Invalid:
		return &remade{on, e}, nil
	case len(c.Spec) > 1:
		return nil, &connector.ConfigError{Field: "spec", Value: strings.Join(c.Spec, ","), Reason: "casts the whole value and fields of it; only one of both is possible"}
	}
	return &remade{on, &whole{leaf: leafPlans{make: castTo(alone)}}}, nil
}

// castTo plans casts to a type.
func castTo(to connector.Type) func(s *connector.Schema) leaf {
	return func(s *connector.Schema) leaf {
		out := &connector.Schema{Type: to, Optional: s.Optional}
		var c convert
		switch {
		case s.Type == to:
			return leaf{schema: s}
		case s.Type == connector.JSON:
			return leafOfDocuments(out, castTo(to))
		case to == connector.String:
			c = castString(s.Type)
		case to == connector.Bool:
			c = castBool(s.Type)
		case to == connector.Float32 || to == connector.Float64:
			c = castFloat(s.Type, to)
		default:
			c = castInt(s.Type, out)
		}
		if c == nil {
			return leaf{err: fmt.Errorf("there is no cast from %s to %v", describe(s), to)}
		}
		return leaf{schema: out, convert: c}
	}
}

func castString(from connector.Type) convert {
	var write func(dst []byte, v connector.Value) []byte
	switch from {
	case connector.Decimal, connector.Enum:
		return func(_ *memory, v connector.Value) (connector.Value, error) { return v, nil }
	case connector.Bool:
		write = func(dst []byte, v connector.Value) []byte { return strconv.AppendBool(dst, v.Bool()) }
	case connector.Int8, connector.Int16, connector.Int32, connector.Int64:
		write = func(dst []byte, v connector.Value) []byte { return strconv.AppendInt(dst, v.Int(), 10) }
	case connector.Float32, connector.Float64:
		bits := bitsOf(from)
		write = func(dst []byte, v connector.Value) []byte { return appendFloat(dst, v.Float(), bits) }
	case connector.Date, connector.Time, connector.Timestamp, connector.TimestampTZ:
		write = func(dst []byte, v connector.Value) []byte { return appendTemporal(dst, from, v) }
	case connector.Bytes:
		write = func(dst []byte, v connector.Value) []byte { return base64.StdEncoding.AppendEncode(dst, v.Bytes()) }
	case connector.UUID:
		write = func(dst []byte, v connector.Value) []byte { return appendUUID(dst, v.Bytes()) }
	default:
		return nil
	}
	return func(m *memory, v connector.Value) (connector.Value, error) {
		return connector.TextOf(m.done(write(m.begin(scalarBytes), v))), nil
	}
}

func castBool(from connector.Type) convert {
	if from == connector.String || from == connector.Enum {
		return func(_ *memory, v connector.Value) (connector.Value, error) {
			switch text := v.Text(); {
			case strings.EqualFold(text, "true"):
				return connector.BoolValue(true), nil
			case strings.EqualFold(text, "false"):
				return connector.BoolValue(false), nil
			default:
				return v, fmt.Errorf("cast %.40q to boolean: it is neither true nor false", text)
			}
		}
	}
	number := toFloat(from, bitsOf(from))
	if number == nil {
		return nil
	}
	return func(_ *memory, v connector.Value) (connector.Value, error) {
		f, err := number(v)
		return connector.BoolValue(math.Abs(f) >= 1), err // NaN is not
	}
}

func castFloat(from, to connector.Type) convert {
	number := toFloat(from, bitsOf(to))
	if number == nil {
		return nil
	}
	return func(_ *memory, v connector.Value) (connector.Value, error) {
		f, err := number(v)
		if to == connector.Float32 && err == nil {
			narrow := float64(float32(f))
			if math.IsInf(narrow, 0) && !math.IsInf(f, 0) {
				return v, fmt.Errorf("cast %v to float32: it is out of range", f)
			}
			f = narrow
		}
		return connector.FloatValue(f), err
	}
}

// toFloat reads values of a type as numbers of 32 or 64 bits, floats aside; nil if they are none.
func toFloat(from connector.Type, bits int) func(v connector.Value) (float64, error) {
	switch from {
	case connector.Float32, connector.Float64:
		return func(v connector.Value) (float64, error) { return v.Float(), nil }
	case connector.Decimal, connector.String, connector.Enum:
		return func(v connector.Value) (float64, error) {
			f, err := parseFloat(v.Text(), bits)
			if err != nil {
				err = fmt.Errorf("cast %.40q to a number: it is none, or out of range", v.Text())
			}
			return f, err
		}
	}
	whole := toInt(from)
	if whole == nil {
		return nil
	}
	return func(v connector.Value) (float64, error) {
		n, err := whole(v)
		if bits == 32 {
			return float64(float32(n)), err // rounded once only
		}
		return float64(n), err
	}
}

// parseFloat reads a decimal number, NaN or Infinity, with blanks around it. What else strconv takes, such as 1_000, inf
// and 0x1p4, is no number to other programs.
func parseFloat(text string, bits int) (float64, error) {
	text = strings.TrimSpace(text)
	switch strings.TrimLeft(text, "+-") {
	case "NaN", "Infinity":
	default:
		if strings.Trim(text, "0123456789+-.eE") != "" {
			return 0, strconv.ErrSyntax
		}
	}
	return strconv.ParseFloat(text, bits)
}

func castInt(from connector.Type, to *connector.Schema) convert {
	whole := toInt(from)
	if whole == nil {
		return nil
	}
	return func(_ *memory, v connector.Value) (connector.Value, error) {
		n, err := whole(v)
		if err != nil {
			return v, err
		}
		out := connector.IntValue(n)
		if err := out.Check(to); err != nil {
			return v, fmt.Errorf("cast to %v: %w", to.Type, err)
		}
		return out, nil
	}
}

// toInt reads values of a type as whole numbers, cut after the point; nil if they are none. A date counts days since 1970,
// a time milliseconds since midnight, a timestamp milliseconds since 1970, as in Kafka Connect.
func toInt(from connector.Type) func(v connector.Value) (int64, error) {
	switch from {
	case connector.Bool:
		return func(v connector.Value) (int64, error) {
			if v.Bool() {
				return 1, nil
			}
			return 0, nil
		}
	case connector.Int8, connector.Int16, connector.Int32, connector.Int64, connector.Date:
		return func(v connector.Value) (int64, error) { return v.Int(), nil }
	case connector.Time:
		return func(v connector.Value) (int64, error) { return v.Int() / int64(time.Millisecond), nil }
	case connector.Timestamp, connector.TimestampTZ:
		return func(v connector.Value) (int64, error) {
			seconds, nanos := v.Timestamp()
			if seconds > math.MaxInt64/millisPerSec-1 || seconds < math.MinInt64/millisPerSec+1 {
				return 0, fmt.Errorf("cast %v to milliseconds: it is out of range", v)
			}
			return seconds*millisPerSec + int64(nanos)/int64(time.Millisecond), nil
		}
	case connector.Float32, connector.Float64:
		return func(v connector.Value) (int64, error) {
			f := math.Trunc(v.Float())
			if !(f >= -1<<63 && f < 1<<63) {
				return 0, fmt.Errorf("cast %v to a whole number: it is out of range", v.Float())
			}
			return int64(f), nil
		}
	case connector.Decimal, connector.String, connector.Enum:
		isDecimal := from == connector.Decimal
		return func(v connector.Value) (int64, error) {
			text := v.Text()
			if isDecimal {
				text, _, _ = strings.Cut(text, ".")
			}
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				err = fmt.Errorf("cast %.40q to a whole number: it is none, or out of range", v.Text())
			}
			return n, err
		}
	}
	return nil
}
