package transforms

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/gantry-connect/gantry/connector"
)

// maskFieldConfig is the keys of MaskField.
type maskFieldConfig struct {
	Fields      []string `config:"fields" required:"true" doc:"Fields to mask. One that a record does not have is left out of account; null stays null."`
	Replacement string   `config:"replacement" doc:"What numbers and texts become instead of 0 and the empty text."`
	nullDefaults
	fieldSyntax
}

// newMaskField puts a value of the same type that tells nothing in the place of fields.
func newMaskField(c *maskFieldConfig, on side, _ connector.Kind) (transform, error) {
	at, errs := c.parseAll("fields", c.Fields)
	if len(errs) > 0 {
		return nil, errs
	}
	e := &editor{}
	for _, s := range at {
		e.actions = append(e.actions, action{at: s, does: converts, leaf: &leafPlans{make: func(s *connector.Schema) leaf { return masked(s, c.Replacement) }}})
	}
	return &remade{on, e}, nil
}

func masked(s *connector.Schema, replacement string) leaf {
	if replacement == "" && inferred(s) && !slices.ContainsFunc(s.Fields, required) { // an object in JSON without a schema, see maskDocument
		none := &connector.Schema{Type: connector.Struct, Optional: true}
		return leaf{schema: none, convert: func(*memory, connector.Value) (connector.Value, error) { return connector.ListValue(nil), nil }}
	}
	v, err := mask(s, replacement)
	if err != nil {
		return leaf{err: err}
	}
	if s.Type == connector.JSON {
		return leaf{schema: s, convert: maskDocument}
	}
	return leaf{schema: s, convert: func(*memory, connector.Value) (connector.Value, error) { return v, nil }}
}

func required(f connector.Field) bool { return !f.Schema.Optional }

// maskDocument keeps no more of a JSON document than whether it is an array.
func maskDocument(_ *memory, v connector.Value) (connector.Value, error) {
	if text := v.Text(); text[blanks(text, 0)] == '[' {
		return connector.TextValue("[]"), nil
	}
	return connector.TextValue("{}"), nil
}

// mask is the value that stands for every value of a schema.
func mask(s *connector.Schema, replacement string) (connector.Value, error) {
	if replacement != "" {
		return maskWith(s, replacement)
	}
	switch s.Type {
	case connector.Bool:
		return connector.BoolValue(false), nil
	case connector.Int8, connector.Int16, connector.Int32, connector.Int64, connector.Date, connector.Time:
		return connector.IntValue(0), nil
	case connector.Float32, connector.Float64:
		return connector.FloatValue(0), nil
	case connector.Decimal:
		return connector.TextValue("0"), nil
	case connector.String:
		return connector.TextValue(""), nil
	case connector.JSON: // see maskDocument
		return connector.Null, nil
	case connector.Bytes:
		return connector.BytesValue(nil), nil
	case connector.UUID:
		return connector.BytesValue(make([]byte, 16)), nil
	case connector.Timestamp, connector.TimestampTZ:
		return connector.TimestampValue(0, 0), nil
	case connector.Array, connector.Map:
		return connector.ListValue(nil), nil
	}
	return connector.Null, fmt.Errorf("there is no mask for %s; a struct's fields can be masked one by one, any field be left out with ReplaceField", describe(s))
}

func maskWith(s *connector.Schema, replacement string) (connector.Value, error) {
	var v connector.Value
	var err error
	switch s.Type {
	case connector.Int8, connector.Int16, connector.Int32, connector.Int64:
		var n int64
		n, err = strconv.ParseInt(replacement, 10, 64)
		v = connector.IntValue(n)
	case connector.Float32, connector.Float64:
		var f float64
		f, err = strconv.ParseFloat(replacement, bitsOf(s.Type))
		v = connector.FloatValue(f)
	case connector.Decimal, connector.String:
		v = connector.TextValue(replacement)
	case connector.Enum:
		if !slices.Contains(s.Symbols, replacement) {
			return v, fmt.Errorf("replacement %q is none of the enum's symbols", replacement)
		}
		v = connector.TextValue(replacement)
	default:
		return v, fmt.Errorf("a replacement is possible for numbers and texts, and this is %s; mask it by a transform without", describe(s))
	}
	if err == nil {
		err = v.Check(s)
	}
	if err != nil {
		return v, fmt.Errorf("replacement %q does not fit type %v: %w", replacement, s.Type, err)
	}
	return v, nil
}

func bitsOf(t connector.Type) int {
	if t == connector.Float32 {
		return 32
	}
	return 64
}
