package connector

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
)

// Type is a logical type: what a value means, not how a system stores it.
type Type uint8

// The logical types. The comment gives the form of a Value of that type.
const (
	Invalid     Type = iota
	Bool             // Bool
	Int8             // Int
	Int16            // Int
	Int32            // Int
	Int64            // Int
	Float32          // Float
	Float64          // Float
	Decimal          // Text: plain digits such as "-12.50", never an exponent; also "NaN"
	String           // Text, valid UTF-8
	Bytes            // Bytes
	Date             // Int: days since 1970-01-01
	Time             // Int: nanoseconds since midnight, no zone
	Timestamp        // Timestamp: a wall-clock reading without zone, counted as if it were UTC
	TimestampTZ      // Timestamp: an instant
	UUID             // Bytes, 16 of them
	JSON             // Text, one valid JSON document
	Enum             // Text, one of Schema.Symbols
	Array            // List of Schema.Elem
	Map              // List of alternating keys (Schema.Key) and values (Schema.Elem)
	Struct           // List with one value per Schema.Fields, in that order
)

var typeNames = [...]string{"invalid", "bool", "int8", "int16", "int32", "int64", "float32", "float64", "decimal", "string",
	"bytes", "date", "time", "timestamp", "timestamptz", "uuid", "json", "enum", "array", "map", "struct"}

// String is the name of t in schemas and messages to users.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// ParseType is the inverse of Type.String for every type but Invalid.
func ParseType(name string) (Type, error) {
	for i, n := range typeNames[1:] {
		if n == name {
			return Type(i + 1), nil
		}
	}
	return Invalid, fmt.Errorf("unknown type %q", name)
}

// MarshalText writes the type's name.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads the type's name.
func (t *Type) UnmarshalText(text []byte) (err error) {
	*t, err = ParseType(string(text))
	return err
}

// Schema describes values. It is built once, shared by all records of its kind, and never changed after its first
// use: readers hold on to the pointer, and equal pointers mean equal schemas.
type Schema struct {
	Type     Type   `json:"type"`
	Optional bool   `json:"optional,omitempty"` // the value may be null
	Name     string `json:"name,omitempty"`     // of a struct or a user's type, such as a table's "public.flights"
	Version  int    `json:"version,omitempty"`
	Doc      string `json:"doc,omitempty"`
	// Precision and Scale of a Decimal in digits; 0, 0 is a decimal of any size. Precision of a Time, Timestamp or
	// TimestampTZ is its number of fractional digits when PrecisionSet.
	Precision    int               `json:"precision,omitempty"`
	Scale        int               `json:"scale,omitempty"`
	PrecisionSet bool              `json:"precision_set,omitempty"`
	Symbols      []string          `json:"symbols,omitempty"` // of an Enum
	Key          *Schema           `json:"key,omitempty"`     // of a Map's keys
	Elem         *Schema           `json:"elem,omitempty"`    // of an Array's elements, a Map's values
	Fields       []Field           `json:"fields,omitempty"`  // of a Struct
	Params       map[string]string `json:"params,omitempty"`  // free notes for tools; part of the fingerprint

	once  sync.Once
	print string
}

// Field is one field of a Struct.
type Field struct {
	Name   string  `json:"name"`
	Schema *Schema `json:"schema"`
}

// Fingerprint identifies the schema by content: 22 URL-safe characters, the first 128 bits of the SHA-256 of its JSON
// form in base64. Equal schemas have equal fingerprints in every process and release.
func (s *Schema) Fingerprint() string {
	s.once.Do(func() {
		doc, err := json.Marshal(s)
		if err != nil {
			panic(fmt.Sprintf("schema %s: %v", s.Name, err)) // cannot happen: strings, numbers and bools only
		}
		sum := sha256.Sum256(doc)
		s.print = base64.RawURLEncoding.EncodeToString(sum[:16])
	})
	return s.print
}

// FieldIndex is the index of the field called name, or -1.
func (s *Schema) FieldIndex(name string) int {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return i
		}
	}
	return -1
}

// Of makes a schema of a scalar type that may not be null.
func Of(t Type) *Schema { return &Schema{Type: t} }

// OptionalOf makes a schema of a scalar type that may be null.
func OptionalOf(t Type) *Schema { return &Schema{Type: t, Optional: true} }

// StructOf makes a struct schema.
func StructOf(name string, fields ...Field) *Schema {
	return &Schema{Type: Struct, Name: name, Fields: fields}
}

// Validate reports the first thing wrong with the schema's shape, naming the field.
func (s *Schema) Validate() error {
	switch s.Type {
	case Struct:
		seen := make(map[string]bool, len(s.Fields))
		for _, f := range s.Fields {
			if f.Name == "" || f.Schema == nil {
				return fmt.Errorf("struct %q: a field without name or schema", s.Name)
			}
			if seen[f.Name] {
				return fmt.Errorf("struct %q: field %q twice", s.Name, f.Name)
			}
			seen[f.Name] = true
			if err := f.Schema.Validate(); err != nil {
				return fmt.Errorf("field %q: %w", f.Name, err)
			}
		}
	case Array, Map:
		if s.Elem == nil || (s.Type == Map && s.Key == nil) {
			return fmt.Errorf("%v without the schema of its elements", s.Type)
		}
		if s.Key != nil {
			if err := s.Key.Validate(); err != nil {
				return fmt.Errorf("map key: %w", err)
			}
		}
		return s.Elem.Validate()
	case Enum:
		if len(s.Symbols) == 0 {
			return fmt.Errorf("enum %q without symbols", s.Name)
		}
	default:
		if s.Type == Invalid || int(s.Type) >= len(typeNames) {
			return fmt.Errorf("schema without a valid type")
		}
	}
	return nil
}
