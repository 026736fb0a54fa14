package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/gantry-connect/gantry/connector"
)

// append encodes one record at the end of the buffer.
func (s *segment) append(c *SinkConfig, r *connector.Record) error {
	if !r.After.Present() {
		return fmt.Errorf("the file sink writes values, and this %v has none; drop such records with a transform", r.Op)
	}
	start := len(s.buf)
	var err error
	switch c.Format {
	case "csv":
		err = s.appendRow(c, r.After)
	case "lines":
		if s.buf, err = appendText(s.buf, r.After.Schema, r.After.Value); err == nil {
			err = oneLine(s.buf[start:])
		}
		s.buf = append(s.buf, '\n')
	default:
		s.buf, err = appendJSON(s.buf, r.After.Schema, r.After.Value)
		s.buf = append(s.buf, '\n')
	}
	return err
}

func oneLine(text []byte) error {
	if bytes.IndexByte(text, '\n') >= 0 {
		return errors.New("the value has a line break, and format=lines has a line for each value; use format=json")
	}
	return nil
}

// appendRow encodes a CSV row, before it the header if it is the file's first. A value that is no struct is a row of one
// column, called value.
func (s *segment) appendRow(c *SinkConfig, d connector.Datum) error {
	if d.Schema.Type != connector.Struct {
		d = connector.Datum{Schema: connector.StructOf("", connector.Field{Name: "value", Schema: d.Schema}), Value: connector.ListValue([]connector.Value{d.Value})}
	}
	if d.Value.IsNull() {
		return errors.New("the value is null: there is no row to write")
	}
	if s.Columns == nil {
		s.begin(c, d.Schema)
	}
	if s.schema != d.Schema {
		if err := s.mapFields(d.Schema); err != nil {
			return err
		}
	}
	items := d.Value.List()
	for i, field := range s.mapping {
		if i > 0 {
			s.buf = append(s.buf, c.delimiter)
		}
		if field < 0 || items[field].IsNull() {
			if c.Null == "" && len(s.mapping) == 1 {
				return errors.New("a null in a file of one column would be an empty line; set csv.null")
			}
			s.buf = append(s.buf, c.Null...)
			continue
		}
		start := len(s.buf)
		var err error
		if s.buf, err = appendText(s.buf, d.Schema.Fields[field].Schema, items[field]); err != nil {
			return fmt.Errorf("field %q: %w", d.Schema.Fields[field].Name, err)
		}
		s.quote(c, start)
	}
	s.buf = append(s.buf, '\n')
	return nil
}

// begin fixes the file's columns and writes its header.
func (s *segment) begin(c *SinkConfig, schema *connector.Schema) {
	s.Columns = make([]string, len(schema.Fields))
	for i, f := range schema.Fields {
		s.Columns[i] = f.Name
	}
	if !c.Header {
		return
	}
	for i, name := range s.Columns {
		if i > 0 {
			s.buf = append(s.buf, c.delimiter)
		}
		start := len(s.buf)
		s.buf = append(s.buf, name...)
		s.quote(c, start)
	}
	s.buf = append(s.buf, '\n')
}

// mapFields finds the schema's field for each of the file's columns.
func (s *segment) mapFields(schema *connector.Schema) error {
	mapping := make([]int, len(s.Columns))
	found := 0
	for i, name := range s.Columns {
		if mapping[i] = schema.FieldIndex(name); mapping[i] >= 0 {
			found++
		}
	}
	if found < len(schema.Fields) {
		return fmt.Errorf("the value's fields are not the file's columns %s; use format=json where fields vary", strings.Join(s.Columns, ", "))
	}
	s.schema, s.mapping = schema, mapping
	return nil
}

// quote puts the field that begins at start between quotes if it needs them.
func (s *segment) quote(c *SinkConfig, start int) {
	field := s.buf[start:]
	if len(field) > 0 && bytes.IndexByte(field, c.delimiter) < 0 && !bytes.ContainsAny(field, "\"\r\n") && string(field) != c.Null {
		return
	}
	quoted := bytes.ReplaceAll(field, []byte(`"`), []byte(`""`))
	s.buf = append(append(append(s.buf[:start], '"'), quoted...), '"')
}

// appendText writes a value as people write it; arrays, maps and structs as JSON.
func appendText(dst []byte, s *connector.Schema, v connector.Value) ([]byte, error) {
	if v.IsNull() {
		return dst, errors.New("the value is null, and a line cannot say so; use format=json")
	}
	switch s.Type {
	case connector.String, connector.Enum, connector.Decimal:
		return append(dst, v.Text()...), nil
	case connector.Bytes:
		return append(dst, v.Bytes()...), nil
	case connector.JSON:
		return appendCompact(dst, v.Text())
	case connector.Array, connector.Map, connector.Struct:
		return appendJSON(dst, s, v)
	}
	return appendPlain(dst, s, v), nil
}

// appendCompact writes a JSON document without line breaks.
func appendCompact(dst []byte, doc string) ([]byte, error) {
	if strings.IndexByte(doc, '\n') < 0 {
		return append(dst, doc...), nil
	}
	out := bytes.NewBuffer(dst)
	if err := json.Compact(out, []byte(doc)); err != nil {
		return dst, err
	}
	return out.Bytes(), nil
}
