package file

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// readAll reads one task to its end; bad records are collected, not errors.
func readAll(t testing.TB, p connector.Plugin, config map[string]string, limit int) (records []connector.Record, bad []string) {
	t.Helper()
	bad = readEach(t, p, config, limit, func(b []connector.Record) { records = append(records, b...) })
	return records, bad
}

// readEach reads one task to its end, batch by batch.
func readEach(t testing.TB, p connector.Plugin, config map[string]string, limit int, each func([]connector.Record)) (bad []string) {
	t.Helper()
	src, err := p.OpenSource(t.Context(), config, connector.Task{})
	require.NoError(t, err)
	defer src.Close()
	for {
		b, err := src.Read(t.Context(), limit)
		var at *connector.RecordError
		switch {
		case errors.Is(err, io.EOF):
			return bad
		case errors.As(err, &at):
			require.Empty(t, b.Records)
			require.NotEmpty(t, b.Next, "the position behind the bad record")
			bad = append(bad, err.Error())
		default:
			require.NoError(t, err)
		}
		each(b.Records)
	}
}

func TestFlightsAreReadAsEncodingCSVReadsThem(t *testing.T) {
	t.Parallel()
	path := flights(t)
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	want := csv.NewReader(file)
	header, err := want.Read()
	require.NoError(t, err)
	var schema *connector.Schema
	rows := 0
	bad := readEach(t, Source, map[string]string{"file": path, "format": "csv", "csv.null": "NA"}, 1000, func(batch []connector.Record) {
		for _, r := range batch {
			row, err := want.Read()
			require.NoError(t, err)
			schema = r.After.Schema
			rows++
			for i, v := range r.After.Value.List() {
				if got := plainText(schema.Fields[i].Schema, v); got != row[i] {
					require.Equal(t, row[i], got, "row %d, column %s", rows, header[i])
				}
			}
		}
	})
	require.Empty(t, bad)
	require.Equal(t, 336_776, rows)
	require.Equal(t, "flights", schema.Name)
	var types []string
	for i, f := range schema.Fields {
		require.Equal(t, header[i], f.Name)
		types = append(types, f.Name+":"+f.Schema.Type.String())
	}
	require.Equal(t, "year:int32,month:int32,day:int32,dep_time:int32,sched_dep_time:int32,dep_delay:int32,arr_time:int32,"+
		"sched_arr_time:int32,arr_delay:int32,carrier:string,flight:int32,tailnum:string,origin:string,dest:string,"+
		"air_time:int32,distance:int32,hour:int32,minute:int32,time_hour:timestamptz", strings.Join(types, ","))
	_, err = want.Read()
	require.ErrorIs(t, err, io.EOF)
}

// plainText writes a value of the flights tables as it is in the file.
func plainText(s *connector.Schema, v connector.Value) string {
	switch {
	case v.IsNull():
		return "NA"
	case s.Type == connector.String:
		return v.Text()
	case s.Type == connector.TimestampTZ:
		return v.Time().Format(time.RFC3339)
	}
	return strconv.FormatInt(v.Int(), 10)
}

func TestTheOtherTablesInfer(t *testing.T) {
	t.Parallel()
	for file, rows := range map[string]int{"weather.csv.xz": 26_115, "planes.csv": 3_322, "airports.csv": 1_458, "airlines.csv": 16} {
		records, bad := readAll(t, Source, map[string]string{"file": "../../data/nycflights13/" + file, "format": "csv", "csv.null": "NA"}, 500)
		require.Empty(t, bad)
		require.Len(t, records, rows, file)
		for i := range records {
			require.NoError(t, records[i].After.Value.Check(records[i].After.Schema))
		}
	}
}

func TestTypesAreTheNarrowestThatKeepEveryValue(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		values string
		want   connector.Type
	}{
		{"1,2,-3", connector.Int32}, {"1,2147483648", connector.Int64}, {"1,9223372036854775808", connector.Decimal},
		{"1,2.5", connector.Float64}, {"1,0.1234567890123456789", connector.Decimal}, {"1e5,2", connector.Float64}, {"-0,1", connector.Float64},
		{"007,1", connector.String}, {"00.5", connector.String}, {"1.,2", connector.String}, {"0x1", connector.String}, {"NaN", connector.String},
		{"9007199254740993,0.5", connector.Decimal}, {"true,FALSE", connector.Bool}, {"true,1", connector.String},
		{"2013-01-01", connector.Date}, {"2013-02-29", connector.String}, {"2012-02-29", connector.Date}, {"23:59:59.5", connector.Time},
		{"2013-01-01T05:00:00", connector.Timestamp}, {"2013-01-01 05:00:00.123456789", connector.Timestamp},
		{"2013-01-01T05:00:00Z,2013-01-01 05:00:00+05:30", connector.TimestampTZ}, {"2013-01-01,2013-01-01T05:00:00Z", connector.String},
		{"NA,NA", connector.String}, {"NA,5", connector.Int32}, {"5,x", connector.String},
	} {
		path := filepath.Join(t.TempDir(), "in.csv")
		write(t, path, "v\n"+strings.ReplaceAll(tt.values, ",", "\n")+"\n")
		records, bad := readAll(t, Source, map[string]string{"file": path, "format": "csv", "csv.null": "NA"}, 100)
		require.Empty(t, bad, tt.values)
		require.Equal(t, tt.want, records[0].After.Schema.Fields[0].Schema.Type, tt.values)
	}
}

func TestValuesOfEachType(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "in.csv")
	types := []string{"bool", "int8", "int16", "int32", "int64", "float32", "float64", "decimal", "string", "date", "time", "timestamp", "timestamptz", "uuid", "json"}
	var names, pairs []string
	for _, typ := range types {
		names = append(names, "c"+typ)
		pairs = append(pairs, "c"+typ+":"+typ)
	}
	row := `true,-128,32767,-2147483648,9223372036854775807,1.5,-0.1,123456789012345678901234567890.5,"a ""b""",1969-12-31,00:00:01.000000001,` +
		`1970-01-02T00:00:00.5,1970-01-01 00:00:00-01:30,00112233-4455-6677-8899-aAbBcCdDeEfF,"{""a"": [1]}"`
	write(t, path, strings.Join(names, ",")+"\n"+row+"\n"+strings.Repeat(",", len(types)-1)+"\n")
	records, bad := readAll(t, tiny(4), map[string]string{"file": path, "format": "csv", "csv.types": strings.Join(pairs, ",")}, 100)
	require.Empty(t, bad)
	require.Len(t, records, 2)
	want := []connector.Value{connector.BoolValue(true), connector.IntValue(-128), connector.IntValue(32767), connector.IntValue(-1 << 31),
		connector.IntValue(1<<63 - 1), connector.FloatValue(1.5), connector.FloatValue(-0.1), connector.TextValue("123456789012345678901234567890.5"),
		connector.TextValue(`a "b"`), connector.IntValue(-1), connector.IntValue(1_000_000_001), connector.TimestampValue(86400, 500_000_000),
		connector.TimestampValue(5400, 0), connector.BytesValue([]byte{0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}),
		connector.TextValue(`{"a": [1]}`)}
	for i, v := range records[0].After.Value.List() {
		require.True(t, want[i].Equal(v), "%s: %v, not %v", types[i], v, want[i])
	}
	for i, v := range records[1].After.Value.List() {
		require.True(t, v.IsNull(), types[i])
	}
}

func TestBadRowsNameTheirPlaceAndTheRestIsRead(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		keys       map[string]string
		good       int
		bad        []string // what each error must say, in order
	}{
		{"type", "a,b\n1,2\nx,4\n5,6\n", map[string]string{"csv.types": "a:int32"}, 2, []string{`line 3 (byte 8): column "a": "x" is no int32; set csv.types=a:string`}},
		{"beyond the sample", "a\n1\n2\nx\n4\n", map[string]string{"csv.infer.rows": "2"}, 3, []string{`line 4`}},
		{"fields", "a,b\n1\n1,2,3\n5,6\n", nil, 1, []string{"line 2 (byte 4): 1 fields where there are 2 columns", "line 3"}},
		{"bare quote", "a,b\n1,x\"y\n5,6\n", nil, 1, []string{"line 2 (byte 4): a quote inside"}},
		{"after quote", "a,b\n1,\"x\"y\n5,6\n", nil, 1, []string{"text after"}},
		{"not closed", "a,b\n1,\"x\n5,6\n", nil, 1, []string{"not closed"}},
		{"line break", "a,b\n1,\"x\ny\"\n5,6\n", map[string]string{"csv.multiline": "false"}, 1, []string{"line break", "line 3"}},
		{"not UTF-8", "a,b\nx,\xff\ny,z\n", nil, 1, []string{`column "b": "\xff" is not valid UTF-8`}},
		{"too long", "a\n" + strings.Repeat("x", 50) + "\ny\n\"" + strings.Repeat("x\n", 3) + strings.Repeat("x", 50) + "\"\nz\n",
			map[string]string{"max.line.bytes": "20"}, 4, []string{"line 2 (byte 2): the row has more than max.line.bytes = 20", "line 4", `line 7`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "in.csv")
			write(t, path, tt.text)
			config := map[string]string{"file": path, "format": "csv"}
			for k, v := range tt.keys {
				config[k] = v
			}
			var first []connector.Record
			for _, block := range []int{1, 2, 3, 8, 0} {
				for _, limit := range []int{1, 2, 100} {
					records, bad := readAll(t, tiny(block), config, limit)
					require.Len(t, records, tt.good, "good rows; bad: %q", bad)
					require.Len(t, bad, len(tt.bad), "%q", bad)
					for i := range bad {
						require.Contains(t, bad[i], tt.bad[i])
					}
					if first == nil {
						first = records
					}
					for i := range first {
						require.Equal(t, first[i].Mark, records[i].Mark)
					}
				}
			}
		})
	}
}

func TestBadLines(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "in.txt")
	write(t, path, "good\n\xff\xfe\n"+strings.Repeat("x", 30)+"\n\nlast")
	for _, block := range []int{1, 7, 0} {
		records, bad := readAll(t, tiny(block), map[string]string{"file": path, "max.line.bytes": "20"}, 10)
		require.Equal(t, []string{"good", "", "last"}, texts(records))
		require.Len(t, bad, 2)
		require.Contains(t, bad[0], "line 2 (byte 5): the line is not valid UTF-8")
		require.Contains(t, bad[1], "line 3 (byte 8)")
	}
	records, bad := readAll(t, Source, map[string]string{"file": path, "format": "bytes"}, 10)
	require.Empty(t, bad)
	require.Equal(t, []byte{0xff, 0xfe}, records[1].After.Value.Bytes())

	write(t, path, "{\"a\":1}\n{\n[1]\n")
	records, bad = readAll(t, Source, map[string]string{"file": path, "format": "json"}, 10)
	require.Equal(t, []string{`{"a":1}`, `[1]`}, texts(records))
	require.Len(t, bad, 1)
	require.Contains(t, bad[0], "line 2")
}

func TestShardsCutAnywhereGiveEachLineOnce(t *testing.T) {
	t.Parallel()
	text := "a\n\nbb\r\nccc\ndddd\neeeee\nf"
	path := filepath.Join(t.TempDir(), "in.txt")
	write(t, path, text)
	want, _ := readAll(t, Source, map[string]string{"file": path}, 100)
	for size := 1; size <= len(text)+1; size++ {
		records, bad := readAll(t, tiny(3), map[string]string{"file": path, "shard.bytes": strconv.Itoa(size)}, 100)
		require.Empty(t, bad)
		require.Equal(t, texts(want), texts(records), "shards of %d bytes", size)
		for i := range want {
			require.Equal(t, want[i].Mark, records[i].Mark)
		}
	}
}

func TestJSONKeys(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "in.json")
	write(t, path, `{"a":{"id":"no"},"b":["id",{"id":1}],"id":"x\u00e9","n":-1.5e3 , "t":true}`+"\n"+`{"n":null,"id":""}`+"\n"+`[]`+"\n"+`{"id":{}}`+"\n")
	records, bad := readAll(t, Source, map[string]string{"file": path, "format": "json", "key.fields": "id,n,t"}, 10)
	var keys []string
	for _, r := range records {
		require.NoError(t, r.Key.Value.Check(r.Key.Schema))
		keys = append(keys, r.Key.Value.String())
	}
	require.Equal(t, []string{`["xé" "-1.5e3" "true"]`, `["" null null]`, `[null null null]`}, keys)
	require.Len(t, bad, 1)
}

// FuzzSplit compares with encoding/csv, which changes CRLF to LF within quotes; that is undone here by having none.
func FuzzSplit(f *testing.F) {
	for _, seed := range []string{"a,b\n1,2\n", "\"a\nb\",\"c\"\"d\"\r\n", "a,\n,\n", "\n\n\r\na", "\"\"", "a\"b\n", "\"a\"b\n", "\"", ",", "x\r", "\ufeffa"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
		want, wantErr := goldenRows(data)
		for _, block := range []int{1, 3, len(data)} {
			got, err := splitAll(data, block)
			if wantErr != nil {
				require.Error(t, err, "%q", data)
				continue
			}
			require.NoError(t, err, "%q", data)
			require.Equal(t, want, got, "%q in blocks of %d", data, block)
		}
	})
}

func goldenRows(data []byte) ([][]string, error) {
	r := csv.NewReader(bytes.NewReader(data))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	return rows, err
}

// splitAll splits all rows of data, of which a few bytes more are shown each time.
func splitAll(data []byte, block int) (rows [][]string, err error) {
	s := splitter{delimiter: ',', multiLine: true}
	s.init()
	shown := 0
	for {
		final := shown == len(data)
		if final && shown == 0 {
			return rows, nil
		}
		n, err := s.split(data[:shown], final)
		switch {
		case err == errBlank:
		case err != nil:
			return rows, err
		case n > 0:
			var row []string
			for i := range s.fields {
				row = append(row, string(s.text(data, i)))
			}
			rows = append(rows, slices.Clip(row))
		}
		if data, shown = data[n:], shown-n; n == 0 {
			if final {
				return rows, errors.New("no progress")
			}
			shown = min(len(data), shown+max(1, block))
		} else if final && len(data) == 0 {
			return rows, nil
		}
	}
}
