package file

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

func openTestSink(t *testing.T, config map[string]string, task connector.Task) connector.Sink {
	t.Helper()
	if task.UID == 0 {
		task.UID = 1
	}
	sink, err := Sink.OpenSink(t.Context(), config, task)
	require.NoError(t, err)
	t.Cleanup(func() { sink.Close() })
	return sink
}

func writeAll(t *testing.T, sink connector.Sink, records ...connector.Record) {
	t.Helper()
	require.NoError(t, sink.Write(t.Context(), connector.Batch{Records: records, Next: childBatch(int64(len(records)), 0).Next}))
	require.NoError(t, sink.Flush(t.Context()))
}

func fileText(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

// everyType is a struct with a field of each type.
func everyType() connector.Record {
	str, i64 := connector.Of(connector.String), connector.Of(connector.Int64)
	field := func(name string, s *connector.Schema) connector.Field { return connector.Field{Name: name, Schema: s} }
	s := connector.StructOf("all", field("bool", connector.Of(connector.Bool)), field("int64", i64), field("float32", connector.Of(connector.Float32)),
		field("float64", connector.Of(connector.Float64)), field("big", connector.Of(connector.Float64)), field("nan", connector.Of(connector.Float64)),
		field("decimal", connector.Of(connector.Decimal)), field("string", str), field("bytes", connector.Of(connector.Bytes)), field("date", connector.Of(connector.Date)),
		field("time", connector.Of(connector.Time)), field("timestamp", connector.Of(connector.Timestamp)), field("timestamptz", connector.Of(connector.TimestampTZ)),
		field("uuid", connector.Of(connector.UUID)), field("json", connector.Of(connector.JSON)), field("enum", &connector.Schema{Type: connector.Enum, Symbols: []string{"a"}}),
		field("array", &connector.Schema{Type: connector.Array, Elem: i64}), field("map", &connector.Schema{Type: connector.Map, Key: str, Elem: i64}),
		field("pairs", &connector.Schema{Type: connector.Map, Key: i64, Elem: str}), field("null", connector.OptionalOf(connector.String)))
	one, two := connector.IntValue(1), connector.IntValue(2)
	return connector.Record{After: connector.Datum{Schema: s, Value: connector.ListValue([]connector.Value{connector.BoolValue(true), connector.IntValue(math.MinInt64),
		connector.FloatValue(float64(float32(0.1))), connector.FloatValue(1_000_000), connector.FloatValue(1e300), connector.FloatValue(math.NaN()),
		connector.TextValue("-12.50"), connector.TextValue("a\"\\\n\t\x01é,"), connector.BytesValue([]byte{0, 255}), connector.IntValue(-1),
		connector.IntValue(1_500_000_000), connector.TimestampValue(0, 5_000_000), connector.TimestampValue(-1, 0), connector.BytesValue([]byte("0123456789abcdef")),
		connector.TextValue("{\n \"a\": 1}"), connector.TextValue("a"), connector.ListValue([]connector.Value{one, two}),
		connector.ListValue([]connector.Value{connector.TextValue("k"), one}), connector.ListValue([]connector.Value{one, connector.TextValue("v")}), connector.Null})}}
}

func TestJSONOfEachType(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.json")
	r := everyType()
	require.NoError(t, r.After.Value.Check(r.After.Schema))
	writeAll(t, openTestSink(t, map[string]string{"file": path}, connector.Task{Epoch: 1}), r)
	require.Equal(t, `{"bool":true,"int64":-9223372036854775808,"float32":0.1,"float64":1000000,"big":1e+300,"nan":"NaN","decimal":-12.50,`+
		`"string":"a\"\\\n\t\u0001é,","bytes":"AP8=","date":"1969-12-31","time":"00:00:01.5","timestamp":"1970-01-01T00:00:00.005",`+
		`"timestamptz":"1969-12-31T23:59:59Z","uuid":"30313233-3435-3637-3839-616263646566","json":{"a":1},"enum":"a","array":[1,2],"map":{"k":1},"pairs":[[1,"v"]],"null":null}`+"\n",
		fileText(t, path))
}

func TestTextThatIsNotUTF8StillGivesValidJSON(t *testing.T) {
	t.Parallel()
	require.Equal(t, `"a`+"\ufffd\ufffd"+`b"`, string(appendQuoted(nil, "a\xff\xc3b")))
}

func TestWhatTheSinkWritesAsCSVTheSourceReadsBack(t *testing.T) {
	t.Parallel()
	in, out := flights(t), filepath.Join(t.TempDir(), "flights.csv")
	config := map[string]string{"format": "csv", "csv.null": "NA", "csv.types": flightTypes}
	config["file"] = in
	sink := openTestSink(t, map[string]string{"file": out, "format": "csv", "csv.null": "NA"}, connector.Task{Epoch: 1})
	bad := readEach(t, Source, config, 1000, func(batch []connector.Record) {
		require.NoError(t, sink.Write(t.Context(), connector.Batch{Records: batch}))
	})
	require.Empty(t, bad)
	require.NoError(t, sink.Flush(t.Context()))
	require.True(t, fileText(t, in) == fileText(t, out), "the copy differs")

	out = filepath.Join(t.TempDir(), "odd.csv")
	s := connector.StructOf("odd", connector.Field{Name: `a,"b"`, Schema: connector.OptionalOf(connector.String)}, connector.Field{Name: "c", Schema: connector.OptionalOf(connector.String)})
	var want []connector.Value
	for _, text := range []string{"", "NA", "x\r\ny", ` "q" `, "a,b"} {
		want = append(want, connector.ListValue([]connector.Value{connector.TextValue(text), connector.Null}))
	}
	for _, null := range []string{"", "NA"} {
		sink := openTestSink(t, map[string]string{"file": out + null, "format": "csv", "csv.null": null}, connector.Task{Epoch: 1})
		for _, v := range want {
			writeAll(t, sink, connector.Record{After: connector.Datum{Schema: s, Value: v}})
		}
		got, bad := readAll(t, Source, map[string]string{"file": out + null, "format": "csv", "csv.null": null, "csv.columns": "a,c"}, 10)
		require.Empty(t, bad)
		for i := range want {
			require.True(t, want[i].Equal(got[i].After.Value), "%v, not %v", got[i].After.Value, want[i])
		}
	}
}

func TestTasksWriteFilesOfTheirOwn(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, want := range map[string]string{"out.txt": "out-3.txt", "part-${task}.txt": "part-3.txt"} {
		sink := openTestSink(t, map[string]string{"file": filepath.Join(folder, name), "format": "lines"}, connector.Task{Number: 3, Epoch: 1})
		writeAll(t, sink, childRecord(1))
		require.Equal(t, childRecord(1).After.Value.Text()+"\n", fileText(t, filepath.Join(folder, want)))
	}
}

func TestFilesRollBySizeAndTime(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	config := map[string]string{"file": filepath.Join(folder, "${topic}.txt"), "format": "lines", "roll.interval.ms": "1"}
	sink := openTestSink(t, config, connector.Task{Epoch: 1})
	writeAll(t, sink, childRecord(0))
	until(t, func() bool {
		writeAll(t, sink, childRecord(1))
		_, err := os.Stat(filepath.Join(folder, "t-000002.txt"))
		return err == nil
	})

	config = map[string]string{"file": filepath.Join(folder, "size.txt"), "format": "lines", "roll.bytes": "100"}
	sink = openTestSink(t, config, connector.Task{Epoch: 1})
	for id := range int64(10) {
		writeAll(t, sink, childRecord(id))
	}
	require.NoError(t, sink.Close())
	delete(config, "roll.bytes") // what is there keeps its names
	sink = openTestSink(t, config, connector.Task{Epoch: 2})
	writeAll(t, sink, childRecord(10))
	var want string
	for id := range int64(11) {
		r := childRecord(id)
		want += r.After.Value.Text() + "\n"
	}
	parts := contents(t, config)
	require.Greater(t, len(parts), 3)
	require.Equal(t, want, strings.Join(parts, ""))
	for _, part := range parts[:len(parts)-1] {
		require.GreaterOrEqual(t, len(part), 100)
	}
}

func TestFilesOfOthersAreNotTouched(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.txt")
	config := map[string]string{"file": path, "format": "lines"}
	write(t, path, "precious\n")
	sink := openTestSink(t, config, connector.Task{Epoch: 1})
	require.NoError(t, sink.Write(t.Context(), childBatch(0, 2)))
	err := sink.Flush(t.Context())
	require.ErrorContains(t, err, "was not written by this connector")
	require.True(t, connector.IsPermanent(err))
	require.Equal(t, "precious\n", fileText(t, path))

	require.NoError(t, os.Remove(path))
	sink = openTestSink(t, config, connector.Task{Epoch: 2})
	require.NoError(t, sink.Write(t.Context(), childBatch(0, 2)))
	require.NoError(t, sink.Flush(t.Context()))
	require.NoError(t, sink.Close())
	_, err = Sink.OpenSink(t.Context(), config, connector.Task{UID: 2, Epoch: 3})
	require.ErrorContains(t, err, "belongs to task 0 of connector")
	require.True(t, connector.IsPermanent(err))

	write(t, path, "short")
	_, err = Sink.OpenSink(t.Context(), config, connector.Task{UID: 1, Epoch: 3})
	require.ErrorContains(t, err, "it was changed or moved")
	require.NoError(t, os.Remove(path))
	_, err = Sink.OpenSink(t.Context(), config, connector.Task{UID: 1, Epoch: 3})
	require.ErrorContains(t, err, "it was changed or moved")
}

func TestRecordsThatTheFormatCannotHoldAreBad(t *testing.T) {
	t.Parallel()
	text := func(s string) connector.Record {
		return connector.Record{After: connector.Datum{Schema: textSchema, Value: connector.TextValue(s)}}
	}
	other := connector.Record{After: connector.Datum{Schema: connector.StructOf("x", connector.Field{Name: "y", Schema: textSchema}), Value: connector.ListValue([]connector.Value{connector.TextValue("z")})}}
	null := connector.Record{After: connector.Datum{Schema: connector.OptionalOf(connector.String)}}
	for _, tt := range []struct {
		format string
		bad    connector.Record
		says   string
	}{
		{"lines", text("a\nb"), "line break"}, {"lines", null, "null"}, {"csv", other, "not the file's columns value"}, {"csv", null, "empty line"},
		{"json", connector.Record{Op: connector.Tombstone}, "this tombstone has none"},
	} {
		path := filepath.Join(t.TempDir(), "out")
		sink := openTestSink(t, map[string]string{"file": path, "format": tt.format}, connector.Task{Epoch: 1})
		err := sink.Write(t.Context(), connector.Batch{Records: []connector.Record{text("good"), tt.bad}})
		var at *connector.RecordError
		require.ErrorAs(t, err, &at, tt.format)
		require.Equal(t, 1, at.Index)
		require.ErrorContains(t, err, tt.says)
		writeAll(t, sink, text("good"))
		require.Equal(t, 1, strings.Count(fileText(t, path), "good"))
	}
}

func TestSinkConfigsThatCannotWork(t *testing.T) {
	t.Parallel()
	for field, config := range map[string]map[string]string{
		"file":          {"file": "/tmp/${table}.csv"},
		"csv.delimiter": {"file": "x", "csv.delimiter": "ab"},
		"csv.null":      {"file": "x", "csv.null": "a,b"},
	} {
		require.ErrorContains(t, Sink.Check(config), field)
	}
	for field, config := range map[string]map[string]string{
		"csv.types":   {"file": "x", "csv.types": "a:text"},
		"csv.columns": {"file": "x", "format": "csv", "csv.header": "false"},
		"key.fields":  {"file": "x", "key.fields": "a"},
		"shard.bytes": {"file": "x", "shard.bytes": "10", "format": "csv"},
		"file":        {"file": "[x"},
	} {
		require.ErrorContains(t, Source.Check(config), field)
	}
}

func BenchmarkSinkLines100Bytes(b *testing.B) {
	sink, err := Sink.OpenSink(b.Context(), map[string]string{"file": filepath.Join(b.TempDir(), "out.txt"), "format": "lines"}, connector.Task{UID: 1, Epoch: 1})
	require.NoError(b, err)
	defer sink.Close()
	batch := connector.Batch{}
	for range 2000 {
		batch.Records = append(batch.Records, connector.Record{After: connector.Datum{Schema: textSchema, Value: connector.TextValue(strings.Repeat("x", 99))}})
	}
	b.SetBytes(200_000)
	b.ReportAllocs()
	for b.Loop() {
		if err := sink.Write(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	require.NoError(b, sink.Flush(b.Context()))
	b.ReportMetric(float64(2000*b.N)/b.Elapsed().Seconds(), "rows/s")
}
