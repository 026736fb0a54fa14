package converters

import (
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/gantry-connect/gantry/connector"
)

// maxDepth bounds how deep documents may nest, so that no message can exhaust the stack.
const maxDepth = 1000

var (
	errEnd       = errors.New("the text ends too early")
	errDepth     = errors.New("the document nests too deep")
	errEscape    = errors.New("an escape in a string is malformed")
	errControl   = errors.New("a control character stands in a string without escape")
	errSurrogate = errors.New("half of a surrogate pair stands alone in a string")
	errNumber    = errors.New("a number is malformed")
	errTrailing  = errors.New("something follows behind the end of the document")
)

// memory hands out pieces of larger allocations. What it has handed out belongs to whoever got it: it is never reused.
type memory struct {
	values []connector.Value
	bytes  []byte
}

const (
	valueSlab = 680      // values, 16 KiB
	byteSlab  = 16 << 10 // bytes
)

// list gives n null values.
func (m *memory) list(n int) []connector.Value {
	if n > len(m.values) {
		if n > valueSlab/4 {
			return make([]connector.Value, n)
		}
		m.values = make([]connector.Value, valueSlab)
	}
	out := m.values[:n:n]
	m.values = m.values[n:]
	return out
}

// buffer gives an empty slice with room for n bytes; keep takes what was appended to it.
func (m *memory) buffer(n int) []byte {
	if n > cap(m.bytes)-len(m.bytes) {
		if n > byteSlab/4 {
			return make([]byte, 0, n)
		}
		m.bytes = make([]byte, 0, byteSlab)
	}
	return m.bytes[len(m.bytes):len(m.bytes):cap(m.bytes)]
}

// keep takes b, which was appended to the last buffer, out of what the next one gets.
func (m *memory) keep(b []byte) []byte {
	if cap(b) > 0 && cap(b) == cap(m.bytes)-len(m.bytes) {
		m.bytes = m.bytes[:len(m.bytes)+len(b)]
	}
	return b[:len(b):len(b)]
}

// decoder reads one document. Its methods leave pos behind what they read, or where something is wrong.
type decoder struct {
	memory
	data  []byte
	pos   int
	stack []connector.Value // items of lists whose length is not yet known
	seen  []bool            // fields met, of the structs whose fields come in another order
	shape []byte            // of the value being inferred, see infer.go
	spans []span
}

func (d *decoder) reset(data []byte) {
	d.data, d.pos = data, 0
	d.stack, d.seen, d.shape, d.spans = d.stack[:0], d.seen[:0], d.shape[:0], d.spans[:0]
}

// at says where in the document err was met.
func (d *decoder) at(err error) error { return fmt.Errorf("at byte %d: %w", d.pos, err) }

func (d *decoder) space() {
	for d.pos < len(d.data) && d.data[d.pos] <= ' ' {
		switch d.data[d.pos] {
		case ' ', '\t', '\n', '\r':
			d.pos++
		default:
			return
		}
	}
}

// peek skips white space and gives the next byte, 0 at the end.
func (d *decoder) peek() byte {
	d.space()
	if d.pos < len(d.data) {
		return d.data[d.pos]
	}
	return 0
}

// end checks that nothing but white space is left.
func (d *decoder) end() error {
	if d.space(); d.pos < len(d.data) {
		return d.at(errTrailing)
	}
	return nil
}

func (d *decoder) unexpected(want string) error {
	if d.pos >= len(d.data) {
		return d.at(errEnd)
	}
	return d.at(fmt.Errorf("%q where %s should be", d.data[d.pos:d.pos+1], want))
}

// has steps over text if it comes next.
func (d *decoder) has(text string) bool {
	if len(d.data)-d.pos >= len(text) && string(d.data[d.pos:d.pos+len(text)]) == text {
		d.pos += len(text)
		return true
	}
	return false
}

// comma reads a comma or the closing bracket; more tells which it was.
func (d *decoder) comma(shut byte) (more bool, err error) {
	switch d.peek() {
	case ',':
		d.pos++
		return true, nil
	case shut:
		d.pos++
		return false, nil
	}
	return false, d.unexpected(fmt.Sprintf("a comma or %q", shut))
}

// colon reads the colon behind a name.
func (d *decoder) colon() error {
	if d.peek() != ':' {
		return d.unexpected("a colon")
	}
	d.pos++
	return nil
}

// body reads a string up to its closing quote, without unescaping it.
func (d *decoder) body() (text []byte, escaped bool, err error) {
	if d.peek() != '"' {
		return nil, false, d.unexpected("a string")
	}
	data, start, i, wide := d.data, d.pos+1, d.pos+1, false
	for {
		if i+8 <= len(data) {
			i += plainRun(data[i:])
		}
		for i < len(data) && !special[data[i]] {
			i++
		}
		if i >= len(data) {
			d.pos = len(data)
			return nil, false, d.at(errEnd)
		}
		switch c := data[i]; {
		case c == '"':
			d.pos = i + 1
			if wide && !utf8.Valid(data[start:i]) {
				d.pos = start
				return nil, false, d.at(errUTF8)
			}
			return data[start:i], escaped, nil
		case c == '\\':
			escaped = true
			size := escapeSize(data[i:])
			if size == 0 {
				d.pos = i
				return nil, false, d.at(errEscape)
			}
			i += size
		case c < 0x20:
			d.pos = i
			return nil, false, d.at(errControl)
		default:
			wide = true
			i++
		}
	}
}

// escapeSize is the length of the escape at b's beginning, 0 if it is malformed.
func escapeSize(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) >= 6 && hex4(b[2:]) >= 0 {
			return 6
		}
	}
	return 0
}

// hex4 reads four hexadecimal digits; -1 if they are none.
func hex4(b []byte) rune {
	n := rune(0)
	for _, c := range b[:4] {
		v := hexDigit(c)
		if v > 15 {
			return -1
		}
		n = n<<4 | rune(v)
	}
	return n
}

func hexDigit(c byte) byte {
	switch {
	case c-'0' <= 9:
		return c - '0'
	case c|0x20-'a' <= 5:
		return c | 0x20 - 'a' + 10
	}
	return 255
}

// text reads a string. It shares the document's memory where nothing is escaped.
func (d *decoder) text() ([]byte, error) {
	start := d.pos
	text, escaped, err := d.body()
	if err != nil || !escaped {
		return text, err
	}
	out := d.buffer(len(text))
	for i := 0; i < len(text); {
		c := text[i]
		if c != '\\' {
			out = append(out, c)
			i++
			continue
		}
		size := escapeSize(text[i:])
		switch c = text[i+1]; c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := hex4(text[i+2:])
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if rest := text[i+6:]; len(rest) >= 6 && rest[0] == '\\' && rest[1] == 'u' {
					low = hex4(rest[2:])
				}
				if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
					d.pos = start
					return nil, d.at(errSurrogate)
				}
				size = 12
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, c)
		}
		i += size
	}
	return d.keep(out), nil
}

// number reads a number; whole tells that it has neither point nor exponent.
func (d *decoder) number() (text []byte, whole bool, err error) {
	d.space()
	data, start, i := d.data, d.pos, d.pos
	if i < len(data) && data[i] == '-' {
		i++
	}
	first := i
	i = digits(data, i)
	if i == first || (i-first > 1 && data[first] == '0') {
		d.pos = min(i, len(data))
		return nil, false, d.unexpected("a number")
	}
	whole = true
	if i < len(data) && data[i] == '.' {
		whole, first = false, i+1
		if i = digits(data, first); i == first {
			d.pos = i
			return nil, false, d.at(errNumber)
		}
	}
	if i < len(data) && data[i]|0x20 == 'e' {
		whole, first = false, i+1
		if first < len(data) && (data[first] == '+' || data[first] == '-') {
			first++
		}
		if i = digits(data, first); i == first {
			d.pos = i
			return nil, false, d.at(errNumber)
		}
	}
	d.pos = i
	return data[start:i], whole, nil
}

func digits(data []byte, i int) int {
	for i < len(data) && data[i]-'0' <= 9 {
		i++
	}
	return i
}

// skip checks one value of any kind and steps over it. Escapes of half a surrogate pair pass: nothing reads them.
func (d *decoder) skip(depth int) error {
	if depth > maxDepth {
		return d.at(errDepth)
	}
	switch c := d.peek(); c {
	case '{', '[':
		return d.skipList(c, depth)
	case '"':
		_, _, err := d.body()
		return err
	case 't', 'f', 'n':
		if d.has("true") || d.has("false") || d.has("null") {
			return nil
		}
		return d.unexpected("a value")
	default:
		_, _, err := d.number()
		return err
	}
}

func (d *decoder) skipList(open byte, depth int) error {
	shut := open + 2 // in ASCII, of both kinds
	d.pos++
	if d.peek() == shut {
		d.pos++
		return nil
	}
	for more := true; more; {
		if open == '{' {
			if _, _, err := d.body(); err != nil {
				return err
			}
			if err := d.colon(); err != nil {
				return err
			}
		}
		err := d.skip(depth + 1)
		if err != nil {
			return err
		}
		if more, err = d.comma(shut); err != nil {
			return err
		}
	}
	return nil
}

// document checks that text is one JSON document in UTF-8 and gives it without the white space around it.
func document(text []byte) ([]byte, error) {
	d := decoder{data: text}
	d.space()
	start := d.pos
	if err := d.skip(0); err != nil {
		return nil, err
	}
	doc := text[start:d.pos]
	return doc, d.end()
}
