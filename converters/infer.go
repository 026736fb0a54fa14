package converters

import (
	"encoding/binary"
	"errors"
	"strconv"

	"github.com/gantry-connect/gantry/connector"
)

// Inferring reads a document whose schema did not travel. What it finds is written down as a shape, a compact text, and
// equal shapes give the same schema. The same document has the same schema everywhere, whatever came before it:
//
//	n null or unknown   b bool   i int64   f float64   d decimal (whole numbers beyond int64)   s string
//	j any document, kept as it is: elements of different kinds in an array, numbers beyond float64
//	[ an array, followed by its elements' shape   { a struct: , length name shape for each field, then }
//
// Everything inferred is optional.
const (
	shapeNull    = 'n'
	shapeBool    = 'b'
	shapeInt     = 'i'
	shapeFloat   = 'f'
	shapeDecimal = 'd'
	shapeString  = 's'
	shapeAny     = 'j'
	shapeArray   = '['
	shapeStruct  = '{'
)

var errNoName = errors.New("a field without a name cannot be part of a struct")

// span is where an element of an array stands in the document, and its shape in decoder.shape.
type span struct {
	from, to           int
	shapeFrom, shapeTo int
}

// infer reads a value of any kind and appends its shape to d.shape.
func (d *decoder) infer(depth int) (connector.Value, error) {
	if depth > maxDepth {
		return connector.Null, d.at(errDepth)
	}
	switch d.peek() {
	case '{':
		return d.inferStruct(depth)
	case '[':
		return d.inferArray(depth)
	case '"':
		d.shape = append(d.shape, shapeString)
		text, err := d.text()
		return connector.TextOf(text), err
	case 't', 'f':
		d.shape = append(d.shape, shapeBool)
		if d.has("true") {
			return connector.BoolValue(true), nil
		} else if d.has("false") {
			return connector.BoolValue(false), nil
		}
		return connector.Null, d.unexpected("a value")
	case 'n':
		d.shape = append(d.shape, shapeNull)
		if !d.has("null") {
			return connector.Null, d.unexpected("a value")
		}
		return connector.Null, nil
	}
	text, whole, err := d.number()
	if err != nil {
		return connector.Null, err
	}
	kind, v := inferNumber(text, whole)
	d.shape = append(d.shape, kind)
	return v, nil
}

// inferNumber takes the narrowest type that loses nothing of a whole number.
func inferNumber(text []byte, whole bool) (byte, connector.Value) {
	if whole {
		if n, err := strconv.ParseInt(view(text), 10, 64); err == nil {
			return shapeInt, connector.IntValue(n)
		}
		return shapeDecimal, connector.TextOf(text)
	}
	f, err := strconv.ParseFloat(view(text), 64)
	if err != nil {
		return shapeAny, connector.TextOf(text)
	}
	return shapeFloat, connector.FloatValue(f)
}

func (d *decoder) inferStruct(depth int) (connector.Value, error) {
	base := len(d.stack)
	defer func() { d.stack = d.stack[:base] }()
	d.shape = append(d.shape, shapeStruct)
	more, err := d.open('{', '}', false)
	for ; more && err == nil; more, err = d.comma('}') {
		name, err := d.fieldName()
		if err != nil {
			return connector.Null, err
		}
		d.shape = append(d.shape, ',')
		d.shape = binary.AppendUvarint(d.shape, uint64(len(name)))
		d.shape = append(d.shape, name...)
		v, err := d.infer(depth + 1)
		if err != nil {
			return connector.Null, err
		}
		d.stack = append(d.stack, v)
	}
	if err != nil {
		return connector.Null, err
	}
	d.shape = append(d.shape, '}')
	return d.taken(base), nil
}

func (d *decoder) fieldName() ([]byte, error) {
	name, err := d.text()
	if err != nil {
		return nil, err
	}
	if len(name) == 0 {
		return nil, d.at(errNoName)
	}
	return name, d.colon()
}

func (d *decoder) inferArray(depth int) (connector.Value, error) {
	base, spans, begin := len(d.stack), len(d.spans), len(d.shape)
	defer func() { d.stack, d.spans = d.stack[:base], d.spans[:spans] }()
	more, err := d.open('[', ']', false)
	for ; more && err == nil; more, err = d.comma(']') {
		d.space()
		s := span{from: d.pos, shapeFrom: len(d.shape)}
		v, err := d.infer(depth + 1)
		if err != nil {
			return connector.Null, err
		}
		s.to, s.shapeTo = d.pos, len(d.shape)
		d.stack, d.spans = append(d.stack, v), append(d.spans, s)
	}
	if err != nil {
		return connector.Null, err
	}
	elem := d.unify(d.stack[base:], d.spans[spans:])
	d.shape = append(append(d.shape[:begin], shapeArray), elem...)
	return d.taken(base), nil
}

// unify finds the shape that all elements of an array have, and turns them into it: nulls fit any, whole numbers fit
// among floats where they lose nothing, and what does not fit together stays as documents.
func (d *decoder) unify(items []connector.Value, spans []span) []byte {
	merged := []byte{shapeNull}
	for _, s := range spans {
		shape := d.shape[s.shapeFrom:s.shapeTo]
		if string(shape) == string(merged) {
			continue
		}
		next, _, _, ok := mergeShapes(nil, merged, shape)
		if !ok {
			next = mergeNumbers(merged, shape)
		}
		if merged = next; merged[0] == shapeAny {
			break
		}
	}
	if merged[0] == shapeFloat {
		for i, s := range spans {
			if d.shape[s.shapeFrom] == shapeInt && !exact(items[i].Int()) {
				merged = []byte{shapeAny}
			}
		}
	}
	for i, s := range spans {
		was := d.shape[s.shapeFrom]
		switch {
		case was == shapeNull || was == merged[0]:
		case merged[0] == shapeFloat:
			items[i] = connector.FloatValue(float64(items[i].Int()))
		case merged[0] == shapeAny || merged[0] == shapeDecimal:
			items[i] = connector.TextOf(d.data[s.from:s.to])
		}
	}
	return merged
}

// exact reports whether a float64 holds i.
func exact(i int64) bool { return i >= -1<<53 && i <= 1<<53 }

func mergeNumbers(a, b []byte) []byte {
	if len(a) == 1 && len(b) == 1 {
		switch string(a) + string(b) {
		case "if", "fi":
			return []byte{shapeFloat}
		case "id", "di":
			return []byte{shapeDecimal}
		}
	}
	return []byte{shapeAny}
}

// mergeShapes appends the shape that fits both a's first shape and b's, if they differ in nulls only, and returns what
// follows them.
func mergeShapes(dst, a, b []byte) (out, restA, restB []byte, ok bool) {
	switch {
	case a[0] == shapeNull:
		restB = afterShape(b)
		return append(dst, b[:len(b)-len(restB)]...), a[1:], restB, true
	case b[0] == shapeNull:
		restA = afterShape(a)
		return append(dst, a[:len(a)-len(restA)]...), restA, b[1:], true
	case a[0] != b[0]:
		return dst, nil, nil, false
	case a[0] == shapeArray:
		return mergeShapes(append(dst, shapeArray), a[1:], b[1:])
	case a[0] != shapeStruct:
		return append(dst, a[0]), a[1:], b[1:], true
	}
	dst, a, b = append(dst, shapeStruct), a[1:], b[1:]
	for a[0] == ',' && b[0] == ',' {
		nameA, afterA := shapeName(a)
		nameB, afterB := shapeName(b)
		if string(nameA) != string(nameB) {
			return dst, nil, nil, false
		}
		dst = append(dst, a[:len(a)-len(afterA)]...)
		if dst, a, b, ok = mergeShapes(dst, afterA, afterB); !ok {
			return dst, nil, nil, false
		}
	}
	if a[0] != b[0] {
		return dst, nil, nil, false
	}
	return append(dst, '}'), a[1:], b[1:], true
}

// shapeName reads a field's name, which begins with a comma, and returns what follows it.
func shapeName(shape []byte) (name, rest []byte) {
	size, width := binary.Uvarint(shape[1:])
	shape = shape[1+width:]
	return shape[:size], shape[size:]
}

// afterShape is what follows the first shape.
func afterShape(shape []byte) []byte {
	switch shape[0] {
	case shapeArray:
		return afterShape(shape[1:])
	case shapeStruct:
		for shape = shape[1:]; shape[0] == ','; {
			_, shape = shapeName(shape)
			shape = afterShape(shape)
		}
	}
	return shape[1:]
}

// schemaOfShape makes the schema of a shape.
func schemaOfShape(shape []byte) (*connector.Schema, error) {
	s, _ := buildShape(shape)
	return s, s.Validate()
}

func buildShape(shape []byte) (*connector.Schema, []byte) {
	kind, rest := shape[0], shape[1:]
	switch kind {
	case shapeBool:
		return connector.OptionalOf(connector.Bool), rest
	case shapeInt:
		return connector.OptionalOf(connector.Int64), rest
	case shapeFloat:
		return connector.OptionalOf(connector.Float64), rest
	case shapeDecimal:
		return connector.OptionalOf(connector.Decimal), rest
	case shapeString:
		return connector.OptionalOf(connector.String), rest
	case shapeArray:
		elem, rest := buildShape(rest)
		return &connector.Schema{Type: connector.Array, Optional: true, Elem: elem}, rest
	case shapeStruct:
		s := &connector.Schema{Type: connector.Struct, Optional: true}
		for rest[0] == ',' {
			var f connector.Field
			var name []byte
			name, rest = shapeName(rest)
			f.Name = string(name)
			f.Schema, rest = buildShape(rest)
			s.Fields = append(s.Fields, f)
		}
		return s, rest[1:]
	}
	return connector.OptionalOf(connector.JSON), rest
}
