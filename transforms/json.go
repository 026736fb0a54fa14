package transforms

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gantry-connect/gantry/connector"
)

// A value of type JSON is a text without schema. It is changed as text: what no transform names stays as it was written.
// A scalar in it is taken for the narrowest type that holds it, an object or array for a document of its own.
var (
	jsonNull     = connector.OptionalOf(connector.JSON)
	jsonBool     = connector.OptionalOf(connector.Bool)
	jsonInt      = connector.OptionalOf(connector.Int64)
	jsonFloat    = connector.OptionalOf(connector.Float64)
	jsonDecimal  = connector.OptionalOf(connector.Decimal)
	jsonString   = connector.OptionalOf(connector.String)
	jsonDocument = connector.OptionalOf(connector.JSON)
)

var errJSON = errors.New("the value is no valid JSON document")

// member is one member of an object, as written.
type member struct {
	quoted string // the name with its quotes
	name   string
	text   string // the value
}

// blanks skips white space.
func blanks(text string, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r') {
		i++
	}
	return i
}

// valueEnd is where the value that begins at i ends. It looks no closer than that takes.
func valueEnd(text string, i int) (int, error) {
	depth := 0
	for i < len(text) {
		switch text[i] {
		case '"':
			end, err := stringEnd(text, i)
			if err != nil {
				return 0, err
			}
			i = end
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		case ' ', '\t', '\n', '\r', ',', ':':
			i++
			continue
		default:
			for i < len(text) && !strings.ContainsRune(" \t\n\r,:{}[]\"", rune(text[i])) {
				i++
			}
		}
		if depth <= 0 {
			return i, nil
		}
	}
	return 0, errJSON
}

// stringEnd is where the string that begins at i ends.
func stringEnd(text string, i int) (int, error) {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1, nil
		}
	}
	return 0, errJSON
}

// unquote is the content of a string with its quotes.
func unquote(quoted string) (string, error) {
	if strings.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1], nil
	}
	var s string
	if err := json.Unmarshal([]byte(quoted), &s); err != nil {
		return "", errJSON
	}
	return s, nil
}

// eachMember calls visit for each member of the object that text is, until it returns false.
func eachMember(text string, visit func(m member) bool) error {
	i := blanks(text, 0)
	if i == len(text) || text[i] != '{' {
		return errJSON
	}
	for i = blanks(text, i+1); i < len(text) && text[i] == '"'; {
		end, err := stringEnd(text, i)
		if err != nil {
			return err
		}
		m := member{quoted: text[i:end]}
		if m.name, err = unquote(m.quoted); err != nil {
			return err
		}
		if i = blanks(text, end); i == len(text) || text[i] != ':' {
			return errJSON
		}
		i = blanks(text, i+1)
		if end, err = valueEnd(text, i); err != nil || end == i {
			return errJSON
		}
		m.text = text[i:end]
		if !visit(m) {
			return nil
		}
		if i = blanks(text, end); i < len(text) && text[i] == ',' {
			i = blanks(text, i+1)
			continue
		}
		break
	}
	if i == len(text) || text[i] != '}' {
		return errJSON
	}
	return nil
}

// isObject reports whether a document is an object.
func isObject(text string) bool {
	i := blanks(text, 0)
	return i < len(text) && text[i] == '{'
}

// isNull reports whether there is no value, a null, or the JSON document null.
func isNull(d connector.Datum) bool {
	if d.Value.IsNull() {
		return true
	}
	return d.Schema.Type == connector.JSON && strings.TrimSpace(d.Value.Text()) == "null"
}

// lookUp follows a path into a document; ok false says that it leads nowhere, whole that it is the name of a member.
func (p *docPath) lookUp(text string) (found string, whole, ok bool, err error) {
	if p.whole != "" {
		if found, ok, err = lookUpMember(text, p.whole); ok || err != nil {
			return found, true, ok, err
		}
	}
	for _, step := range p.steps {
		if text, ok, err = lookUpMember(text, step); !ok || err != nil {
			return "", false, false, err
		}
	}
	return text, false, true, nil
}

func lookUpMember(text, name string) (found string, ok bool, err error) {
	if !isObject(text) {
		return "", false, nil
	}
	err = eachMember(text, func(m member) bool {
		if m.name == name {
			found, ok = m.text, true
		}
		return true // the last of a name counts
	})
	return found, ok, err
}

// typed gives a JSON text the type that holds it.
func typed(text string) (connector.Datum, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return connector.Datum{}, errJSON
	}
	switch text[0] {
	case '"':
		if end, err := stringEnd(text, 0); err != nil || end != len(text) {
			return connector.Datum{}, errJSON
		}
		s, err := unquote(text)
		return connector.Datum{Schema: jsonString, Value: connector.TextValue(s)}, err
	case '{', '[':
		return connector.Datum{Schema: jsonDocument, Value: connector.TextValue(text)}, nil
	case 't', 'f':
		return connector.Datum{Schema: jsonBool, Value: connector.BoolValue(text == "true")}, nil
	case 'n':
		return connector.Datum{Schema: jsonNull}, nil
	}
	if !strings.ContainsAny(text, ".eE") {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return connector.Datum{Schema: jsonInt, Value: connector.IntValue(n)}, nil
		}
		return connector.Datum{Schema: jsonDecimal, Value: connector.TextValue(text)}, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return connector.Datum{}, fmt.Errorf("%.40q is no number that a float64 holds", text)
	}
	return connector.Datum{Schema: jsonFloat, Value: connector.FloatValue(f)}, nil
}

// appendJSON appends a scalar as the converter json would write it.
func appendJSON(dst []byte, s *connector.Schema, v connector.Value) ([]byte, error) {
	if v.IsNull() {
		return append(dst, "null"...), nil
	}
	switch s.Type {
	case connector.Bool:
		return strconv.AppendBool(dst, v.Bool()), nil
	case connector.Int8, connector.Int16, connector.Int32, connector.Int64:
		return strconv.AppendInt(dst, v.Int(), 10), nil
	case connector.Float32, connector.Float64:
		f := v.Float()
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return dst, fmt.Errorf("JSON has no number %v", f)
		}
		return appendFloat(dst, f, bitsOf(s.Type)), nil
	case connector.String, connector.Enum:
		return appendQuoted(dst, v.Text()), nil
	case connector.JSON, connector.Decimal: // one that came from a number
		return append(dst, v.Text()...), nil
	case connector.Date, connector.Time, connector.Timestamp, connector.TimestampTZ:
		return append(appendTemporal(append(dst, '"'), s.Type, v), '"'), nil
	case connector.Bytes:
		return append(base64.StdEncoding.AppendEncode(append(dst, '"'), v.Bytes()), '"'), nil
	case connector.UUID:
		return append(appendUUID(append(dst, '"'), v.Bytes()), '"'), nil
	}
	return dst, fmt.Errorf("a JSON document cannot take a value of type %v from elsewhere", s.Type)
}

// appendFloat appends a number in the fewest digits that give it again, as the converter json does.
func appendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	format := byte('f')
	if size := math.Abs(f); size != 0 && (size < 1e-6 || size >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, bits)
}

func appendUUID(dst, id []byte) []byte {
	for i, part := range [][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, part)
	}
	return dst
}

// appendTemporal appends a date, time or timestamp in the form of ISO 8601, as the converter json does.
func appendTemporal(dst []byte, t connector.Type, v connector.Value) []byte {
	switch t {
	case connector.Date:
		return appendDated(dst, time.Unix(v.Int()*secondsPerDay, 0), "-01-02")
	case connector.Time:
		return time.Unix(0, v.Int()).UTC().AppendFormat(dst, "15:04:05.999999999")
	case connector.Timestamp:
		return appendDated(dst, v.Time(), "-01-02T15:04:05.999999999")
	}
	return appendDated(dst, v.Time(), "-01-02T15:04:05.999999999Z07:00")
}

// appendDated appends a year, with a sign outside 0000 to 9999, and the rest by a layout.
func appendDated(dst []byte, at time.Time, layout string) []byte {
	at = at.UTC()
	year := at.Year()
	if year > 9999 {
		dst = append(dst, '+')
	}
	return at.AppendFormat(appendPadded(dst, year, 4), layout)
}

const hexDigits = "0123456789abcdef"

// appendQuoted appends a text as a JSON string, with no more escapes than JSON asks for.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}

// leafOfDocuments is how JSON documents become values of a schema, which then allows null: scalars as plan says, and objects
// and arrays as texts, if texts are asked for. A field that was null where its schema was inferred has type JSON.
func leafOfDocuments(out *connector.Schema, plan func(s *connector.Schema) leaf) leaf {
	scalars := leafPlans{make: plan}
	out.Optional = true
	return leaf{schema: out, convert: func(m *memory, v connector.Value) (connector.Value, error) {
		d, err := typed(v.Text())
		switch {
		case err != nil || d.Value.IsNull():
			return connector.Null, err
		case d.Schema == jsonDocument && out.Type == connector.String:
			return d.Value, nil
		case d.Schema == jsonDocument:
			return v, fmt.Errorf("a JSON object or array cannot become a value of type %v", out.Type)
		}
		l := scalars.of(d.Schema)
		if l.err != nil || l.convert == nil {
			return d.Value, l.err
		}
		return l.convert(m, d.Value)
	}}
}
