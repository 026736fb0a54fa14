package transforms_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/transforms"
)

// FuzzConfig holds that any config of transforms makes a chain or says by key what is wrong, that each key is defined once,
// that every alias has its type defined, and that a chain that was made takes a record without a panic.
func FuzzConfig(f *testing.F) {
	for _, text := range []string{
		"", "transforms=a", "transforms=a,a, b ,\ntransforms.a.type=Filter\ntransforms.b.class=Filter", "transforms=a.b\ntransforms.a.b.type=Cast$Value\ntransforms.a.b.spec=x:int32,y:",
		"transforms=a\ntransforms.a.type=org.apache.kafka.connect.transforms.TimestampConverter$Value\ntransforms.a.format=yyyy-MM-dd'T'HH:mm:ss.SSSXXX\ntransforms.a.target.type=string\ntransforms.a.field=a.b",
		"transforms=a\ntransforms.a.type=RegexRouter\ntransforms.a.regex=(.*)-(?<x>\\d+)\ntransforms.a.replacement=$1-${x}-$9", "transforms=a\ntransforms.a.type=TimestampRouter\ntransforms.a.topic.format=${topic}-${timestamp}\ntransforms.a.timestamp.format=YYYYww",
		"transforms=a\ntransforms.a.type=MaskField$Value\ntransforms.a.fields=`a.b`.c\ntransforms.a.replacement=x\ntransforms.a.field.syntax.version=V2\ntransforms.a.predicate=p\ntransforms.a.negate=true\npredicates=p\npredicates.p.type=HasHeaderKey\npredicates.p.name=h",
		"transforms=a\ntransforms.a.type=HeaderFrom$Value\ntransforms.a.fields=x,y\ntransforms.a.headers=h\ntransforms.a.operation=move", "transforms=a,b,c\ntransforms.a.type=ValueToKey\ntransforms.a.fields=x\ntransforms.b.type=ExtractField$Key\ntransforms.b.field=x\ntransforms.c.type=InsertField$Value\ntransforms.c.static.field=s\ntransforms.c.static.value=v",
		"transforms=a\ntransforms.a.type=ReplaceField$Value\ntransforms.a.include=x\ntransforms.a.exclude=y\ntransforms.a.renames=a:b,c",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		config := map[string]string{}
		for _, line := range strings.Split(text, "\n") {
			if key, value, ok := strings.Cut(line, "="); ok {
				config[key] = value
			}
		}
		keys := map[string]bool{}
		for _, d := range transforms.Definitions(config) {
			require.False(t, keys[d.Name], "%q is defined twice", d.Name)
			keys[d.Name] = true
		}
		for _, kind := range []connector.Kind{connector.KindSource, connector.KindSink} {
			c, err := transforms.New(config, kind)
			if err != nil {
				var all connector.ConfigErrors
				require.True(t, errors.As(err, &all), "%v", err)
				for _, e := range all {
					require.NotEmpty(t, e.Reason, e.Field)
					require.True(t, keys[e.Field], "%q is wrong (%s), but not defined", e.Field, e.Reason)
				}
				continue
			}
			rec := connector.Record{Topic: "t", After: connector.Datum{Schema: connector.Of(connector.JSON), Value: connector.TextValue(`{"a":{"b":"2024-01-02"},"x":1,"y":null}`)}}
			_, _ = c.Apply(&rec) // whether the record suits the chain does not matter here
		}
	})
}
