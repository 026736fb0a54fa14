package transforms_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

func address() connector.Datum { return row("city", "Bonn", "zip", int32(53111)) }

func TestInsertField(t *testing.T) {
	t.Parallel()
	run(t, "InsertField", []onValue{
		{"all in order", []string{".static.field=s!", ".static.value=v", ".timestamp.field=at", ".offset.field=o?", ".partition.field=q", ".topic.field=t!"}, row("id", 1),
			`{id=int64 1, t=string "orders", q=int32? 3, o=int64? 77, at=timestamptz? 2024-02-29T12:00:05.25Z, s=string "v"}`, ""},
		{"nested", []string{".topic.field=address.topic"}, row("address", address()), `{address={city=string "Bonn", zip=int32 53111, topic=string? "orders"}}`, ""},
		{"makes what is missing on the way", []string{".topic.field=meta.from.topic", ".offset.field=meta.from.offset", ".static.field=meta.s", ".static.value=v"}, row("id", 1),
			`{id=int64 1, meta={from={topic=string? "orders", offset=int64? 77}, s=string? "v"}}`, ""},
		{"name with dots", []string{".topic.field=`a.b`"}, row("id", 1), `{id=int64 1, a.b=string? "orders"}`, ""},
		{"name with dots by V1", []string{".topic.field=a.b", ".field.syntax.version=V1"}, row("id", 1), `{id=int64 1, a.b=string? "orders"}`, ""},
		{"takes the place of a field", []string{".topic.field=id"}, row("id", 1, "b", true), `{id=string? "orders", b=bool true}`, ""},
		{"takes the place of a field with dots", []string{".topic.field=a.b"}, row("a.b", 1), `{a.b=string? "orders"}`, ""},
		{"null stays", []string{".topic.field=t"}, connector.Datum{Schema: maybeRow()}, `{id=int64 null, t=string? null}? null`, ""},
		{"below null", []string{".topic.field=address.t"}, row("address", connector.Datum{Schema: maybeRow()}), `{address={id=int64 null, t=string? null}? null}`, ""},
		{"document", []string{".topic.field=t", ".offset.field=meta.o", ".timestamp.field=meta.at"}, doc(`{"id": 1}`), `json {"id":1,"t":"orders","meta":{"o":77,"at":"2024-02-29T12:00:05.25Z"}}`, ""},
		{"document in a struct", []string{".topic.field=d.meta.t"}, row("d", doc(`{"meta":{"a":[1, 2]}}`)), `{d=json {"meta":{"a":[1, 2],"t":"orders"}}}`, ""},
		{"document with the name", []string{".topic.field=t"}, doc(`{"t":{"x":1},"u":2}`), `json {"t":"orders","u":2}`, ""},
		{"document null", []string{".topic.field=t"}, doc(`null`), `json null`, ""},
		{"document, below null", []string{".topic.field=a.t"}, doc(`{"a":null}`), `json {"a":null}`, ""},
		{"document, below what is no object", []string{".topic.field=a.t"}, doc(`{"a":[1]}`), "", `field "a": only structs and JSON objects`},
		{"document with escapes", []string{".static.field=q\"\nq", ".static.value=a\"\\ü\x01", ".topic.field=é.t"}, doc(`{"\u00e9":{"x":1}}`), `json {"\u00e9":{"x":1,"t":"orders"},"q\"\u000aq":"a\"\\ü\u0001"}`, ""},
		{"no struct", []string{".topic.field=t"}, "text", "", "only structs and JSON objects have fields, and this is a value of type string"},
		{"document that is no object", []string{".topic.field=t"}, doc(`[1]`), "", "only structs and JSON objects have fields"},
		{"below what is no struct", []string{".topic.field=id.t"}, row("id", 1), "", `field "id": only structs`},
	})
}

func maybeRow() *connector.Schema {
	return &connector.Schema{Type: connector.Struct, Optional: true, Fields: []connector.Field{{Name: "id", Schema: connector.Of(connector.Int64)}}}
}

func TestInsertFieldAtASource(t *testing.T) {
	t.Parallel()
	c := one(t, connector.KindSource, ".type=InsertField", ".partition.field=q", ".timestamp.field=at")
	rec := connector.Record{After: row("id", 1), Partition: `{"file":"a"}`}
	_, err := c.Apply(&rec)
	require.NoError(t, err)
	require.Equal(t, "{id=int64 1, q=int32? null, at=timestamptz? null}", show(rec.After))

	c = one(t, connector.KindSource, ".type=InsertField", ".timestamp.field=at!")
	_, err = c.Apply(&rec)
	require.ErrorContains(t, err, `field "at": the record has no time`)
}

func TestReplaceField(t *testing.T) {
	t.Parallel()
	in := row("id", 1, "name", "x", "address", address(), "note", null(connector.String))
	run(t, "ReplaceField", []onValue{
		{"exclude", []string{".exclude=name, note,missing"}, in, `{id=int64 1, address={city=string "Bonn", zip=int32 53111}}`, ""},
		{"include", []string{".include=note,id"}, in, `{id=int64 1, note=string? null}`, ""},
		{"include nothing that is there", []string{".include=nope"}, in, `{}`, ""},
		{"renames", []string{".renames=id:key,missing:m"}, in, `{key=int64 1, name=string "x", address={city=string "Bonn", zip=int32 53111}, note=string? null}`, ""},
		{"all three", []string{".exclude=name", ".include=id,name", ".renames=id:key"}, in, `{key=int64 1}`, ""},
		{"names with backquotes and colons", []string{".renames=`x\\`y`:`a:\\`b`"}, row("x`y", 1), "{a:`b=int64 1}", ""},
		{"to a name that is there", []string{".renames=id:name"}, in, "", `field "name" twice`},
		{"document, to a name that is there", []string{".renames=a:b"}, doc(`{"a":1,"b":2}`), "", `field "b" twice`},
		{"document, two to one name", []string{".renames=a:c,b:c"}, doc(`{"a":1,"b":2}`), "", `field "c" twice`},
		{"document, below, to a name that is there", []string{".renames=n.a:b"}, doc(`{"b":0,"n":{"a":1,"b":2}}`), "", `field "b" twice`},
		{"document, swaps names", []string{".renames=a:b,b:a"}, doc(`{"a":1,"b":2}`), `json {"b":1,"a":2}`, ""},
		{"document, to the name of what is left out", []string{".renames=a:b,c:d", ".exclude=b", ".include=a,c.x"}, doc(`{"a":1,"b":2,"c":{"x":1,"y":2},"d":4}`), `json {"b":1,"d":{"x":1}}`, ""},
		{"document, missing to a name that is there", []string{".renames=x:b"}, doc(`{"a":1,"b":2}`), `json {"a":1,"b":2}`, ""},
		{"null of no struct", []string{".exclude=a"}, null(connector.String), `string? null`, ""},
		{"null of a struct that cannot be renamed so", []string{".renames=a:b"}, connector.Datum{Schema: &connector.Schema{Type: connector.Struct, Optional: true,
			Fields: []connector.Field{{Name: "a", Schema: connector.Of(connector.Int64)}, {Name: "b", Schema: connector.Of(connector.Int64)}}}}, `{a=int64 null, b=int64 null}? null`, ""},
		{"swaps names", []string{".include=id,name", ".renames=id:name,name:id"}, in, `{name=int64 1, id=string "x"}`, ""},
		{"exclude nested", []string{".exclude=address.zip,name,note"}, in, `{id=int64 1, address={city=string "Bonn"}}`, ""},
		{"include nested", []string{".include=address.zip"}, in, `{address={zip=int32 53111}}`, ""},
		{"include a struct but for", []string{".include=address", ".exclude=address.zip"}, in, `{address={city=string "Bonn"}}`, ""},
		{"rename nested", []string{".include=address", ".renames=address.zip:plz,address:home"}, in, `{home={city=string "Bonn", plz=int32 53111}}`, ""},
		{"rename nested with its path", []string{".include=address", ".renames=address.zip:address.plz"}, in, `{address={city=string "Bonn", plz=int32 53111}}`, ""},
		{"names with dots", []string{".exclude=`a.b`", ".renames=c:`d.e:f`"}, row("a.b", 1, "c", 2), `{d.e:f=int64 2}`, ""},
		{"name with dots first", []string{".exclude=a.b"}, row("a.b", 1, "a", row("b", 2)), `{a={b=int64 2}}`, ""},
		{"path only by V2", []string{".exclude=a.b", ".field.syntax.version=V2"}, row("a.b", 1, "a", row("b", 2)), `{a.b=int64 1, a={}}`, ""},
		{"nested in null", []string{".exclude=address.id"}, row("address", connector.Datum{Schema: maybeRow()}), `{address={}? null}`, ""},
		{"two of a name", []string{".renames=id:name"}, in, "", `field "name" twice`},
		{"document", []string{".exclude=b", ".renames=a:A,c.d:D"}, doc(`{"a":1.50, "b":{"x":"}"}, "c":{"d":[ "\"" ]}, "e":1e3}`), `json {"A":1.50,"c":{"D":[ "\"" ]},"e":1e3}`, ""},
		{"document include", []string{".include=a,c.d"}, doc(`{"a":1,"b":2,"c":{"d":3,"e":4}}`), `json {"a":1,"c":{"d":3}}`, ""},
		{"document in a struct", []string{".include=d.b"}, row("d", doc(`{"a":1,"b":2}`), "e", 1), `{d=json {"b":2}}`, ""},
		{"document with a name with dots", []string{".exclude=a.b"}, doc(`{"a.b":1,"a":{"b":2}}`), `json {"a":{"b":2}}`, ""},
		{"no struct", []string{".exclude=a"}, 5, "", "only structs and JSON objects"},
	})
}

func TestMaskField(t *testing.T) {
	t.Parallel()
	id := [16]byte{1}
	in := row("b", true, "i", 5, "i8", int8(5), "f", 1.5, "d", number("-1.5"), "s", "secret", "raw", []byte("secret"), "id", id, "day", days(5), "clock", clock(5),
		"at", noon, "wall", wall(noon), "list", []int{1}, "json", doc(`{"a":1}`), "none", null(connector.String), "in", address(), "kept", "x")
	run(t, "MaskField", []onValue{
		{"every type", []string{".fields=b,i,i8,f,d,s,raw,id,day,clock,at,wall,list,json,none,in.city,missing,in.missing,kept.missing"}, in,
			`{b=bool false, i=int64 0, i8=int8 0, f=float64 0, d=decimal "0", s=string "", raw=bytes , id=uuid 00000000000000000000000000000000, day=date 0, clock=time 0, ` +
				`at=timestamptz 1970-01-01T00:00:00Z, wall=timestamp 1970-01-01T00:00:00Z, list=array [], json=json {}, none=string? null, in={city=string "", zip=int32 53111}, kept=string "x"}`, ""},
		{"object in JSON without a schema", []string{".fields=o"}, row("o", connector.Datum{Schema: &connector.Schema{Type: connector.Struct, Optional: true,
			Fields: []connector.Field{{Name: "x", Schema: connector.OptionalOf(connector.Int64)}}}, Value: connector.ListValue([]connector.Value{connector.IntValue(1)})}), `{o={}?}`, ""},
		{"struct of a schema without a name", []string{".fields=o"}, row("o", maybe{connector.Datum{Schema: connector.StructOf("", connector.Field{Name: "x", Schema: connector.Of(connector.Int64)}),
			Value: connector.ListValue([]connector.Value{connector.IntValue(1)})}}), "", "there is no mask for a value of type struct"},
		{"replacement without blanks around it", []string{".fields=i,s", ".replacement= 42 "}, row("i", 5, "s", "x"), `{i=int64 42, s=string "42"}`, ""},
		{"replacement", []string{".fields=i,s,in.zip", ".replacement=42"}, row("i", 5, "s", "x", "in", address()), `{i=int64 42, s=string "42", in={city=string "Bonn", zip=int32 42}}`, ""},
		{"replacement too large", []string{".fields=i", ".replacement=300"}, row("i", int8(1)), "", `field "i": replacement "300" does not fit type int8`},
		{"replacement of a date", []string{".fields=d", ".replacement=x"}, row("d", days(1)), "", "a replacement is possible for numbers and texts"},
		{"struct", []string{".fields=in"}, row("in", address()), "", "there is no mask for a value of type struct (row)"},
		{"document", []string{".fields=a,n.s,list,obj,none,missing"}, doc(`{"a":5,"n":{"s":"x"},"list":[1],"obj":{"p":1},"none":null,"kept":"y"}`), `json {"a":0,"n":{"s":""},"list":[],"obj":{},"none":null,"kept":"y"}`, ""},
		{"document with replacement", []string{".fields=a,s", ".replacement=7"}, doc(`{"a":5,"s":"x"}`), `json {"a":7,"s":"7"}`, ""},
		{"missing everywhere", []string{".fields=missing"}, row("i", 5), `{i=int64 5}`, ""},
		{"no struct", []string{".fields=a"}, 5, "", "only structs and JSON objects"},
	})
}

func TestExtractField(t *testing.T) {
	t.Parallel()
	run(t, "ExtractField", []onValue{
		{"field", []string{".field=id"}, row("id", 1, "b", 2), `int64 1`, ""},
		{"nested", []string{".field=a.b", ".field.syntax.version=V2"}, row("a", row("b", "x")), `string "x"`, ""},
		{"nested, the version in any case", []string{".field= a.b ", ".field.syntax.version=v2"}, row("a", row("b", "x"), "a.b", 1), `string "x"`, ""},
		{"document null", []string{".field=a"}, doc("null"), `json? null`, ""},
		{"document that is no object", []string{".field=a"}, doc("[1]"), "", `read field "a": only structs and JSON objects`},
		{"nested without the version", []string{".field=a.b"}, row("a", row("b", "x")), `string "x"`, ""},
		{"V1 takes dots as part of the name", []string{".field=a.b", ".field.syntax.version=V1"}, row("a.b", 1, "a", row("b", "x")), `int64 1`, ""},
		{"V1 does not nest", []string{".field=a.b", ".field.syntax.version=V1"}, row("a", row("b", "x")), "", `there is no field "a.b" in a value of type struct (row)`},
		{"backquotes", []string{".field=`a.b`.`c`", ".field.syntax.version=V2"}, row("a.b", row("c", 5)), `int64 5`, ""},
		{"struct", []string{".field=a"}, row("a", row("b", "x")), `{b=string "x"}`, ""},
		{"null", []string{".field=id"}, connector.Datum{Schema: maybeRow()}, `int64? null`, ""},
		{"below null", []string{".field=a.id"}, row("a", connector.Datum{Schema: maybeRow()}), `int64? null`, ""},
		{"missing", []string{".field=nope"}, row("id", 1), "", `there is no field "nope"`},
		{"missing where the schema was inferred", []string{".field=nope.x"}, maybe{connector.Datum{Schema: connector.StructOf("", connector.Field{Name: "id", Schema: connector.OptionalOf(connector.Int64)}),
			Value: connector.ListValue([]connector.Value{connector.IntValue(1)})}}, `json? null`, ""},
		{"below what is no struct", []string{".field=id.x"}, row("id", 1), "", `there is no field "id.x"`},
		{"no struct", []string{".field=id"}, "x", "", `read field "id": only structs`},
		{"document", []string{".field=a.b"}, doc(`{"a":{"b":"x\ny"}}`), `string? "x\ny"`, ""},
		{"document without", []string{".field=a.b"}, doc(`{"a":1}`), `json? null`, ""},
		{"document, a number", []string{".field=a"}, doc(`{"a":-12}`), `int64? -12`, ""},
		{"document, a large number", []string{".field=a"}, doc(`{"a":12345678901234567890}`), `decimal? "12345678901234567890"`, ""},
		{"document, a fraction", []string{".field=a"}, doc(`{"a":1.5e2}`), `float64? 150`, ""},
		{"document, an object", []string{".field=a"}, doc(`{"a":{"b":[]}}`), `json? {"b":[]}`, ""},
		{"document, true", []string{".field=a"}, doc(`{"a":true}`), `bool? true`, ""},
		{"document in a struct", []string{".field=d.b"}, row("d", doc(`{"b":true}`)), `bool? true`, ""},
		{"broken document", []string{".field=b"}, doc(`{"a":1`), "", "no valid JSON document"},
	})
}

func TestReplaceNullWithDefaultChangesNothing(t *testing.T) {
	t.Parallel()
	for _, v := range []string{"true", "false"} {
		c := one(t, connector.KindSink, ".type=ExtractField$Value", ".field=a", ".replace.null.with.default="+v)
		rec := connector.Record{After: row("a", null(connector.Int64))}
		_, err := c.Apply(&rec)
		require.NoError(t, err)
		require.Equal(t, "int64? null", show(rec.After))
	}
}
