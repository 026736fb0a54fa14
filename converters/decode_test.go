package converters

import (
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

func field(name string, s *connector.Schema) connector.Field {
	return connector.Field{Name: name, Schema: s}
}

// TestDecodeRefuses shows each way in which a row can be wrong, and that the error says where and why.
func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	of := func(s *connector.Schema) *connector.Schema { return connector.StructOf("r", field("v", s)) }
	scalar := func(typ connector.Type) *connector.Schema { return of(connector.Of(typ)) }
	two := connector.StructOf("two", field("a", connector.Of(connector.Int64)), field("b", connector.OptionalOf(connector.Int64)))
	for _, tt := range []struct {
		name, text string
		schema     *connector.Schema
		err        error
		says       string
	}{
		{"nothing", ` `, two, errEnd, ""},
		{"no object", `[1]`, two, nil, `"[" where '{' should be`},
		{"trailing data", `{"a":1,"b":2} {}`, two, errTrailing, ""},
		{"cut off", `{"a":1,"b"`, two, errEnd, ""},
		{"missing field", `{"b":1}`, two, nil, `field "a" is missing`},
		{"unknown field", `{"a":1,"c":1}`, two, nil, `field "c" is not in the schema`},
		{"doubled field", `{"a":1,"b":2,"a":1}`, two, nil, `field "a" comes twice`},
		{"null in a required field", `{"a":null}`, two, errNull, `field "a"`},
		{"no comma", `{"a":1 "b":2}`, two, nil, "where a comma"},
		{"comma at the end", `{"a":1,}`, two, nil, "where a string should be"},
		{"leading zero", `{"v":01}`, scalar(connector.Int64), nil, `field "v"`},
		{"plus", `{"v":+1}`, scalar(connector.Int64), nil, "where a number should be"},
		{"int8 too big", `{"v":128}`, scalar(connector.Int8), errRange, "int8"},
		{"int16 too small", `{"v":-32769}`, scalar(connector.Int16), errRange, "int16"},
		{"int32 too big", `{"v":2147483648}`, scalar(connector.Int32), errRange, ""},
		{"int64 too big", `{"v":9223372036854775808}`, scalar(connector.Int64), errRange, ""},
		{"int64 too small", `{"v":-9223372036854775809}`, scalar(connector.Int64), errRange, ""},
		{"int64 much too big", `{"v":123456789012345678901234}`, scalar(connector.Int64), errRange, ""},
		{"fraction", `{"v":1.0}`, scalar(connector.Int64), errWhole, ""},
		{"exponent", `{"v":1e3}`, scalar(connector.Int64), errWhole, ""},
		{"number as string", `{"v":"1"}`, scalar(connector.Int64), nil, "where a number should be"},
		{"float too big", `{"v":1e309}`, scalar(connector.Float64), errRange, ""},
		{"float32 too big", `{"v":1e39}`, scalar(connector.Float32), errRange, ""},
		{"float word", `{"v":"nan"}`, scalar(connector.Float64), nil, "Infinity"},
		{"bool", `{"v":1}`, scalar(connector.Bool), nil, "true or false"},
		{"decimal", `{"v":"1e5"}`, scalar(connector.Decimal), errDecimal, ""},
		{"decimal exponent", `{"v":1e20001}`, scalar(connector.Decimal), nil, "exponent"},
		{"control character", "{\"v\":\"\n\"}", scalar(connector.String), errControl, ""},
		{"escape", `{"v":"\x"}`, scalar(connector.String), errEscape, ""},
		{"escape of four digits", `{"v":"\u12g4"}`, scalar(connector.String), errEscape, ""},
		{"half a pair", `{"v":"\ud83dx"}`, scalar(connector.String), errSurrogate, ""},
		{"second half first", `{"v":"\ude00\ud83d"}`, scalar(connector.String), errSurrogate, ""},
		{"bad UTF-8", "{\"v\":\"a\xffb\"}", scalar(connector.String), errUTF8, ""},
		{"base64", `{"v":"AAH7/w"}`, scalar(connector.Bytes), errBase64, ""},
		{"base64 with line ends", `{"v":"AAH7\n/w=="}`, scalar(connector.Bytes), errBase64, ""},
		{"base64 with stray bits", `{"v":"AAH7/x=="}`, scalar(connector.Bytes), errBase64, ""},
		{"uuid", `{"v":"123e4567e89b-12d3-a456-426614174000-"}`, scalar(connector.UUID), errUUIDText, ""},
		{"uuid digit", `{"v":"123e4567-e89b-12d3-a456-42661417400g"}`, scalar(connector.UUID), errUUIDText, ""},
		{"date", `{"v":"2013-02-29"}`, scalar(connector.Date), errDate, ""},
		{"time", `{"v":"24:00:01"}`, scalar(connector.Time), errTime, ""},
		{"timestamp with zone", `{"v":"2013-01-01T00:00:00Z"}`, scalar(connector.Timestamp), errTimestamp, ""},
		{"timestamptz without zone", `{"v":"2013-01-01T00:00:00"}`, scalar(connector.TimestampTZ), errZone, ""},
		{"enum", `{"v":"happy"}`, of(&connector.Schema{Type: connector.Enum, Symbols: []string{"sad"}}), errSymbol, ""},
		{"document", `{"v":[1,}`, scalar(connector.JSON), nil, `field "v"`},
		{"deep document", `{"v":` + strings.Repeat("[", 5000), scalar(connector.JSON), errDepth, ""},
		{"array", `{"v":[1,"x"]}`, of(&connector.Schema{Type: connector.Array, Elem: connector.Of(connector.Int8)}), nil, "element 1"},
		{"pairs", `{"v":[[1]]}`, of(&connector.Schema{Type: connector.Map, Key: connector.Of(connector.Int8), Elem: connector.Of(connector.Int8)}), nil, "',' should be"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			datum, err := newConverter(t, "json", nil, false).Decode([]byte(tt.text), tt.schema)
			require.Error(t, err)
			require.False(t, datum.Present())
			if tt.err != nil {
				require.ErrorIs(t, err, tt.err)
			}
			require.ErrorContains(t, err, tt.says)
		})
	}
}

// TestEncodeRefuses: what could not be read back is not written.
func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	text, integer := connector.TextValue, connector.IntValue
	for _, tt := range []struct {
		name   string
		schema *connector.Schema
		value  connector.Value
		err    error
	}{
		{"another form", connector.Of(connector.Int64), text("1"), nil},
		{"null", connector.Of(connector.Int64), connector.Null, errNull},
		{"int8", connector.Of(connector.Int8), integer(128), nil},
		{"float32", connector.Of(connector.Float32), connector.FloatValue(0.1), errFloat32},
		{"decimal", connector.Of(connector.Decimal), text("1e5"), errDecimal},
		{"text", connector.Of(connector.String), text("\xff"), errUTF8},
		{"uuid", connector.Of(connector.UUID), connector.BytesValue([]byte{1}), errUUID},
		{"enum", &connector.Schema{Type: connector.Enum, Symbols: []string{"a"}}, text("b"), errSymbol},
		{"document", connector.Of(connector.JSON), text("{"), errEnd},
		{"two documents", connector.Of(connector.JSON), text("1 2"), errTrailing},
		{"date", connector.Of(connector.Date), integer(math.MaxInt64), errDateRange},
		{"time", connector.Of(connector.Time), integer(-1), errTimeRange},
		{"struct", connector.StructOf("r", field("a", connector.Of(connector.Bool))), connector.ListValue(nil), nil},
		{"map", &connector.Schema{Type: connector.Map, Key: connector.Of(connector.String), Elem: connector.Of(connector.String)}, connector.ListValue([]connector.Value{text("a")}), nil},
		{"schema", &connector.Schema{Type: connector.Array}, connector.ListValue(nil), nil},
		{"field name", connector.StructOf("r", field("\xff", connector.Of(connector.Bool))), connector.Null, errUTF8},
	} {
		for _, f := range formats[:5] {
			t.Run(tt.name+" "+f.golden, func(t *testing.T) {
				t.Parallel()
				out, err := newConverter(t, f.name, f.options, f.isKey).Encode([]byte("before"), connector.Datum{Schema: tt.schema, Value: tt.value})
				require.Equal(t, "before", string(out))
				if tt.name == "null" && f.name == "string" {
					require.ErrorIs(t, err, errNullText)
				} else if tt.name == "date" && strings.HasPrefix(f.golden, "envelope") {
					require.Error(t, err) // Connect's dates have 32 bits
				} else if tt.err != nil {
					require.ErrorIs(t, err, tt.err)
				} else {
					require.Error(t, err)
				}
			})
		}
	}
	path := connector.StructOf("r", field("rows", &connector.Schema{Type: connector.Array, Elem: connector.StructOf("s", field("n", connector.Of(connector.Int8)))}))
	row := connector.ListValue([]connector.Value{connector.ListValue([]connector.Value{connector.ListValue([]connector.Value{integer(1000)})})})
	_, err := newConverter(t, "json", nil, false).Encode(nil, connector.Datum{Schema: path, Value: row})
	require.EqualError(t, err, `field "rows": element 0: field "n": 1000 is out of range for int8`)
}

// TestDecodeTakesWhatOthersWrite: forms that we do not write but that mean the same.
func TestDecodeTakesWhatOthersWrite(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		typ  connector.Type
		want connector.Value
	}{
		{`-0`, connector.Int64, connector.IntValue(0)},
		{`-9223372036854775808`, connector.Int64, connector.IntValue(math.MinInt64)},
		{`1E2`, connector.Float64, connector.FloatValue(100)},
		{`0.10000000000000000000000000000000001`, connector.Float64, connector.FloatValue(0.1)},
		{`12.50`, connector.Decimal, connector.TextValue("12.50")},
		{`-1.25e-3`, connector.Decimal, connector.TextValue("-0.00125")},
		{`1.25E4`, connector.Decimal, connector.TextValue("12500")},
		{`0e5`, connector.Decimal, connector.TextValue("0")},
		{`"\u0041\/\ud83d\ude80"`, connector.String, connector.TextValue("A/\U0001F680")},
		{`"123E4567-E89B-12D3-A456-4266141740FF"`, connector.UUID, scalars()[28].datum.Value},
		{"\t[1 ,2]\n", connector.JSON, connector.TextValue("[1 ,2]")},
		{`"2013-01-01T00:00:00.000000+00:00"`, connector.TimestampTZ, connector.TimestampValue(1356998400, 0)},
	} {
		got, err := newConverter(t, "json", nil, false).Decode([]byte(tt.text), connector.Of(tt.typ))
		require.NoError(t, err, tt.text)
		require.True(t, tt.want.Equal(got.Value), "%s: %v", tt.text, got.Value)
	}
}

func TestUnscaledDecimalsAreJavasBigIntegers(t *testing.T) {
	t.Parallel()
	for _, n := range []string{"0", "1", "-1", "127", "128", "-128", "-129", "255", "256", "32767", "-32768", "-32769", "999999999999999999", "-999999999999999999",
		"9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "340282366920938463463374607431768211455", "-170141183460469231731687303715884105728"} {
		want, _ := new(big.Int).SetString(n, 10)
		bytes := bigComplement(want)
		digits, err := appendComplement(nil, bytes)
		require.NoError(t, err)
		require.Equal(t, n, string(digits))
		if want.IsInt64() {
			var buf [8]byte
			require.Equal(t, bytes, twosComplement(&buf, want.Int64()), n)
		}
		if len(bytes) > 1 { // in the fewest bytes
			require.False(t, (bytes[0] == 0 && bytes[1] < 0x80) || (bytes[0] == 0xff && bytes[1] >= 0x80), "%s: %x", n, bytes)
		}
	}
}

func TestDecimalsOfFixedScale(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text  string
		scale int
		want  string
		err   error
	}{
		{"12.5", 2, "12.50", nil}, {"0012", 2, "12.00", nil}, {"-0.05", 2, "-0.05", nil}, {"12.500", 2, "12.50", nil}, {"0", 0, "0", nil}, {"-7", 0, "-7", nil},
		{"12.505", 2, "", errScale}, {"NaN", 2, "", errNoNaN}, {"x", 2, "", errDecimal}, {"", 2, "", errDecimal}, {"1.", 2, "", errDecimal}, {"-", 2, "", errDecimal}, {".5", 2, "", errDecimal},
	} {
		got, err := appendFixed(nil, tt.text, tt.scale)
		require.True(t, errors.Is(err, tt.err), "%s: %v", tt.text, err)
		require.Equal(t, tt.want, string(got))
	}
}
