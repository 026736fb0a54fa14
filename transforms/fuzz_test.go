package transforms_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/transforms"
)

// FuzzDocuments changes JSON documents as text, and compares with the same change of what encoding/json reads.
func FuzzDocuments(f *testing.F) {
	for _, text := range []string{`{}`, `{"a":1,"b":{"c":2,"d":[1,{"c":3}]},"e":"x"}`, ` { "a" : { } , "b" : { "c" : "}\"," } } `, `{"\u0061":1e5,"é":null}`,
		`{"b":[],"b":{"c":1}}`, `{"a":`, `[1]`, `null`, `"x"`, `{"b":{"c":1}`, `{"a":1,}`, `{"a" 1}`, `{"a":"\`} {
		f.Add(text)
	}
	config := map[string]string{"transforms": "x,y", "transforms.x.type": "ReplaceField", "transforms.x.exclude": "a,b.c", "transforms.x.renames": "e:f",
		"transforms.y.type": "InsertField", "transforms.y.topic.field": "topic"}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := transforms.New(config, connector.KindSink)
		require.NoError(t, err)
		rec := connector.Record{Topic: "t", After: connector.Datum{Schema: connector.Of(connector.JSON), Value: connector.TextValue(text)}}
		_, err = c.Apply(&rec)
		var want map[string]any
		if !json.Valid([]byte(text)) || json.Unmarshal([]byte(text), &want) != nil || want == nil || !utf8.ValidString(text) || strings.Contains(text, `\u`) || doubled(text) {
			return // what is no object may fail or not, but not panic
		}
		require.NoError(t, err)
		delete(want, "a")
		if b, ok := want["b"].(map[string]any); ok {
			delete(b, "c")
		}
		if e, ok := want["e"]; ok {
			want["f"] = e
			delete(want, "e")
		}
		want["topic"] = "t"
		var got map[string]any
		require.NoError(t, json.Unmarshal([]byte(rec.After.Value.Text()), &got), rec.After.Value.Text())
		require.Equal(t, want, got)
	})
}

// doubled reports whether some object of a document has two members of one name, or the renamed one is there already.
func doubled(text string) bool {
	d := json.NewDecoder(strings.NewReader(text))
	names := []map[string]bool{}
	key := []bool{} // whether the next token of the level is a name
	for {
		token, err := d.Token()
		if err != nil {
			return false
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			names, key = append(names, map[string]bool{}), append(key, token == json.Delim('{'))
			continue
		case json.Delim('}'), json.Delim(']'):
			names, key = names[:len(names)-1], key[:len(key)-1]
		default:
			if n := len(names); n > 0 && key[n-1] {
				name, _ := token.(string)
				if names[n-1][name] || name == "f" {
					return true
				}
				names[n-1] = maps.Clone(names[n-1])
				names[n-1][name] = true
				key[n-1] = false
				continue
			}
		}
		if n := len(names); n > 0 && len(names[n-1]) > 0 {
			key[n-1] = true
		}
	}
}
