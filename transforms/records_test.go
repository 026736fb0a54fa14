package transforms_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/transforms"
)

func TestValueToKey(t *testing.T) {
	t.Parallel()
	old := connector.Datum{Schema: connector.Of(connector.String), Value: connector.TextValue("old")}
	for _, tt := range []struct {
		name   string
		fields string
		rec    connector.Record
		want   string
		err    string
	}{
		{"fields", "b,a", connector.Record{After: row("a", 1, "b", "x", "c", 2)}, `{b=string "x", a=int64 1}`, ""},
		{"nested", "n.a,n.`x.y`", connector.Record{After: row("n", row("a", 1, "x.y", 2))}, `{a=int64 1, x.y=int64 2}`, ""},
		{"takes the place of a key", "a", connector.Record{Key: old, After: row("a", 1)}, `{a=int64 1}`, ""},
		{"the image before, of a delete", "a", connector.Record{Op: connector.Delete, Key: old, Before: row("a", 1)}, `{a=int64 1}`, ""},
		{"the new image, of an update", "a", connector.Record{Op: connector.Update, Before: row("a", 1), After: row("a", 2)}, `{a=int64 2}`, ""},
		{"a tombstone keeps its key", "a", connector.Record{Op: connector.Tombstone, Key: old}, `string "old"`, ""},
		{"document", "a,n.b,none", connector.Record{After: datum(doc(`{"a":1,"n":{"b":"x"}}`))}, `{a=int64? 1, b=string? "x", none=json? null}`, ""},
		{"a name with dots", "a.b,c", connector.Record{After: row("a.b", 1, "a", row("b", 2), "c", 3)}, `{a.b=int64 1, c=int64 3}`, ""},
		{"a name with dots in a document", "a.b", connector.Record{After: datum(doc(`{"a.b":1,"a":{"b":2}}`))}, `{a.b=int64? 1}`, ""},
		{"one name for two", "a.b,`a.b`", connector.Record{After: row("a.b", 1)}, "", `field "a.b" twice`},
		{"null value", "a", connector.Record{After: connector.Datum{Schema: maybeRow()}}, "", "the value is null"},
		{"document null", "a", connector.Record{After: datum(doc(" null"))}, "", "the value is null"},
		{"document that is no object", "a", connector.Record{After: datum(doc("[1]"))}, "", `read field "a": only structs and JSON objects`},
		{"missing", "a", connector.Record{After: row("b", 1)}, "", `there is no field "a"`},
		{"no struct", "a", connector.Record{After: datum(1)}, "", `read field "a": only structs`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := one(t, connector.KindSource, ".type=ValueToKey", ".fields="+tt.fields)
			for range 2 {
				rec := tt.rec
				keep, err := c.Apply(&rec)
				if tt.err != "" {
					require.ErrorContains(t, err, tt.err)
					continue
				}
				require.NoError(t, err)
				require.True(t, keep)
				require.Equal(t, tt.want, show(rec.Key))
				check(t, rec.Key)
				require.Equal(t, show(tt.rec.After), show(rec.After))
			}
		})
	}
}

func TestValueToKeyFitsTheKeysSchemaAfterARecordThatFailed(t *testing.T) {
	t.Parallel()
	c := one(t, connector.KindSource, ".type=ValueToKey", ".fields=a,b")
	text := datum("x")
	for i, in := range []connector.Datum{row("a", 1, "b", text), row("a", text), row("a", text, "b", text), row("b", text, "a", text)} {
		rec := connector.Record{After: in}
		_, err := c.Apply(&rec)
		if i == 1 {
			require.ErrorContains(t, err, `there is no field "b"`)
			continue
		}
		require.NoError(t, err)
		check(t, rec.Key)
	}
}

// TestATransformThatFailsLeavesTheRecordAsItWas: the image after is fine, the one before is not.
func TestATransformThatFailsLeavesTheRecordAsItWas(t *testing.T) {
	t.Parallel()
	for _, keys := range [][]string{{".type=Cast", ".spec=a:int8"}, {".type=HeaderFrom", ".operation=move", ".fields=a", ".headers=A"}} {
		c := one(t, connector.KindSource, keys...)
		rec := connector.Record{Op: connector.Update, After: row("a", 1), Before: datum("no struct")}
		_, err := c.Apply(&rec)
		require.ErrorContains(t, err, "only structs")
		require.Equal(t, `{a=int64 1}`, show(rec.After))
		require.Empty(t, rec.Headers)
	}
}

func TestValueToKeyThenExtractFieldMakesAScalarKeyWithOneSchema(t *testing.T) {
	t.Parallel()
	c, err := transforms.New(map[string]string{"transforms": "k,x", "transforms.k.type": "ValueToKey", "transforms.k.fields": "id",
		"transforms.x.type": "ExtractField$Key", "transforms.x.field": "id"}, connector.KindSource)
	require.NoError(t, err)
	in := row("id", 1)
	a, b := connector.Record{After: in}, connector.Record{After: in}
	for _, rec := range []*connector.Record{&a, &b} {
		_, err := c.Apply(rec)
		require.NoError(t, err)
		require.Equal(t, "int64 1", show(rec.Key))
	}
	require.Same(t, a.Key.Schema, b.Key.Schema)
}

func TestHeaderFrom(t *testing.T) {
	t.Parallel()
	id := connector.Header{Name: "id", Value: datum("first")}
	for _, tt := range []struct {
		name, class, operation, fields, headers string
		rec                                     connector.Record
		want                                    []string // headers
		after, before                           string
		err                                     string
	}{
		{"move", "HeaderFrom$Value", "move", "a,n.b", "A,B", connector.Record{After: row("a", 1, "n", row("b", "x", "c", 2)), Before: row("a", 5, "n", row("b", "y", "c", 6)), Headers: []connector.Header{id}},
			[]string{`id=string "first"`, `A=int64 1`, `B=string "x"`}, `{n={c=int64 2}}`, `{n={c=int64 6}}`, ""},
		{"copy", "HeaderFrom", "copy", "a", "id", connector.Record{After: row("a", 1), Headers: []connector.Header{id}}, []string{`id=string "first"`, `id=int64 1`}, `{a=int64 1}`, `absent`, ""},
		{"of a delete", "HeaderFrom$Value", "copy", "a", "A", connector.Record{Op: connector.Delete, Before: row("a", 1)}, []string{`A=int64 1`}, `absent`, `{a=int64 1}`, ""},
		{"null field", "HeaderFrom$Value", "copy", "a", "A", connector.Record{After: row("a", null(connector.Date))}, []string{`A=date? null`}, `{a=date? null}`, `absent`, ""},
		{"null value", "HeaderFrom$Value", "move", "a", "A", connector.Record{After: connector.Datum{Schema: maybeRow()}}, nil, `{id=int64 null}? null`, `absent`, ""},
		{"nothing", "HeaderFrom$Value", "move", "a", "A", connector.Record{Op: connector.Tombstone}, nil, `absent`, `absent`, ""},
		{"document", "HeaderFrom$Value", "move", "a,none", "A,N", connector.Record{After: datum(doc(`{"a":true,"b":1}`))}, []string{`A=bool? true`, `N=json? null`}, `json {"b":1}`, `absent`, ""},
		{"document null", "HeaderFrom$Value", "move", "a", "A", connector.Record{After: datum(doc("null"))}, nil, `json null`, `absent`, ""},
		{"document that is no object", "HeaderFrom$Value", "copy", "a", "A", connector.Record{After: datum(doc("5"))}, nil, "", "", "only structs and JSON objects"},
		{"missing", "HeaderFrom$Value", "move", "nope", "A", connector.Record{After: row("a", 1)}, nil, "", "", `there is no field "nope"`},
		{"no struct", "HeaderFrom$Value", "move", "a", "A", connector.Record{After: datum(1)}, nil, "", "", "only structs and JSON objects"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := one(t, connector.KindSource, ".type="+tt.class, ".operation="+tt.operation, ".fields="+tt.fields, ".headers="+tt.headers)
			rec := tt.rec
			_, err := c.Apply(&rec)
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			var got []string
			for _, h := range rec.Headers {
				got = append(got, h.Name+"="+show(h.Value))
			}
			require.Equal(t, tt.want, got)
			require.Equal(t, tt.after, show(rec.After))
			require.Equal(t, tt.before, show(rec.Before))
		})
	}
}

func TestHeaderFromKeyReadsTheKey(t *testing.T) {
	t.Parallel()
	c := one(t, connector.KindSource, ".type=HeaderFrom$Key", ".operation=move", ".fields=a", ".headers=A")
	rec := connector.Record{Key: row("a", 1, "b", 2), After: row("a", 3)}
	_, err := c.Apply(&rec)
	require.NoError(t, err)
	require.Equal(t, "int64 1", show(rec.Headers[0].Value))
	require.Equal(t, "{b=int64 2}", show(rec.Key))
	require.Equal(t, "{a=int64 3}", show(rec.After))
}

func TestHeadersOfOtherRecordsInTheSameArrayStay(t *testing.T) {
	t.Parallel()
	shared := []connector.Header{{Name: "a", Value: datum(1)}, {Name: "b", Value: datum(2)}}
	c := one(t, connector.KindSource, ".type=HeaderFrom", ".operation=copy", ".fields=x", ".headers=X")
	rec := connector.Record{After: row("x", 3), Headers: shared[:1]}
	_, err := c.Apply(&rec)
	require.NoError(t, err)
	require.Equal(t, "b", shared[1].Name)
	require.Len(t, rec.Headers, 2)
}

func TestRegexRouter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, regex, replacement, topic, want string }{
		{"group", "db-(.*)", "$1", "db-orders", "orders"},
		{"all of the name must match", "orders", "x", "db-orders", "db-orders"},
		{"alternatives, too", "a|b", "x", "ab", "ab"},
		{"two groups and text", `(\w+)-(\w+)`, "$2_$1!", "a-b", "b_a!"},
		{"named group", `(?<system>\w+)-\w+`, "${system}", "a-b", "a"},
		{"digits beyond the groups are text", "(a)", "$11", "a", "a1"},
		{"whole match", "a+", "<$0>", "aaa", "<aaa>"},
		{"escapes", "a", `\$1\\`, "a", `$1\`},
		{"group that matched nothing", "(a)|(b)", "[$1]", "b", "[]"},
		{"other topics stay", "x", "y", "orders", "orders"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := one(t, connector.KindSource, ".type=org.apache.kafka.connect.transforms.RegexRouter", ".regex="+tt.regex, ".replacement="+tt.replacement)
			for range 2 {
				rec := connector.Record{Topic: tt.topic}
				keep, err := c.Apply(&rec)
				require.NoError(t, err)
				require.True(t, keep)
				require.Equal(t, tt.want, rec.Topic)
			}
			rec := connector.Record{Topic: "--"}
			_, err := c.Apply(&rec)
			require.NoError(t, err)
			require.Equal(t, "--", rec.Topic, "not the last record's")
		})
	}
	c := one(t, connector.KindSource, ".type=RegexRouter", ".regex=(x?)a", ".replacement=$1")
	rec := connector.Record{Topic: "a"}
	_, err := c.Apply(&rec)
	require.ErrorContains(t, err, `topic "a" becomes an empty name`)
}

func TestTimestampRouter(t *testing.T) {
	t.Parallel()
	c := one(t, connector.KindSource, ".type=TimestampRouter")
	rec := connector.Record{Topic: "orders", Time: noon.In(time.FixedZone("east", 14*3600))}
	_, err := c.Apply(&rec)
	require.NoError(t, err)
	require.Equal(t, "orders-20240229", rec.Topic)
	rec = connector.Record{Topic: "orders", Time: noon.Add(24 * time.Hour)}
	_, err = c.Apply(&rec)
	require.NoError(t, err)
	require.Equal(t, "orders-20240301", rec.Topic)
	rec.Time = time.Time{}
	_, err = c.Apply(&rec)
	require.ErrorContains(t, err, "the record has no time")

	c = one(t, connector.KindSource, ".type=TimestampRouter", ".topic.format=${timestamp}_${topic}", ".timestamp.format=yyyy-MM")
	rec = connector.Record{Topic: "orders", Time: noon}
	_, err = c.Apply(&rec)
	require.NoError(t, err)
	require.Equal(t, "2024-02_orders", rec.Topic)
}

func TestPredicatesChooseTheRecordsThatATransformSees(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, predicate string
		rec             connector.Record
		holds           bool
	}{
		{"header", "HasHeaderKey", connector.Record{Headers: []connector.Header{{Name: "y"}, {Name: "x"}}}, true},
		{"no header", "HasHeaderKey", connector.Record{Headers: []connector.Header{{Name: "X"}}}, false},
		{"tombstone", "RecordIsTombstone", connector.Record{Op: connector.Tombstone}, true},
		{"null value", "RecordIsTombstone", connector.Record{Op: connector.Insert, After: datum(null(connector.JSON))}, true},
		{"document null", "RecordIsTombstone", connector.Record{After: datum(doc(" null"))}, true},
		{"delete without image", "RecordIsTombstone", connector.Record{Op: connector.Delete}, false},
		{"truncate", "RecordIsTombstone", connector.Record{Op: connector.Truncate}, false},
		{"value", "RecordIsTombstone", connector.Record{After: datum(1)}, false},
		{"topic", "TopicNameMatches", connector.Record{Topic: "x1"}, true},
		{"other topic", "TopicNameMatches", connector.Record{Topic: "ax1"}, false},
		{"no topic", "TopicNameMatches", connector.Record{}, false},
	} {
		for _, negate := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				pairs := []string{".type=Filter", ".predicate=p", "predicates=p", "predicates.p.type=org.apache.kafka.connect.transforms.predicates." + tt.predicate,
					"predicates.p.name=x", `predicates.p.pattern=x\d`}
				if negate {
					pairs = append(pairs, ".negate=true")
				}
				c := one(t, connector.KindSink, pairs...)
				for range 2 {
					rec := tt.rec
					keep, err := c.Apply(&rec)
					require.NoError(t, err)
					require.Equal(t, tt.holds == negate, keep)
				}
			})
		}
	}
}

func TestStepsShowsTheRecordAfterEachTransform(t *testing.T) {
	t.Parallel()
	config := map[string]string{"transforms": "mask, topic,drop,late", "transforms.mask.type": "MaskField", "transforms.mask.fields": "s",
		"transforms.topic.type": "RegexRouter", "transforms.topic.regex": ".*", "transforms.topic.replacement": "new",
		"transforms.drop.type": "Filter", "transforms.drop.predicate": "isNew", "predicates": "isNew", "predicates.isNew.type": "TopicNameMatches", "predicates.isNew.pattern": "new",
		"transforms.late.type": "ExtractField", "transforms.late.field": "nope"}
	c, err := transforms.New(config, connector.KindSink)
	require.NoError(t, err)
	require.Equal(t, 4, c.Len())
	watch := func() (steps []string, copies []connector.Record) {
		rec := connector.Record{Topic: "old", After: row("s", "secret")}
		c.Steps(&rec, func(alias string, rec *connector.Record, kept bool, err error) {
			text := alias + " " + rec.Topic + " " + show(rec.After)
			if err != nil {
				text += " " + err.Error()
			} else if !kept {
				text += " left out"
			}
			steps, copies = append(steps, text), append(copies, *rec)
		})
		return steps, copies
	}
	steps, copies := watch()
	require.Equal(t, []string{`mask old {s=string ""}`, `topic new {s=string ""}`, `drop new {s=string ""} left out`}, steps)
	require.Equal(t, "old", copies[0].Topic)

	config["transforms.drop.negate"] = "true"
	c, err = transforms.New(config, connector.KindSink)
	require.NoError(t, err)
	steps, _ = watch()
	require.Equal(t, []string{`mask old {s=string ""}`, `topic new {s=string ""}`, `drop new {s=string ""}`,
		`late new {s=string ""} transforms.late (ExtractField): there is no field "nope" in a value of type struct (row)`}, steps)
}

func TestTransformsLeaveSharedMemoryAlone(t *testing.T) {
	t.Parallel()
	c, err := transforms.New(map[string]string{"transforms": "a,b,c,d", "transforms.a.type": "ReplaceField", "transforms.a.renames": "n.b:c",
		"transforms.b.type": "Cast", "transforms.b.spec": "n.c:string", "transforms.c.type": "InsertField", "transforms.c.topic.field": "n.t",
		"transforms.d.type": "MaskField", "transforms.d.fields": "id"}, connector.KindSink)
	require.NoError(t, err)
	in := row("id", 1, "n", row("b", 2))
	var made []connector.Record
	for i := range 500 {
		rec := connector.Record{After: in, Before: in, Topic: "t" + string(rune('0'+i%10))}
		_, err := c.Apply(&rec)
		require.NoError(t, err)
		made = append(made, rec)
	}
	require.Equal(t, `{id=int64 1, n={b=int64 2}}`, show(in))
	for i, rec := range made {
		require.Equal(t, `{id=int64 0, n={c=string "2", t=string? "t`+string(rune('0'+i%10))+`"}}`, show(rec.After))
		require.Same(t, made[0].After.Schema, rec.After.Schema)
		require.Same(t, rec.After.Schema, rec.Before.Schema)
	}
}

func TestEachSchemaIsPlannedForAndOldOnesAreForgotten(t *testing.T) {
	t.Parallel()
	c := one(t, connector.KindSink, ".type=MaskField", ".fields=a")
	for i := range 5000 {
		rec := connector.Record{After: row("a", i, "b", i)}
		_, err := c.Apply(&rec)
		require.NoError(t, err)
		require.Zero(t, rec.After.Value.List()[0].Int())
		require.EqualValues(t, i, rec.After.Value.List()[1].Int())
	}
}
