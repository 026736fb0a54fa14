package converters

import (
	"fmt"
	"math"

	"github.com/gantry-connect/gantry/connector"
)

// form is how values of a schema are written.
type form uint8

const (
	asBool    form = iota
	asInt          // a number between node.min and node.max
	asFloat        // a number, or "NaN", "Infinity", "-Infinity"
	asFloat32      // the same with the digits that a float32 needs
	asString
	asEnum
	asDocument // a JSON document as it is
	asJSONText // a JSON document as a string
	asBytes    // base64
	asUUID
	asDecimal     // its text
	asUnscaled    // the decimal's unscaled value, two's complement in base64
	asNumber      // the decimal as a number with node.scale digits after the point
	asDate        // text
	asDays        // a number, since 1970-01-01
	asTime        // text
	asTimeMillis  // a number, since midnight
	asStamp       // text without zone
	asStampZ      // text ending in Z
	asStampMillis // a number, since 1970-01-01T00:00:00Z
	asArray
	asObject // a map whose keys are strings
	asPairs  // any other map: [[key,value],…]
	asStruct
)

// node is a schema prepared for encoding and decoding: a tree of what each step needs to know.
type node struct {
	form     form
	typ      connector.Type
	optional bool
	prefix   string // of a field: its quoted name with what stands before and behind it, such as `,"month":`
	min, max int64  // of an integer
	scale    int    // of a decimal
	name     string // of a field
	symbols  map[string]struct{}
	key      *node
	elem     *node
	fields   []node
	index    map[string]int // of the fields by name
}

// style is what differs between the compact form, whose schema travels by reference, and the envelope's.
type style struct {
	envelope bool
	numeric  bool // decimals in the envelope as numbers
	kafka    bool // Kafka's logical names in the envelope
	// decimals are the schemas that an envelope read declares as Connect's Decimal, whatever connectDecimal says of them.
	decimals map[*connector.Schema]bool
}

// compile prepares a schema, which must be valid.
func compile(s *connector.Schema, st style) (node, error) {
	n := node{typ: s.Type, optional: s.Optional, scale: s.Scale}
	switch s.Type {
	case connector.Enum:
		n.symbols = make(map[string]struct{}, len(s.Symbols))
		for _, symbol := range s.Symbols {
			n.symbols[symbol] = struct{}{}
		}
	case connector.Int8:
		n.min, n.max = math.MinInt8, math.MaxInt8
	case connector.Int16:
		n.min, n.max = math.MinInt16, math.MaxInt16
	case connector.Int32, connector.Date: // Connect's dates are int32, and so wide only in the envelope
		n.min, n.max = math.MinInt32, math.MaxInt32
	case connector.Int64:
		n.min, n.max = math.MinInt64, math.MaxInt64
	case connector.Array, connector.Map:
		elem, err := compile(s.Elem, st)
		if err != nil {
			return n, err
		}
		n.elem = &elem
		if s.Key == nil {
			break
		}
		key, err := compile(s.Key, st)
		if err != nil {
			return n, err
		}
		n.key = &key
	case connector.Struct:
		return n, compileFields(&n, s, st)
	}
	n.form = formOf(s, st)
	return n, nil
}

func compileFields(n *node, s *connector.Schema, st style) error {
	n.form = asStruct
	n.fields = make([]node, len(s.Fields))
	n.index = make(map[string]int, len(s.Fields))
	for i, f := range s.Fields {
		field, err := compile(f.Schema, st)
		if err != nil {
			return err
		}
		before := byte(',')
		if i == 0 {
			before = '{'
		}
		prefix, err := appendQuoted([]byte{before}, f.Name)
		if err != nil {
			return fmt.Errorf("name of field %q: %w", f.Name, err)
		}
		field.name, field.prefix = f.Name, string(append(prefix, ':'))
		n.fields[i] = field
		n.index[f.Name] = i
	}
	return nil
}

func formOf(s *connector.Schema, st style) form {
	millis := st.envelope && s.PrecisionSet && s.Precision <= 3
	switch s.Type {
	case connector.Bool:
		return asBool
	case connector.Float64:
		return asFloat
	case connector.Float32:
		return asFloat32
	case connector.String:
		return asString
	case connector.Enum:
		return asEnum
	case connector.JSON:
		return either(st.envelope, asJSONText, asDocument)
	case connector.Bytes:
		return asBytes
	case connector.UUID:
		return asUUID
	case connector.Decimal:
		if !st.envelope || !connectDecimal(s) && !st.decimals[s] {
			return asDecimal
		}
		return either(st.numeric, asNumber, asUnscaled)
	case connector.Date:
		return either(st.envelope, asDays, asDate)
	case connector.Time:
		return either(millis, asTimeMillis, asTime)
	case connector.Timestamp:
		return either(millis, asStampMillis, asStamp)
	case connector.TimestampTZ:
		return either(millis, asStampMillis, asStampZ)
	case connector.Array:
		return asArray
	case connector.Map:
		return either(s.Key.Type == connector.String && !s.Key.Optional, asObject, asPairs)
	}
	return asInt
}

func either(first bool, a, b form) form {
	if first {
		return a
	}
	return b
}

// connectDecimal reports whether Connect's Decimal, whose scale is fixed, can hold s's values.
func connectDecimal(s *connector.Schema) bool {
	return s.Scale >= 0 && s.Scale <= maxDigits && (s.Precision > 0 || s.Scale > 0)
}

// plans keeps prepared schemas by pointer, at most limit of them: a full cache starts over, which costs a
// preparation per schema and keeps the common case, few schemas, free of bookkeeping.
type plans struct {
	style style
	limit int
	all   map[*connector.Schema]*plan
	last  *plan
}

// plan is a schema prepared, and in the envelope the text up to the payload.
type plan struct {
	schema *connector.Schema
	root   node
	head   []byte
}

func (p *plans) of(s *connector.Schema) (*plan, error) {
	if p.last != nil && p.last.schema == s {
		return p.last, nil
	}
	if known := p.all[s]; known != nil {
		p.last = known
		return known, nil
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("schema %q: %w", s.Name, err)
	}
	root, err := compile(s, p.style)
	if err != nil {
		return nil, fmt.Errorf("schema %q: %w", s.Name, err)
	}
	made := &plan{schema: s, root: root}
	if p.style.envelope {
		if made.head, err = appendHead(nil, s, p.style); err != nil {
			return nil, fmt.Errorf("schema %q: %w", s.Name, err)
		}
	}
	p.keep(made)
	return made, nil
}

func (p *plans) keep(made *plan) {
	if p.all == nil || len(p.all) >= p.limit {
		p.all = make(map[*connector.Schema]*plan)
	}
	p.all[made.schema] = made
	p.last = made
}
