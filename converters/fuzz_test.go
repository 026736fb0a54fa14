package converters

import (
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// everything is a schema with every type in it, optional and not.
func everything() *connector.Schema {
	s := connector.StructOf("everything")
	for _, sample := range append(scalars(), composites()...) {
		s.Fields = append(s.Fields, connector.Field{Name: sample.name, Schema: sample.datum.Schema})
	}
	return s
}

func everyRow() connector.Value {
	var items []connector.Value
	for _, sample := range append(scalars(), composites()...) {
		items = append(items, sample.datum.Value)
	}
	return connector.ListValue(items)
}

// strictJSON is what our decoders call JSON: what encoding/json does, in valid UTF-8.
func strictJSON(data []byte) bool { return json.Valid(data) && utf8.Valid(data) }

var jsonSeeds = []string{`{"a":1}`, `[1,2.5,-3e+7,null]`, `"\u00e9\ud83d\ude00"`, `"\ud83d"`, ` {"a" : [ {} , [] ] } `, `tru`, `01`, `-`, `1.`, `1e`, `"`, `"\x"`, "\"\x01\"",
	"\"\xff\"", `{"a":1,}`, `[1 2]`, `{"a"}`, `nullnull`, `[[[[`, `{"a":1,"a":2}`, "\ufeff1", `[[1],[null],[2.5]]`, `[{"a":null},{"a":"x"}]`, `[9223372036854775807,9223372036854775808,1e999]`, flightsJSON}

// FuzzDocument compares the validator with encoding/json's.
func FuzzDocument(f *testing.F) {
	for _, seed := range jsonSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := document(data)
		if errors.Is(err, errDepth) {
			return
		}
		require.Equal(t, strictJSON(data), err == nil, "%q: %v", data, err)
		if err == nil {
			require.True(t, json.Valid(doc))
		}
	})
}

// FuzzInfer reads documents without schema: all that are valid, but for names that no struct can have and halves of
// surrogate pairs, and what it reads is written and read again.
func FuzzInfer(f *testing.F) {
	for _, seed := range jsonSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := newConverter(t, "json", nil, false)
		datum, err := c.Decode(data, nil)
		if err != nil {
			unfit := errors.Is(err, errDepth) || errors.Is(err, errSurrogate) || errors.Is(err, errNoName) || doubled(data)
			require.True(t, unfit || !strictJSON(data), "%q: %v", data, err)
			return
		}
		require.True(t, strictJSON(data), "%q", data)
		require.NoError(t, datum.Value.Check(datum.Schema))
		text, err := c.Encode(nil, datum)
		require.NoError(t, err)
		back, err := c.Decode(text, datum.Schema)
		require.NoError(t, err, "%s", text)
		require.Truef(t, datum.Value.Equal(back.Value), "%s: %v then %v", text, datum.Value, back.Value)
	})
}

// doubled reports whether an object somewhere in the document has a name twice.
func doubled(data []byte) bool {
	var walk func(d *decoder) bool
	walk = func(d *decoder) bool {
		open := d.peek()
		if open != '{' && open != '[' {
			return d.skip(0) != nil
		}
		names := map[string]bool{}
		more, err := d.open(open, open+2, false)
		for ; more && err == nil; more, err = d.comma(open + 2) {
			if open == '{' {
				name, err := d.text()
				if err != nil || names[string(name)] || d.colon() != nil {
					return true
				}
				names[string(name)] = true
			}
			if walk(d) {
				return true
			}
		}
		return err != nil
	}
	return walk(&decoder{data: data})
}

// FuzzDecode reads rows of every type: what it takes is JSON, fits the schema, and reads back the same.
func FuzzDecode(f *testing.F) {
	s := everything()
	text, err := newConverter(f, "json", nil, false).Encode(nil, connector.Datum{Schema: s, Value: everyRow()})
	require.NoError(f, err)
	f.Add(text)
	for _, sample := range append(scalars(), composites()...) {
		one := connector.StructOf("one", connector.Field{Name: sample.name, Schema: sample.datum.Schema})
		text, err := newConverter(f, "json", nil, false).Encode(nil, connector.Datum{Schema: one, Value: connector.ListValue([]connector.Value{sample.datum.Value})})
		require.NoError(f, err)
		f.Add(text)
	}
	// Optional, so that one field is enough to get at its decoder.
	for i, field := range s.Fields {
		loose := &connector.Schema{}
		doc, err := json.Marshal(field.Schema)
		require.NoError(f, err)
		require.NoError(f, json.Unmarshal(doc, loose))
		loose.Optional = true
		s.Fields[i].Schema = loose
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := newConverter(t, "json", nil, false)
		datum, err := c.Decode(data, s)
		if err != nil {
			return
		}
		require.True(t, strictJSON(data), "%q", data)
		requireStable(t, c, datum)
	})
}

// requireStable checks that datum fits its schema and comes back from c the same.
func requireStable(t *testing.T, c Converter, datum connector.Datum) {
	t.Helper()
	require.NoError(t, datum.Value.Check(datum.Schema))
	text, err := c.Encode(nil, datum)
	require.NoError(t, err, "%v", datum.Value)
	back, err := c.Decode(text, datum.Schema)
	require.NoError(t, err, "%s", text)
	require.Truef(t, datum.Value.Equal(back.Value), "%s: %v then %v", text, datum.Value, back.Value)
}

// FuzzEnvelope reads messages whose schema is the fuzzer's too.
func FuzzEnvelope(f *testing.F) {
	for _, format := range formats[2:4] {
		c := newConverter(f, "json", format.options, false)
		for _, sample := range append(scalars(), composites()...) {
			text, err := c.Encode(nil, sample.datum)
			require.NoError(f, err)
			f.Add(text)
		}
	}
	f.Add([]byte(`{"payload":[1,null],"schema":{"type":"array","items":{"type":"int8","optional":true}}}`))
	f.Add([]byte(`{"schema":null,"payload":{"a":[1,"x"]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := newConverter(t, "json", map[string]string{"schemas.enable": "true"}, false)
		datum, err := c.Decode(data, nil)
		if err != nil {
			return
		}
		require.True(t, strictJSON(data), "%q", data)
		require.NoError(t, datum.Schema.Validate())
		require.NoError(t, datum.Value.Check(datum.Schema))
		again, err := c.Decode(data, nil)
		require.NoError(t, err)
		require.Same(t, datum.Schema, again.Schema)
		require.True(t, datum.Value.Equal(again.Value))
		requireStable(t, newConverter(t, "json", nil, false), datum)
	})
}

// FuzzKey reads keys of every scalar type and of none.
func FuzzKey(f *testing.F) {
	c := newConverter(f, "json", nil, true)
	samples := scalars()
	for i, sample := range samples {
		text, err := c.Encode(nil, sample.datum)
		require.NoError(f, err)
		f.Add(uint8(i), text)
	}
	f.Add(uint8(200), []byte(`{"id":1}`))
	f.Add(uint8(201), []byte(`[x]`))
	f.Fuzz(func(t *testing.T, i uint8, data []byte) {
		c := newConverter(t, "json", nil, true)
		var s *connector.Schema
		if int(i) < len(samples) {
			s = samples[i].datum.Schema
		}
		datum, err := c.Decode(data, s)
		if s == nil {
			require.Equal(t, utf8.Valid(data), err == nil, "without a schema any text is a key: %q: %v", data, err)
		}
		if err != nil || !datum.Present() {
			return
		}
		requireStable(t, c, datum)
		requireStable(t, newConverter(t, "string", nil, false), datum)
	})
}

// FuzzPlain reads any bytes with the converters that carry no schema.
func FuzzPlain(f *testing.F) {
	f.Add([]byte("text"))
	f.Add([]byte{0xff, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		datum, err := newConverter(t, "string", nil, false).Decode(data, nil)
		require.Equal(t, utf8.Valid(data), err == nil)
		if err == nil {
			require.Equal(t, string(data), datum.Value.Text())
		}
		datum, err = newConverter(t, "bytes", nil, false).Decode(data, nil)
		require.NoError(t, err)
		require.Equal(t, string(data), string(datum.Value.Bytes()))
	})
}

// FuzzEncodeString gives strings of any bytes: refused or readable by encoding/json.
func FuzzEncodeString(f *testing.F) {
	f.Add("plain text, long enough for words", "x")
	f.Add("\xff", "\u2028\"\\\x00")
	f.Fuzz(func(t *testing.T, text, more string) {
		for _, s := range []string{text, more, text + more} {
			out, err := appendQuoted(nil, s)
			require.Equal(t, utf8.ValidString(s), err == nil)
			var back string
			if err == nil {
				require.NoError(t, json.Unmarshal(out, &back))
				require.Equal(t, s, back)
			}
		}
	})
}
