package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-connect/gantry/connector"
)

// field is what becomes one column of a row.
type field struct {
	name   string
	schema *connector.Schema
	key    bool // from the record's key, not its value
	at     int  // index among the key's or value's fields; -1 is the whole of it
	pk     bool
}

// valueColumn holds values that are no structs, such as lines of text.
const valueColumn = "value"

// rowFields are the columns of rows with these schemas, the primary key first where it comes from the key.
func (c *Config) rowFields(key, value *connector.Schema) ([]field, error) {
	fields, err := c.keyFields(key, nil)
	if err != nil {
		return nil, err
	}
	if value == nil {
		return nil, fmt.Errorf("the record has no value")
	}
	if value.Type != connector.Struct {
		return append(fields, field{name: valueColumn, schema: value, at: -1}), nil
	}
	for i, f := range value.Fields {
		if slices.ContainsFunc(fields, func(have field) bool { return have.name == f.Name }) {
			continue // the key's counts
		}
		pk := c.PKMode == pkValue && slices.Contains(c.PKFields, f.Name)
		fields = append(fields, field{name: f.Name, schema: f.Schema, at: i, pk: pk})
	}
	if c.PKMode == pkValue {
		for _, name := range c.PKFields {
			if value.FieldIndex(name) < 0 {
				return nil, fmt.Errorf("the value has no field %q, which pk.fields names", name)
			}
		}
	}
	return fields, nil
}

// keyFields are the primary key's columns as far as they come from the record's key: all of them with
// pk.mode = record_key. For a delete with pk.mode = record_value they come from row, the value before it, or from the key.
func (c *Config) keyFields(key, row *connector.Schema) ([]field, error) {
	if c.PKMode == pkKey {
		return c.keyStruct(key)
	}
	if row == nil {
		return nil, nil
	}
	if row.Type != connector.Struct {
		return nil, fmt.Errorf("the fields that pk.fields names are not in a value that is a %v", row.Type)
	}
	fields := make([]field, len(c.PKFields))
	for i, name := range c.PKFields {
		at := row.FieldIndex(name)
		if at < 0 {
			return nil, fmt.Errorf("there is no field %q, which pk.fields names", name)
		}
		fields[i] = field{name: name, schema: row.Fields[at].Schema, at: at, pk: true, key: row == key}
	}
	return fields, nil
}

func (c *Config) keyStruct(key *connector.Schema) ([]field, error) {
	switch {
	case key == nil:
		return nil, fmt.Errorf("the record has no key, which pk.mode = record_key needs")
	case key.Type != connector.Struct && len(c.PKFields) == 1:
		return []field{{name: c.PKFields[0], schema: key, key: true, at: -1, pk: true}}, nil
	case key.Type != connector.Struct:
		return nil, fmt.Errorf("the record's key is a single %v: set pk.fields to the name of its column", key.Type)
	}
	var fields []field
	for i, f := range key.Fields {
		if len(c.PKFields) == 0 || slices.Contains(c.PKFields, f.Name) {
			fields = append(fields, field{name: f.Name, schema: f.Schema, key: true, at: i, pk: true})
		}
	}
	if len(fields) == 0 || (len(c.PKFields) > 0 && len(fields) != len(c.PKFields)) {
		return nil, fmt.Errorf("the record's key does not have the fields that pk.fields names (%s)", strings.Join(c.PKFields, ", "))
	}
	return fields, nil
}

// shape says how records with the same schemas become rows of one table, or keys of rows to delete.
type shape struct {
	table   *table
	fields  []field
	columns []*column
	encode  []encode
	pk      []int // indexes of the primary key's columns, by name
	// keyWidth and rowWidth are how many fields the record's key and value must have; -1 where that is not looked at.
	keyWidth, rowWidth int
	stage              string
	copyTo             string // COPY into the table or, where that is not the last step, into the stage
	finish             string // what brings the staged rows into the table; empty if they are there
	create             string // of the stage; empty without
}

// purpose is what a shape's rows are for.
type purpose uint8

const (
	forInsert purpose = iota
	forUpsert
	forUpdate
	forDelete
)

var purposes = map[string]purpose{modeInsert: forInsert, modeUpsert: forUpsert, modeUpdate: forUpdate}

// newShape joins fields and table, which must have a column for each that takes its values.
func newShape(t *table, fields []field, key, row *connector.Schema, p purpose, stage string) *shape {
	s := &shape{table: t, fields: fields, stage: stage, keyWidth: -1, rowWidth: -1}
	for i := range fields {
		switch {
		case fields[i].at < 0:
		case fields[i].key:
			s.keyWidth = len(key.Fields)
		default:
			s.rowWidth = len(row.Fields)
		}
		c := t.column(fields[i].name)
		s.columns = append(s.columns, c)
		s.encode = append(s.encode, encoder(fields[i].schema, c))
		if fields[i].pk {
			s.pk = append(s.pk, i)
		}
	}
	slices.SortFunc(s.pk, func(i, j int) int { return strings.Compare(fields[i].name, fields[j].name) })
	names := s.list(func(*column) bool { return true })
	if p == forInsert && t.direct {
		s.copyTo = fmt.Sprintf("copy %s (%s) from stdin (format binary)", t.name, names)
		return s
	}
	s.copyTo = fmt.Sprintf("copy pg_temp.%s (%s) from stdin (format binary)", stage, names)
	s.create = s.createStage()
	switch p {
	case forInsert:
		s.finish = fmt.Sprintf("insert into %s (%s) select %s from pg_temp.%s", t.name, names, names, stage)
	case forUpsert:
		s.finish = s.upsert(names)
	case forUpdate:
		s.copyTo = s.joining() + s.copyTo
		s.finish = s.update()
	case forDelete:
		s.copyTo = s.joining() + s.copyTo
		s.finish = fmt.Sprintf("delete from %s as t using pg_temp.%s as s where %s", t.name, stage, s.match())
	}
	return s
}

func (s *shape) createStage() string {
	columns := make([]string, len(s.columns))
	for i, c := range s.columns {
		columns[i] = quote(c.name) + " " + c.typ
	}
	return fmt.Sprintf("create temporary table if not exists %s (%s) on commit delete rows", s.stage, strings.Join(columns, ", "))
}

// joining makes the planner look each staged key up in the index, if there is one. It knows nothing of how few rows a
// staging table has and would rather read the whole target for each batch.
func (s *shape) joining() string {
	var names []string
	for _, i := range s.pk {
		names = append(names, s.columns[i].name)
	}
	others := "on"
	if s.table.hasUnique(names) {
		others = "off"
	}
	return fmt.Sprintf("set local enable_hashjoin = %s; set local enable_mergejoin = %s; ", others, others)
}

func (s *shape) upsert(names string) string {
	action := "nothing"
	if set := s.assign("excluded"); set != "" {
		action = "update set " + set
	}
	keys := s.list(s.isPK)
	return fmt.Sprintf("insert into %s (%s) select %s from pg_temp.%s on conflict (%s) do %s",
		s.table.name, names, names, s.stage, keys, action)
}

func (s *shape) update() string {
	set := s.assign("s")
	if set == "" { // nothing but the key: the row stays as it is
		return ""
	}
	return fmt.Sprintf("update %s as t set %s from pg_temp.%s as s where %s", s.table.name, set, s.stage, s.match())
}

func (s *shape) isPK(c *column) bool {
	return slices.ContainsFunc(s.pk, func(i int) bool { return s.columns[i] == c })
}

// list is the chosen columns, quoted and separated by commas.
func (s *shape) list(choose func(*column) bool) string {
	var names []string
	for _, c := range s.columns {
		if choose(c) {
			names = append(names, quote(c.name))
		}
	}
	return strings.Join(names, ", ")
}

// assign sets every column that is not of the primary key to that of another row.
func (s *shape) assign(from string) string {
	var set []string
	for _, c := range s.columns {
		if !s.isPK(c) {
			set = append(set, quote(c.name)+" = "+from+"."+quote(c.name))
		}
	}
	return strings.Join(set, ", ")
}

func (s *shape) match() string {
	var on []string
	for _, i := range s.pk {
		q := quote(s.columns[i].name)
		on = append(on, "t."+q+" = s."+q)
	}
	return strings.Join(on, " and ")
}

// value is the value of field i in a record's row.
func (f *field) value(key, row connector.Value) connector.Value {
	if f.key {
		row = key
	}
	if f.at < 0 {
		return row
	}
	return row.List()[f.at]
}

// checkRow reports why the values at hand cannot be a row of this shape.
func (s *shape) checkRow(key, row *connector.Datum) error {
	if s.keyWidth >= 0 {
		if err := checkWidth("key", key.Value, s.keyWidth); err != nil {
			return err
		}
	}
	if s.rowWidth >= 0 {
		return checkWidth("value", row.Value, s.rowWidth)
	}
	return nil
}

func checkWidth(what string, v connector.Value, want int) error {
	if v.IsNull() {
		return fmt.Errorf("the record's %s is null", what)
	}
	if got := len(v.List()); got != want {
		return fmt.Errorf("the record's %s has %d values for %d fields", what, got, want)
	}
	return nil
}

// appendKey appends the primary key in its binary form: equal keys have equal bytes, whatever schema they came with.
func (s *shape) appendKey(dst []byte, key, row connector.Value) (_ []byte, err error) {
	for _, i := range s.pk {
		v := s.fields[i].value(key, row)
		if v.IsNull() {
			return dst, fmt.Errorf("column %q of the primary key is null", s.fields[i].name)
		}
		if dst, err = appendDatum(dst, v, s.encode[i]); err != nil {
			return dst, fmt.Errorf("column %q: %w", s.fields[i].name, err)
		}
	}
	return dst, nil
}

// appendRow appends a row as COPY has it: the number of columns, then each value.
func (s *shape) appendRow(dst []byte, key, row connector.Value) (_ []byte, err error) {
	dst = append(dst, byte(len(s.fields)>>8), byte(len(s.fields)))
	for i := range s.fields {
		if dst, err = appendDatum(dst, s.fields[i].value(key, row), s.encode[i]); err != nil {
			return dst, fmt.Errorf("column %q: %w", s.fields[i].name, err)
		}
	}
	return dst, nil
}
