package connector

import (
	"fmt"
	"math"
	"time"
	"unsafe"
)

// Value holds one value of any logical type in 24 bytes without boxing. The zero Value is null. What form a Value has
// follows from its schema's Type (see there); an accessor of another form panics, as a wrong type assertion does.
// Text, Bytes and List share memory with what they were made from: nobody may change it afterwards.
type Value struct {
	ptr  unsafe.Pointer
	num  uint64
	aux  uint32
	form form
}

type form uint8

const (
	formNull form = iota
	formBool
	formInt
	formFloat
	formText
	formBytes
	formTimestamp
	formList
)

var formNames = [...]string{"null", "bool", "int", "float", "text", "bytes", "timestamp", "list"}

// Null is the null value.
var Null Value

// BoolValue makes a Bool.
func BoolValue(b bool) Value {
	v := Value{form: formBool}
	if b {
		v.num = 1
	}
	return v
}

// IntValue makes an Int8 to Int64, a Date (days) or a Time (nanoseconds).
func IntValue(i int64) Value { return Value{form: formInt, num: uint64(i)} }

// FloatValue makes a Float32 or Float64.
func FloatValue(f float64) Value { return Value{form: formFloat, num: math.Float64bits(f)} }

// TextValue makes a String, Decimal, JSON or Enum. It shares s's bytes.
func TextValue(s string) Value {
	return Value{form: formText, ptr: unsafe.Pointer(unsafe.StringData(s)), num: uint64(len(s))}
}

// TextOf makes a text that shares b's bytes, which nobody may change afterwards.
func TextOf(b []byte) Value {
	return Value{form: formText, ptr: unsafe.Pointer(unsafe.SliceData(b)), num: uint64(len(b))}
}

// BytesValue makes a Bytes or UUID. It shares b's bytes.
func BytesValue(b []byte) Value {
	return Value{form: formBytes, ptr: unsafe.Pointer(unsafe.SliceData(b)), num: uint64(len(b))}
}

// TimestampValue makes a Timestamp or TimestampTZ from seconds since 1970-01-01 and nanoseconds in [0, 1e9).
func TimestampValue(seconds int64, nanos uint32) Value {
	return Value{form: formTimestamp, num: uint64(seconds), aux: nanos}
}

// TimeValue makes a TimestampTZ of t, or a Timestamp of t's UTC reading.
func TimeValue(t time.Time) Value { return TimestampValue(t.Unix(), uint32(t.Nanosecond())) }

// ListValue makes an Array, Map or Struct. It shares items, whose capacity is kept out of reach.
func ListValue(items []Value) Value {
	return Value{form: formList, ptr: unsafe.Pointer(unsafe.SliceData(items)), num: uint64(len(items))}
}

// IsNull reports whether v is null.
func (v Value) IsNull() bool { return v.form == formNull }

// Is reports whether v, which is not null, has the form of type t, so that the accessor for t does not panic.
func (v Value) Is(t Type) bool { return v.form == formOf(t) && v.form != formNull }

func (v Value) must(f form) {
	if v.form != f {
		mismatch(v.form, f)
	}
}

// mismatch stands apart so that the accessors are inlined.
//
//go:noinline
func mismatch(have, want form) {
	panic(fmt.Sprintf("connector: value holds %s, not %s", formNames[have], formNames[want]))
}

// Bool is the value of a Bool.
func (v Value) Bool() bool { v.must(formBool); return v.num != 0 }

// Int is the value of an integer, a Date in days, a Time in nanoseconds.
func (v Value) Int() int64 { v.must(formInt); return int64(v.num) }

// Float is the value of a Float32 or Float64.
func (v Value) Float() float64 { v.must(formFloat); return math.Float64frombits(v.num) }

// Text is the value of a String, Decimal, JSON or Enum.
func (v Value) Text() string { v.must(formText); return unsafe.String((*byte)(v.ptr), int(v.num)) }

// Bytes is the value of a Bytes or UUID; read only.
func (v Value) Bytes() []byte { v.must(formBytes); return unsafe.Slice((*byte)(v.ptr), int(v.num)) }

// Timestamp is the value of a Timestamp or TimestampTZ: seconds since 1970-01-01 and nanoseconds.
func (v Value) Timestamp() (seconds int64, nanos uint32) {
	v.must(formTimestamp)
	return int64(v.num), v.aux
}

// Time is Timestamp as a time.Time in UTC.
func (v Value) Time() time.Time {
	v.must(formTimestamp)
	return time.Unix(int64(v.num), int64(v.aux)).UTC()
}

// List is the value of an Array, Map (alternating keys and values) or Struct; read only.
func (v Value) List() []Value { v.must(formList); return unsafe.Slice((*Value)(v.ptr), int(v.num)) }

// Equal reports whether both values have the same form and content. NaN equals NaN.
func (v Value) Equal(w Value) bool {
	if v.form != w.form {
		return false
	}
	switch v.form {
	case formNull:
		return true
	case formText:
		return v.Text() == w.Text()
	case formBytes:
		return string(v.Bytes()) == string(w.Bytes())
	case formFloat:
		a, b := v.Float(), w.Float()
		return a == b || (math.IsNaN(a) && math.IsNaN(b))
	case formList:
		a, b := v.List(), w.List()
		if len(a) != len(b) {
			return false
		}
		for i := range a {
			if !a[i].Equal(b[i]) {
				return false
			}
		}
		return true
	default:
		return v.num == w.num && v.aux == w.aux
	}
}

// String is for messages to people and test failures.
func (v Value) String() string {
	switch v.form {
	case formBool:
		return fmt.Sprint(v.Bool())
	case formInt:
		return fmt.Sprint(v.Int())
	case formFloat:
		return fmt.Sprint(v.Float())
	case formText:
		return fmt.Sprintf("%q", v.Text())
	case formBytes:
		return fmt.Sprintf("%x", v.Bytes())
	case formTimestamp:
		return v.Time().Format(time.RFC3339Nano)
	case formList:
		return fmt.Sprint(v.List())
	}
	return "null"
}

// formByType has room for every uint8, so that looking up costs no bounds check.
var formByType = [256]form{
	Bool: formBool,
	Int8: formInt, Int16: formInt, Int32: formInt, Int64: formInt, Date: formInt, Time: formInt,
	Float32: formFloat, Float64: formFloat,
	String: formText, Decimal: formText, JSON: formText, Enum: formText,
	Bytes: formBytes, UUID: formBytes,
	Timestamp: formTimestamp, TimestampTZ: formTimestamp,
	Array: formList, Map: formList, Struct: formList,
}

func formOf(t Type) form { return formByType[t] }

// Datum is a value with its schema. The zero Datum is absent, which is not the same as null.
type Datum struct {
	Schema *Schema
	Value  Value
}

// Present reports whether there is a value, null or not.
func (d Datum) Present() bool { return d.Schema != nil }
