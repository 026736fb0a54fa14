package converters

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// notation writes a schema down shortly.
func notation(s *connector.Schema) string {
	switch s.Type {
	case connector.Array:
		return "[" + notation(s.Elem) + "]"
	case connector.Struct:
		text := "{"
		for _, f := range s.Fields {
			text += f.Name + ":" + notation(f.Schema) + " "
		}
		return text + "}"
	}
	return s.Type.String()
}

func TestSchemasAreInferredFromDocuments(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, schema, value string }{
		{`null`, "json", "null"},
		{`true`, "bool", "true"},
		{`9223372036854775807`, "int64", "9223372036854775807"},
		{`9223372036854775808`, "decimal", `"9223372036854775808"`},
		{`1.0`, "float64", "1"},
		{`1e999`, "json", `"1e999"`},
		{`"x"`, "string", `"x"`},
		{`{"b":1,"a":{"x":null}}`, "{b:int64 a:{x:json } }", "[1 [null]]"},
		{`{}`, "{}", "[]"},
		{`[]`, "[json]", "[]"},
		{`[null,1]`, "[int64]", "[null 1]"},
		{`[1,2.5]`, "[float64]", "[1 2.5]"},
		{`[9007199254740993,2.5]`, "[json]", `["9007199254740993" "2.5"]`},
		{`[1,9223372036854775808]`, "[decimal]", `["1" "9223372036854775808"]`},
		{`[1, "x" ,{"a": 1}]`, "[json]", `["1" "\"x\"" "{\"a\": 1}"]`},
		{`[[1],[null],[]]`, "[[int64]]", "[[1] [null] []]"},
		{`[[1],["x"]]`, "[json]", `["[1]" "[\"x\"]"]`},
		{`[{"a":1,"b":null},{"a":null,"b":[]},{"a":2,"b":["x"]}]`, "[{a:int64 b:[string] }]", `[[1 null] [null []] [2 ["x"]]]`},
		{`[{"a":1},{"b":1}]`, "[json]", `["{\"a\":1}" "{\"b\":1}"]`},
	} {
		got, err := newConverter(t, "json", nil, false).Decode([]byte(tt.text), nil)
		require.NoError(t, err, tt.text)
		require.Equal(t, tt.schema, notation(got.Schema), tt.text)
		require.Equal(t, tt.value, got.Value.String(), tt.text)
		require.NoError(t, got.Value.Check(got.Schema), tt.text)
	}
	for _, text := range []string{`{"a":1,"a":2}`, `{"":1}`, `[{"a":1,"a":2}]`, ``} {
		_, err := newConverter(t, "json", nil, false).Decode([]byte(text), nil)
		require.Error(t, err, text)
	}
}

func TestEqualShapesShareOneSchemaAndTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newJSON(jsonOptions{Cache: 10}, false)
	first, err := c.Decode([]byte(`{"a":1,"b":"x"}`), nil)
	require.NoError(t, err)
	second, err := c.Decode([]byte(` {"a" : 2 , "b" : "y"} `), nil)
	require.NoError(t, err)
	require.Same(t, first.Schema, second.Schema)
	for i := range 1000 {
		_, err := c.Decode(fmt.Appendf(nil, `{"f%d":1}`, i), nil)
		require.NoError(t, err)
		_, err = c.Encode(nil, connector.Datum{Schema: connector.Of(connector.Bool), Value: connector.BoolValue(true)})
		require.NoError(t, err)
		require.LessOrEqual(t, len(c.shapes), 10)
		require.LessOrEqual(t, len(c.plans.all), 10)
	}
}

func TestKeysWithoutSchema(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{`plain`: `string "plain"`, `12`: `string "12"`, `"12"`: `string "12"`, `{"id":1}`: `{id:int64 } [1]`, `[x]`: `string "[x]"`,
		`"x`: `string "\"x"`, `null`: `string "null"`, `{"id":1} x`: `string "{\"id\":1} x"`} {
		got, err := newConverter(t, "json", nil, true).Decode([]byte(text), nil)
		require.NoError(t, err)
		require.Equal(t, want, notation(got.Schema)+" "+got.Value.String())
	}
}
