package converters

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// TestAnyValueOfAnySchemaReadsBack encodes random values, also through one converter for all schemas, and reads them
// back with another, in the fields' order and in another, with white space and without.
func TestAnyValueOfAnySchemaReadsBack(t *testing.T) {
	t.Parallel()
	for _, f := range formats[:4] {
		t.Run(f.golden, func(t *testing.T) {
			t.Parallel()
			options := map[string]string{"schemas.cache.size": "3"} // so small that it starts over
			for k, v := range f.options {
				options[k] = v
			}
			writer, reader := newConverter(t, "json", options, f.isKey), newConverter(t, "json", options, f.isKey)
			for seed := range uint64(1000) {
				g := generator{rand.New(rand.NewPCG(seed, 1))}
				s := g.schema(3)
				want := connector.Datum{Schema: s, Value: g.value(s)}
				require.NoError(t, want.Value.Check(s), "seed %d", seed)
				text, err := writer.Encode(nil, want)
				require.NoError(t, err, "seed %d: %v", seed, want.Value)
				sent := s
				if !writer.ByReference() {
					sent = nil
				}
				checkDecodes(t, reader, text, sent, want, seed)
				if f.isKey || !json.Valid(text) {
					require.True(t, f.isKey, "seed %d: %s", seed, text)
					continue
				}
				var spaced bytes.Buffer
				require.NoError(t, json.Indent(&spaced, text, " ", "\t"))
				if !documents(s) {
					checkDecodes(t, reader, spaced.Bytes(), sent, want, seed)
				}
			}
		})
	}
}

// documents reports whether a document of type JSON, whose white space is part of it, may be inside.
func documents(s *connector.Schema) bool {
	if s == nil {
		return false
	}
	found := s.Type == connector.JSON || documents(s.Elem) || documents(s.Key)
	for _, f := range s.Fields {
		found = found || documents(f.Schema)
	}
	return found
}

func checkDecodes(t *testing.T, c Converter, text []byte, sent *connector.Schema, want connector.Datum, seed uint64) {
	t.Helper()
	got, err := c.Decode(text, sent)
	require.NoError(t, err, "seed %d: %s", seed, text)
	if sent != nil {
		require.Same(t, sent, got.Schema)
	}
	require.Equal(t, fingerprintDoc(want.Schema), fingerprintDoc(got.Schema), "seed %d: %s", seed, text)
	require.Truef(t, want.Value.Equal(got.Value), "seed %d: %s\nwant %v\ngot  %v", seed, text, want.Value, got.Value)
	again, err := c.Decode(text, sent)
	require.NoError(t, err)
	require.Same(t, got.Schema, again.Schema)
}

func fingerprintDoc(s *connector.Schema) string {
	doc, err := json.Marshal(s)
	if err != nil {
		return err.Error()
	}
	return string(doc)
}

// TestDecodeTakesFieldsInAnyOrder shuffles the fields of the flights row.
func TestDecodeTakesFieldsInAnyOrder(t *testing.T) {
	t.Parallel()
	c, s := newConverter(t, "json", nil, false), flightsSchema()
	fields := bytes.Split([]byte(flightsJSON[1:len(flightsJSON)-1]), []byte(","))
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		r.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
		text := append(append([]byte("\n{ "), bytes.Join(fields, []byte(" ,\t"))...), " } "...)
		got, err := c.Decode(text, s)
		require.NoError(t, err, "%s", text)
		require.True(t, flightsRow().Equal(got.Value), "%s", text)
	}
}

// TestValuesBelongToTheCaller decodes many records and looks at the first ones only then.
func TestValuesBelongToTheCaller(t *testing.T) {
	t.Parallel()
	s := connector.StructOf("r", connector.Field{Name: "text", Schema: connector.Of(connector.String)},
		connector.Field{Name: "bytes", Schema: connector.Of(connector.Bytes)}, connector.Field{Name: "n", Schema: connector.Of(connector.Int64)})
	c := newConverter(t, "json", nil, false)
	var want, got []connector.Value
	for i := range 5000 {
		text := fmt.Sprintf("line\n%d", i) // with an escape, so that it is copied
		v := connector.ListValue([]connector.Value{connector.TextValue(text), connector.BytesValue([]byte(text)), connector.IntValue(int64(i))})
		doc, err := c.Encode(nil, connector.Datum{Schema: s, Value: v})
		require.NoError(t, err)
		back, err := c.Decode(doc, s)
		require.NoError(t, err)
		want, got = append(want, v), append(got, back.Value)
	}
	for i := range want {
		require.True(t, want[i].Equal(got[i]), "record %d: %v", i, got[i])
	}
}

// TestEncodeAgreesWithEncodingJSON lets the standard library read what Encode writes.
func TestEncodeAgreesWithEncodingJSON(t *testing.T) {
	t.Parallel()
	c := newConverter(t, "json", nil, false)
	s := connector.StructOf("r", connector.Field{Name: "s", Schema: connector.Of(connector.String)},
		connector.Field{Name: "f", Schema: connector.Of(connector.Float64)}, connector.Field{Name: "i", Schema: connector.Of(connector.Int64)},
		connector.Field{Name: "b", Schema: connector.Of(connector.Bytes)})
	for seed := range uint64(1000) {
		g := generator{rand.New(rand.NewPCG(seed, 3))}
		v := g.value(s)
		text, err := c.Encode(nil, connector.Datum{Schema: s, Value: v})
		require.NoError(t, err)
		var row struct {
			S string
			F any
			I int64
			B []byte
		}
		require.NoError(t, json.Unmarshal(text, &row), "%s", text)
		items := v.List()
		require.Equal(t, items[0].Text(), row.S)
		require.Equal(t, items[2].Int(), row.I)
		require.Equal(t, string(items[3].Bytes()), string(row.B))
		if f, ok := row.F.(float64); ok {
			require.Equal(t, items[1].Float(), f)
		}
	}
}
