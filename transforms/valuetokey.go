package transforms

import (
	"errors"
	"fmt"

	"github.com/gantry-connect/gantry/connector"
)

// valueToKeyConfig is the keys of ValueToKey.
type valueToKeyConfig struct {
	Fields []string `config:"fields" required:"true" doc:"Fields of the value that make the new key, a struct; each is named by the last step of its path."`
	nullDefaults
	fieldSyntax
}

// valueToKey makes a struct of some of the value's fields the key. A record without a value keeps its key.
type valueToKey struct {
	fields []reader
	names  []string
	memory memory

	schema *connector.Schema // of the last key
	from   []*connector.Schema
}

func newValueToKey(c *valueToKeyConfig, _ side, _ connector.Kind) (transform, error) {
	at, errs := c.parseAll("fields", c.Fields)
	if len(errs) > 0 {
		return nil, errs
	}
	v := &valueToKey{from: make([]*connector.Schema, len(at))}
	seen := map[string]bool{}
	for i, s := range at {
		if seen[s.last()] {
			errs = append(errs, &connector.ConfigError{Field: "fields", Value: c.Fields[i], Reason: fmt.Sprintf("gives the key a second field %q", s.last())})
		}
		seen[s.last()] = true
		v.fields, v.names = append(v.fields, reader{at: s}), append(v.names, s.last())
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return v, nil
}

var errNullValue = errors.New("the value is null, so it has no fields for the key")

func (t *valueToKey) apply(rec *connector.Record) (bool, error) {
	value := onValue.image(rec)
	if !value.Present() {
		return true, nil
	}
	if value.Value.IsNull() {
		return false, errNullValue
	}
	key := t.memory.list(len(t.fields))
	same := t.schema != nil
	for i := range t.fields {
		d, err := t.fields[i].read(value)
		if err != nil {
			return false, err
		}
		same = same && t.from[i] == d.Schema
		t.from[i], key[i] = d.Schema, d.Value
	}
	if !same {
		fields := make([]connector.Field, len(t.from))
		for i, s := range t.from {
			fields[i] = connector.Field{Name: t.names[i], Schema: s}
		}
		t.schema = connector.StructOf("", fields...)
	}
	rec.Key = connector.Datum{Schema: t.schema, Value: connector.ListValue(key)}
	return true, nil
}
