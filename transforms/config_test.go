package transforms_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/transforms"
)

func TestClassesAreFoundByEveryNameThatUsersHave(t *testing.T) {
	t.Parallel()
	for given, value := range map[string]bool{ // whether the transform is for values
		"org.apache.kafka.connect.transforms.MaskField$Value": true, "org.apache.kafka.connect.transforms.MaskField$Key": false,
		"MaskField$Value": true, "MaskField$Key": false, "MaskField": true, "io.example.MaskField$Key": false, "maskfield$value": true, " MaskField ": true,
	} {
		for _, key := range []string{".type", ".class"} {
			c := one(t, connector.KindSource, key+"="+given, ".fields=a")
			rec := connector.Record{Key: row("a", 1), After: row("a", 1)}
			_, err := c.Apply(&rec)
			require.NoError(t, err)
			require.Equal(t, value, rec.After.Value.List()[0].Int() == 0, given)
			require.Equal(t, !value, rec.Key.Value.List()[0].Int() == 0, given)
		}
	}
}

func TestAnEmptyPredicateThatIsNotNegatedHoldsForAllRecords(t *testing.T) {
	t.Parallel()
	for _, negate := range []string{"false", ""} { // as tools send it that fill all keys in
		c := one(t, connector.KindSink, ".type=Filter", ".predicate=", ".negate="+negate)
		keep, err := c.Apply(&connector.Record{After: row("a", 1)})
		require.NoError(t, err)
		require.False(t, keep)
	}
}

func TestWithoutTransformsTheChainIsEmpty(t *testing.T) {
	t.Parallel()
	for _, config := range []map[string]string{nil, {"transforms": ""}, {"transforms": " , "}, {"transforms.x.type": "Filter"}} {
		c, err := transforms.New(config, connector.KindSource)
		require.NoError(t, err)
		require.Zero(t, c.Len())
		rec := connector.Record{After: row("a", 1)}
		keep, err := c.Apply(&rec)
		require.NoError(t, err)
		require.True(t, keep)
	}
}

// wrongConfigs are the keys of a source, and what is wrong with them.
var wrongConfigs = []struct {
	name string
	keys []string
	want []string // "key: part of the reason"
}{
	{"no type", []string{"transforms=x"}, []string{"transforms.x.type: is required"}},
	{"unknown type", []string{".type=Nope"}, []string{"transforms.x.type: there is no such class; known are Cast$Key, Cast$Value, "}},
	{"unknown class", []string{".class=Nope"}, []string{"transforms.x.class: there is no such class"}},
	{"unknown suffix", []string{".type=Cast$Header"}, []string{"transforms.x.type: there is no such class; did you mean Cast$Key or Cast$Value?"}},
	{"suffix where there is none", []string{".type=Filter$Value"}, []string{"transforms.x.type: there is no such class; did you mean Filter?"}},
	{"a predicate is no transform", []string{".type=HasHeaderKey"}, []string{"transforms.x.type: there is no such class"}},
	{"alias twice", []string{".type=Filter", "transforms=x,x"}, []string{"transforms: lists the alias x twice"}},
	{"required key", []string{".type=MaskField"}, []string{"transforms.x.fields: is required"}},
	{"several", []string{".type=HeaderFrom", ".fields=a..b", ".headers=A,B", ".operation=copy"}, []string{"transforms.x.fields: is a path with an empty step", "transforms.x.headers: names 2 headers for 1 fields"}},
	{"operation", []string{".type=HeaderFrom", ".fields=a", ".headers=A", ".operation=steal"}, []string{"transforms.x.operation: must be one of move, copy"}},
	{"undefined predicate", []string{".type=Filter", ".predicate=p"}, []string{"transforms.x.predicate: names no predicate"}},
	{"predicate that is not listed", []string{".type=Filter", ".predicate=p", "predicates.p.type=RecordIsTombstone"}, []string{"transforms.x.predicate: names no predicate"}},
	{"negate without predicate", []string{".type=Filter", ".negate=true"}, []string{"transforms.x.type: transforms.x.negate is there without transforms.x.predicate"}},
	{"negate with an empty predicate", []string{".type=Filter", ".predicate= ", ".negate=True"}, []string{"transforms.x.type: transforms.x.negate is there without transforms.x.predicate"}},
	{"negate of an undefined predicate", []string{".type=Filter", ".predicate=p", ".negate=true"}, []string{"transforms.x.predicate: names no predicate"}},
	{"negate", []string{".type=Filter", ".predicate=p", ".negate=maybe", "predicates=p", "predicates.p.type=RecordIsTombstone"}, []string{"transforms.x.negate: must be true or false"}},
	{"bad predicate, told once", []string{".type=Filter", ".predicate=p", "predicates=p", "predicates.p.type=HasHeaderKey"}, []string{"predicates.p.name: is required"}},
	{"unknown predicate, told once", []string{".type=Filter", ".predicate=p", "predicates=p", "predicates.p.type=Nope"}, []string{"predicates.p.type: there is no such class; known are HasHeaderKey, RecordIsTombstone, TopicNameMatches"}},
	{"unused predicate", []string{"predicates=p", "predicates.p.type=TopicNameMatches", "predicates.p.pattern=("}, []string{"predicates.p.pattern: is no regular expression"}},
	{"look-around", []string{".type=RegexRouter", ".regex=(?!a)b", ".replacement=c"}, []string{"transforms.x.regex: is no regular expression of Go's syntax, which has no look-around"}},
	{"group", []string{".type=RegexRouter", ".regex=a", ".replacement=$1"}, []string{"transforms.x.replacement: refers to group 1, and regex has 0"}},
	{"named group", []string{".type=RegexRouter", ".regex=a", ".replacement=${x}"}, []string{"transforms.x.replacement: refers to the group \"x\""}},
	{"lone $", []string{".type=RegexRouter", ".regex=a", ".replacement=a$"}, []string{"transforms.x.replacement: has a $ without"}},
	{"lone backslash", []string{".type=RegexRouter", ".regex=a", `.replacement=a\`}, []string{"transforms.x.replacement: ends in"}},
	{"cast type", []string{".type=Cast", ".spec=a:int,b:string,string"}, []string{"transforms.x.spec: names no type to cast to"}},
	{"cast twice", []string{".type=Cast", ".spec=a:int8,a:string"}, []string{"transforms.x.spec: casts the same field twice"}},
	{"cast whole and field", []string{".type=Cast", ".spec=a:int8,string"}, []string{"transforms.x.spec: casts the whole value and fields of it"}},
	{"cast no field", []string{".type=Cast", ".spec=:int8"}, []string{"transforms.x.spec: names no field"}},
	{"rename", []string{".type=ReplaceField", ".renames=a,b:c:d,e.f:g.h"}, []string{"transforms.x.renames: must be of the form old:new", "transforms.x.renames: must be of the form old:new", "transforms.x.renames: would move the field"}},
	{"backquote", []string{".type=ExtractField", ".field=`a"}, []string{"transforms.x.field: has a backquote without its partner"}},
	{"field syntax", []string{".type=ExtractField", ".field=a", ".field.syntax.version=V3"}, []string{"transforms.x.field.syntax.version: must be one of"}},
	{"insert nothing", []string{".type=InsertField"}, []string{"transforms.x.type: inserts nothing"}},
	{"static value", []string{".type=InsertField", ".static.field=a"}, []string{"transforms.x.static.value: is required with static.field"}},
	{"static value alone", []string{".type=InsertField", ".static.value=a"}, []string{"transforms.x.type: inserts nothing"}},
	{"offset at a source", []string{".type=InsertField", ".offset.field=o"}, []string{"transforms.x.offset.field: is possible in sinks only"}},
	{"required queue at a source", []string{".type=InsertField", ".partition.field=q!"}, []string{"transforms.x.partition.field: is null at a source"}},
	{"one place for two", []string{".type=InsertField", ".topic.field=a", ".timestamp.field=a?"}, []string{"transforms.x.timestamp.field: is the place of another field"}},
	{"one place below the other", []string{".type=InsertField", ".topic.field=a.b.c", ".static.field=a.b", ".static.value=x"}, []string{"transforms.x.static.field: is the place of another field"}},
	{"no name", []string{".type=InsertField", ".topic.field=!"}, []string{"transforms.x.topic.field: names no field"}},
	{"key fields", []string{".type=ValueToKey", ".fields=a.b,c.b"}, []string{"transforms.x.fields: gives the key a second field"}},
	{"string without format", []string{".type=TimestampConverter", ".target.type=string"}, []string{"transforms.x.format: is required with target.type = string"}},
	{"format", []string{".type=TimestampConverter", ".target.type=string", ".format=YYYY"}, []string{"transforms.x.format: has the letter Y"}},
	{"target", []string{".type=TimestampConverter", ".target.type=date"}, []string{"transforms.x.target.type: must be one of string, unix, Date, Time, Timestamp"}},
	{"router format", []string{".type=TimestampRouter", ".timestamp.format='"}, []string{"transforms.x.timestamp.format: has a single quote"}},
	{"router topic", []string{".type=TimestampRouter", ".topic.format="}, []string{"transforms.x.topic.format: must not be empty"}},
}

func TestEveryThingWrongInAConfigIsToldByItsKey(t *testing.T) {
	t.Parallel()
	for _, tt := range wrongConfigs {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := transforms.New(conf(tt.keys...), connector.KindSource)
			var errs connector.ConfigErrors
			require.ErrorAs(t, err, &errs)
			require.Len(t, errs, len(tt.want), "%v", err)
			for i, want := range tt.want {
				key, reason, _ := strings.Cut(want, ": ")
				require.Equal(t, key, errs[i].Field)
				require.Contains(t, errs[i].Reason, reason)
			}
		})
	}
}

func TestDefinitionsAreThoseOfTheAliasesInTheConfig(t *testing.T) {
	t.Parallel()
	describe := func(defs []connector.Definition) (out []string) {
		for _, d := range defs {
			require.NotEmpty(t, d.Doc)
			require.NotEmpty(t, d.Importance)
			out = append(out, d.Group+"/"+d.Name+" "+d.Type)
		}
		return out
	}
	require.Equal(t, []string{"Transforms/transforms LIST", "Predicates/predicates LIST"}, describe(transforms.Definitions(nil)))
	defs := transforms.Definitions(map[string]string{"transforms": "a,b,c,a", "transforms.a.type": "ExtractField$Key", "transforms.b.class": "Filter", "transforms.c.type": "Nope",
		"predicates": "p", "predicates.p.type": "HasHeaderKey", "transforms.d.type": "Filter"})
	require.Equal(t, []string{"Transforms/transforms LIST",
		"Transforms: a/transforms.a.type CLASS", "Transforms: a/transforms.a.predicate STRING", "Transforms: a/transforms.a.negate BOOLEAN", "Transforms: a/transforms.a.plugin.version STRING",
		"Transforms: a/transforms.a.field STRING", "Transforms: a/transforms.a.replace.null.with.default BOOLEAN", "Transforms: a/transforms.a.field.syntax.version STRING",
		"Transforms: b/transforms.b.class CLASS", "Transforms: b/transforms.b.predicate STRING", "Transforms: b/transforms.b.negate BOOLEAN", "Transforms: b/transforms.b.plugin.version STRING",
		"Transforms: c/transforms.c.type CLASS", "Transforms: c/transforms.c.predicate STRING", "Transforms: c/transforms.c.negate BOOLEAN", "Transforms: c/transforms.c.plugin.version STRING",
		"Predicates/predicates LIST", "Predicates: p/predicates.p.type CLASS", "Predicates: p/predicates.p.plugin.version STRING", "Predicates: p/predicates.p.name STRING"}, describe(defs))
	require.Contains(t, defs[1].Enum, "ExtractField$Key")
	for i, d := range defs[1:8] {
		require.Equal(t, i+1, d.Order)
	}
	require.Equal(t, "field", transforms.Plugins()[2].Config[0].Name, "definitions are copies")
}

func TestPluginsAreAllClassesUnderKafkaConnectsNames(t *testing.T) {
	t.Parallel()
	var classes []string
	for _, p := range transforms.Plugins() {
		require.NotEmpty(t, p.Version)
		classes = append(classes, p.Type+" "+p.Class)
		key := map[string]string{transforms.TypeTransformation: "transforms", transforms.TypePredicate: "predicates"}[p.Type]
		defs := transforms.Definitions(map[string]string{key: "x", key + ".x.type": p.Class})
		require.GreaterOrEqual(t, len(defs), 4+len(p.Config), "%s is found by its class", p.Class)
	}
	const path = "org.apache.kafka.connect.transforms."
	require.Equal(t, []string{
		"transformation " + path + "Cast$Key", "transformation " + path + "Cast$Value",
		"transformation " + path + "ExtractField$Key", "transformation " + path + "ExtractField$Value",
		"transformation " + path + "Filter",
		"transformation " + path + "HeaderFrom$Key", "transformation " + path + "HeaderFrom$Value",
		"transformation " + path + "InsertField$Key", "transformation " + path + "InsertField$Value",
		"transformation " + path + "MaskField$Key", "transformation " + path + "MaskField$Value",
		"transformation " + path + "RegexRouter",
		"transformation " + path + "ReplaceField$Key", "transformation " + path + "ReplaceField$Value",
		"transformation " + path + "TimestampConverter$Key", "transformation " + path + "TimestampConverter$Value",
		"transformation " + path + "TimestampRouter",
		"transformation " + path + "ValueToKey",
		"predicate " + path + "predicates.HasHeaderKey", "predicate " + path + "predicates.RecordIsTombstone", "predicate " + path + "predicates.TopicNameMatches",
	}, classes)
}
