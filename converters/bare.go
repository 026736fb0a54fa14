package converters

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gantry-connect/gantry/connector"
)

// textValue is a string that shares data's memory.
func textValue(data []byte) (connector.Value, error) {
	if !utf8.Valid(data) {
		return connector.Null, errUTF8
	}
	return connector.TextOf(data), nil
}

// listed reports whether the form has parts; only JSON writes those.
func (n *node) listed() bool {
	return n.form == asArray || n.form == asObject || n.form == asPairs || n.form == asStruct
}

// encodeKey appends a scalar as bare text where that cannot be mistaken, and anything else as JSON.
func (n *node) encodeKey(dst []byte, v connector.Value) ([]byte, error) {
	text := (n.form == asString || n.form == asEnum) && v.Is(n.typ)
	if v.IsNull() || n.listed() || (text && !bare(v.Text())) {
		return n.encode(dst, v)
	}
	begin := len(dst)
	dst, err := n.encodeText(dst, v)
	if err == nil && len(dst) == begin { // no bytes: a key without bytes would be an absent one
		dst = append(dst, `""`...)
	}
	return dst, err
}

// bare reports whether s can stand in a message's key as it is.
func bare(s string) bool {
	if s == "" || s == "null" || strings.IndexByte("\"{[ ", s[0]) >= 0 || s[len(s)-1] == ' ' {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x20 {
			return false
		}
	}
	return true
}

// encodeText appends the text of a value that is not null: a scalar's without quotes, a list's and a document's JSON.
func (n *node) encodeText(dst []byte, v connector.Value) ([]byte, error) {
	if !v.Is(n.typ) {
		return n.encode(dst, v) // which says what is wrong
	}
	switch n.form {
	case asString:
		if !utf8.ValidString(v.Text()) {
			return dst, errUTF8
		}
		return append(dst, v.Text()...), nil
	case asEnum:
		return append(dst, v.Text()...), n.symbol(v.Text())
	case asFloat, asFloat32:
		begin := len(dst)
		dst, err := n.encode(dst, v)
		if err == nil && dst[begin] == '"' {
			dst = append(dst[:begin], dst[begin+1:len(dst)-1]...)
		}
		return dst, err
	case asDate, asTime, asStamp, asStampZ, asBytes, asUUID, asDecimal:
		return n.plain(dst, v)
	}
	return n.encode(dst, v)
}

// keyText reads what encodeKey wrote.
func (d *decoder) keyText(n *node) (connector.Value, error) {
	quoted := d.data[0] == '"'
	if n.listed() || n.form == asDocument || quoted || (n.optional && string(d.data) == "null") {
		v, err := d.value(n)
		if err == nil {
			err = d.end()
		}
		return v, err
	}
	return d.scalarText(n)
}

// scalarText reads what encodeText wrote of a scalar: all of the data.
func (d *decoder) scalarText(n *node) (connector.Value, error) {
	switch n.form {
	case asString:
		return textValue(d.data)
	case asFloat, asFloat32:
		if f, ok := floatWord(d.data); ok {
			return connector.FloatValue(f), nil
		}
	case asEnum, asDate, asTime, asStamp, asStampZ, asBytes, asUUID, asDecimal:
		v, err := d.parse(n, d.data)
		if err != nil {
			return connector.Null, fmt.Errorf("%.60q %w", d.data, err)
		}
		return v, nil
	}
	v, err := d.value(n)
	if err == nil {
		err = d.end()
	}
	return v, err
}

// textConverter writes the text of scalars as it is, and JSON where a value has parts. The schema does not travel: what
// it reads back is a string, unless a schema is at hand. It has no form for null.
type textConverter struct {
	plans plans
	text  *connector.Schema
	d     decoder
}

func newText() *textConverter {
	return &textConverter{plans: plans{limit: plainSchemas}, text: connector.Of(connector.String)}
}

// plainSchemas bounds the schemas that a text converter keeps prepared.
const plainSchemas = 1000

func (c *textConverter) ByReference() bool { return false }

func (c *textConverter) Encode(dst []byte, datum connector.Datum) ([]byte, error) {
	if !datum.Present() {
		return dst, nil
	}
	p, err := c.plans.of(datum.Schema)
	if err != nil {
		return dst, err
	}
	if datum.Value.IsNull() {
		return dst, errNullText
	}
	begin := len(dst)
	if dst, err = p.root.encodeText(dst, datum.Value); err != nil {
		return dst[:begin], err
	}
	return dst, nil
}

func (c *textConverter) Decode(data []byte, s *connector.Schema) (connector.Datum, error) {
	if s == nil {
		v, err := textValue(data)
		return datumOf(c.text, v, err)
	}
	p, err := c.plans.of(s)
	if err != nil {
		return connector.Datum{}, err
	}
	c.d.reset(data)
	v, err := c.d.scalarText(&p.root)
	return datumOf(s, v, err)
}

var errNullText = errors.New("null has no form under this converter: use json")

// rawConverter hands bytes and strings through. The schema does not travel: what it reads back is bytes, unless a schema
// is at hand. It has no form for null.
type rawConverter struct {
	bytes *connector.Schema
}

func newRaw() *rawConverter {
	return &rawConverter{bytes: connector.Of(connector.Bytes)}
}

func (c *rawConverter) ByReference() bool { return false }

func (c *rawConverter) Encode(dst []byte, datum connector.Datum) ([]byte, error) {
	switch v := datum.Value; {
	case !datum.Present():
		return dst, nil
	case v.IsNull():
		return dst, errNullText
	case datum.Schema.Type == connector.Bytes && v.Is(connector.Bytes):
		return append(dst, v.Bytes()...), nil
	case datum.Schema.Type == connector.String && v.Is(connector.String):
		return append(dst, v.Text()...), nil
	}
	return dst, fmt.Errorf("a value of type %v where the bytes converter takes bytes and strings: use json", datum.Schema.Type)
}

func (c *rawConverter) Decode(data []byte, s *connector.Schema) (connector.Datum, error) {
	switch {
	case s == nil:
		return connector.Datum{Schema: c.bytes, Value: connector.BytesValue(data)}, nil
	case s.Type == connector.Bytes:
		return connector.Datum{Schema: s, Value: connector.BytesValue(data)}, nil
	case s.Type == connector.String:
		v, err := textValue(data)
		return datumOf(s, v, err)
	}
	return connector.Datum{}, fmt.Errorf("a schema of type %v where the bytes converter gives bytes and strings", s.Type)
}
