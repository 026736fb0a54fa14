package converters

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/gantry-connect/gantry/connector"
)

var (
	errNull        = errors.New("null, which the schema does not allow")
	errUTF8        = errors.New("the text is not valid UTF-8")
	errFloat32     = errors.New("the number is no float32")
	errUUID        = errors.New("is no UUID of 16 bytes")
	errSymbol      = errors.New("is not one of the enum's symbols")
	errMillisRange = errors.New("the timestamp is too far from 1970 for milliseconds")
	errMillis      = errors.New("has more than the milliseconds that its schema's precision allows")
)

// encode appends v's JSON form.
func (n *node) encode(dst []byte, v connector.Value) ([]byte, error) {
	if v.IsNull() {
		if !n.optional {
			return dst, errNull
		}
		return append(dst, "null"...), nil
	}
	if !v.Is(n.typ) {
		return dst, fmt.Errorf("the value %.40v is no %v", v, n.typ)
	}
	switch n.form {
	case asBool:
		return strconv.AppendBool(dst, v.Bool()), nil
	case asInt, asDays:
		i := v.Int()
		if i < n.min || i > n.max {
			return dst, rangeError(n, i)
		}
		return strconv.AppendInt(dst, i, 10), nil
	case asFloat:
		return appendFloat(dst, v.Float()), nil
	case asFloat32:
		return appendFloat32(dst, v.Float())
	case asString:
		return appendQuoted(dst, v.Text())
	case asEnum:
		if err := n.symbol(v.Text()); err != nil {
			return dst, err
		}
		return appendQuoted(dst, v.Text())
	case asDocument, asJSONText:
		return n.encodeDocument(dst, v.Text())
	case asNumber:
		return appendFixed(dst, v.Text(), n.scale)
	case asTimeMillis, asStampMillis:
		return n.encodeMillis(dst, v)
	case asArray, asObject, asPairs, asStruct:
		return n.encodeList(dst, v.List())
	}
	dst, err := n.plain(append(dst, '"'), v)
	return append(dst, '"'), err
}

// symbol checks that an enum has the symbol.
func (n *node) symbol(text string) error {
	if _, ok := n.symbols[text]; !ok {
		return fmt.Errorf("%.40q %w", text, errSymbol)
	}
	return nil
}

func rangeError(n *node, i int64) error {
	return fmt.Errorf("%d is out of range for %v", i, n.typ)
}

// plain appends the text of the types that are written between quotes and need no escapes there.
func (n *node) plain(dst []byte, v connector.Value) ([]byte, error) {
	switch n.form {
	case asDate:
		return appendDate(dst, v.Int())
	case asTime:
		return appendTime(dst, v.Int())
	case asStamp:
		seconds, nanos := v.Timestamp()
		return appendTimestamp(dst, seconds, nanos)
	case asStampZ:
		seconds, nanos := v.Timestamp()
		dst, err := appendTimestamp(dst, seconds, nanos)
		return append(dst, 'Z'), err
	case asBytes:
		return base64.StdEncoding.AppendEncode(dst, v.Bytes()), nil
	case asUUID:
		return appendUUID(dst, v.Bytes())
	case asDecimal:
		if !isDecimal(v.Text()) {
			return dst, fmt.Errorf("%.40q %w", v.Text(), errDecimal)
		}
		return append(dst, v.Text()...), nil
	case asUnscaled:
		return appendUnscaled(dst, v.Text(), n.scale)
	}
	panic("converters: no plain text for " + n.typ.String())
}

func (n *node) encodeList(dst []byte, items []connector.Value) ([]byte, error) {
	switch n.form {
	case asStruct:
		return n.encodeStruct(dst, items)
	case asArray:
		return n.encodeArray(dst, items)
	}
	if len(items)%2 != 0 {
		return dst, errors.New("a map's key has no value")
	}
	open, next, between, shut := "[", ",[", ",", "]"
	if n.form == asObject {
		open, next, between, shut = "", ",", ":", ""
		dst = append(dst, '{')
	} else {
		dst = append(dst, '[')
	}
	var err error
	for i := 0; i < len(items); i += 2 {
		dst = append(dst, open...)
		if dst, err = n.key.encode(dst, items[i]); err != nil {
			return dst, fmt.Errorf("map key: %w", err)
		}
		dst = append(dst, between...)
		if dst, err = n.elem.encode(dst, items[i+1]); err != nil {
			return dst, fmt.Errorf("map value: %w", err)
		}
		dst = append(dst, shut...)
		open = next
	}
	if n.form == asObject {
		return append(dst, '}'), nil
	}
	return append(dst, ']'), nil
}

func (n *node) encodeStruct(dst []byte, items []connector.Value) ([]byte, error) {
	if len(items) != len(n.fields) {
		return dst, fmt.Errorf("%d values for the %d fields of a struct", len(items), len(n.fields))
	}
	if len(items) == 0 {
		return append(dst, "{}"...), nil
	}
	var err error
	for i := range n.fields {
		f := &n.fields[i]
		dst = append(dst, f.prefix...)
		if dst, err = f.encode(dst, items[i]); err != nil {
			return dst, fmt.Errorf("field %q: %w", f.name, err)
		}
	}
	return append(dst, '}'), nil
}

func (n *node) encodeArray(dst []byte, items []connector.Value) ([]byte, error) {
	dst = append(dst, '[')
	var err error
	for i, item := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = n.elem.encode(dst, item); err != nil {
			return dst, fmt.Errorf("element %d: %w", i, err)
		}
	}
	return append(dst, ']'), nil
}

// encodeDocument checks a document and appends it, without the white space around it.
func (n *node) encodeDocument(dst []byte, text string) ([]byte, error) {
	doc, err := document(raw(text))
	if err != nil {
		return dst, fmt.Errorf("json document: %w", err)
	}
	if n.form == asJSONText {
		return appendQuoted(dst, text)
	}
	return append(dst, doc...), nil
}

func (n *node) encodeMillis(dst []byte, v connector.Value) ([]byte, error) {
	if n.form == asTimeMillis {
		nanos := v.Int()
		if nanos < 0 || nanos > nanosPerDay {
			return dst, errTimeRange
		}
		if nanos%1e6 != 0 {
			return dst, errMillis
		}
		return strconv.AppendInt(dst, nanos/1e6, 10), nil
	}
	seconds, nanos := v.Timestamp()
	switch {
	case nanos >= 1e9:
		return dst, errNanos
	case nanos%1e6 != 0:
		return dst, errMillis
	case seconds > maxMillis/1000 || seconds < -maxMillis/1000:
		return dst, errMillisRange
	}
	return strconv.AppendInt(dst, seconds*1000+int64(nanos/1e6), 10), nil
}

// maxMillis keeps the milliseconds of a timestamp away from the ends of an int64.
const maxMillis = 9_000_000_000_000_000_000

// appendFloat writes the fewest digits that give f again.
func appendFloat(dst []byte, f float64) []byte {
	if i := int64(f); float64(i) == f && i < 1e15 && i > -1e15 && (i != 0 || !math.Signbit(f)) {
		return strconv.AppendInt(dst, i, 10) // the same digits, faster
	}
	return appendDigits(dst, f, 64)
}

func appendFloat32(dst []byte, f float64) ([]byte, error) {
	if float64(float32(f)) != f && !math.IsNaN(f) {
		return dst, errFloat32
	}
	return appendDigits(dst, f, 32), nil
}

func appendDigits(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	}
	format := byte('f')
	if size := math.Abs(f); size != 0 && (size < 1e-6 || size >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, bits)
}

const hex = "0123456789abcdef"

func appendUUID(dst []byte, id []byte) ([]byte, error) {
	if len(id) != 16 {
		return dst, errUUID
	}
	for i, b := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, hex[b>>4], hex[b&15])
	}
	return dst, nil
}

// raw views a string as bytes, which must not be changed.
func raw(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// plainRun is the length of b's beginning that consists of ASCII that stands in JSON strings as it is. It may stop
// early, up to 7 bytes before the end.
func plainRun(b []byte) int {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		const ones, highs = 0x0101010101010101, 0x8080808080808080
		w := binary.LittleEndian.Uint64(b[i:])
		quote, slash := w^(ones*'"'), w^(ones*'\\')
		// A byte's high bit is set in the sum where the byte is above 0x7f, below 0x20, a quote or a backslash.
		if (w|(w-ones*0x20)|(quote-ones)|(slash-ones))&highs != 0 {
			break
		}
	}
	return i
}

// special says which bytes end a run of a JSON string: quote, backslash, controls, and all that is not ASCII.
var special = func() (t [256]bool) {
	for c := range t {
		t[c] = c < 0x20 || c >= utf8.RuneSelf || c == '"' || c == '\\'
	}
	return t
}()

// appendQuoted appends s as a JSON string.
func appendQuoted(dst []byte, s string) ([]byte, error) {
	b := raw(s)
	dst = append(dst, '"')
	i, wide := 0, false
	for start := 0; ; i++ {
		if i+8 <= len(b) {
			i += plainRun(b[i:])
		}
		for i < len(b) && !special[b[i]] {
			i++
		}
		if i == len(b) {
			dst = append(dst, s[start:]...)
			break
		}
		if b[i] >= utf8.RuneSelf {
			wide = true
			continue
		}
		dst = appendEscape(append(dst, s[start:i]...), b[i])
		start = i + 1
	}
	if wide && !utf8.ValidString(s) {
		return dst, errUTF8
	}
	return append(dst, '"'), nil
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
