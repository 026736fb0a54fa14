package connector

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"
)

// Check reports the first way in which v does not fit s, naming the field: another form than the type's, and content
// that the type does not have, such as 300 in an Int8. Hot paths rely on the reader's work and do not call it; the
// conformance suite does, for every record.
func (v Value) Check(s *Schema) error {
	if v.IsNull() {
		if !s.Optional {
			return fmt.Errorf("null where the schema has a %v that is not optional", s.Type)
		}
		return nil
	}
	if want := formOf(s.Type); v.form != want {
		return fmt.Errorf("a %s where the schema has %v", formNames[v.form], s.Type)
	}
	switch v.form {
	case formList:
		return v.checkList(s)
	case formInt:
		return checkInt(v.Int(), s.Type)
	case formText:
		return checkText(v.Text(), s)
	case formFloat:
		if f := v.Float(); s.Type == Float32 && f == f && float64(float32(f)) != f {
			return fmt.Errorf("%v is no float32", f)
		}
	case formBytes:
		if s.Type == UUID && len(v.Bytes()) != 16 {
			return fmt.Errorf("uuid of %d bytes", len(v.Bytes()))
		}
	case formTimestamp:
		if _, nanos := v.Timestamp(); nanos >= uint32(time.Second) {
			return fmt.Errorf("timestamp with %d nanoseconds", nanos)
		}
	}
	return nil
}

func (v Value) checkList(s *Schema) error {
	items := v.List()
	switch s.Type {
	case Struct:
		if len(items) != len(s.Fields) {
			return fmt.Errorf("struct %q with %d values for %d fields", s.Name, len(items), len(s.Fields))
		}
		for i := range items {
			if err := items[i].Check(s.Fields[i].Schema); err != nil {
				return fmt.Errorf("field %q: %w", s.Fields[i].Name, err)
			}
		}
	case Array:
		for i, item := range items {
			if err := item.Check(s.Elem); err != nil {
				return fmt.Errorf("element %d: %w", i, err)
			}
		}
	case Map:
		if len(items)%2 != 0 {
			return fmt.Errorf("map with a key that has no value")
		}
		for i := 0; i < len(items); i += 2 {
			if err := items[i].Check(s.Key); err != nil {
				return fmt.Errorf("map key: %w", err)
			}
			if err := items[i+1].Check(s.Elem); err != nil {
				return fmt.Errorf("map value: %w", err)
			}
		}
	}
	return nil
}

func checkInt(i int64, t Type) error {
	fits := true
	switch t {
	case Int8:
		fits = int64(int8(i)) == i
	case Int16:
		fits = int64(int16(i)) == i
	case Int32:
		fits = int64(int32(i)) == i
	case Time:
		fits = i >= 0 && i <= int64(24*time.Hour) // databases have 24:00:00
	}
	if !fits {
		return fmt.Errorf("%d is out of range for %v", i, t)
	}
	return nil
}

func checkText(text string, s *Schema) error {
	switch {
	case s.Type == Decimal && !plainDecimal(text):
		return fmt.Errorf("%.40q is no decimal of plain digits", text)
	case s.Type == Enum && !slices.Contains(s.Symbols, text):
		return fmt.Errorf("%.40q is not one of the enum's symbols", text)
	case s.Type == JSON && !json.Valid([]byte(text)):
		return fmt.Errorf("%.40q is no JSON document", text)
	case !utf8.ValidString(text):
		return fmt.Errorf("%.40q is not valid UTF-8", text)
	}
	return nil
}

// plainDecimal reports whether text is digits with at most one point among them, or NaN.
func plainDecimal(text string) bool {
	if text == "NaN" {
		return true
	}
	points, digits := 0, 0
	for i, c := range []byte(text) {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c == '.' && digits > 0 && i < len(text)-1:
			points++
		case c == '-' && i == 0:
		default:
			return false
		}
	}
	return digits > 0 && points <= 1
}
