package transforms_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/transforms"
)

// TestWhateverComesOutFitsItsSchema puts records with random schemas through random transforms: what comes out fits its
// schema, what went in is as it was, and a transform that fails leaves the record alone.
func TestWhateverComesOutFitsItsSchema(t *testing.T) {
	t.Parallel()
	applied := 0
	for seed := range uint64(2000) {
		g := generator{rand.New(rand.NewPCG(seed, 1))}
		config := g.config()
		c, err := transforms.New(config, connector.KindSink)
		if err != nil {
			continue
		}
		schemas := []*connector.Schema{g.row(0), g.row(0), g.schema(0)}
		for range 6 {
			rec := connector.Record{Op: connector.Update, Topic: "t", Partition: queue3, Time: noon}
			parts := []*connector.Datum{&rec.Key, &rec.After, &rec.Before}
			var before []string
			var in []connector.Datum
			for _, d := range parts {
				d.Schema = schemas[g.IntN(len(schemas))]
				d.Value = g.value(d.Schema)
				before, in = append(before, show(*d)), append(in, *d)
			}
			_, err := c.Apply(&rec)
			for i, d := range parts {
				require.Equal(t, before[i], show(in[i]), "seed %d: %v", seed, config)
				if err != nil && c.Len() == 1 {
					require.Equal(t, before[i], show(*d), "seed %d: %v fails: %v", seed, config, err)
				} else if err == nil {
					require.NoError(t, d.Schema.Validate(), "seed %d: %v", seed, config)
					require.NoError(t, d.Value.Check(d.Schema), "seed %d: %v of %v", seed, config, before)
				}
			}
			if err == nil {
				applied++
			}
		}
	}
	require.Greater(t, applied, 2000)
}

// generator makes configs, schemas and values.
type generator struct{ *rand.Rand }

func (g generator) of(options ...string) string { return options[g.IntN(len(options))] }

// field is a path.
func (g generator) field() string {
	steps := make([]string, 1+g.IntN(3))
	for i := range steps {
		steps[i] = g.of("a", "b", "c", "`a.b`", "`x\\`y`", "none")
	}
	return strings.Join(steps, ".")
}

func (g generator) fields() string {
	return strings.Join([]string{g.field(), g.field(), g.field()}[:1+g.IntN(3)], ",")
}

// config has one to three transforms.
func (g generator) config() map[string]string {
	config := map[string]string{}
	var aliases []string
	for i := range 1 + g.IntN(3) {
		aliases = append(aliases, fmt.Sprint(i))
		class := g.of("Cast", "ExtractField", "HeaderFrom", "InsertField", "MaskField", "ReplaceField", "TimestampConverter", "ValueToKey")
		keys := map[string]string{"fields": g.fields(), "field": g.field()}
		switch class {
		case "Cast":
			keys["spec"] = g.field() + ":" + g.of("int8", "int16", "int32", "int64", "float32", "float64", "boolean", "string")
		case "HeaderFrom":
			keys["fields"], keys["headers"], keys["operation"] = g.field(), "h", g.of("move", "copy")
		case "InsertField":
			keys["topic.field"], keys["timestamp.field"] = g.field(), g.of("", g.field()+"!")
		case "MaskField":
			keys["replacement"] = g.of("", "42")
		case "ReplaceField":
			keys["exclude"], keys["include"] = g.of("", g.fields()), g.of("", "", g.fields())
			keys["renames"] = g.of("", g.field()+":a,"+g.field()+":"+g.of("b", "new"))
		case "TimestampConverter":
			keys["target.type"], keys["unix.precision"], keys["format"] = g.of("string", "unix", "Date", "Time", "Timestamp"), g.of("seconds", "nanoseconds"), "yyyy-MM-dd"
		}
		if class != "ValueToKey" {
			class += g.of("$Key", "$Value")
		}
		keys["type"] = class
		for key, v := range keys {
			config[fmt.Sprintf("transforms.%d.%s", i, key)] = v
		}
	}
	config["transforms"] = strings.Join(aliases, ",")
	return config
}

// row is the schema of a struct.
func (g generator) row(depth int) *connector.Schema {
	s := &connector.Schema{Type: connector.Struct, Optional: g.IntN(2) == 0, Name: g.of("", "row")}
	for _, name := range []string{"a", "b", "c", "a.b", "x`y"} {
		if g.IntN(5) > 0 {
			s.Fields = append(s.Fields, connector.Field{Name: name, Schema: g.schema(depth + 1)})
		}
	}
	return s
}

func (g generator) schema(depth int) *connector.Schema {
	s := &connector.Schema{Type: connector.Type(1 + g.IntN(int(connector.Struct))), Optional: g.IntN(2) == 0}
	switch s.Type {
	case connector.Enum:
		s.Symbols = []string{"x", "y"}
	case connector.Array, connector.Map:
		s.Key, s.Elem = connector.Of(connector.String), connector.OptionalOf(connector.Int64)
	case connector.Struct:
		if depth < 3 {
			return g.row(depth)
		}
		s.Type = connector.JSON
	}
	return s
}

func (g generator) value(s *connector.Schema) connector.Value {
	if s.Optional && g.IntN(4) == 0 {
		return connector.Null
	}
	switch s.Type {
	case connector.Bool:
		return connector.BoolValue(g.IntN(2) == 0)
	case connector.Int8, connector.Int16, connector.Int32, connector.Date, connector.Time:
		return connector.IntValue(int64(g.IntN(128)))
	case connector.Int64:
		return connector.IntValue([]int64{-1, math.MinInt64, math.MaxInt64, 1709208005250}[g.IntN(4)])
	case connector.Float32, connector.Float64:
		return connector.FloatValue([]float64{-0.5, math.NaN(), math.Inf(1), 1 << 100}[g.IntN(4)])
	case connector.Decimal:
		return connector.TextValue(g.of("0.00", "-12.50", "NaN", "99999999999999999999"))
	case connector.String:
		return connector.TextValue(g.of("", "x", "12", "true", "2024-02-29", "-1.5"))
	case connector.Enum:
		return connector.TextValue(g.of(s.Symbols...))
	case connector.JSON:
		return connector.TextValue(g.of(`null`, `1`, `"x"`, `{"a":1,"b":{"a":null,"c":[1]},"c":"t"}`, `[{"a":1}]`, `1e5`, `123456789012345678901`, ` { } `,
			`{"a.b":{"c":1},"a":{"b":{"c":"2024-01-01"}}}`))
	case connector.Bytes, connector.UUID:
		return connector.BytesValue(make([]byte, 16))
	case connector.Timestamp, connector.TimestampTZ:
		return connector.TimestampValue(g.Int64()>>g.IntN(64), uint32(g.IntN(int(time.Second))))
	case connector.Array:
		return connector.ListValue([]connector.Value{connector.IntValue(1), connector.Null})
	case connector.Map:
		return connector.ListValue([]connector.Value{connector.TextValue("k"), connector.IntValue(1)})
	}
	items := make([]connector.Value, len(s.Fields))
	for i := range items {
		items[i] = g.value(s.Fields[i].Schema)
	}
	return connector.ListValue(items)
}
