package converters

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gantry-connect/gantry/connector"
)

var errEnvelope = errors.New(`is no envelope {"schema":…,"payload":…}: was it written with schemas.enable=false?`)

// openEnvelope reads a message that carries its schema.
func (c *jsonConverter) openEnvelope(data []byte) (connector.Datum, error) {
	d := &c.d
	d.reset(data)
	if c.recent != nil && bytes.HasPrefix(data, c.recent.head) {
		d.pos = len(c.recent.head)
		return c.payload(c.recent)
	}
	schema, payload, err := d.members()
	if err != nil {
		return connector.Datum{}, err
	}
	d.pos = payload.from
	if string(data[schema.from:schema.to]) == "null" {
		d.shape = d.shape[:0]
		v, err := d.infer(0)
		if err != nil {
			return connector.Datum{}, err
		}
		return c.inferred(v)
	}
	text := data[schema.from:schema.to]
	p := c.texts[string(text)]
	if p == nil {
		if p, err = c.learn(text); err != nil {
			return connector.Datum{}, fmt.Errorf("the envelope's schema: %w", err)
		}
	}
	if schema.from == len(`{"schema":`) && payload.from == schema.to+len(`,"payload":`) {
		c.recent = p // its head is the usual one, character by character
	}
	v, err := d.value(&p.root)
	return datumOf(p.schema, v, err)
}

// payload reads what follows the head, and the end of the envelope.
func (c *jsonConverter) payload(p *plan) (connector.Datum, error) {
	v, err := c.d.value(&p.root)
	if err != nil {
		return connector.Datum{}, err
	}
	if c.d.peek() != '}' {
		return connector.Datum{}, c.d.unexpected("the end of the envelope")
	}
	c.d.pos++
	return datumOf(p.schema, v, c.d.end())
}

// members finds the envelope's two members, in either order, and checks the whole document.
func (d *decoder) members() (schema, payload span, err error) {
	more, err := d.open('{', '}', false)
	if err != nil {
		return schema, payload, fmt.Errorf("the message %w", errEnvelope)
	}
	for ; more && err == nil; more, err = d.comma('}') {
		name, err := d.text()
		if err != nil {
			return schema, payload, err
		}
		if err := d.colon(); err != nil {
			return schema, payload, err
		}
		d.space()
		at := span{from: d.pos}
		if err := d.skip(0); err != nil {
			return schema, payload, err
		}
		at.to = d.pos
		switch {
		case string(name) == "schema" && schema.to == 0:
			schema = at
		case string(name) == "payload" && payload.to == 0:
			payload = at
		default:
			return schema, payload, fmt.Errorf("the message with the member %.60q %w", name, errEnvelope)
		}
	}
	if err == nil {
		err = d.end()
	}
	if err == nil && (payload.to == 0 || schema.to == 0) {
		err = fmt.Errorf("the message %w", errEnvelope)
	}
	return schema, payload, err
}

// learn prepares the schema of an envelope. One that was read before in another spelling keeps its pointer.
func (c *jsonConverter) learn(text []byte) (*plan, error) {
	var wire connectSchema
	if err := json.Unmarshal(text, &wire); err != nil {
		return nil, err
	}
	st := c.plans.style
	st.decimals = map[*connector.Schema]bool{}
	s, err := fromConnect(&wire, st.decimals, 0)
	if err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if c.texts == nil || len(c.texts) >= c.plans.limit {
		c.texts, c.recent = make(map[string]*plan), nil
	}
	root, err := compile(s, st)
	if err != nil {
		return nil, err
	}
	for _, other := range c.texts {
		if other.schema.Fingerprint() == s.Fingerprint() {
			s = other.schema
			break
		}
	}
	p := &plan{schema: s, root: root, head: []byte(`{"schema":` + string(text) + `,"payload":`)}
	c.texts[string(text)] = p
	return p, nil
}
