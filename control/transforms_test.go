package control

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// transformService knows one source, which has no keys of its own.
func transformService() *Service {
	type none struct{}
	return New(Options{Plugins: connector.Plugins{connector.NewSource(connector.SourceSpec[none]{Class: "TestSource", Version: "1"})}})
}

// validated validates a config with more keys, given as "key=value"; keys that begin with a dot are the transform x's.
func validated(t *testing.T, pairs ...string) (Validation, map[string]KeyResult) {
	t.Helper()
	class, name, topic := "TestSource", "n", "t"
	config := map[string]*string{"connector.class": &class, "name": &name, "topic": &topic}
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(key, ".") {
			x := "x"
			config["transforms"], key = &x, "transforms.x"+key
		}
		config[key] = &value
	}
	v, err := transformService().Validate("TestSource", config)
	require.NoError(t, err)
	byKey := map[string]KeyResult{}
	for _, c := range v.Configs {
		byKey[c.Value.Name] = c
	}
	return v, byKey
}

func TestValidationShowsTheKeysOfTransformsAndPredicates(t *testing.T) {
	t.Parallel()
	v, keys := validated(t, ".type=org.apache.kafka.connect.transforms.MaskField$Value", ".fields=a,b.c", ".predicate=p", ".negate=true",
		"predicates=p", "predicates.p.type=HasHeaderKey", "predicates.p.name=h")
	require.Zero(t, v.ErrorCount, "%+v", v.Configs)
	for _, group := range []string{"Transforms", "Transforms: x", "Predicates", "Predicates: p"} {
		require.Contains(t, v.Groups, group)
	}
	for key, want := range map[string]string{"transforms": "x", "transforms.x.type": "org.apache.kafka.connect.transforms.MaskField$Value", "transforms.x.fields": "a,b.c",
		"transforms.x.negate": "true", "transforms.x.predicate": "p", "transforms.x.replace.null.with.default": "true", "predicates": "p", "predicates.p.name": "h"} {
		require.Contains(t, keys, key)
		require.Equal(t, want, *keys[key].Value.Value)
		require.NotNil(t, keys[key].Definition)
	}
	require.Equal(t, "Transforms: x", keys["transforms.x.fields"].Definition.Group)
	require.Equal(t, "CLASS", keys["transforms.x.type"].Definition.Type)
	require.Contains(t, keys["transforms.x.type"].Value.RecommendedValues, "InsertField$Key")

	_, keys = validated(t)
	require.Contains(t, keys, "transforms")
	require.NotContains(t, keys, "transforms.x.type")
}

func TestValidationTellsWhatIsWrongWithTransforms(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		keys []string
		want map[string]string // the keys with one error each, and a part of it
	}{
		{"undefined predicate", []string{".type=Filter", ".predicate=p"}, map[string]string{"transforms.x.predicate": "names no predicate"}},
		{"negate without predicate", []string{".type=Filter", ".negate=true"}, map[string]string{"transforms.x.type": "transforms.x.negate"}},
		{"unknown class hides its keys", []string{".type=Nope", ".what=ever", ".predicate=p", "predicates=p", "predicates.p.type=Nope", "predicates.p.name=x"},
			map[string]string{"transforms.x.type": "no such class", "predicates.p.type": "no such class"}},
		{"no class", []string{"transforms=x", "predicates=p"}, map[string]string{"transforms.x.type": "is required", "predicates.p.type": "is required"}},
		{"RocketMQ Connect's name of the key", []string{".class=MaskField"}, map[string]string{"transforms.x.fields": "is required"}},
		{"unknown key of a known class", []string{".type=MaskField", ".fields=a", ".field=a"}, map[string]string{"transforms.x.field": `did you mean "transforms.x.fields"?`}},
		{"alias that is not listed", []string{"transforms.y.type=Filter"}, map[string]string{"transforms.y.type": "belongs to an alias that transforms does not list; add it there"}},
		{"predicate that is not listed", []string{"predicates.y.type=HasHeaderKey"}, map[string]string{"predicates.y.type": "belongs to an alias that predicates does not list"}},
		{"key like none of a known class", []string{".type=MaskField", ".fields=a", ".whatever.it.is.called=a"}, map[string]string{"transforms.x.whatever.it.is.called": "is not a key of this connector; remove it"}},
		{"reference where letters are taken in any case", []string{".type=MaskField", ".fields=a", ".field.syntax.version=${env:SYNTAX}"}, nil},
		{"alias twice", []string{".type=Filter", "transforms=x,x"}, map[string]string{"transforms": "lists the alias x twice"}},
		{"key of its class", []string{".type=InsertField", ".offset.field=o"}, map[string]string{"transforms.x.offset.field": "in sinks only"}},
		{"reference", []string{".type=MaskField", ".fields=a", ".replacement=${env:MASK}"}, nil},
		{"reference where a choice is asked for", []string{".type=HeaderFrom", ".fields=a", ".headers=a", ".operation=${env:OPERATION}"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, keys := validated(t, tt.keys...)
			wrong := map[string][]string{}
			for key, c := range keys {
				if len(c.Value.Errors) > 0 {
					wrong[key] = c.Value.Errors
				}
			}
			require.ElementsMatch(t, slices.Collect(maps.Keys(tt.want)), slices.Collect(maps.Keys(wrong)), "%v", wrong)
			for key, part := range tt.want {
				require.Len(t, wrong[key], 1)
				require.Contains(t, wrong[key][0], part)
			}
			require.Equal(t, len(tt.want), v.ErrorCount)
		})
	}
}

func TestTransformsAreAmongThePlugins(t *testing.T) {
	t.Parallel()
	s := transformService()
	cast := PluginInfo{Class: "org.apache.kafka.connect.transforms.Cast$Key", Type: "transformation", Version: "0.1.0"}
	require.Contains(t, s.PluginList(false), cast)
	require.Contains(t, s.PluginList(false), PluginInfo{Class: "org.apache.kafka.connect.transforms.predicates.HasHeaderKey", Type: "predicate", Version: "0.1.0"})
	require.NotContains(t, s.PluginList(true), cast)
	for _, class := range []string{cast.Class, "Cast$Key"} {
		keys, err := s.PluginConfig(class, "")
		require.NoError(t, err)
		require.Equal(t, "spec", keys[0].Name)
	}
	_, err := s.PluginConfig("Key", "")
	require.Error(t, err)
}
