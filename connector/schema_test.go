package connector

import (
	"encoding/json"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func flights() *Schema {
	return &Schema{Type: Struct, Name: "public.flights", Version: 2, Doc: "Departures.", Params: map[string]string{"b": "2", "a": "<1>"}, Fields: []Field{
		{"id", Of(Int64)}, {"carrier", OptionalOf(String)}, {"price", &Schema{Type: Decimal, Precision: 10, Scale: 2, Optional: true}},
		{"at", &Schema{Type: TimestampTZ, PrecisionSet: true}}, {"class", &Schema{Type: Enum, Symbols: []string{"first", "second"}}},
		{"stops", &Schema{Type: Array, Elem: Of(String)}}, {"extra", &Schema{Type: Map, Key: Of(String), Elem: OptionalOf(JSON)}}}}
}

// TestFingerprintsNeverChange pins fingerprints: they name schemas in stored messages and in the catalog.
func TestFingerprintsNeverChange(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		schema *Schema
		print  string
		doc    string
	}{
		{Of(Int64), "F0kl4H_miaGtd7LRLL2cww", `{"type":"int64"}`},
		{OptionalOf(String), "U_Undg8lqBIK1CDUKDw7yQ", `{"type":"string","optional":true}`},
		{StructOf("t"), "yvFLxQoB8Q-janQDot-SIg", `{"type":"struct","name":"t"}`},
		{flights(), "dodeBD8noD3GHA-zz7ltoA", `{"type":"struct","name":"public.flights","version":2,"doc":"Departures.","fields":[{"name":"id","schema":{"type":"int64"}},{"name":"carrier","schema":{"type":"string","optional":true}},` +
			`{"name":"price","schema":{"type":"decimal","optional":true,"precision":10,"scale":2}},{"name":"at","schema":{"type":"timestamptz","precision_set":true}},` +
			`{"name":"class","schema":{"type":"enum","symbols":["first","second"]}},{"name":"stops","schema":{"type":"array","elem":{"type":"string"}}},` +
			`{"name":"extra","schema":{"type":"map","key":{"type":"string"},"elem":{"type":"json","optional":true}}}],"params":{"a":"\u003c1\u003e","b":"2"}}`},
	} {
		doc, err := json.Marshal(tt.schema)
		require.NoError(t, err)
		require.Equal(t, tt.doc, string(doc))
		require.Equal(t, tt.print, tt.schema.Fingerprint())
		require.Len(t, tt.schema.Fingerprint(), 22)
		var back Schema
		require.NoError(t, json.Unmarshal(doc, &back))
		require.Equal(t, tt.schema.Fingerprint(), back.Fingerprint(), "a schema that was stored keeps its fingerprint")
	}
}

// TestEachPartOfASchemaIsInItsFingerprint changes one thing at a time.
func TestEachPartOfASchemaIsInItsFingerprint(t *testing.T) {
	t.Parallel()
	seen := map[string]string{flights().Fingerprint(): "nothing"}
	for name, change := range map[string]func(*Schema){
		"name": func(s *Schema) { s.Name = "x" }, "version": func(s *Schema) { s.Version = 3 }, "doc": func(s *Schema) { s.Doc = "" }, "optional": func(s *Schema) { s.Optional = true },
		"parameter": func(s *Schema) { s.Params["a"] = "3" }, "field name": func(s *Schema) { s.Fields[0].Name = "x" }, "field type": func(s *Schema) { s.Fields[0].Schema = Of(Int32) },
		"field order": func(s *Schema) { s.Fields[0], s.Fields[1] = s.Fields[1], s.Fields[0] }, "precision": func(s *Schema) { s.Fields[2].Schema.Precision = 11 },
		"scale": func(s *Schema) { s.Fields[2].Schema.Scale = 3 }, "precision set": func(s *Schema) { s.Fields[3].Schema.PrecisionSet = false },
		"symbols": func(s *Schema) { s.Fields[4].Schema.Symbols = []string{"second", "first"} }, "element": func(s *Schema) { s.Fields[5].Schema.Elem = OptionalOf(String) },
		"key": func(s *Schema) { s.Fields[6].Schema.Key = Of(Int8) },
	} {
		s := flights()
		change(s)
		require.Empty(t, seen[s.Fingerprint()], name)
		seen[s.Fingerprint()] = name
	}
}

func TestFingerprintIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	s, want := flights(), flights().Fingerprint()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if s.Fingerprint() != want {
				t.Error("another fingerprint")
			}
		})
	}
	wg.Wait()
}

func TestTypesHaveNames(t *testing.T) {
	t.Parallel()
	for typ := Bool; typ <= Struct; typ++ {
		back, err := ParseType(typ.String())
		require.NoError(t, err)
		require.Equal(t, typ, back)
	}
	for _, name := range []string{"", "invalid", "INT8", "varchar"} {
		_, err := ParseType(name)
		require.Error(t, err, name)
	}
	require.Equal(t, "type(200)", Type(200).String())
	var s Schema
	require.Error(t, json.Unmarshal([]byte(`{"type":"varchar"}`), &s))
}

func TestValidateNamesTheField(t *testing.T) {
	t.Parallel()
	require.NoError(t, flights().Validate())
	nested := func(s *Schema) *Schema { return StructOf("r", Field{"f", s}) }
	for _, tt := range []struct {
		schema *Schema
		says   string
	}{
		{&Schema{}, "schema without a valid type"},
		{&Schema{Type: 77}, "schema without a valid type"},
		{StructOf("r", Field{"", Of(Bool)}), `struct "r": a field without name or schema`},
		{StructOf("r", Field{"a", nil}), `struct "r": a field without name or schema`},
		{StructOf("r", Field{"a", Of(Bool)}, Field{"a", Of(Bool)}), `struct "r": field "a" twice`},
		{nested(&Schema{Type: Array}), `field "f": array without the schema of its elements`},
		{nested(&Schema{Type: Map, Elem: Of(Bool)}), `field "f": map without the schema of its elements`},
		{nested(&Schema{Type: Map, Elem: Of(Bool), Key: &Schema{}}), `field "f": map key: schema without a valid type`},
		{nested(&Schema{Type: Enum, Name: "mood"}), `field "f": enum "mood" without symbols`},
	} {
		require.EqualError(t, tt.schema.Validate(), tt.says)
	}
	require.Equal(t, 1, flights().FieldIndex("carrier"))
	require.Equal(t, -1, flights().FieldIndex("Carrier"))
}
