package transforms

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gantry-connect/gantry/connector"
)

// docTarget is an action or an insert at one level of a JSON document.
type docTarget struct {
	docPath
	action *action // nil for an insert
	insert int     // index + 1
}

func docTargets(targets []target) []docTarget {
	out := make([]docTarget, len(targets))
	for i, t := range targets {
		out[i] = docTarget{*t.doc, t.action, t.insert}
	}
	return out
}

// document edits a JSON text. The document null stays as it is.
func (e *editor) document(p *edit, v connector.Value) (connector.Value, error) {
	text := v.Text()
	if !isObject(text) {
		d, err := typed(text)
		if err != nil || d.Value.IsNull() {
			return v, err
		}
		return v, errNoObject
	}
	b, err := e.object(e.memory.begin(len(text)+64*len(e.inserts)), text, p.doc, p.only)
	if err != nil {
		return v, err
	}
	return connector.TextOf(e.memory.done(b)), nil
}

// object appends the object that text is, as edited.
func (e *editor) object(dst []byte, text string, targets []docTarget, only bool) ([]byte, error) {
	base := len(e.found)
	defer func() {
		clear(e.found[base:]) // they hold on to the text
		e.found = e.found[:base]
	}()
	if err := eachMember(text, func(m member) bool { e.found = append(e.found, m); return true }); err != nil {
		return dst, err
	}
	n := len(e.found) - base
	targets = e.settled(targets, base, n)
	if name := e.doubled(targets, base, n, only); name != "" {
		return dst, fmt.Errorf("field %q twice", name)
	}
	dst = append(dst, '{')
	empty := len(dst)
	for i := range n { // by index: inner objects use the slice as well
		m := e.found[base+i]
		var err error
		if dst, err = e.member(dst, empty, m, targets, only); err != nil {
			return dst, fmt.Errorf("field %q: %w", m.name, err)
		}
	}
	for i, t := range targets {
		if t.insert == 0 || e.has(t.steps[0], base, n) || madeBefore(targets[:i], t.steps[0]) {
			continue
		}
		var err error
		dst = appendQuoted(comma(dst, empty), t.steps[0])
		if dst, err = e.inserted(append(dst, ':'), t.steps[0], targets); err != nil {
			return dst, fmt.Errorf("field %q: %w", t.steps[0], err)
		}
	}
	return append(dst, '}'), nil
}

// settled decides whether each target's text is the name of a member, or a path.
func (e *editor) settled(targets []docTarget, base, n int) []docTarget {
	for i := range targets {
		if targets[i].whole == "" {
			continue
		}
		out := make([]docTarget, len(targets))
		for j, t := range targets {
			if t.whole != "" && e.has(t.whole, base, n) {
				t.steps = []string{t.whole}
			}
			t.whole = ""
			out[j] = t
		}
		return out
	}
	return targets
}

// has reports whether one of the n members found since base has a name.
func (e *editor) has(name string, base, n int) bool {
	for i := range n {
		if e.found[base+i].name == name {
			return true
		}
	}
	return false
}

// doubled is a name that renaming would give to two of the n members found since base; empty if there is none.
func (e *editor) doubled(targets []docTarget, base, n int, only bool) string {
	for i := range targets {
		if !targets[i].renames() {
			continue
		}
		name := targets[i].action.name
		for j := range targets { // those that are renamed to it, and the one that has it
			was := name
			switch other := &targets[j]; {
			case j == i:
			case other.renames() && other.action.name == name:
				was = other.steps[0]
			default:
				continue
			}
			if was != targets[i].steps[0] && e.becomes(targets[i].steps[0], name, targets, base, n, only) && e.becomes(was, name, targets, base, n, only) {
				return name
			}
		}
	}
	return ""
}

// becomes reports whether there is a member that gets a name, or keeps it.
func (e *editor) becomes(was, name string, targets []docTarget, base, n int, only bool) bool {
	now, kept := fate(was, targets, only)
	return kept && now == name && e.has(was, base, n)
}

// renames reports whether the target renames a member of the level at hand.
func (t *docTarget) renames() bool {
	return len(t.steps) == 1 && t.action != nil && t.action.does == renames
}

// fate is the name that a member gets, and whether it is kept at all.
func fate(name string, targets []docTarget, only bool) (now string, kept bool) {
	now, kept = name, !only
	for i := range targets {
		t := &targets[i]
		if t.steps[0] != name || t.action == nil {
			continue
		}
		switch here := len(t.steps) == 1; {
		case here && t.action.does == drops:
			return name, false
		case t.action.does == includes:
			kept = true
		case t.renames():
			now = t.action.name
		}
	}
	return now, kept
}

// madeBefore reports whether an insert has already made a member of that name.
func madeBefore(targets []docTarget, name string) bool {
	for i := range targets {
		if targets[i].insert > 0 && targets[i].steps[0] == name {
			return true
		}
	}
	return false
}

// comma separates a member from the one before it.
func comma(dst []byte, empty int) []byte {
	if len(dst) > empty {
		dst = append(dst, ',')
	}
	return dst
}

// member appends one member, as the targets that concern it say.
func (e *editor) member(dst []byte, empty int, m member, targets []docTarget, only bool) ([]byte, error) {
	name := m.quoted
	var below []docTarget
	var change *leafPlans
	keep, all := !only, !only
	for _, t := range targets {
		if t.steps[0] != m.name {
			continue
		}
		switch here := len(t.steps) == 1; {
		case here && t.insert > 0:
			dst = append(append(comma(dst, empty), name...), ':')
			return appendJSON(dst, e.inserts[t.insert-1].schema, e.values[t.insert-1])
		case here && t.action.does == drops:
			return dst, nil
		case here && t.action.does == includes:
			keep, all = true, true
		case here && t.action.does == renames:
			name = string(appendQuoted(nil, t.action.name))
		case here:
			change = t.action.leaf
		default:
			keep = keep || (t.action != nil && t.action.does == includes)
			t.steps = t.steps[1:]
			below = append(below, t)
		}
	}
	if !keep {
		return dst, nil
	}
	dst = append(append(comma(dst, empty), name...), ':')
	switch {
	case change != nil:
		return e.scalar(dst, m.text, change)
	case len(below) > 0 && isObject(m.text):
		return e.object(dst, m.text, below, !all)
	case slices.ContainsFunc(below, func(t docTarget) bool { return t.insert > 0 }) && m.text[0] != 'n':
		return dst, errNoObject
	}
	return append(dst, m.text...), nil
}

var errNoObject = errors.New("only structs and JSON objects have fields, and this is another JSON document")

// scalar appends a member's value as converted.
func (e *editor) scalar(dst []byte, text string, change *leafPlans) ([]byte, error) {
	d, err := typed(text)
	if err != nil {
		return dst, err
	}
	if d.Value.IsNull() {
		return append(dst, text...), nil
	}
	l := change.of(d.Schema)
	if l.err != nil || l.convert == nil {
		return append(dst, text...), l.err
	}
	v, err := l.convert(&e.scratch, d.Value) // dst is e.memory's own buffer, which convert would begin anew
	if err != nil {
		return dst, err
	}
	return appendJSON(dst, l.schema, v)
}

// inserted appends what inserts put at a name that the object does not have: a value, or an object with more of them.
func (e *editor) inserted(dst []byte, name string, targets []docTarget) ([]byte, error) {
	var below []docTarget
	for _, t := range targets {
		if t.insert == 0 || t.steps[0] != name {
			continue
		}
		if len(t.steps) == 1 {
			return appendJSON(dst, e.inserts[t.insert-1].schema, e.values[t.insert-1])
		}
		t.steps = t.steps[1:]
		below = append(below, t)
	}
	return e.object(dst, "{}", below, false)
}
