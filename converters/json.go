package converters

import (
	"errors"
	"fmt"

	"github.com/gantry-connect/gantry/connector"
)

// jsonConverter writes compact JSON. What a value of each type looks like is pinned by testdata/types.golden.json:
//
//   - int8 to int64, floats: numbers; floats in the fewest digits that give them again, or "NaN", "Infinity", "-Infinity"
//   - decimal: a string, so that no reader rounds it; numbers are read too
//   - bytes: base64; uuid: canonical text; enum, string: strings; json: the document itself
//   - date "2013-01-31", time "15:04:05.25", timestamp "2013-01-01T05:00:00", timestamptz the same with Z; read with any
//     offset. Years outside 0000 to 9999 have a sign
//   - struct: an object with the fields in the schema's order; map: an object if its keys are strings that cannot be null,
//     else [[key,value],…]; array: an array
//
// Fields are read in any order. Optional ones may be absent; unknown, doubled, and absent required ones are errors, since
// the schema that travelled is the writer's own and a difference means damage. One thing is not kept: a json document
// null in a place where the schema allows null is read as null.
//
// A key of a scalar type stands as bare text, as RocketMQ's tools show and search it (blanks split it there into several
// words for searching). Where bare text could be mistaken or damage the message's properties (empty, the text null, with
// a control character, a blank at an end, or beginning with a quote or bracket) it is a JSON string.
//
// In the envelope the forms are Connect's: see envelope.go.
type jsonConverter struct {
	key    bool
	plans  plans
	shapes map[string]*connector.Schema // inferred ones, at most plans.limit
	texts  map[string]*plan             // of envelopes read, at most plans.limit
	recent *plan                        // of the last envelope read
	text   *connector.Schema            // of a key without schema
	d      decoder
}

func newJSON(o jsonOptions, isKey bool) *jsonConverter {
	st := style{envelope: o.Enable, numeric: o.Decimal == "NUMERIC", kafka: o.Names == "kafka"}
	return &jsonConverter{key: isKey, plans: plans{style: st, limit: o.Cache}, text: connector.Of(connector.String)}
}

func (c *jsonConverter) ByReference() bool { return !c.plans.style.envelope }

func (c *jsonConverter) Encode(dst []byte, datum connector.Datum) ([]byte, error) {
	if !datum.Present() {
		return dst, nil
	}
	p, err := c.plans.of(datum.Schema)
	if err != nil {
		return dst, err
	}
	begin := len(dst)
	switch {
	case c.plans.style.envelope:
		if dst, err = p.root.encode(append(dst, p.head...), datum.Value); err == nil {
			return append(dst, '}'), nil
		}
	case c.key:
		dst, err = p.root.encodeKey(dst, datum.Value)
	default:
		dst, err = p.root.encode(dst, datum.Value)
	}
	if err != nil {
		return dst[:begin], err
	}
	return dst, nil
}

var errEmpty = errors.New("no bytes where a JSON document should be")

func (c *jsonConverter) Decode(data []byte, s *connector.Schema) (connector.Datum, error) {
	switch {
	case len(data) == 0 && c.key:
		return connector.Datum{}, nil
	case len(data) == 0:
		return connector.Datum{}, errEmpty
	case c.plans.style.envelope:
		return c.openEnvelope(data)
	case s == nil && c.key:
		return c.inferKey(data)
	case s == nil:
		c.d.reset(data)
		return c.infer()
	}
	p, err := c.plans.of(s)
	if err != nil {
		return connector.Datum{}, err
	}
	c.d.reset(data)
	if c.key {
		v, err := c.d.keyText(&p.root)
		return datumOf(s, v, err)
	}
	v, err := c.d.value(&p.root)
	if err == nil {
		err = c.d.end()
	}
	return datumOf(s, v, err)
}

func datumOf(s *connector.Schema, v connector.Value, err error) (connector.Datum, error) {
	if err != nil {
		return connector.Datum{}, err
	}
	return connector.Datum{Schema: s, Value: v}, nil
}

// infer reads the rest of the document at hand without schema.
func (c *jsonConverter) infer() (connector.Datum, error) {
	v, err := c.d.infer(0)
	if err == nil {
		err = c.d.end()
	}
	if err != nil {
		return connector.Datum{}, err
	}
	return c.inferred(v)
}

// inferred gives v the schema of the decoder's shape.
func (c *jsonConverter) inferred(v connector.Value) (connector.Datum, error) {
	if s := c.shapes[string(c.d.shape)]; s != nil {
		return connector.Datum{Schema: s, Value: v}, nil
	}
	s, err := schemaOfShape(c.d.shape)
	if err != nil {
		return connector.Datum{}, fmt.Errorf("the document has no schema: %w", err)
	}
	if c.shapes == nil || len(c.shapes) >= c.plans.limit {
		c.shapes = make(map[string]*connector.Schema)
	}
	c.shapes[string(c.d.shape)] = s
	return connector.Datum{Schema: s, Value: v}, nil
}

// inferKey reads a key without schema: a document if it is an object, an array or a quoted string, else its text.
func (c *jsonConverter) inferKey(data []byte) (connector.Datum, error) {
	if b := data[0]; b == '{' || b == '[' {
		c.d.reset(data)
		if datum, err := c.infer(); err == nil {
			return datum, nil
		}
	} else if b == '"' {
		c.d.reset(data)
		if text, err := c.d.text(); err == nil && c.d.end() == nil {
			return connector.Datum{Schema: c.text, Value: connector.TextOf(text)}, nil
		}
	}
	v, err := textValue(data)
	return datumOf(c.text, v, err)
}
