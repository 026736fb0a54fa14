package pipeline

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/converters"
)

var rowSchema = connector.StructOf("row", connector.Field{Name: "id", Schema: connector.Of(connector.Int64)},
	connector.Field{Name: "name", Schema: connector.OptionalOf(connector.String)})

func row(id int64, name string) connector.Datum {
	return connector.Datum{Schema: rowSchema, Value: connector.ListValue([]connector.Value{connector.IntValue(id), connector.TextValue(name)})}
}

func text(s string) connector.Datum {
	return connector.Datum{Schema: connector.Of(connector.String), Value: connector.TextValue(s)}
}

func newMaker(t *testing.T, c *memCatalog, key, value string) (messageMaker, recordMaker) {
	k, err := converters.New(key, nil, true)
	require.NoError(t, err)
	v, err := converters.New(value, nil, false)
	require.NoError(t, err)
	return messageMaker{key: k, value: v, both: structured(value), schemas: c, known: map[*connector.Schema]string{},
			pairs: map[[2]*connector.Schema]*connector.Schema{}, maxBytes: 4 << 20},
		recordMaker{key: k, value: v, schemas: c, known: map[string]*connector.Schema{}, partition: "{}"}
}

// received is a message as a broker gives it back.
func received(m Message) Received {
	var props strings.Builder
	for _, p := range m.Properties {
		if p.Value != "" { // as RocketMQ does
			props.WriteString(p.Name + "\x01" + p.Value + "\x02")
		}
	}
	return Received{Queue: Queue{"t", "b", 1}, Offset: 5, Key: m.Key, Body: m.Body, Properties: Properties(props.String())}
}

func requireDatum(t *testing.T, want, got connector.Datum) {
	t.Helper()
	require.Equal(t, want.Present(), got.Present())
	if want.Present() {
		require.Equal(t, want.Schema.Fingerprint(), got.Schema.Fingerprint())
		require.True(t, want.Value.Equal(got.Value), "%v is not %v", got.Value, want.Value)
	}
}

func TestRecordsComeBackFromTheirMessages(t *testing.T) {
	t.Parallel()
	when := time.UnixMicro(1795000000123456)
	for name, rec := range map[string]connector.Record{
		"insert":            {After: row(1, "a")},
		"keyed":             {Key: text("k 1"), After: row(1, "a")},
		"update":            {Op: connector.Update, Key: text("k"), Before: row(1, "a"), After: row(1, "b")},
		"update blind":      {Op: connector.Update, Key: text("k"), After: row(1, "b")},
		"delete":            {Op: connector.Delete, Key: text("k"), Before: row(1, "a")},
		"delete by key":     {Op: connector.Delete, Key: text("k")},
		"read":              {Op: connector.Read, After: row(1, "a")},
		"truncate":          {Op: connector.Truncate},
		"tombstone":         {Op: connector.Tombstone, Key: text("k")},
		"null is a value":   {After: connector.Datum{Schema: connector.OptionalOf(connector.String)}},
		"separators in key": {Key: text("a\x01b\x02c"), After: row(1, "a")},
		"transaction":       {After: row(1, "a"), TxID: "tx\x01%\x02", TxIndex: 12, Time: when},
		"headers": {After: row(1, "a"), Headers: []connector.Header{{Name: "text", Value: text("50%\x01 ü")}, {Name: "none", Value: connector.Datum{Schema: connector.OptionalOf(connector.Int32)}},
			{Name: "bytes", Value: connector.Datum{Schema: connector.Of(connector.Bytes), Value: connector.BytesValue([]byte{0, 1, 2})}},
			{Name: "at", Value: connector.Datum{Schema: connector.Of(connector.TimestampTZ), Value: connector.TimestampValue(-5, 7)}},
			{Name: "float", Value: connector.Datum{Schema: connector.Of(connector.Float64), Value: connector.FloatValue(0.1)}},
			{Name: "yes", Value: connector.Datum{Schema: connector.Of(connector.Bool), Value: connector.BoolValue(true)}},
			{Name: "empty", Value: text("")}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			make, read := newMaker(t, newMemCatalog(), "json", "json")
			p := &parcel{}
			msg, size, _, err := make.message(context.Background(), p, &rec)
			require.NoError(t, err)
			require.NotEmpty(t, msg.Body)
			require.GreaterOrEqual(t, size, len(msg.Body))
			for _, prop := range msg.Properties[1:] {
				require.True(t, plain(prop.Value) && plain(prop.Name), "%q", prop)
			}
			m := received(msg)
			var props properties
			props.read(m.Properties)
			got, err := read.record(context.Background(), &m, &props)
			require.NoError(t, err)
			require.Equal(t, rec.Op, got.Op)
			requireDatum(t, rec.Key, got.Key)
			requireDatum(t, rec.Before, got.Before)
			requireDatum(t, rec.After, got.After)
			require.Equal(t, rec.TxID, got.TxID)
			require.Equal(t, rec.TxIndex, got.TxIndex)
			if !rec.Time.IsZero() {
				require.True(t, rec.Time.Equal(got.Time))
			}
			require.Len(t, got.Headers, len(rec.Headers))
			for i, h := range rec.Headers {
				require.Equal(t, h.Name, got.Headers[i].Name)
				requireDatum(t, h.Value, got.Headers[i].Value)
			}
			require.Equal(t, connector.Mark{Offset: 5}, got.Mark)
		})
	}
}

func TestEmptyBodiesTravel(t *testing.T) {
	t.Parallel()
	make, read := newMaker(t, newMemCatalog(), "string", "string")
	msg, _, _, err := make.message(t.Context(), &parcel{}, &connector.Record{After: text("")})
	require.NoError(t, err)
	require.NotEmpty(t, msg.Body, "RocketMQ stores no empty bodies")
	m := received(msg)
	var props properties
	props.read(m.Properties)
	got, err := read.record(t.Context(), &m, &props)
	require.NoError(t, err)
	require.Empty(t, got.After.Value.Text())
}

func TestRecordsThatDoNotFitAreBad(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 32_000)
	for name, tt := range map[string]struct {
		rec   connector.Record
		stage string
	}{
		"body":          {connector.Record{After: row(1, long)}, stageSend},
		"key":           {connector.Record{Key: text(long), After: row(1, "a")}, stageSend},
		"value":         {connector.Record{After: connector.Datum{Schema: rowSchema, Value: connector.IntValue(1)}}, stageValueConverter},
		"header":        {connector.Record{Headers: []connector.Header{{Name: "x", Value: row(1, "a")}}}, stageHeaders},
		"header name":   {connector.Record{Headers: []connector.Header{{Name: "x\x01", Value: text("a")}}}, stageHeaders},
		"header absent": {connector.Record{Headers: []connector.Header{{Name: "x"}}}, stageHeaders},
	} {
		make, _ := newMaker(t, newMemCatalog(), "json", "json")
		make.maxBytes = 10_000
		if name == "key" {
			make.maxBytes = 1 << 20
		}
		_, _, _, err := make.message(t.Context(), &parcel{}, &tt.rec)
		var bad *stageError
		require.ErrorAs(t, err, &bad, name)
		require.Equal(t, tt.stage, bad.stage, name)
	}
}

func TestMessageMakingDoesNotAllocatePerRecord(t *testing.T) {
	make, _ := newMaker(t, newMemCatalog(), "json", "json")
	rec := connector.Record{Key: text("key"), After: row(1, "some name")}
	p := &parcel{}
	batch := func() {
		p.reset()
		for range 100 {
			if _, _, _, err := make.message(context.Background(), p, &rec); err != nil {
				t.Fatal(err)
			}
		}
	}
	batch()
	require.Less(t, testing.AllocsPerRun(20, batch), 5.0)
}

// FuzzRecord: no message makes a reader panic.
func FuzzRecord(f *testing.F) {
	f.Add("k", []byte(`{"id":1}`), "gantry-op\x01update\x02gantry-body\x01both\x02gantry-time\x015\x02gantry-tx\x011:a\x02gantry-h-a\x01int64:5\x02")
	f.Add("", []byte("null"), "gantry-body\x01none\x02gantry-key\x01bAA\x02gantry-h-b\x01timestamp:1.2\x02")
	f.Fuzz(func(t *testing.T, key string, body []byte, props string) {
		k, _ := converters.New("json", nil, true)
		v, _ := converters.New("json", nil, false)
		read := recordMaker{key: k, value: v, schemas: newMemCatalog(), known: map[string]*connector.Schema{}, partition: "{}"}
		m := Received{Key: key, Body: body, Properties: Properties(props)}
		var ps properties
		ps.read(m.Properties)
		_, _ = read.record(context.Background(), &m, &ps)
	})
}
