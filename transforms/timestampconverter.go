package transforms

import (
	"fmt"
	"math"
	"time"

	"github.com/gantry-connect/gantry/connector"
)

// timestampConverterConfig is the keys of TimestampConverter.
type timestampConverterConfig struct {
	Field     string `config:"field" default:"" importance:"high" doc:"The field to convert; empty for a value that is no struct. A record without the field stays as it is."`
	Target    string `config:"target.type" required:"true" enum:"string,unix,Date,Time,Timestamp" doc:"What to convert to: string (see format), unix (a whole number, see unix.precision), Date, Time or Timestamp."`
	Format    string `config:"format" default:"" importance:"medium" doc:"The form of dates in texts, read or written, in the letters of Java's SimpleDateFormat, as in yyyy-MM-dd'T'HH:mm:ss.SSSX. In UTC unless the text has a zone."`
	Precision string `config:"unix.precision" default:"milliseconds" enum:"seconds,milliseconds,microseconds,nanoseconds" doc:"What whole numbers count since 1970, read or written."`
	nullDefaults
	fieldSyntax
}

// timestampConverter converts between the forms of moments.
type timestampConverter struct {
	target string
	format *dateFormat // nil: none given
	unit   int64       // of numbers, in nanoseconds
}

func newTimestampConverter(c *timestampConverterConfig, on side, _ connector.Kind) (transform, error) {
	t := &timestampConverter{target: c.Target}
	switch c.Precision {
	case "seconds":
		t.unit = int64(time.Second)
	case "milliseconds":
		t.unit = int64(time.Millisecond)
	case "microseconds":
		t.unit = int64(time.Microsecond)
	default:
		t.unit = 1
	}
	switch {
	case c.Format != "":
		var err error
		if t.format, err = parseDateFormat(c.Format); err != nil {
			return nil, &connector.ConfigError{Field: "format", Value: c.Format, Reason: err.Error()}
		}
	case c.Target == "string":
		return nil, &connector.ConfigError{Field: "format", Reason: "is required with target.type = string"}
	}
	if c.Field == "" {
		return &remade{on, &whole{leaf: leafPlans{make: t.plan}}}, nil
	}
	at, err := c.parse(c.Field)
	if err != nil {
		return nil, &connector.ConfigError{Field: "field", Value: c.Field, Reason: err.Error()}
	}
	return &remade{on, &editor{actions: []action{{at: at, does: converts, leaf: &leafPlans{make: t.plan}}}}}, nil
}

// The years that dates and timestamps are written of.
const lastYear = 999_999_999

var (
	firstMoment = time.Date(-lastYear, time.January, 1, 0, 0, 0, 0, time.UTC).Unix()
	lastMoment  = time.Date(lastYear, time.December, 31, 23, 59, 59, 0, time.UTC).Unix()
)

func (t *timestampConverter) plan(s *connector.Schema) leaf {
	out := &connector.Schema{Optional: s.Optional}
	var write func(m *memory, at time.Time) (connector.Value, error)
	switch t.target {
	case "string":
		out.Type, write = connector.String, t.text
	case "unix":
		out.Type, write = connector.Int64, t.number
	case "Date":
		out.Type, write = connector.Date, dateOf
	case "Time":
		out.Type, write = connector.Time, timeOf
	default:
		if s.Type == connector.Timestamp {
			return leaf{schema: s}
		}
		out.Type, write = connector.TimestampTZ, func(_ *memory, at time.Time) (connector.Value, error) { return connector.TimeValue(at), nil }
	}
	if s.Type == connector.JSON {
		return leafOfDocuments(out, t.plan)
	}
	read, err := t.reader(s)
	if err != nil {
		return leaf{err: err}
	}
	if out.Type == s.Type && out.Type != connector.String {
		return leaf{schema: s}
	}
	return leaf{schema: out, convert: func(m *memory, v connector.Value) (connector.Value, error) {
		at, err := read(v)
		if err == nil && (at.Unix() < firstMoment || at.Unix() > lastMoment) {
			err = fmt.Errorf("%v is outside the years -%d to %[2]d; does unix.precision fit?", v, lastYear)
		}
		if err != nil {
			return v, err
		}
		return write(m, at)
	}}
}

func dateOf(_ *memory, at time.Time) (connector.Value, error) {
	seconds := at.Unix()
	return connector.IntValue((seconds - mod(seconds, secondsPerDay)) / secondsPerDay), nil
}

func timeOf(_ *memory, at time.Time) (connector.Value, error) {
	return connector.IntValue(mod(at.Unix(), secondsPerDay)*int64(time.Second) + int64(at.Nanosecond())), nil
}

// reader is how values of a schema are read as moments.
func (t *timestampConverter) reader(s *connector.Schema) (func(v connector.Value) (time.Time, error), error) {
	switch s.Type {
	case connector.String:
		if t.format == nil {
			return nil, fmt.Errorf("a text cannot be read as a date without the key format")
		}
		return func(v connector.Value) (time.Time, error) { return t.format.parse(v.Text()) }, nil
	case connector.Int32, connector.Int64:
		perSecond := int64(time.Second) / t.unit
		return func(v connector.Value) (time.Time, error) {
			n := v.Int()
			part := mod(n, perSecond)
			return time.Unix((n-part)/perSecond, part*t.unit), nil
		}, nil
	case connector.Date:
		return func(v connector.Value) (time.Time, error) { return time.Unix(v.Int()*secondsPerDay, 0), nil }, nil
	case connector.Time:
		return func(v connector.Value) (time.Time, error) { return time.Unix(0, v.Int()), nil }, nil
	case connector.Timestamp, connector.TimestampTZ:
		return func(v connector.Value) (time.Time, error) { return v.Time(), nil }, nil
	}
	return nil, fmt.Errorf("%s is no date, time, timestamp, whole number or text", describe(s))
}

// mod is the remainder that is never negative.
func mod(n, by int64) int64 { return ((n % by) + by) % by }

func (t *timestampConverter) text(m *memory, at time.Time) (connector.Value, error) {
	return connector.TextOf(m.done(t.format.append(m.begin(scalarBytes), at))), nil
}

func (t *timestampConverter) number(_ *memory, at time.Time) (connector.Value, error) {
	perSecond := int64(time.Second) / t.unit
	seconds := at.Unix()
	if seconds > math.MaxInt64/perSecond-1 || seconds < math.MinInt64/perSecond+1 {
		return connector.Null, fmt.Errorf("%s is out of range for a whole number of this unix.precision", at.UTC().Format(time.RFC3339))
	}
	return connector.IntValue(seconds*perSecond + int64(at.Nanosecond())/t.unit), nil
}
