package postgres

import (
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

func datum(s *connector.Schema, v connector.Value) connector.Record {
	return connector.Record{After: connector.Datum{Schema: s, Value: v}}
}

var numbers = connector.ListValue([]connector.Value{connector.IntValue(1), connector.Null, connector.IntValue(-3)})

func TestEachTypeIsStoredWithoutLoss(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	g.exec("set timezone = 'UTC'")
	unix := func(text string) connector.Value {
		when, err := time.Parse(time.RFC3339Nano, text)
		require.NoError(t, err)
		return connector.TimeValue(when)
	}
	optional := connector.OptionalOf(connector.Int32)
	point := connector.StructOf("point", connector.Field{Name: `x"y`, Schema: connector.Of(connector.Float64)},
		connector.Field{Name: "on", Schema: connector.Of(connector.Date)})
	for _, tt := range []struct {
		schema *connector.Schema
		column string
		values map[string]connector.Value // by their text in Postgres
	}{
		{connector.Of(connector.Bool), "boolean", map[string]connector.Value{"true": connector.BoolValue(true), "false": connector.BoolValue(false)}},
		{connector.Of(connector.Int8), "smallint", map[string]connector.Value{"-128": connector.IntValue(-128), "127": connector.IntValue(127)}},
		{connector.Of(connector.Int16), "smallint", map[string]connector.Value{"-32768": connector.IntValue(math.MinInt16), "32767": connector.IntValue(math.MaxInt16)}},
		{connector.Of(connector.Int32), "integer", map[string]connector.Value{"-2147483648": connector.IntValue(math.MinInt32), "2147483647": connector.IntValue(math.MaxInt32)}},
		{connector.Of(connector.Int64), "bigint", map[string]connector.Value{"-9223372036854775808": connector.IntValue(math.MinInt64), "9223372036854775807": connector.IntValue(math.MaxInt64)}},
		{connector.Of(connector.Float32), "real", map[string]connector.Value{"3.4028235e+38": connector.FloatValue(math.MaxFloat32), "-0": connector.FloatValue(math.Copysign(0, -1)), "NaN": connector.FloatValue(math.NaN())}},
		{connector.Of(connector.Float64), "double precision", map[string]connector.Value{"-0": connector.FloatValue(math.Copysign(0, -1)), "5e-324": connector.FloatValue(math.SmallestNonzeroFloat64), "Infinity": connector.FloatValue(math.Inf(1)), "0.1": connector.FloatValue(0.1)}},
		{connector.Of(connector.Decimal), "numeric", map[string]connector.Value{"NaN": connector.TextValue("NaN"), "0": connector.TextValue("-0"), "0.000": connector.TextValue("0.000"), "-12345678901234567890.000012": connector.TextValue("-12345678901234567890.000012"), "10000": connector.TextValue("10000"), "0.00001": connector.TextValue(".00001"), "90000000": connector.TextValue("0090000000")}},
		{&connector.Schema{Type: connector.Decimal, Precision: 10, Scale: 2}, "numeric(10,2)", map[string]connector.Value{"99999999.99": connector.TextValue("99999999.99"), "-0.01": connector.TextValue("-0.01")}},
		{connector.OptionalOf(connector.String), "text", map[string]connector.Value{"": connector.TextValue(""), "NULL": connector.Null, "Zoë \t\n\\N 😀": connector.TextValue("Zoë \t\n\\N 😀")}},
		{connector.Of(connector.Bytes), "bytea", map[string]connector.Value{`\x00ff10`: connector.BytesValue([]byte{0, 255, 16}), `\x`: connector.BytesValue(nil)}},
		{connector.Of(connector.Date), "date", map[string]connector.Value{"1970-01-01": connector.IntValue(0), "10000-01-01": connector.IntValue(2932897), "1969-12-31": connector.IntValue(-1), "5874897-12-31": connector.IntValue(endDays + epochDays - 1), "4714-11-24 BC": connector.IntValue(minDays + epochDays)}},
		{connector.Of(connector.Time), "time(6) without time zone", map[string]connector.Value{"00:00:00": connector.IntValue(0), "23:59:59.999999": connector.IntValue(86399999999999), "24:00:00": connector.IntValue(86400 * 1e9)}},
		{connector.Of(connector.Timestamp), "timestamp(6) without time zone", map[string]connector.Value{"1969-12-31 23:59:59.999999": unix("1969-12-31T23:59:59.999999Z"), "9999-12-31 00:00:00": unix("9999-12-31T00:00:00Z"), "10000-01-01 00:00:00": connector.TimestampValue(253402300800, 0), "294276-12-31 23:59:59.999999": connector.TimestampValue(endMicros/1e6+epochSeconds-1, 999999999), "4714-11-24 00:00:00 BC": connector.TimestampValue(minMicros/1e6+epochSeconds, 0)}},
		{connector.Of(connector.TimestampTZ), "timestamp(6) with time zone", map[string]connector.Value{"2013-01-01 10:00:00.123456+00": unix("2013-01-01T10:00:00.123456Z")}},
		{connector.Of(connector.UUID), "uuid", map[string]connector.Value{"00112233-4455-6677-8899-aabbccddeeff": connector.BytesValue([]byte{0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff})}},
		{connector.Of(connector.JSON), "jsonb", map[string]connector.Value{`{"a": [1, null]}`: connector.TextValue(`{"a":[1,null]}`)}},
		{&connector.Schema{Type: connector.Enum, Symbols: []string{"red"}}, "text", map[string]connector.Value{"red": connector.TextValue("red")}},
		{&connector.Schema{Type: connector.Array, Elem: optional}, "integer[]", map[string]connector.Value{"{1,NULL,-3}": numbers, "{}": connector.ListValue(nil)}},
		{&connector.Schema{Type: connector.Array, Elem: &connector.Schema{Type: connector.Array, Elem: optional}}, "jsonb", map[string]connector.Value{"[[1, null, -3], []]": connector.ListValue([]connector.Value{numbers, connector.ListValue(nil)})}},
		{&connector.Schema{Type: connector.Map, Key: connector.Of(connector.Int32), Elem: connector.Of(connector.Decimal)}, "jsonb", map[string]connector.Value{`{"5": 1.50}`: connector.ListValue([]connector.Value{connector.IntValue(5), connector.TextValue("1.50")})}},
		{point, "jsonb", map[string]connector.Value{`{"on": "1970-01-02", "x\"y": 0.25}`: connector.ListValue([]connector.Value{connector.FloatValue(0.25), connector.IntValue(1)})}},
	} {
		t.Run(tt.schema.Type.String()+" "+tt.column, func(t *testing.T) {
			g.exec("drop table if exists t")
			schema := connector.StructOf("s", connector.Field{Name: "want", Schema: connector.Of(connector.String)}, connector.Field{Name: "got", Schema: tt.schema})
			var records []connector.Record
			for want, v := range tt.values {
				records = append(records, datum(schema, connector.ListValue([]connector.Value{connector.TextValue(want), v})))
			}
			s := g.open(task(time.Now().UnixMicro()))
			write(t, s, batch(1, records...))
			require.Equal(t, tt.column, g.scalar("select format_type(atttypid, atttypmod) from pg_attribute where attrelid = 't'::regclass and attname = 'got'"), "column type")
			require.Empty(t, g.text("select want, got::text from t where want <> coalesce(got::text, 'NULL')"))
			require.Equal(t, len(tt.values), g.count("select count(*) from t"))
		})
	}
}

func TestLargeTextIsStored(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	s := g.open(task(1))
	big := strings.Repeat("abcdefgh", 1<<19)
	write(t, s, batch(3, row(1, ""), row(2, big), row(3, "x")))
	require.Equal(t, 1, g.count("select count(*) from t where length(name) = 4 * 1024 * 1024"))
	require.Equal(t, 1, g.count("select count(*) from t where name = ''"))
}

func TestValuesThatDoNotFitAreTheRecordsFault(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	small := &connector.Schema{Type: connector.Decimal, Precision: 4, Scale: 2}
	for _, tt := range []struct {
		name   string
		schema *connector.Schema
		column string // of a table that is there before
		value  connector.Value
		says   string
	}{
		{"NUL in text", connector.Of(connector.String), "", connector.TextValue("a\x00b"), "U+0000"},
		{"NUL in a document", connector.Of(connector.JSON), "", connector.TextValue(`"\u0000"`), "\\u0000"},
		{"invalid UTF-8", connector.Of(connector.String), "", connector.TextValue("\xff"), "UTF8"},
		{"too long", connector.Of(connector.String), "varchar(3)", connector.TextValue("four"), "too long"},
		{"numeric overflow", small, "", connector.TextValue("100.00"), "overflow"},
		{"decimal with more digits than the column's", connector.Of(connector.Decimal), "numeric(4,2)", connector.TextValue("1.005"), "digits"},
		{"no decimal", connector.Of(connector.Decimal), "", connector.TextValue("1e5"), "no decimal"},
		{"integer too large for the column", connector.Of(connector.Int64), "integer", connector.IntValue(1 << 31), "does not fit integer"},
		{"infinite date", connector.Of(connector.Date), "", connector.IntValue(math.MaxInt32), "range"},
		{"infinite timestamp", connector.Of(connector.TimestampTZ), "", connector.TimestampValue(math.MaxInt64, 0), "range"},
		{"time past midnight", connector.Of(connector.Time), "", connector.IntValue(86400*1e9 + 1), "no time of a day"},
		{"null where the column takes none", connector.OptionalOf(connector.Int32), "integer not null", connector.Null, "null value"},
		{"check constraint", connector.Of(connector.Int32), "integer check (v < 5)", connector.IntValue(5), "check constraint"},
		{"not a document", connector.Of(connector.JSON), "", connector.TextValue("{"), "json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g.exec("drop table if exists t")
			schema := connector.StructOf("s", connector.Field{Name: "v", Schema: tt.schema})
			s := g.open(task(time.Now().UnixMicro()))
			if tt.column != "" {
				g.exec("create table t (v " + tt.column + ")")
			}
			ok := connector.StructOf("s", connector.Field{Name: "v", Schema: connector.OptionalOf(tt.schema.Type)})
			if tt.column != "" && strings.Contains(tt.column, "not null") || tt.schema == small {
				ok = nil
			}
			var records []connector.Record
			for range 5 {
				if ok != nil {
					records = append(records, datum(ok, connector.ListValue([]connector.Value{connector.Null})))
				}
			}
			before := len(records)
			records = append(records, datum(schema, connector.ListValue([]connector.Value{tt.value})))
			if ok != nil {
				records = append(records, records[0])
			}
			position := s.Position()
			err := s.Write(t.Context(), batch(1, records...))
			var bad *connector.RecordError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, before, bad.Index)
			require.ErrorContains(t, bad.Err, tt.says)
			require.Equal(t, position, s.Position())
			if g.count("select count(*) from pg_class where oid = to_regclass('t')") > 0 {
				require.Zero(t, g.count("select count(*) from t"))
			}
		})
	}
}

func TestColumnsThatOthersHaveMade(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	g.exec(`create type mood as enum ('sad', 'happy'); create domain positive as integer check (value > 0);
		create table t (a mood, b positive, c char(3), d uuid, e double precision, f numeric, g json, h name, i text, j mood[], k bigint generated always as identity, l text not null default 'x')`)
	var fields []connector.Field
	var values []connector.Value
	add := func(name string, s *connector.Schema, v connector.Value) {
		fields, values = append(fields, connector.Field{Name: name, Schema: s}), append(values, v)
	}
	add("a", connector.Of(connector.String), connector.TextValue("happy"))
	add("b", connector.Of(connector.Int64), connector.IntValue(5))
	add("c", connector.Of(connector.String), connector.TextValue("ab"))
	add("d", connector.Of(connector.String), connector.TextValue("00112233-4455-6677-8899-AABBCCDDEEFF"))
	add("e", connector.Of(connector.Int64), connector.IntValue(1<<53))
	add("f", connector.Of(connector.Int64), connector.IntValue(math.MinInt64))
	add("g", connector.Of(connector.JSON), connector.TextValue(`{"a":1}`))
	add("h", connector.Of(connector.String), connector.TextValue("n"))
	add("i", connector.Of(connector.UUID), connector.BytesValue(make([]byte, 16)))
	add("j", &connector.Schema{Type: connector.Array, Elem: connector.Of(connector.String)}, connector.ListValue([]connector.Value{connector.TextValue("sad")}))
	s := g.open(task(1))
	write(t, s, batch(1, datum(connector.StructOf("", fields...), connector.ListValue(values))))
	require.Equal(t, `(happy,5,"ab ",00112233-4455-6677-8899-aabbccddeeff,9.007199254740992e+15,-9223372036854775808,"{""a"":1}",n,00000000-0000-0000-0000-000000000000,{sad},1,x)`,
		g.text("select * from t"))
	values[1] = connector.IntValue(0)
	var bad *connector.RecordError
	require.ErrorAs(t, s.Write(t.Context(), batch(2, datum(connector.StructOf("", fields...), connector.ListValue(values)))), &bad)
	require.ErrorContains(t, bad, "positive_check")
}

func TestRecordThatBreaksADeferredConstraintIsFound(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	g.exec("create table t (id integer unique deferrable initially deferred, name text)")
	s := g.open(task(1))
	records := []connector.Record{row(1, "a"), row(2, "b"), row(3, "c"), row(2, "d"), row(4, "e")}
	var bad *connector.RecordError
	require.ErrorAs(t, s.Write(t.Context(), batch(1, records...)), &bad)
	require.Equal(t, 3, bad.Index)
	require.ErrorContains(t, bad, "(id)=(2) already exists")
	write(t, s, batch(1, append(records[:3:3], records[4])...))
	require.Equal(t, 4, g.count("select count(*) from t"))
}

func FuzzNumericAgreesWithPostgresForm(f *testing.F) {
	for _, text := range []string{"0", "-12.50", ".5", "5.", "00010000.0001", "NaN", "1e5", "", "-", "+7"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		raw, err := appendNumeric(nil, text)
		if err != nil {
			return
		}
		var n pgtype.Numeric
		require.NoError(t, (pgtype.NumericCodec{}).PlanScan(nil, oidNumeric, pgtype.BinaryFormatCode, &n).Scan(raw, &n))
		if text == "NaN" {
			require.True(t, n.NaN)
			return
		}
		want, ok := new(big.Rat).SetString(text)
		require.True(t, ok, text)
		got := new(big.Rat).SetInt(n.Int)
		scale := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(n.Exp, -n.Exp))), nil))
		if n.Exp < 0 {
			got.Quo(got, scale)
		} else {
			got.Mul(got, scale)
		}
		require.Zero(t, want.Cmp(got), "%s became %s", text, got)
	})
}
