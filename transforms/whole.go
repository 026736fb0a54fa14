package transforms

import "github.com/gantry-connect/gantry/connector"

// whole is the mapper of transforms that convert a key or value as it is, not one of its fields.
type whole struct {
	leaf   leafPlans
	memory memory
}

func (w *whole) remake(_ *connector.Record, d connector.Datum) (connector.Datum, error) {
	if d.Schema.Type == connector.JSON && !d.Value.IsNull() {
		var err error
		if d, err = typed(d.Value.Text()); err != nil {
			return d, err
		}
	}
	l := w.leaf.of(d.Schema)
	switch {
	case d.Value.IsNull() && (l.err != nil || l.schema == nil):
		return d, nil
	case l.err != nil:
		return d, l.err
	}
	d.Schema = l.schema
	if l.convert == nil || d.Value.IsNull() {
		return d, nil
	}
	var err error
	d.Value, err = l.convert(&w.memory, d.Value)
	return d, err
}
