package file

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/gantry-connect/gantry/connector"
)

// splitter cuts CSV rows into fields as RFC 4180 has it: quotes around a whole field, doubled within. Line ends are LF or
// CRLF; lines without anything are skipped.
type splitter struct {
	delimiter byte
	multiLine bool
	fields    []span
	lines     int // of the last row
	stop      [256]bool
}

// span is where a field is in the row, without its quotes.
type span struct {
	start, end int
	quoted     bool
	escaped    bool // holds doubled quotes
}

func (s *splitter) init() {
	for _, c := range []byte{s.delimiter, '\n', '"'} {
		s.stop[c] = true
	}
}

var (
	errBareQuote    = errors.New(`a quote inside an unquoted field; quote the field and double the quote`)
	errAfterQuote   = errors.New(`text after a field's closing quote; double a quote that belongs to the field`)
	errNotClosed    = errors.New(`a quoted field that is not closed before the file's end`)
	errLineInQuotes = errors.New(`a line break in a quoted field, which csv.multiline = false rules out`)
)

// split finds the fields of the row that data begins with; they point into data and hold until the next call. It
// returns the row's length with its line end, or 0 if the end is not in data and more may come. With an error, the
// length is that of what to skip: up to the end of the line in which the error is.
func (s *splitter) split(data []byte, final bool) (int, error) {
	s.fields = s.fields[:0]
	s.lines = 1
	if n := blank(data, final); n > 0 {
		return n, errBlank
	}
	for i := 0; ; {
		var done bool
		var err error
		if i < len(data) && data[i] == '"' {
			i, done, err = s.quoted(data, i, final)
		} else {
			i, done, err = s.plain(data, i, final)
		}
		if err != nil {
			return s.lineEnd(data, i, final), err
		}
		if done || i == 0 {
			return i, nil
		}
	}
}

// blank is the length of an empty line; 0 if data begins with none.
func blank(data []byte, final bool) int {
	switch {
	case len(data) == 0:
		return 0
	case data[0] == '\n':
		return 1
	case data[0] != '\r':
		return 0
	case len(data) > 1 && data[1] == '\n':
		return 2
	case len(data) == 1 && final:
		return 1
	}
	return 0
}

// lineEnd is where the line that holds byte i ends; 0 if that is not known yet.
func (s *splitter) lineEnd(data []byte, i int, final bool) int {
	if n := indexNewline(data[i:]); n >= 0 {
		return i + n + 1
	}
	if final {
		return len(data)
	}
	return 0
}

// plain takes an unquoted field at i. It returns where the next one begins or, when done, where the row ends; 0 if
// data ends before.
func (s *splitter) plain(data []byte, i int, final bool) (next int, done bool, err error) {
	j := i
	for j < len(data) && !s.stop[data[j]] {
		j++
	}
	if j == len(data) {
		if !final {
			return 0, false, nil
		}
		end := j
		if end > i && data[end-1] == '\r' {
			end--
		}
		s.fields = append(s.fields, span{start: i, end: end})
		return j, true, nil
	}
	switch data[j] {
	case s.delimiter:
		s.fields = append(s.fields, span{start: i, end: j})
		return j + 1, false, nil
	case '\n':
		end := j
		if end > i && data[end-1] == '\r' {
			end--
		}
		s.fields = append(s.fields, span{start: i, end: end})
		return j + 1, true, nil
	}
	return j, false, errBareQuote
}

// quoted takes the field whose opening quote is at i, like plain.
func (s *splitter) quoted(data []byte, i int, final bool) (next int, done bool, err error) {
	f := span{start: i + 1, quoted: true}
	for j := i + 1; ; {
		q := bytes.IndexByte(data[j:], '"')
		if q < 0 {
			f.end = len(data)
			if s.breaks(data, f) {
				return i, false, errLineInQuotes
			}
			if !final {
				return 0, false, nil
			}
			return 0, false, errNotClosed // from the row's first line end on there may be rows again
		}
		j += q + 1
		if j < len(data) && data[j] == '"' {
			f.escaped = true
			j++
			continue
		}
		f.end = j - 1
		return s.closed(data, f, final)
	}
}

// breaks reports whether the field holds a line break where none may be, and counts those that may.
func (s *splitter) breaks(data []byte, f span) bool {
	n := bytes.Count(data[f.start:f.end], newline)
	s.lines += n
	return n > 0 && !s.multiLine
}

var newline = []byte{'\n'}

// closed looks at what follows a field's closing quote, at f.end.
func (s *splitter) closed(data []byte, f span, final bool) (next int, done bool, err error) {
	if s.breaks(data, f) {
		return f.start, false, errLineInQuotes
	}
	s.fields = append(s.fields, f)
	rest := data[f.end+1:]
	switch {
	case len(rest) == 0 && final:
		return len(data), true, nil
	case len(rest) == 0:
		return 0, false, nil
	case rest[0] == s.delimiter:
		return f.end + 2, false, nil
	case rest[0] == '\n':
		return f.end + 2, true, nil
	case rest[0] == '\r' && len(rest) > 1 && rest[1] == '\n':
		return f.end + 3, true, nil
	case rest[0] == '\r' && len(rest) == 1 && final:
		return len(data), true, nil
	case rest[0] == '\r' && len(rest) == 1:
		return 0, false, nil
	}
	return f.end + 1, false, errAfterQuote
}

// text is field i of the row in data, without doubled quotes. It shares data unless there are any.
func (s *splitter) text(data []byte, i int) []byte {
	f := s.fields[i]
	raw := data[f.start:f.end:f.end]
	if f.escaped {
		return bytes.ReplaceAll(raw, []byte(`""`), []byte(`"`))
	}
	return raw
}

// csvRows makes each row a struct with one field a column.
type csvRows struct {
	splitter
	columns   []column
	schema    *connector.Schema
	key       *connector.Schema
	keys      []int // columns that make the key
	nulls     []string
	longest   int // of nulls
	values    []connector.Value
	perRow    int
	batchRows int
}

func newCSVRows(c *SourceConfig, split splitter, path string, columns []column) (*csvRows, error) {
	r := &csvRows{splitter: split, columns: columns, nulls: c.nulls}
	name := c.SchemaName
	if name == "" {
		name = baseName(path)
	}
	r.schema = connector.StructOf(name)
	for _, col := range columns {
		r.schema.Fields = append(r.schema.Fields, connector.Field{Name: col.name, Schema: connector.OptionalOf(col.typ)})
	}
	var fields []connector.Field
	for _, name := range c.KeyFields {
		i := r.schema.FieldIndex(name)
		if i < 0 && len(columns) > 0 {
			return nil, &connector.ConfigError{Field: "key.fields", Value: name, Reason: fmt.Sprintf("is no column of %s", path)}
		}
		if i >= 0 {
			r.keys = append(r.keys, i)
			fields = append(fields, r.schema.Fields[i])
		}
	}
	switch len(fields) {
	case 0:
	case 1:
		r.key = fields[0].Schema
	default:
		r.key = connector.StructOf(name+".key", fields...)
	}
	r.perRow = len(columns)
	if len(r.keys) > 1 {
		r.perRow += len(r.keys)
	}
	for _, null := range r.nulls {
		r.longest = max(r.longest, len(null))
	}
	return r, nil
}

func (c *csvRows) expect(rows int) { c.values, c.batchRows = nil, rows }

// slab is memory for one row, of what is allocated for all of a batch at once. It is taken when the row is finished.
func (c *csvRows) slab() []connector.Value {
	if len(c.values) < c.perRow {
		c.values = make([]connector.Value, c.perRow*max(1, c.batchRows))
	}
	return c.values[:c.perRow:c.perRow]
}

func (c *csvRows) row(data []byte, final bool, r *connector.Record) (int, int, error) {
	n, err := c.split(data, final)
	if err != nil || n == 0 {
		return n, 1, err
	}
	if len(c.fields) != len(c.columns) {
		return n, c.lines, fmt.Errorf("%d fields where there are %d columns", len(c.fields), len(c.columns))
	}
	values := c.slab()
	for i := range c.columns {
		f := &c.fields[i]
		raw := data[f.start:f.end:f.end]
		if !f.quoted && len(raw) <= c.longest && c.isNull(raw) {
			values[i] = connector.Null // the slab may hold what a bad row left
			continue
		}
		if f.escaped {
			raw = c.text(data, i)
		}
		v, ok := c.columns[i].parse(raw)
		if !ok {
			return n, c.lines, c.columns[i].misfit(raw)
		}
		values[i] = v
	}
	c.finish(r, values)
	return n, c.lines, nil
}

// finish makes the record of a row's values.
func (c *csvRows) finish(r *connector.Record, values []connector.Value) {
	c.values = c.values[c.perRow:]
	width := len(c.columns)
	r.After = connector.Datum{Schema: c.schema, Value: connector.ListValue(values[:width:width])}
	r.Size = c.perRow * valueBytes
	switch len(c.keys) {
	case 0:
	case 1:
		r.Key = connector.Datum{Schema: c.key, Value: values[c.keys[0]]}
	default:
		for i, k := range c.keys {
			values[width+i] = values[k]
		}
		r.Key = connector.Datum{Schema: c.key, Value: connector.ListValue(values[width:])}
	}
}

func (c *csvRows) isNull(raw []byte) bool {
	for _, null := range c.nulls {
		if string(raw) == null {
			return true
		}
	}
	return false
}
