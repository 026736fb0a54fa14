package converters

import (
	"math"
	"time"

	"github.com/gantry-connect/gantry/connector"
)

// flightsSchema is a row of the flights table, 19 columns as a file source infers them.
func flightsSchema() *connector.Schema {
	var fields []connector.Field
	for _, name := range []string{"year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time",
		"arr_delay", "carrier", "flight", "tailnum", "origin", "dest", "air_time", "distance", "hour", "minute", "time_hour"} {
		typ := connector.Int64
		switch name {
		case "carrier", "tailnum", "origin", "dest":
			typ = connector.String
		case "time_hour":
			typ = connector.TimestampTZ
		}
		fields = append(fields, connector.Field{Name: name, Schema: connector.OptionalOf(typ)})
	}
	return connector.StructOf("flights", fields...)
}

func flightsRow() connector.Value {
	i, t := connector.IntValue, connector.TextValue
	return connector.ListValue([]connector.Value{i(2013), i(1), i(1), i(517), i(515), i(2), i(830), i(819), i(11), t("UA"), i(1545),
		t("N14228"), t("EWR"), t("IAH"), i(227), i(1400), i(5), i(15), connector.TimeValue(time.Date(2013, 1, 1, 10, 0, 0, 0, time.UTC))})
}

const flightsJSON = `{"year":2013,"month":1,"day":1,"dep_time":517,"sched_dep_time":515,"dep_delay":2,"arr_time":830,"sched_arr_time":819,` +
	`"arr_delay":11,"carrier":"UA","flight":1545,"tailnum":"N14228","origin":"EWR","dest":"IAH","air_time":227,"distance":1400,` +
	`"hour":5,"minute":15,"time_hour":"2013-01-01T10:00:00Z"}`

// sample is a datum with a name, for golden files.
type sample struct {
	name  string
	datum connector.Datum
}

func scalar(name string, typ connector.Type, v connector.Value) sample {
	return sample{name, connector.Datum{Schema: connector.Of(typ), Value: v}}
}

// scalars are telling values of every scalar type.
func scalars() []sample {
	text, integer, float := connector.TextValue, connector.IntValue, connector.FloatValue
	stamp := func(y, m, d, h, min, s, ns int) connector.Value {
		return connector.TimeValue(time.Date(y, time.Month(m), d, h, min, s, ns, time.UTC))
	}
	id := []byte{0x12, 0x3e, 0x45, 0x67, 0xe8, 0x9b, 0x12, 0xd3, 0xa4, 0x56, 0x42, 0x66, 0x14, 0x17, 0x40, 0xff}
	enum := &connector.Schema{Type: connector.Enum, Name: "mood", Symbols: []string{"sad", "ok, really", "null"}}
	named := func(name string, s *connector.Schema, v connector.Value) sample {
		return sample{name, connector.Datum{Schema: s, Value: v}}
	}
	money := &connector.Schema{Type: connector.Decimal, Precision: 10, Scale: 2}
	milli := func(t connector.Type) *connector.Schema {
		return &connector.Schema{Type: t, Precision: 3, PrecisionSet: true}
	}
	return []sample{
		scalar("bool", connector.Bool, connector.BoolValue(true)),
		scalar("int8", connector.Int8, integer(math.MinInt8)),
		scalar("int16", connector.Int16, integer(math.MaxInt16)),
		scalar("int32", connector.Int32, integer(math.MinInt32)),
		scalar("int64", connector.Int64, integer(math.MinInt64)),
		scalar("float32", connector.Float32, float(float64(float32(0.1)))),
		scalar("float64", connector.Float64, float(10.357019999999999)),
		scalar("float64 whole", connector.Float64, float(1012)),
		scalar("float64 big", connector.Float64, float(1e300)),
		scalar("float64 small", connector.Float64, float(-5e-324)),
		scalar("float64 negative zero", connector.Float64, float(math.Copysign(0, -1))),
		scalar("float64 NaN", connector.Float64, float(math.NaN())),
		scalar("float64 infinity", connector.Float64, float(math.Inf(-1))),
		scalar("decimal", connector.Decimal, text("-00012345678901234567890.1200")),
		scalar("decimal NaN", connector.Decimal, text("NaN")),
		named("decimal(10,2)", money, text("-12.50")),
		named("decimal(10,2) negative byte", money, text("-1.28")),
		named("decimal(40,2)", &connector.Schema{Type: connector.Decimal, Precision: 40, Scale: 2}, text("-12345678901234567890123.45")),
		scalar("string", connector.String, text("Zürich \U0001F680")),
		scalar("string escapes", connector.String, text("\"\\/\b\f\n\r\t\x01\x7f\u2028</script>")),
		scalar("string empty", connector.String, text("")),
		scalar("string null", connector.String, text("null")),
		scalar("string quoted", connector.String, text(`"x"`)),
		scalar("string blank", connector.String, text(" x ")),
		scalar("string with blank", connector.String, text("a b")),
		scalar("string braces", connector.String, text("{}")),
		scalar("bytes", connector.Bytes, connector.BytesValue([]byte{0, 1, 0xfb, 0xff})),
		scalar("bytes empty", connector.Bytes, connector.BytesValue(nil)),
		scalar("uuid", connector.UUID, connector.BytesValue(id)),
		named("enum", enum, text("ok, really")),
		scalar("json", connector.JSON, text(`{"a": [1, 2.50, null], "b": "ü\ud83d"}`)),
		scalar("json null", connector.JSON, text(`null`)),
		scalar("date", connector.Date, integer(15736)),
		scalar("date BC", connector.Date, integer(-735234)),
		scalar("date far", connector.Date, integer(3652425)),
		scalar("time", connector.Time, integer((15*3600+4*60+5)*1e9+123456000)),
		scalar("time end", connector.Time, integer(86400*1e9)),
		named("time(3)", milli(connector.Time), integer(1500*1e6)),
		scalar("timestamp", connector.Timestamp, stamp(2013, 1, 1, 5, 0, 0, 0)),
		scalar("timestamp fraction", connector.Timestamp, stamp(1969, 12, 31, 23, 59, 59, 999_999_999)),
		scalar("timestamptz", connector.TimestampTZ, stamp(2013, 1, 1, 10, 0, 0, 500_000_000)),
		scalar("timestamptz far", connector.TimestampTZ, stamp(-44, 3, 15, 12, 0, 0, 1)),
		named("timestamp(3)", milli(connector.Timestamp), stamp(1969, 12, 31, 23, 59, 59, 999_000_000)),
		named("timestamptz(3)", milli(connector.TimestampTZ), stamp(2013, 1, 1, 10, 0, 0, 500_000_000)),
	}
}

// composites are lists, maps, structs and nulls.
func composites() []sample {
	text, integer, list := connector.TextValue, connector.IntValue, func(v ...connector.Value) connector.Value { return connector.ListValue(v) }
	array := &connector.Schema{Type: connector.Array, Elem: connector.OptionalOf(connector.Int32)}
	object := &connector.Schema{Type: connector.Map, Key: connector.Of(connector.String), Elem: connector.OptionalOf(connector.Date)}
	pairs := &connector.Schema{Type: connector.Map, Key: connector.Of(connector.Int64), Elem: array}
	person := &connector.Schema{Type: connector.Struct, Name: "person", Optional: true, Fields: []connector.Field{
		{Name: "id", Schema: connector.OptionalOf(connector.Int64)}}}
	all := &connector.Schema{Type: connector.Struct, Name: "public.all", Version: 3, Doc: "Everything <at once>.", Params: map[string]string{"b": "2", "a": "1"},
		Fields: []connector.Field{
			{Name: "person", Schema: person}, {Name: "quote\"d", Schema: connector.Of(connector.String)}, {Name: "list", Schema: array},
			{Name: "object", Schema: object}, {Name: "pairs", Schema: pairs},
			{Name: "born", Schema: &connector.Schema{Type: connector.Date, Name: "birthday", Version: 2, Optional: true, Doc: "A day."}},
			{Name: "mood", Schema: &connector.Schema{Type: connector.Enum, Name: "mood", Symbols: []string{"sad", "ok"}, Optional: true}}}}
	bob := list(integer(1))
	return []sample{
		{"array", connector.Datum{Schema: array, Value: list(integer(1), connector.Null, integer(-3))}},
		{"array empty", connector.Datum{Schema: array, Value: list()}},
		{"map of strings", connector.Datum{Schema: object, Value: list(text("a"), integer(0), text(""), connector.Null)}},
		{"map of numbers", connector.Datum{Schema: pairs, Value: list(integer(7), list(integer(8)), integer(9), list())}},
		{"struct", connector.Datum{Schema: person, Value: bob}},
		{"struct null", connector.Datum{Schema: person, Value: connector.Null}},
		{"struct empty", connector.Datum{Schema: connector.StructOf("nothing"), Value: list()}},
		{"struct nested", connector.Datum{Schema: all, Value: list(bob, text("q"), list(), list(), list(), integer(-1), text("ok"))}},
		{"struct with nulls", connector.Datum{Schema: all, Value: list(connector.Null, text(""), list(connector.Null), list(), list(), connector.Null, connector.Null)}},
		{"flights", connector.Datum{Schema: flightsSchema(), Value: flightsRow()}},
	}
}
