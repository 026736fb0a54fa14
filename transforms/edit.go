package transforms

import (
	"fmt"

	"github.com/gantry-connect/gantry/connector"
)

// editor is the mapper of transforms that change fields of structs and members of JSON objects.
type editor struct {
	actions []action
	inserts []insert

	plans   cache[planned]
	memory  memory
	scratch memory            // of values on their way into a document
	values  []connector.Value // of inserts, for the record at hand
	found   []member          // of the objects being edited
}

// action is what becomes of a field that is there; one that is not is no error.
type action struct {
	at   selector
	does verb
	name string     // for renames
	leaf *leafPlans // for converts
}

type verb uint8

const (
	includes verb = iota // where a level has one, fields without are left out
	drops
	renames
	converts
)

// insert is a field that is put at the end of its struct, or in the place of one of that name. Structs on the way to it
// are made, but what is null stays null.
type insert struct {
	at     selector
	schema *connector.Schema
	value  func(rec *connector.Record) (connector.Value, error)
}

// convert makes a value that is not null into another.
type convert func(m *memory, v connector.Value) (connector.Value, error)

// leaf is how values of one schema are converted.
type leaf struct {
	schema  *connector.Schema // of what comes out; as optional as that of what goes in
	convert convert           // nil: the values stay
	err     error             // such values cannot be converted
}

// leafPlans remembers leaves by schema.
type leafPlans struct {
	make  func(s *connector.Schema) leaf
	known cache[leaf]
}

func (p *leafPlans) of(s *connector.Schema) leaf { return p.known.of(s, p.make) }

// planned is what an editor does with values of one schema.
type planned struct {
	edit *edit // nil: they stay as they are
	err  error
}

// edit is the program that makes structs of one schema into those of another.
type edit struct {
	out  *connector.Schema
	size int // fields of out
	runs []run
	ops  []op
	doc  []docTarget // of a JSON document; size, runs and ops are then not used
	only bool        // a document's members without an include are left out
}

// run is fields that keep their values.
type run struct{ from, to, n int }

// op is a field that does not keep its value. One of the last four is set.
type op struct {
	name     string
	from, to int
	convert  convert
	below    *edit // of the struct or document at from
	made     *edit // of a struct that was not there
	insert   int   // index + 1
}

func (e *editor) remake(rec *connector.Record, d connector.Datum) (connector.Datum, error) {
	p := e.plans.of(d.Schema, e.plan)
	switch null := d.Value.IsNull(); {
	case p.err != nil && !null:
		return d, p.err
	case p.edit == nil:
		return d, nil
	case null:
		d.Schema = p.edit.out
		return d, nil
	}
	e.values = e.values[:0]
	for i := range e.inserts {
		v, err := e.inserts[i].value(rec)
		if err != nil {
			return d, fmt.Errorf("field %q: %w", e.inserts[i].at.text, err)
		}
		e.values = append(e.values, v)
	}
	v, err := e.run(p.edit, d.Value)
	if err != nil {
		return d, err
	}
	return connector.Datum{Schema: p.edit.out, Value: v}, nil
}

// run makes a value; null stays null.
func (e *editor) run(p *edit, v connector.Value) (connector.Value, error) {
	if v.IsNull() {
		return v, nil
	}
	if p.doc != nil {
		return e.document(p, v)
	}
	return e.fill(p, v.List())
}

func (e *editor) fill(p *edit, in []connector.Value) (connector.Value, error) {
	out := e.memory.list(p.size)
	for _, r := range p.runs {
		copy(out[r.to:r.to+r.n], in[r.from:r.from+r.n])
	}
	for i := range p.ops {
		var err error
		switch o := &p.ops[i]; {
		case o.insert > 0:
			out[o.to] = e.values[o.insert-1]
		case o.made != nil:
			out[o.to], err = e.fill(o.made, nil)
		case o.below != nil:
			out[o.to], err = e.run(o.below, in[o.from])
		case !in[o.from].IsNull():
			out[o.to], err = o.convert(&e.memory, in[o.from])
		}
		if err != nil {
			return connector.Null, fmt.Errorf("field %q: %w", p.ops[i].name, err)
		}
	}
	return connector.ListValue(out), nil
}

// target is an action or an insert at one level of a schema.
type target struct {
	chain  []int    // fields to go through
	doc    *docPath // then the rest of the way, in the JSON document there
	steps  []string // of an insert: names to go through, instead of chain
	action *action  // nil for an insert
	insert int      // index + 1
}

func (e *editor) plan(s *connector.Schema) planned {
	if err := hasFields(s); err != nil {
		return planned{err: err}
	}
	var targets []target
	only := false
	for i := range e.actions {
		a := &e.actions[i]
		only = only || a.does == includes
		if p, ok := a.at.find(s); ok {
			targets = append(targets, target{chain: p.chain, doc: p.doc, action: a})
		}
	}
	for i := range e.inserts {
		at := e.inserts[i].at
		t := target{steps: at.steps, insert: i + 1}
		if at.whole != "" && s.Type == connector.Struct && s.FieldIndex(at.whole) >= 0 {
			t.steps = []string{at.whole}
		}
		if s.Type == connector.JSON {
			t.doc = &docPath{at.whole, at.steps}
		}
		targets = append(targets, t)
	}
	if len(targets) == 0 && !only {
		return planned{}
	}
	b := builder{editor: e}
	p, err := b.build(s, targets, only)
	if err == nil {
		err = p.out.Validate()
	}
	if err != nil {
		return planned{err: err}
	}
	return planned{edit: p}
}

// builder makes the program for one schema.
type builder struct{ editor *editor }

// build plans one struct or document. only says that fields without an include are left out.
func (b *builder) build(s *connector.Schema, targets []target, only bool) (*edit, error) {
	if s.Type == connector.JSON {
		return &edit{out: s, doc: docTargets(targets), only: only}, nil
	}
	if err := hasFields(s); err != nil {
		return nil, err
	}
	p := &edit{out: derived(s)}
	for i := range s.Fields {
		if err := b.field(p, s, i, targets, only); err != nil {
			return nil, fmt.Errorf("field %q: %w", s.Fields[i].Name, err)
		}
	}
	if err := b.append(p, s, targets); err != nil {
		return nil, err
	}
	p.size = len(p.out.Fields)
	return p, nil
}

// derived is a schema like s with no fields yet.
func derived(s *connector.Schema) *connector.Schema {
	return &connector.Schema{Type: s.Type, Optional: s.Optional, Name: s.Name, Version: s.Version, Doc: s.Doc, Params: s.Params}
}

// field plans the field at index i of s.
func (b *builder) field(p *edit, s *connector.Schema, i int, targets []target, only bool) error {
	f := s.Fields[i]
	var below []target
	var change *leafPlans
	keep, all, to := !only, !only, len(p.out.Fields)
	for _, t := range targets {
		if !t.meets(i, f.Name) {
			continue
		}
		switch here := t.isLast(); {
		case here && t.insert > 0:
			p.out.Fields = append(p.out.Fields, connector.Field{Name: f.Name, Schema: b.editor.inserts[t.insert-1].schema})
			p.ops = append(p.ops, op{name: f.Name, to: to, insert: t.insert})
			return nil
		case here && t.action.does == drops:
			return nil
		case here && t.action.does == includes:
			keep, all = true, true
		case here && t.action.does == renames:
			f.Name = t.action.name
		case here:
			change = t.action.leaf
		default:
			keep = keep || (t.action != nil && t.action.does == includes)
			below = append(below, t.next())
		}
	}
	if !keep {
		return nil
	}
	o := op{name: s.Fields[i].Name, from: i, to: to}
	switch {
	case change != nil:
		l := change.of(f.Schema)
		if l.err != nil {
			return l.err
		}
		f.Schema, o.convert = l.schema, l.convert
	case len(below) > 0:
		inner, err := b.build(f.Schema, below, !all)
		if err != nil {
			return err
		}
		f.Schema, o.below = inner.out, inner
	}
	p.out.Fields = append(p.out.Fields, f)
	if o.convert == nil && o.below == nil {
		p.stays(i, to)
	} else {
		p.ops = append(p.ops, o)
	}
	return nil
}

// stays notes that a field keeps its value.
func (p *edit) stays(from, to int) {
	if n := len(p.runs); n > 0 && p.runs[n-1].from+p.runs[n-1].n == from && p.runs[n-1].to+p.runs[n-1].n == to {
		p.runs[n-1].n++
		return
	}
	p.runs = append(p.runs, run{from, to, 1})
}

// append plans the inserts that s has no field for.
func (b *builder) append(p *edit, s *connector.Schema, targets []target) error {
	for _, t := range targets {
		if t.insert == 0 || s.FieldIndex(t.steps[0]) >= 0 {
			continue
		}
		name, to := t.steps[0], len(p.out.Fields)
		if known := p.out.FieldIndex(name); known >= 0 { // another insert has made it
			if err := b.join(p, known, t); err != nil {
				return fmt.Errorf("field %q: %w", name, err)
			}
			continue
		}
		f, o := connector.Field{Name: name}, op{name: name, to: to}
		if t.isLast() {
			f.Schema, o.insert = b.editor.inserts[t.insert-1].schema, t.insert
		} else {
			inner, err := b.build(connector.StructOf(""), []target{t.next()}, false)
			if err != nil {
				return fmt.Errorf("field %q: %w", name, err)
			}
			f.Schema, o.made = inner.out, inner
		}
		p.out.Fields = append(p.out.Fields, f)
		p.ops = append(p.ops, o)
	}
	return nil
}

// join puts one more insert into a struct that an earlier one has made.
func (b *builder) join(p *edit, field int, t target) error {
	for i := range p.ops {
		o := &p.ops[i]
		if o.to != field || o.made == nil || t.isLast() {
			continue
		}
		if err := b.append(o.made, connector.StructOf(""), []target{t.next()}); err != nil {
			return err
		}
		o.made.size = len(o.made.out.Fields)
		return nil
	}
	return fmt.Errorf("is inserted twice, or renamed to what is inserted")
}

// meets reports whether the target is the field at index i, or lies below it.
func (t *target) meets(i int, name string) bool {
	if t.insert > 0 {
		return t.steps[0] == name
	}
	return t.chain[0] == i
}

// isLast reports whether the target is a field of the level at hand.
func (t *target) isLast() bool {
	if t.insert > 0 {
		return len(t.steps) == 1
	}
	return len(t.chain) == 1 && t.doc == nil
}

// next is the target as seen from the field that it leads through.
func (t target) next() target {
	if t.insert > 0 {
		t.steps = t.steps[1:]
		t.doc = &docPath{steps: t.steps}
	} else {
		t.chain = t.chain[1:]
	}
	return t
}
