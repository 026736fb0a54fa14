package connector

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// forms has a value of each form, and the types whose values have it.
func forms() []struct {
	name  string
	value Value
	types []Type
	text  string // Value.String
} {
	return []struct {
		name  string
		value Value
		types []Type
		text  string
	}{
		{"null", Null, nil, "null"},
		{"bool", BoolValue(true), []Type{Bool}, "true"},
		{"int", IntValue(-7), []Type{Int8, Int16, Int32, Int64, Date, Time}, "-7"},
		{"float", FloatValue(1.5), []Type{Float32, Float64}, "1.5"},
		{"text", TextValue("x"), []Type{String, Decimal, JSON, Enum}, `"x"`},
		{"bytes", BytesValue([]byte{1, 0xff}), []Type{Bytes, UUID}, "01ff"},
		{"timestamp", TimestampValue(-1, 999_000_000), []Type{Timestamp, TimestampTZ}, "1969-12-31T23:59:59.999Z"},
		{"list", ListValue([]Value{IntValue(1), Null}), []Type{Array, Map, Struct}, "[1 null]"},
	}
}

func TestAnAccessorOfAnotherFormPanics(t *testing.T) {
	t.Parallel()
	accessors := map[string]func(Value){
		"bool": func(v Value) { v.Bool() }, "int": func(v Value) { v.Int() }, "float": func(v Value) { v.Float() }, "text": func(v Value) { v.Text() },
		"bytes": func(v Value) { v.Bytes() }, "timestamp": func(v Value) { v.Timestamp() }, "list": func(v Value) { v.List() },
	}
	for _, f := range forms() {
		require.Equal(t, f.text, f.value.String())
		require.Equal(t, f.name == "null", f.value.IsNull())
		for name, access := range accessors {
			if name == f.name {
				require.NotPanics(t, func() { access(f.value) })
			} else {
				require.PanicsWithValue(t, "connector: value holds "+f.name+", not "+name, func() { access(f.value) })
			}
		}
		for typ := Invalid; typ <= Struct; typ++ {
			require.Equal(t, contains(f.types, typ), f.value.Is(typ), "%s %v", f.name, typ)
		}
	}
	require.PanicsWithValue(t, "connector: value holds int, not timestamp", func() { IntValue(1).Time() })
}

func contains(types []Type, t Type) bool {
	for _, other := range types {
		if other == t {
			return true
		}
	}
	return false
}

func TestValuesGiveBackWhatTheyWereMadeFrom(t *testing.T) {
	t.Parallel()
	for _, i := range []int64{0, 1, -1, math.MinInt64, math.MaxInt64} {
		require.Equal(t, i, IntValue(i).Int())
	}
	for _, f := range []float64{0, -1.5, math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(-1)} {
		require.Equal(t, f, FloatValue(f).Float())
	}
	require.True(t, math.Signbit(FloatValue(math.Copysign(0, -1)).Float()))
	require.True(t, BoolValue(true).Bool())
	require.False(t, BoolValue(false).Bool())
	for _, text := range []string{"", "x", "ü\x00"} {
		require.Equal(t, text, TextValue(text).Text())
		require.Equal(t, text, TextOf([]byte(text)).Text())
		require.Equal(t, text, string(BytesValue([]byte(text)).Bytes()))
	}
	require.Empty(t, BytesValue(nil).Bytes())
	require.Empty(t, ListValue(nil).List())
	require.False(t, ListValue(nil).IsNull(), "an empty list is not null")
	require.False(t, TextValue("").IsNull())

	when := time.Date(-44, 3, 15, 12, 0, 0, 1, time.FixedZone("", 3600))
	require.True(t, when.Equal(TimeValue(when).Time()))
	seconds, nanos := TimeValue(when).Timestamp()
	require.Equal(t, []int64{when.Unix(), 1}, []int64{seconds, int64(nanos)})

	items := make([]Value, 1, 2)
	require.Equal(t, 1, cap(ListValue(items).List()), "appending must not reach the maker's memory")
}

func TestEqualIsFormAndContent(t *testing.T) {
	t.Parallel()
	all := forms()
	all = append(all, forms()[0])
	all[len(all)-1].value = ListValue([]Value{IntValue(1)})
	for i, a := range all {
		for j, b := range all {
			require.Equal(t, i == j || (a.value.IsNull() && b.value.IsNull()), a.value.Equal(b.value), "%v %v", a.value, b.value)
		}
	}
	for _, pair := range [][2]Value{
		{IntValue(1), IntValue(2)}, {TextValue("a"), TextValue("b")}, {BytesValue([]byte("a")), TextValue("a")}, {BoolValue(true), IntValue(1)},
		{TimestampValue(1, 0), TimestampValue(1, 1)}, {ListValue(nil), Null}, {FloatValue(1), FloatValue(2)}, {FloatValue(math.NaN()), FloatValue(1)},
		{ListValue([]Value{ListValue([]Value{IntValue(1)})}), ListValue([]Value{ListValue([]Value{IntValue(2)})})},
	} {
		require.False(t, pair[0].Equal(pair[1]), "%v %v", pair[0], pair[1])
		require.False(t, pair[1].Equal(pair[0]), "%v %v", pair[0], pair[1])
	}
	require.True(t, FloatValue(math.NaN()).Equal(FloatValue(-math.NaN())))
	require.True(t, TextValue("ab").Equal(TextOf([]byte("ab"))))
	require.True(t, BytesValue(nil).Equal(BytesValue([]byte{})))
}

func TestCheckNamesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	mood := &Schema{Type: Enum, Symbols: []string{"sad"}}
	list := &Schema{Type: Array, Elem: Of(Int8)}
	dict := &Schema{Type: Map, Key: Of(String), Elem: OptionalOf(Bool)}
	row := StructOf("row", Field{"id", Of(Int64)}, Field{"tags", list}, Field{"note", OptionalOf(String)})
	for _, tt := range []struct {
		schema *Schema
		value  Value
		says   string // empty: fits
	}{
		{Of(Int8), IntValue(-128), ""},
		{Of(Int8), IntValue(128), "128 is out of range for int8"},
		{Of(Int16), IntValue(-32769), "-32769 is out of range for int16"},
		{Of(Int32), IntValue(1 << 31), "2147483648 is out of range for int32"},
		{Of(Int64), IntValue(math.MinInt64), ""},
		{Of(Int64), TextValue("1"), "a text where the schema has int64"},
		{Of(Int64), Null, "null where the schema has a int64 that is not optional"},
		{OptionalOf(Int64), Null, ""},
		{Of(Time), IntValue(int64(24 * time.Hour)), ""},
		{Of(Time), IntValue(-1), "-1 is out of range for time"},
		{Of(Float32), FloatValue(0.1), "0.1 is no float32"},
		{Of(Float32), FloatValue(math.NaN()), ""},
		{Of(Float32), FloatValue(math.Inf(1)), ""},
		{Of(Float64), FloatValue(0.1), ""},
		{Of(Decimal), TextValue("-12.50"), ""},
		{Of(Decimal), TextValue("NaN"), ""},
		{Of(Decimal), TextValue("1e5"), `"1e5" is no decimal of plain digits`},
		{Of(Decimal), TextValue("1."), `"1." is no decimal of plain digits`},
		{Of(Decimal), TextValue(".5"), `".5" is no decimal of plain digits`},
		{Of(Decimal), TextValue("1.2.3"), `"1.2.3" is no decimal of plain digits`},
		{Of(Decimal), TextValue("-"), `"-" is no decimal of plain digits`},
		{Of(String), TextValue("\xff"), `"\xff" is not valid UTF-8`},
		{Of(JSON), TextValue(`{"a":[1]}`), ""},
		{Of(JSON), TextValue(`{`), `"{" is no JSON document`},
		{mood, TextValue("sad"), ""},
		{mood, TextValue("glad"), `"glad" is not one of the enum's symbols`},
		{Of(UUID), BytesValue(make([]byte, 15)), "uuid of 15 bytes"},
		{Of(UUID), BytesValue(make([]byte, 16)), ""},
		{Of(Timestamp), TimestampValue(0, 1e9), "timestamp with 1000000000 nanoseconds"},
		{list, ListValue([]Value{IntValue(1), IntValue(300)}), "element 1: 300 is out of range for int8"},
		{dict, ListValue([]Value{TextValue("a"), Null}), ""},
		{dict, ListValue([]Value{TextValue("a")}), "map with a key that has no value"},
		{dict, ListValue([]Value{Null, Null}), "map key: null where the schema has a string that is not optional"},
		{dict, ListValue([]Value{TextValue("a"), IntValue(1)}), "map value: a int where the schema has bool"},
		{row, ListValue([]Value{IntValue(1), ListValue(nil), Null}), ""},
		{row, ListValue([]Value{IntValue(1)}), `struct "row" with 1 values for 3 fields`},
		{row, ListValue([]Value{IntValue(1), ListValue([]Value{Null}), Null}), `field "tags": element 0: null where the schema has a int8 that is not optional`},
	} {
		err := tt.value.Check(tt.schema)
		if tt.says == "" {
			require.NoError(t, err, "%v", tt.value)
		} else {
			require.EqualError(t, err, tt.says)
		}
	}
}

func TestAbsentIsNotNull(t *testing.T) {
	t.Parallel()
	require.False(t, Datum{}.Present())
	require.True(t, Datum{Schema: OptionalOf(String)}.Present())
}

func TestAccessorsCostNothing(t *testing.T) {
	v, list := IntValue(1), ListValue([]Value{IntValue(1)})
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if v.Int()+list.List()[0].Int() != 2 {
			t.Fatal("wrong")
		}
	}))
}
