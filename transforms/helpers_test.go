package transforms_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/transforms"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// conf makes a config of "key=value" texts; keys that begin with a dot are those of the alias x, the only transform.
func conf(pairs ...string) map[string]string {
	c := map[string]string{}
	for _, pair := range pairs {
		k, v, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(k, ".") {
			c["transforms"] = "x"
			k = "transforms.x" + k
		}
		c[k] = v
	}
	return c
}

// null is a null of a type.
type null connector.Type

// maybe is a value whose schema allows null.
type maybe struct{ value any }

// days is a date, clock a time, wall a timestamp without zone, number a decimal, doc a JSON document.
type (
	days   int64
	clock  int64
	wall   time.Time
	number string
	doc    string
)

// datum gives a Go value the schema that fits.
func datum(v any) connector.Datum {
	of := func(t connector.Type, v connector.Value) connector.Datum {
		return connector.Datum{Schema: connector.Of(t), Value: v}
	}
	switch v := v.(type) {
	case connector.Datum:
		return v
	case null:
		return connector.Datum{Schema: connector.OptionalOf(connector.Type(v))}
	case maybe:
		d := datum(v.value)
		s := connector.Schema{Type: d.Schema.Type, Optional: true, Name: d.Schema.Name, Fields: d.Schema.Fields, Elem: d.Schema.Elem, Key: d.Schema.Key}
		return connector.Datum{Schema: &s, Value: d.Value}
	case bool:
		return of(connector.Bool, connector.BoolValue(v))
	case int8:
		return of(connector.Int8, connector.IntValue(int64(v)))
	case int32:
		return of(connector.Int32, connector.IntValue(int64(v)))
	case int:
		return of(connector.Int64, connector.IntValue(int64(v)))
	case days:
		return of(connector.Date, connector.IntValue(int64(v)))
	case clock:
		return of(connector.Time, connector.IntValue(int64(v)))
	case float32:
		return of(connector.Float32, connector.FloatValue(float64(v)))
	case float64:
		return of(connector.Float64, connector.FloatValue(v))
	case number:
		return of(connector.Decimal, connector.TextValue(string(v)))
	case string:
		return of(connector.String, connector.TextValue(v))
	case doc:
		return of(connector.JSON, connector.TextValue(string(v)))
	case []byte:
		return of(connector.Bytes, connector.BytesValue(v))
	case [16]byte:
		return of(connector.UUID, connector.BytesValue(v[:]))
	case time.Time:
		return of(connector.TimestampTZ, connector.TimeValue(v))
	case wall:
		return of(connector.Timestamp, connector.TimeValue(time.Time(v)))
	case []int:
		items := make([]connector.Value, len(v))
		for i := range v {
			items[i] = connector.IntValue(int64(v[i]))
		}
		return connector.Datum{Schema: &connector.Schema{Type: connector.Array, Elem: connector.Of(connector.Int64)}, Value: connector.ListValue(items)}
	}
	panic(fmt.Sprintf("no schema for %T", v))
}

// row is a struct of alternating names and values.
func row(pairs ...any) connector.Datum {
	var fields []connector.Field
	var values []connector.Value
	for i := 0; i < len(pairs); i += 2 {
		d := datum(pairs[i+1])
		fields = append(fields, connector.Field{Name: pairs[i].(string), Schema: d.Schema})
		values = append(values, d.Value)
	}
	return connector.Datum{Schema: connector.StructOf("row", fields...), Value: connector.ListValue(values)}
}

// show writes a datum with its types: {id=int64 1, name=string? null}.
func show(d connector.Datum) string {
	if !d.Present() {
		return "absent"
	}
	mark := ""
	if d.Schema.Optional {
		mark = "?"
	}
	if d.Value.IsNull() && d.Schema.Type != connector.Struct {
		return d.Schema.Type.String() + mark + " null"
	}
	switch d.Schema.Type {
	case connector.Struct:
		var parts []string
		for i, f := range d.Schema.Fields {
			v := connector.Null
			if !d.Value.IsNull() {
				v = d.Value.List()[i]
			}
			parts = append(parts, f.Name+"="+show(connector.Datum{Schema: f.Schema, Value: v}))
		}
		text := "{" + strings.Join(parts, ", ") + "}" + mark
		if d.Value.IsNull() {
			text += " null"
		}
		return text
	case connector.JSON:
		return "json" + mark + " " + d.Value.Text()
	}
	return d.Schema.Type.String() + mark + " " + d.Value.String()
}

// one makes the chain of the only transform x, which must be right.
func one(t testing.TB, kind connector.Kind, pairs ...string) *transforms.Chain {
	t.Helper()
	c, err := transforms.New(conf(pairs...), kind)
	require.NoError(t, err)
	return c
}

// check fails if a datum does not fit its schema, or the schema is wrong.
func check(t *testing.T, d connector.Datum) {
	t.Helper()
	if d.Present() {
		require.NoError(t, d.Schema.Validate())
		require.NoError(t, d.Value.Check(d.Schema))
	}
}

// onValue is a transform of values: what it makes of in, or its error.
type onValue struct {
	name string
	keys []string
	in   any
	want string // see show
	err  string // in the error instead
}

// run applies each case to values and, for classes that have both, to keys. The class is name$Value without its suffix.
func run(t *testing.T, class string, cases []onValue) {
	t.Helper()
	for _, tt := range cases {
		for _, side := range []string{"$Value", "$Key"} {
			t.Run(tt.name+side, func(t *testing.T) {
				t.Parallel()
				c := one(t, connector.KindSink, append([]string{".type=org.apache.kafka.connect.transforms." + class + side}, tt.keys...)...)
				rec := record(tt.in, side)
				before := show(datum(tt.in))
				for range 2 { // the second time from the cache
					rec = record(tt.in, side)
					keep, err := c.Apply(&rec)
					if tt.err != "" {
						require.ErrorContains(t, err, tt.err)
						require.ErrorContains(t, err, "transforms.x ("+class+side+"): ")
						continue
					}
					require.NoError(t, err)
					require.True(t, keep)
					got := rec.After
					if side == "$Key" {
						got = rec.Key
						require.Equal(t, before, show(rec.After), "the value stays")
					} else {
						require.Equal(t, tt.want, show(rec.Before), "the image before is treated alike")
					}
					require.Equal(t, tt.want, show(got))
					check(t, got)
				}
				require.Equal(t, before, show(datum(tt.in)))
				requireUntouched(t, rec)
			})
		}
	}
}

const queue3 = connector.Partition(`{"rocketmq_broker":"b","rocketmq_queue":3,"rocketmq_topic":"orders"}`)

var noon = time.Date(2024, 2, 29, 12, 0, 5, 250_000_000, time.UTC)

// record has in where side says, and otherwise what requireUntouched knows.
func record(in any, side string) connector.Record {
	d := datum(in)
	rec := connector.Record{Op: connector.Update, Topic: "orders", After: d, Before: d, Time: noon, Partition: queue3,
		Mark: connector.Mark{Offset: 77, Index: 2}, TxID: "tx", TxIndex: 4, Size: 100}
	if side == "$Key" {
		rec.Key = d
	}
	return rec
}

// requireUntouched checks what no transform may change.
func requireUntouched(t *testing.T, rec connector.Record) {
	t.Helper()
	require.Equal(t, queue3, rec.Partition)
	require.Equal(t, connector.Mark{Offset: 77, Index: 2}, rec.Mark)
	require.Equal(t, connector.Update, rec.Op)
	require.Equal(t, "tx", rec.TxID)
	require.EqualValues(t, 4, rec.TxIndex)
	require.Equal(t, noon, rec.Time)
}
