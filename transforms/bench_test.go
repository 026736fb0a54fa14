package transforms_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/transforms"
)

// wide is a row of twenty fields.
func wide() connector.Datum {
	pairs := []any{"id", 1, "name", "a name", "address", address(), "at", noon}
	for _, name := range []string{"c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r"} {
		pairs = append(pairs, name, 1.5)
	}
	return row(pairs...)
}

var hot = []struct {
	name string
	keys []string
}{
	{"InsertField", []string{".type=InsertField", ".topic.field=topic", ".offset.field=offset", ".static.field=source", ".static.value=x"}},
	{"InsertField nested", []string{".type=InsertField", ".topic.field=address.topic"}},
	{"ReplaceField", []string{".type=ReplaceField", ".exclude=d,h", ".renames=id:key"}},
	{"MaskField", []string{".type=MaskField", ".fields=name,address.city"}},
	{"Cast to int32", []string{".type=Cast", ".spec=id:int32,c:int32"}},
	{"Cast to string", []string{".type=Cast", ".spec=id:string,c:string"}},
	{"TimestampConverter", []string{".type=TimestampConverter", ".field=at", ".target.type=string", ".format=yyyy-MM-dd'T'HH:mm:ss.SSSX"}},
	{"ExtractField", []string{".type=ExtractField", ".field=address.city"}},
	{"ValueToKey", []string{".type=ValueToKey", ".fields=id,name"}},
	{"RegexRouter", []string{".type=RegexRouter", ".regex=(.*)", ".replacement=x-$1"}},
	{"TimestampRouter", []string{".type=TimestampRouter"}},
	{"Filter by topic", []string{".type=Filter", ".predicate=p", "predicates=p", "predicates.p.type=TopicNameMatches", "predicates.p.pattern=x.*"}},
}

// BenchmarkApply is one record of twenty fields through one transform.
func BenchmarkApply(b *testing.B) {
	in := wide()
	for _, bb := range hot {
		b.Run(bb.name, func(b *testing.B) { benchmark(b, one(b, connector.KindSink, bb.keys...), in) })
	}
	b.Run("document", func(b *testing.B) {
		in := datum(doc(`{"id":1,"name":"a name","address":{"city":"Bonn","zip":53111},"c":1.5,"d":1.5,"e":1.5,"f":1.5,"g":1.5,"h":1.5}`))
		benchmark(b, one(b, connector.KindSink, ".type=MaskField", ".fields=name,address.city"), in)
	})
}

func benchmark(b *testing.B, c *transforms.Chain, in connector.Datum) {
	rec := connector.Record{}
	b.ReportAllocs()
	for b.Loop() {
		rec = connector.Record{Topic: "orders", After: in, Time: noon, Partition: queue3}
		if _, err := c.Apply(&rec); err != nil {
			b.Fatal(err)
		}
	}
}

func TestRecordsWithSchemaCostAFractionOfAnAllocation(t *testing.T) {
	in := wide()
	for _, tt := range hot {
		c := one(t, connector.KindSink, tt.keys...)
		rec := connector.Record{}
		perRecord := testing.AllocsPerRun(1000, func() {
			rec = connector.Record{Topic: "orders", After: in, Time: noon, Partition: queue3}
			if _, err := c.Apply(&rec); err != nil {
				t.Error(err)
			}
		})
		require.Zero(t, perRecord, tt.name) // rounded down
	}
}
