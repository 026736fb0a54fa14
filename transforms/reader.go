package transforms

import (
	"fmt"

	"github.com/gantry-connect/gantry/connector"
)

// reader reads one field of records.
type reader struct {
	at    selector
	plans cache[found]
}

// found is how the field is reached in values of one schema.
type found struct {
	place
	none bool // it is nowhere, so it is null
	err  error
}

func (r *reader) plan(s *connector.Schema) found {
	if err := hasFields(s); err != nil {
		return found{err: fmt.Errorf("read field %q: %w", r.at.text, err)}
	}
	p, ok := r.at.find(s)
	if !ok && inferred(s) {
		return found{none: true}
	}
	if !ok {
		return found{err: fmt.Errorf("there is no field %q in %s", r.at.text, describe(s))}
	}
	if p.may && !p.schema.Optional {
		p.schema = optional(p.schema)
	}
	return found{place: p}
}

// inferred reports whether a struct's schema looks as one that was inferred from a JSON text, which has no more fields than
// that text: nullable and without a name.
func inferred(s *connector.Schema) bool {
	return s.Type == connector.Struct && s.Optional && s.Name == "" && s.Version == 0
}

// optional is s for values that may be null.
func optional(s *connector.Schema) *connector.Schema {
	o := derived(s)
	o.Optional = true
	o.Precision, o.Scale, o.PrecisionSet, o.Symbols = s.Precision, s.Scale, s.PrecisionSet, s.Symbols
	o.Key, o.Elem, o.Fields = s.Key, s.Elem, s.Fields
	return o
}

// read returns the field's value; what is below null is null. A struct without the field is an error, JSON without it gives
// null.
func (r *reader) read(d connector.Datum) (connector.Datum, error) {
	field, _, err := r.named(d)
	return field, err
}

// named is read, with the field's name.
func (r *reader) named(d connector.Datum) (field connector.Datum, name string, err error) {
	p := r.plans.of(d.Schema, r.plan)
	name = r.at.last()
	if p.err != nil {
		return connector.Datum{}, name, p.err
	}
	if p.none {
		return connector.Datum{Schema: jsonNull}, name, nil
	}
	field, whole, err := p.follow(d)
	if err != nil {
		return field, name, fmt.Errorf("read field %q: %w", r.at.text, err)
	}
	if whole {
		name = r.at.text
	}
	return field, name, nil
}

// follow reads what is at the place.
func (p *place) follow(d connector.Datum) (field connector.Datum, whole bool, err error) {
	v := d.Value
	for _, i := range p.chain {
		if v.IsNull() {
			break
		}
		v = v.List()[i]
	}
	if p.doc == nil || v.IsNull() {
		return connector.Datum{Schema: p.schema, Value: v}, p.whole, nil
	}
	text, whole, ok, err := p.doc.lookUp(v.Text())
	if err != nil {
		return connector.Datum{}, whole, err
	}
	if !ok {
		if len(p.chain) == 0 && !isObject(v.Text()) && !isNull(d) {
			err = errNoObject
		}
		return connector.Datum{Schema: jsonNull}, false, err
	}
	field, err = typed(text)
	return field, whole, err
}
