package converters

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/gantry-connect/gantry/connector"
)

// generator makes random schemas and values that fit them.
type generator struct{ *rand.Rand }

func (g generator) chance(n int) bool { return g.IntN(n) == 0 }

func (g generator) schema(depth int) *connector.Schema {
	types := connector.Struct
	if depth == 0 {
		types = connector.Enum
	}
	s := &connector.Schema{Type: connector.Type(1 + g.IntN(int(types))), Optional: g.chance(2)}
	if g.chance(4) {
		s.Name, s.Version, s.Doc = g.text(), g.IntN(3), g.text()
	}
	if g.chance(6) {
		s.Params = map[string]string{"p" + g.text(): g.text()}
	}
	switch s.Type {
	case connector.Decimal:
		if g.chance(2) {
			s.Precision, s.Scale = 1+g.IntN(40), g.IntN(8)
		}
	case connector.Time, connector.Timestamp, connector.TimestampTZ:
		if g.chance(2) {
			s.Precision, s.PrecisionSet = g.IntN(10), true
		}
	case connector.Enum:
		for i := range 1 + g.IntN(4) {
			s.Symbols = append(s.Symbols, g.text()+fmt.Sprint(i))
		}
	case connector.Array:
		s.Elem = g.schema(depth - 1)
	case connector.Map:
		s.Key, s.Elem = g.schema(depth-1), g.schema(depth-1)
	case connector.Struct:
		for i := range g.IntN(6) {
			s.Fields = append(s.Fields, connector.Field{Name: g.text() + fmt.Sprint(i), Schema: g.schema(depth - 1)})
		}
	}
	return s
}

func (g generator) text() string {
	alphabet := []string{"a", "b", "Z", "0", " ", "\"", "\\", "\n", "\x00", "\x1f", "\x7f", "/", "<", "ü", "€", "\U0001F680", "\u2028", "{", "[", "null", "plain text of some length"}
	var b strings.Builder
	for range g.IntN(6) {
		b.WriteString(alphabet[g.IntN(len(alphabet))])
	}
	return b.String()
}

// number gives numbers of all magnitudes within bits, the ends often.
func (g generator) number(bits uint) int64 {
	switch g.IntN(8) {
	case 0:
		return -1 << (bits - 1)
	case 1:
		return 1<<(bits-1) - 1
	case 2:
		return 0
	}
	return int64(g.Uint64()) >> (64 - bits) >> g.IntN(int(bits))
}

func (g generator) float() float64 {
	switch g.IntN(8) {
	case 0:
		return math.NaN()
	case 1:
		return math.Inf(1 - 2*g.IntN(2))
	case 2:
		return math.Copysign(0, -1)
	case 3:
		return float64(g.IntN(1000))
	case 4:
		return g.NormFloat64()
	}
	if f := math.Float64frombits(g.Uint64()); !math.IsNaN(f) {
		return f
	}
	return 1
}

// decimal gives text that reads back the same from a form of fixed scale.
func (g generator) decimal(s *connector.Schema) string {
	if s.Precision == 0 && s.Scale == 0 {
		if g.chance(5) {
			return "NaN"
		}
		return fmt.Sprintf("-00%d.%d00", g.Uint64(), g.Uint64())
	}
	digits := fmt.Sprint(1 + g.Uint64N(9)) // no leading zero
	for range g.IntN(30) {
		digits += fmt.Sprint(g.IntN(10))
	}
	if g.chance(4) {
		digits = "0"
	}
	fraction := ""
	for range s.Scale {
		fraction += fmt.Sprint(g.IntN(10))
	}
	text := digits
	if fraction != "" {
		text += "." + fraction
	}
	if g.chance(2) && strings.Trim(text, "0.") != "" {
		text = "-" + text
	}
	return text
}

func (g generator) nanos(s *connector.Schema, n int64) int64 {
	if s.PrecisionSet {
		unit := int64(math.Pow10(9 - s.Precision))
		n -= n % unit
	}
	return n
}

func (g generator) value(s *connector.Schema) connector.Value {
	if s.Optional && g.chance(4) {
		return connector.Null
	}
	switch s.Type {
	case connector.Bool:
		return connector.BoolValue(g.chance(2))
	case connector.Int8, connector.Int16, connector.Int32, connector.Int64:
		return connector.IntValue(g.number(8 << (s.Type - connector.Int8)))
	case connector.Float32:
		return connector.FloatValue(float64(float32(g.float())))
	case connector.Float64:
		return connector.FloatValue(g.float())
	case connector.Decimal:
		return connector.TextValue(g.decimal(s))
	case connector.String:
		return connector.TextValue(g.text())
	case connector.Bytes:
		return connector.BytesValue([]byte(g.text()))
	case connector.Date:
		return connector.IntValue(g.number(32))
	case connector.Time:
		return connector.IntValue(g.nanos(s, g.Int64N(nanosPerDay+1)))
	case connector.Timestamp, connector.TimestampTZ:
		return connector.TimestampValue(g.number(53), uint32(g.nanos(s, g.Int64N(1e9))))
	case connector.UUID:
		id := make([]byte, 16)
		for i := range id {
			id[i] = byte(g.Uint32())
		}
		return connector.BytesValue(id)
	case connector.JSON:
		docs := []string{`{}`, `[1, 2.0,{"a":null}]`, `"x\n"`, `-1e5`, `true`}
		return connector.TextValue(docs[g.IntN(len(docs))])
	case connector.Enum:
		return connector.TextValue(s.Symbols[g.IntN(len(s.Symbols))])
	}
	return g.list(s)
}

func (g generator) list(s *connector.Schema) connector.Value {
	var items []connector.Value
	switch s.Type {
	case connector.Array:
		for range g.IntN(4) {
			items = append(items, g.value(s.Elem))
		}
	case connector.Map:
		for range g.IntN(4) {
			items = append(items, g.value(s.Key), g.value(s.Elem))
		}
	default:
		for _, f := range s.Fields {
			items = append(items, g.value(f.Schema))
		}
	}
	return connector.ListValue(items)
}
