package transforms

import (
	"errors"
	"fmt"

	"github.com/gantry-connect/gantry/connector"
)

// valueToKeyConfig is the keys of ValueToKey.
type valueToKeyConfig struct {
	Fields []string `config:"fields" required:"true" doc:"Fields of the value that make the new key, a struct; each is named by the last step of its path, or as it is given where that is its name."`
	nullDefaults
	fieldSyntax
}

// valueToKey makes a struct of some of the value's fields the key. A record without a value keeps its key.
type valueToKey struct {
	fields []reader
	memory memory

	schema *connector.Schema // of the last key; nil: to be made of from and names
	from   []*connector.Schema
	names  []string
}

func newValueToKey(c *valueToKeyConfig, _ side, _ connector.Kind) (transform, error) {
	at, errs := c.parseAll("fields", c.Fields)
	if len(errs) > 0 {
		return nil, errs
	}
	v := &valueToKey{from: make([]*connector.Schema, len(at)), names: make([]string, len(at))}
	seen := map[string]bool{}
	for i, s := range at {
		if seen[s.last()] {
			errs = append(errs, &connector.ConfigError{Field: "fields", Value: c.Fields[i], Reason: fmt.Sprintf("gives the key a second field %q", s.last())})
		}
		seen[s.last()] = true
		v.fields = append(v.fields, reader{at: s})
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
	if isNull(value) {
		return false, errNullValue
	}
	key := t.memory.list(len(t.fields))
	for i := range t.fields {
		d, name, err := t.fields[i].named(value)
		if err != nil {
			return false, err
		}
		if t.from[i] != d.Schema || t.names[i] != name {
			t.from[i], t.names[i], t.schema = d.Schema, name, nil
		}
		key[i] = d.Value
	}
	if t.schema == nil {
		if err := t.plan(); err != nil {
			return false, err
		}
	}
	rec.Key = connector.Datum{Schema: t.schema, Value: connector.ListValue(key)}
	return true, nil
}

// plan makes the key's schema.
func (t *valueToKey) plan() error {
	fields := make([]connector.Field, len(t.from))
	for i, s := range t.from {
		fields[i] = connector.Field{Name: t.names[i], Schema: s}
	}
	s := connector.StructOf("", fields...)
	if err := s.Validate(); err != nil {
		return fmt.Errorf("the key: %w", err)
	}
	t.schema = s
	return nil
}
