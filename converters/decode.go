package converters

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unsafe"

	"github.com/gantry-connect/gantry/connector"
)

var (
	errWhole  = errors.New("the number is not a whole one")
	errRange  = errors.New("the number is out of range")
	errBase64 = errors.New("is no standard base64 with padding")
)

// view views bytes that nobody changes as a string.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// value reads a value as n's schema has it.
func (d *decoder) value(n *node) (connector.Value, error) {
	if c := d.peek(); c == 'n' && n.form != asDocument {
		return d.null(n)
	}
	switch n.form {
	case asBool:
		switch {
		case d.has("true"):
			return connector.BoolValue(true), nil
		case d.has("false"):
			return connector.BoolValue(false), nil
		}
		return connector.Null, d.unexpected("true or false")
	case asInt, asDays:
		i, err := d.integer(n)
		return connector.IntValue(i), err
	case asFloat:
		return d.float(64)
	case asFloat32:
		return d.float(32)
	case asString:
		text, err := d.text()
		return connector.TextOf(text), err
	case asStruct:
		return d.structure(n)
	case asArray, asObject, asPairs:
		return d.list(n)
	case asDocument:
		return d.document(n)
	case asTimeMillis, asStampMillis:
		return d.millis(n)
	case asDecimal, asUnscaled, asNumber:
		if d.peek() != '"' {
			return d.decimal(n)
		}
	}
	start := d.pos
	text, err := d.text()
	if err != nil {
		return connector.Null, err
	}
	v, err := d.parse(n, text)
	if err != nil {
		d.pos = start
		return connector.Null, d.at(fmt.Errorf("%.60q %w", text, err))
	}
	return v, nil
}

func (d *decoder) null(n *node) (connector.Value, error) {
	if !d.has("null") {
		return connector.Null, d.unexpected("a value")
	}
	if !n.optional {
		d.pos -= len("null")
		return connector.Null, d.at(errNull)
	}
	return connector.Null, nil
}

// integer reads a whole number within n's bounds.
func (d *decoder) integer(n *node) (int64, error) {
	data, i := d.data, d.pos
	negative := i < len(data) && data[i] == '-'
	if negative {
		i++
	}
	first, size := i, uint64(0)
	for ; i < len(data) && data[i]-'0' <= 9; i++ {
		size = size*10 + uint64(data[i]-'0')
	}
	// Up to 19 digits do not overflow the sum; a point or an exponent, a leading zero or no digit goes the slow way.
	if i == first || i-first > 19 || (data[first] == '0' && i-first > 1) || (i < len(data) && (data[i] == '.' || data[i]|0x20 == 'e')) {
		if _, whole, err := d.number(); err != nil {
			return 0, err
		} else if !whole {
			return 0, d.at(errWhole)
		}
		return 0, d.at(fmt.Errorf("%w for %v", errRange, n.typ))
	}
	d.pos = i
	v := int64(size)
	if negative {
		v = -v
	}
	if size > math.MaxInt64 && !(negative && size == 1<<63) || v < n.min || v > n.max {
		return 0, d.at(fmt.Errorf("%w for %v", errRange, n.typ))
	}
	return v, nil
}

// float reads a number, or NaN and the infinities as strings.
func (d *decoder) float(bits int) (connector.Value, error) {
	start := d.pos
	if d.peek() == '"' {
		text, err := d.text()
		if err != nil {
			return connector.Null, err
		}
		f, ok := floatWord(text)
		if !ok {
			d.pos = start
			return connector.Null, d.unexpected(`a number, "NaN", "Infinity" or "-Infinity"`)
		}
		return connector.FloatValue(f), nil
	}
	text, whole, err := d.number()
	if err != nil {
		return connector.Null, err
	}
	if whole && bits == 64 && len(text) <= 15 && text[0] != '-' {
		n := int64(0)
		for _, c := range text {
			n = n*10 + int64(c-'0')
		}
		return connector.FloatValue(float64(n)), nil
	}
	f, err := strconv.ParseFloat(view(text), bits)
	if err != nil {
		d.pos = start
		return connector.Null, d.at(fmt.Errorf("%w for float%d", errRange, bits))
	}
	return connector.FloatValue(f), nil
}

func floatWord(text []byte) (float64, bool) {
	switch string(text) {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		return math.Inf(1), true
	case "-Infinity":
		return math.Inf(-1), true
	}
	return 0, false
}

// structure reads an object. Fields in the schema's order, as Encode writes them, need no look-up.
func (d *decoder) structure(n *node) (connector.Value, error) {
	items := d.memory.list(len(n.fields))
	i := 0
	for ; i < len(n.fields); i++ {
		f := &n.fields[i]
		if !d.has(f.prefix) {
			break
		}
		v, err := d.value(f)
		if err != nil {
			return connector.Null, fmt.Errorf("field %q: %w", f.name, err)
		}
		items[i] = v
	}
	if i == len(n.fields) && i > 0 && d.pos < len(d.data) && d.data[d.pos] == '}' {
		d.pos++
		return connector.ListValue(items), nil
	}
	return d.anyOrder(n, items, i)
}

// anyOrder reads the rest of an object of which the first fields, done of them, are read: in any order, without
// unknown fields or doubled ones, absent where they are optional.
func (d *decoder) anyOrder(n *node, items []connector.Value, done int) (connector.Value, error) {
	base := len(d.seen)
	defer func() { d.seen = d.seen[:base] }()
	for i := range n.fields {
		d.seen = append(d.seen, i < done)
	}
	more, err := d.open('{', '}', done > 0)
	for ; more && err == nil; more, err = d.comma('}') {
		if err := d.field(n, items, base); err != nil {
			return connector.Null, err
		}
	}
	if err != nil {
		return connector.Null, err
	}
	for i := range n.fields {
		if !d.seen[base+i] && !n.fields[i].optional {
			return connector.Null, d.at(fmt.Errorf("field %q is missing and not optional", n.fields[i].name))
		}
	}
	return connector.ListValue(items), nil
}

// open steps into a list, or goes on in one that is begun; more tells that an item follows.
func (d *decoder) open(open, shut byte, begun bool) (more bool, err error) {
	if begun {
		return d.comma(shut)
	}
	if d.peek() != open {
		return false, d.unexpected(strconv.QuoteRune(rune(open)))
	}
	d.pos++
	if d.peek() == shut {
		d.pos++
		return false, nil
	}
	return true, nil
}

// field reads one field of an object, by its name.
func (d *decoder) field(n *node, items []connector.Value, base int) error {
	d.space()
	start := d.pos
	name, err := d.text()
	if err != nil {
		return err
	}
	i, ok := n.index[string(name)]
	switch {
	case !ok:
		d.pos = start
		return d.at(fmt.Errorf("field %.60q is not in the schema", name))
	case d.seen[base+i]:
		d.pos = start
		return d.at(fmt.Errorf("field %q comes twice", name))
	}
	if err := d.colon(); err != nil {
		return err
	}
	d.seen[base+i] = true
	if items[i], err = d.value(&n.fields[i]); err != nil {
		return fmt.Errorf("field %q: %w", name, err)
	}
	return nil
}

// list reads an array or a map.
func (d *decoder) list(n *node) (connector.Value, error) {
	open, shut := byte('['), byte(']')
	if n.form == asObject {
		open, shut = '{', '}'
	}
	base := len(d.stack)
	defer func() { d.stack = d.stack[:base] }()
	more, err := d.open(open, shut, false)
	for ; more && err == nil; more, err = d.comma(shut) {
		if err := d.item(n, len(d.stack)-base); err != nil {
			return connector.Null, err
		}
	}
	if err != nil {
		return connector.Null, err
	}
	return d.taken(base), nil
}

// taken makes a list of what is on the stack from base on.
func (d *decoder) taken(base int) connector.Value {
	items := d.memory.list(len(d.stack) - base)
	copy(items, d.stack[base:])
	return connector.ListValue(items)
}

// item reads an element of an array, or a key and its value, onto the stack.
func (d *decoder) item(n *node, index int) error {
	if n.form == asArray {
		v, err := d.value(n.elem)
		if err != nil {
			return fmt.Errorf("element %d: %w", index, err)
		}
		d.stack = append(d.stack, v)
		return nil
	}
	if n.form == asPairs {
		if d.peek() != '[' {
			return d.unexpected("a pair of key and value")
		}
		d.pos++
	}
	k, err := d.value(n.key)
	if err != nil {
		return fmt.Errorf("map key: %w", err)
	}
	between := byte(':')
	if n.form == asPairs {
		between = ','
	}
	if d.peek() != between {
		return d.unexpected(strconv.QuoteRune(rune(between)))
	}
	d.pos++
	v, err := d.value(n.elem)
	if err != nil {
		return fmt.Errorf("map value: %w", err)
	}
	if n.form == asPairs {
		if d.peek() != ']' {
			return d.unexpected("the end of a pair")
		}
		d.pos++
	}
	d.stack = append(d.stack, k, v)
	return nil
}

// document takes a JSON document as it is. The document null cannot be told from no document: where the schema allows
// null it is one.
func (d *decoder) document(n *node) (connector.Value, error) {
	if n.optional && d.has("null") {
		return connector.Null, nil
	}
	start := d.pos
	if err := d.skip(0); err != nil {
		return connector.Null, err
	}
	return connector.TextOf(d.data[start:d.pos]), nil
}

// decimal reads a decimal written as a number.
func (d *decoder) decimal(n *node) (connector.Value, error) {
	text, _, err := d.number()
	if err != nil {
		return connector.Null, err
	}
	out, err := appendPlainNumber(d.buffer(len(text)), text)
	if err != nil {
		return connector.Null, d.at(err)
	}
	if n.form == asDecimal {
		return connector.TextOf(d.keep(out)), nil
	}
	fixed, err := appendFixed(nil, view(out), n.scale)
	if err != nil {
		return connector.Null, d.at(err)
	}
	return connector.TextOf(fixed), nil
}

// millis reads a time or timestamp written as milliseconds.
func (d *decoder) millis(n *node) (connector.Value, error) {
	whole := node{typ: n.typ, min: math.MinInt64, max: math.MaxInt64}
	ms, err := d.integer(&whole)
	if err != nil {
		return connector.Null, err
	}
	if n.form == asTimeMillis {
		if ms < 0 || ms > nanosPerDay/1e6 {
			return connector.Null, d.at(errTimeRange)
		}
		return connector.IntValue(ms * 1e6), nil
	}
	if ms > maxMillis || ms < -maxMillis {
		return connector.Null, d.at(errMillisRange)
	}
	seconds, rest := floorDiv(ms, 1000)
	return connector.TimestampValue(seconds, uint32(rest)*uint32(time.Millisecond)), nil
}

// parse reads the types that are text between quotes.
func (d *decoder) parse(n *node, text []byte) (connector.Value, error) {
	switch n.form {
	case asEnum:
		if _, ok := n.symbols[string(text)]; !ok {
			return connector.Null, errSymbol
		}
		return connector.TextOf(text), nil
	case asJSONText:
		_, err := document(text)
		return connector.TextOf(text), err
	case asDecimal:
		if !isDecimal(view(text)) {
			return connector.Null, errDecimal
		}
		return connector.TextOf(text), nil
	case asUnscaled, asNumber: // whichever the writer chose
		return d.unscaled(n, text)
	case asBytes:
		b, err := d.base64(text)
		return connector.BytesValue(b), err
	case asUUID:
		return d.uuid(text)
	case asDate:
		day, rest, ok := parseDate(text)
		if !ok || len(rest) > 0 {
			return connector.Null, errDate
		}
		return connector.IntValue(day), nil
	case asTime:
		second, nanos, rest, ok := parseClock(text)
		if !ok || len(rest) > 0 {
			return connector.Null, errTime
		}
		return connector.IntValue(int64(second)*1e9 + int64(nanos)), nil
	case asStamp:
		seconds, nanos, rest, ok := parseStamp(text)
		if !ok || len(rest) > 0 {
			return connector.Null, errTimestamp
		}
		return connector.TimestampValue(seconds, nanos), nil
	case asStampZ:
		return parseInstant(text)
	}
	panic("converters: no text form of " + n.typ.String())
}

func parseInstant(text []byte) (connector.Value, error) {
	seconds, nanos, rest, ok := parseStamp(text)
	if !ok {
		return connector.Null, errZone
	}
	offset, ok := parseZone(rest)
	if !ok {
		return connector.Null, errZone
	}
	seconds -= offset
	if seconds < minDay*secondsPerDay || seconds >= (maxDay+1)*secondsPerDay {
		return connector.Null, errDateRange
	}
	return connector.TimestampValue(seconds, nanos), nil
}

func (d *decoder) unscaled(n *node, text []byte) (connector.Value, error) {
	b, err := d.base64(text)
	if err != nil {
		return connector.Null, err
	}
	var buf [48]byte
	digits, err := appendComplement(buf[:0], b)
	if err != nil {
		return connector.Null, err
	}
	out := appendPoint(d.buffer(len(digits)+max(n.scale, -n.scale)+2), digits, n.scale)
	return connector.TextOf(d.keep(out)), nil
}

func (d *decoder) base64(text []byte) ([]byte, error) {
	enc := base64.StdEncoding.Strict()
	for _, c := range text {
		if c == '\n' || c == '\r' { // which the library skips
			return nil, errBase64
		}
	}
	out, err := enc.AppendDecode(d.buffer(enc.DecodedLen(len(text))), text)
	if err != nil {
		return nil, errBase64
	}
	return d.keep(out), nil
}

func (d *decoder) uuid(text []byte) (connector.Value, error) {
	if len(text) != 36 {
		return connector.Null, errUUIDText
	}
	out := d.buffer(16)
	for i := 0; i < len(text); {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if text[i] != '-' {
				return connector.Null, errUUIDText
			}
			i++
			continue
		}
		hi, lo := hexDigit(text[i]), hexDigit(text[i+1])
		if hi > 15 || lo > 15 {
			return connector.Null, errUUIDText
		}
		out = append(out, hi<<4|lo)
		i += 2
	}
	return connector.BytesValue(d.keep(out)), nil
}

var errUUIDText = errors.New("is no UUID of the form 123e4567-e89b-12d3-a456-426614174000")
