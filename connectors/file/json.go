package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/gantry-connect/gantry/connector"
)

var jsonSchema = connector.Of(connector.JSON)

var errNotJSON = errors.New("the line is not one valid JSON document; put each document on a line of its own, or use format=lines")

// jsonRows makes each line a JSON document as it stands. Key fields are top-level members, as texts: of a string its
// content, of a number or bool its literal.
type jsonRows struct {
	keys []string
	key  *connector.Schema
}

func newJSONRows(keys []string) *jsonRows {
	j := &jsonRows{keys: keys}
	switch len(keys) {
	case 0:
	case 1:
		j.key = connector.OptionalOf(connector.String)
	default:
		j.key = connector.StructOf("key")
		for _, name := range keys {
			j.key.Fields = append(j.key.Fields, connector.Field{Name: name, Schema: connector.OptionalOf(connector.String)})
		}
	}
	return j
}

func (*jsonRows) expect(int) {}

func (j *jsonRows) row(data []byte, final bool, r *connector.Record) (int, int, error) {
	text, n := line(data, final)
	if n == 0 {
		return 0, 0, nil
	}
	text = bytes.Trim(text, " \t")
	if len(text) == 0 {
		return n, 1, errBlank
	}
	if !utf8.Valid(text) {
		return n, 1, errNotUTF8
	}
	if !json.Valid(text) {
		return n, 1, errNotJSON
	}
	r.After = connector.Datum{Schema: jsonSchema, Value: connector.TextOf(text)}
	if j.key == nil {
		return n, 1, nil
	}
	values := make([]connector.Value, len(j.keys))
	for i, name := range j.keys {
		var err error
		if values[i], err = member(text, name); err != nil {
			return n, 1, err
		}
	}
	r.Size = len(values) * valueBytes
	r.Key = connector.Datum{Schema: j.key, Value: values[0]}
	if len(values) > 1 {
		r.Key.Value = connector.ListValue(values)
	}
	return n, 1, nil
}

// member is a top-level member of a valid JSON document, as a text; null if it is null or not there.
func member(doc []byte, name string) (connector.Value, error) {
	found, ok := lookUp(doc, name)
	if !ok || string(found) == "null" {
		return connector.Null, nil
	}
	switch found[0] {
	case '{', '[':
		return connector.Null, fmt.Errorf("key.fields: the member %q is an object or array; a key needs a scalar", name)
	case '"':
		return connector.TextOf(unquote(found)), nil
	}
	return connector.TextOf(found), nil
}

// unquote is the content of a valid JSON string.
func unquote(quoted []byte) []byte {
	inner := quoted[1 : len(quoted)-1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	var s string
	if err := json.Unmarshal(quoted, &s); err != nil {
		panic(err) // cannot happen: the document was valid
	}
	return []byte(s)
}

// lookUp finds a member of a valid JSON object; the last one of that name, as encoding/json does.
func lookUp(doc []byte, name string) (found []byte, ok bool) {
	if doc[0] != '{' {
		return nil, false
	}
	for i := skipSpace(doc, 1); doc[i] != '}'; {
		key := doc[i:endOf(doc, i)]
		i = skipSpace(doc, i+len(key)) // at the colon
		i = skipSpace(doc, i+1)
		value := doc[i:endOf(doc, i):endOf(doc, i)]
		if string(unquote(key)) == name {
			found, ok = value, true
		}
		i = skipSpace(doc, i+len(value))
		if doc[i] == ',' {
			i = skipSpace(doc, i+1)
		}
	}
	return found, ok
}

func skipSpace(doc []byte, i int) int {
	for doc[i] == ' ' || doc[i] == '\t' || doc[i] == '\r' || doc[i] == '\n' {
		i++
	}
	return i
}

// endOf is where the value that begins at i ends, in a valid document.
func endOf(doc []byte, i int) int {
	switch doc[i] {
	case '"':
		return endOfString(doc, i)
	case '{', '[':
		depth := 0
		for ; ; i++ {
			switch doc[i] {
			case '"':
				i = endOfString(doc, i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
	}
	for i < len(doc) && !bytes.ContainsRune([]byte(",]} \t\r\n"), rune(doc[i])) {
		i++
	}
	return i
}

func endOfString(doc []byte, i int) int {
	for i++; doc[i] != '"'; i++ {
		if doc[i] == '\\' {
			i++
		}
	}
	return i + 1
}
