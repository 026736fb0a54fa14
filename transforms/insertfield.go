package transforms

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gantry-connect/gantry/connector"
)

// insertFieldConfig is the keys of InsertField.
type insertFieldConfig struct {
	Topic       string `config:"topic.field" importance:"medium" doc:"Name of the field that gets the topic. A ! behind it makes the field required, a ? optional (the default)."`
	Partition   string `config:"partition.field" importance:"medium" doc:"Name of the field that gets the number of the queue (sinks); null at a source, which chooses the queue later. Followed by ! or ? as above."`
	Offset      string `config:"offset.field" importance:"medium" doc:"Name of the field that gets the queue offset (sinks only). Followed by ! or ? as above."`
	Timestamp   string `config:"timestamp.field" importance:"medium" doc:"Name of the field that gets the record's time, as a timestamp with zone. Followed by ! or ? as above."`
	Static      string `config:"static.field" importance:"medium" doc:"Name of the field that gets static.value. Followed by ! or ? as above."`
	StaticValue string `config:"static.value" importance:"medium" doc:"The text for static.field."`
	nullDefaults
	fieldSyntax
}

// nullDefaults is the key that Kafka Connect's transforms have for schemas with defaults.
type nullDefaults struct {
	ReplaceNull bool `config:"replace.null.with.default" default:"true" importance:"medium" doc:"Whether null becomes the field's default value. Accepted for compatibility: schemas have no default values here, so null stays null."`
}

// newInsertField puts the record's metadata and a constant into its structs, in the order topic, partition, offset,
// timestamp, static.
func newInsertField(c *insertFieldConfig, on side, kind connector.Kind) (transform, error) {
	e := &editor{}
	var errs connector.ConfigErrors
	add := func(key, text string, t connector.Type, value func(optional bool) func(*connector.Record) (connector.Value, error)) {
		if text == "" {
			return
		}
		name, required := strings.CutSuffix(text, "!")
		if !required {
			name = strings.TrimSuffix(name, "?")
		}
		at, err := c.parse(name)
		if err == nil && required && value(false) == nil {
			err = errors.New("is null at a source, so it cannot be required; leave the ! out")
		}
		if err == nil && slices.ContainsFunc(e.inserts, func(i insert) bool { return overlap(i.at.steps, at.steps) }) {
			err = errors.New("is the place of another field that is inserted, or lies below or above it")
		}
		if err != nil {
			errs = append(errs, &connector.ConfigError{Field: key, Value: text, Reason: err.Error()})
			return
		}
		e.inserts = append(e.inserts, insert{at, &connector.Schema{Type: t, Optional: !required}, value(!required)})
	}
	add("topic.field", c.Topic, connector.String, insertTopic)
	add("partition.field", c.Partition, connector.Int32, insertQueue(kind))
	add("offset.field", c.Offset, connector.Int64, insertOffset)
	add("timestamp.field", c.Timestamp, connector.TimestampTZ, insertTime)
	add("static.field", c.Static, connector.String, insertStatic(c.StaticValue))
	if c.Offset != "" && kind == connector.KindSource {
		errs = append(errs, &connector.ConfigError{Field: "offset.field", Value: c.Offset, Reason: "is possible in sinks only: a source's record has no offset in a queue yet"})
	}
	if c.Static != "" && c.StaticValue == "" {
		errs = append(errs, &connector.ConfigError{Field: "static.value", Reason: "is required with static.field"})
	}
	if len(e.inserts) == 0 && len(errs) == 0 {
		errs = connector.ConfigErrors{{Field: "type", Reason: "inserts nothing: set topic.field, partition.field, offset.field, timestamp.field or static.field"}}
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return &remade{on, e}, nil
}

// overlap reports whether one path begins with the other.
func overlap(a, b []string) bool {
	n := min(len(a), len(b))
	return slices.Equal(a[:n], b[:n])
}

func insertTopic(bool) func(*connector.Record) (connector.Value, error) {
	return func(rec *connector.Record) (connector.Value, error) { return connector.TextValue(rec.Topic), nil }
}

func insertStatic(text string) func(bool) func(*connector.Record) (connector.Value, error) {
	v := connector.TextValue(text)
	return func(bool) func(*connector.Record) (connector.Value, error) {
		return func(*connector.Record) (connector.Value, error) { return v, nil }
	}
}

var errNoTime = errors.New("the record has no time")

func insertTime(optional bool) func(*connector.Record) (connector.Value, error) {
	return func(rec *connector.Record) (connector.Value, error) {
		switch {
		case !rec.Time.IsZero():
			return connector.TimeValue(rec.Time), nil
		case optional:
			return connector.Null, nil
		}
		return connector.Null, errNoTime
	}
}

func insertOffset(bool) func(*connector.Record) (connector.Value, error) {
	return func(rec *connector.Record) (connector.Value, error) {
		if rec.Mark.Offset > math.MaxInt64 {
			return connector.Null, fmt.Errorf("offset %d is no int64", rec.Mark.Offset)
		}
		return connector.IntValue(int64(rec.Mark.Offset)), nil
	}
}

// insertQueue gives the number of the queue that a sink's record came from; nil where there is none and null is not
// allowed.
func insertQueue(kind connector.Kind) func(bool) func(*connector.Record) (connector.Value, error) {
	return func(optional bool) func(*connector.Record) (connector.Value, error) {
		if kind == connector.KindSource {
			if !optional {
				return nil
			}
			return func(*connector.Record) (connector.Value, error) { return connector.Null, nil }
		}
		var last connector.Partition
		var number connector.Value
		return func(rec *connector.Record) (connector.Value, error) {
			if rec.Partition == last && last != "" {
				return number, nil
			}
			var doc struct {
				Queue *int64 `json:"rocketmq_queue"`
			}
			if err := json.Unmarshal([]byte(rec.Partition), &doc); err != nil || doc.Queue == nil {
				return connector.Null, fmt.Errorf("partition %s names no queue", rec.Partition)
			}
			last, number = rec.Partition, connector.IntValue(*doc.Queue)
			return number, nil
		}
	}
}
