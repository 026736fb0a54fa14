package converters

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

var update = flag.Bool("update", false, "write the golden files anew")

func newConverter(t testing.TB, name string, options map[string]string, isKey bool) Converter {
	t.Helper()
	c, err := New(name, options, isKey)
	require.NoError(t, err)
	return c
}

var formats = []struct {
	golden, name string
	options      map[string]string
	isKey        bool
}{
	{"json", "json", nil, false},
	{"json-key", "org.apache.kafka.connect.json.JsonConverter", nil, true},
	{"envelope-rocketmq", "json", map[string]string{"schemas.enable": "true"}, false},
	{"envelope-kafka", "json", map[string]string{"schemas.enable": "true", "schemas.names": "kafka", "decimal.format": "NUMERIC"}, false},
	{"string", "string", nil, false},
	{"bytes", "bytes", nil, false},
}

// TestFormsAreThoseOfTheGoldenFiles pins every form that is stored or sent. What is refused is in the files, too.
func TestFormsAreThoseOfTheGoldenFiles(t *testing.T) {
	t.Parallel()
	for _, f := range formats {
		t.Run(f.golden, func(t *testing.T) {
			t.Parallel()
			c := newConverter(t, f.name, f.options, f.isKey)
			var got bytes.Buffer
			for _, s := range append(scalars(), composites()...) {
				text, err := c.Encode(nil, s.datum)
				if err != nil {
					require.Empty(t, text)
					fmt.Fprintf(&got, "%s\terror: %v\n", s.name, err)
					continue
				}
				fmt.Fprintf(&got, "%s\t%s\n", s.name, text)
			}
			path := filepath.Join("testdata", f.golden+".golden")
			if *update {
				require.NoError(t, os.WriteFile(path, got.Bytes(), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), got.String())
		})
	}
}

// TestFormsReadBack decodes what the golden files hold.
func TestFormsReadBack(t *testing.T) {
	t.Parallel()
	for _, f := range formats {
		t.Run(f.golden, func(t *testing.T) {
			t.Parallel()
			writer, reader := newConverter(t, f.name, f.options, f.isKey), newConverter(t, f.name, f.options, f.isKey)
			for _, s := range append(scalars(), composites()...) {
				text, err := writer.Encode([]byte("before"), s.datum)
				if err != nil {
					continue // the golden file says why
				}
				require.Equal(t, "before", string(text[:6]))
				text = text[6:]
				if f.name != "string" && f.name != "bytes" && !f.isKey {
					require.True(t, json.Valid(text), "%s: %s", s.name, text)
				}
				schema := s.datum.Schema
				if len(f.options) > 0 {
					schema = nil
				}
				back, err := reader.Decode(text, schema)
				require.NoError(t, err, "%s: %s", s.name, text)
				require.Equal(t, s.datum.Schema.Fingerprint(), back.Schema.Fingerprint(), s.name)
				require.Truef(t, s.datum.Value.Equal(back.Value), "%s: %v came back as %v", s.name, s.datum.Value, back.Value)
				require.NoError(t, back.Value.Check(back.Schema))
			}
		})
	}
}

func TestOnlyTheCompactJSONTravelsByReference(t *testing.T) {
	t.Parallel()
	for _, f := range formats {
		require.Equal(t, f.golden == "json" || f.golden == "json-key", newConverter(t, f.name, f.options, f.isKey).ByReference(), f.golden)
	}
}

func TestAbsentDatumsHaveNoBytes(t *testing.T) {
	t.Parallel()
	for _, f := range formats {
		text, err := newConverter(t, f.name, f.options, f.isKey).Encode([]byte("x"), connector.Datum{})
		require.NoError(t, err)
		require.Equal(t, "x", string(text))
		datum, err := newConverter(t, f.name, f.options, true).Decode(nil, nil)
		require.NoError(t, err)
		require.Equal(t, f.name == "string" || f.name == "bytes", datum.Present(), "only those have values without bytes")
	}
}

func TestNewRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, class string
		options     map[string]string
		fields      []string
	}{
		{"class", "avro", nil, []string{"key.converter"}},
		{"option", "json", map[string]string{"schema.enable": "true"}, []string{"key.converter.schema.enable"}},
		{"values", "json", map[string]string{"schemas.enable": "yes", "schemas.names": "pulsar"}, []string{"key.converter.schemas.enable", "key.converter.schemas.names"}},
		{"string option", "string", map[string]string{"encoding": "latin1"}, []string{"key.converter.encoding"}},
		{"bytes option", "bytes", map[string]string{"schemas.enable": "true", "x": "1"}, []string{"key.converter.x"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := New(tt.class, tt.options, true)
			require.Nil(t, c)
			var problems connector.ConfigErrors
			require.ErrorAs(t, err, &problems)
			var fields []string
			for _, p := range problems {
				fields = append(fields, p.Field)
			}
			require.ElementsMatch(t, tt.fields, fields)
		})
	}
	for _, class := range []string{"org.apache.rocketmq.connect.runtime.converter.record.json.JsonConverter", "StringConverter", "x.ByteArrayConverter"} {
		_, err := New(class, map[string]string{"schemas.enable": "false"}, false)
		require.NoError(t, err)
	}
	require.NotEmpty(t, Options("x.JsonConverter"))
	require.Empty(t, Options("string"))
}
