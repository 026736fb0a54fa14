package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gantry-connect/gantry/connector"
)

// tables knows the target tables and the shapes of rows for them. Schemas are compared by pointer first, then by
// fingerprint, so that a schema that is parsed anew for every record costs a digest, not a look-up in the target.
type tables struct {
	config *Config
	conn   *pgx.Conn
	known  map[name]*table
	shapes map[shapeKey]*shape
	prints map[printKey]*shape
	stages int // numbers the staging tables of the session
}

type shapeKey struct {
	topic    string
	key, row *connector.Schema
	purpose  purpose
}

type printKey struct {
	table    name
	key, row string
	purpose  purpose
}

// Bounds of what tables holds on to: schemas that come and go must not pile up, and neither may staging tables, each
// of which costs every commit some time.
const (
	maxSchemas = 1024
	maxShapes  = 64
)

func newTables(c *Config, conn *pgx.Conn) *tables {
	return &tables{config: c, conn: conn, known: map[name]*table{}, shapes: map[shapeKey]*shape{}, prints: map[printKey]*shape{}}
}

// shape gives the form of rows for records like these. It may read, create or alter the table, so no transaction may
// be open. An error that is not the record's own fault is marked or plain, never a *connector.RecordError.
func (t *tables) shape(ctx context.Context, k shapeKey) (*shape, error) {
	if s := t.shapes[k]; s != nil {
		return s, nil
	}
	n, err := t.nameOf(k.topic, k.key, k.row)
	if err != nil {
		return nil, &recordFault{err}
	}
	p := printKey{table: n, purpose: k.purpose}
	if k.key != nil {
		p.key = k.key.Fingerprint()
	}
	if k.row != nil {
		p.row = k.row.Fingerprint()
	}
	s := t.prints[p]
	if s == nil {
		if s, err = t.build(ctx, n, k); err != nil {
			return nil, err
		}
		t.prints[p] = s
	}
	if len(t.shapes) >= maxSchemas {
		clear(t.shapes)
	}
	t.shapes[k] = s
	return s, nil
}

// trim is called between batches, when no shape is in use.
func (t *tables) trim(ctx context.Context) error {
	if len(t.prints) < maxShapes {
		return nil
	}
	return t.forget(ctx)
}

// forget drops everything known, so that the next record looks at the target again.
func (t *tables) forget(ctx context.Context) error {
	var stages []string
	for _, s := range t.prints {
		if s.create != "" {
			stages = append(stages, "pg_temp."+s.stage)
		}
	}
	clear(t.known)
	clear(t.shapes)
	clear(t.prints)
	if len(stages) == 0 {
		return nil
	}
	_, err := t.conn.Exec(ctx, "drop table if exists "+strings.Join(stages, ", "))
	return err
}

// recordFault marks errors that are the record's, not the target's.
type recordFault struct{ err error }

func (f *recordFault) Error() string { return f.err.Error() }
func (f *recordFault) Unwrap() error { return f.err }

// nameOf is the table that a record goes to.
func (t *tables) nameOf(topic string, key, row *connector.Schema) (name, error) {
	schema := ""
	if row != nil {
		schema = row.Name
	} else if key != nil {
		schema = key.Name
	}
	template := t.config.Table
	if schema == "" && strings.Contains(template, "${schema}") {
		return name{}, fmt.Errorf("the table is %s, and the record has no schema with a name", template)
	}
	if topic == "" && strings.Contains(template, "${topic}") {
		return name{}, fmt.Errorf("the table is %s, and the record has no topic", template)
	}
	return parseName(expand(template, topic, schema))
}

func (t *tables) build(ctx context.Context, n name, k shapeKey) (*shape, error) {
	fields, err := t.config.rowFields(k.key, k.row)
	if k.purpose == forDelete {
		fields, err = t.config.keyFields(k.key, k.row)
	}
	if err != nil {
		return nil, &recordFault{err}
	}
	target, err := t.ready(ctx, n, fields, k.purpose)
	if err != nil {
		return nil, err
	}
	t.stages++
	s := newShape(target, fields, k.key, k.row, k.purpose, fmt.Sprintf("gantry_stage_%d", t.stages))
	if s.create != "" {
		if _, err := t.conn.Exec(ctx, s.create); err != nil {
			return nil, classify(fmt.Errorf("create a staging table for %s: %w", n, err))
		}
	}
	return s, nil
}

// ready gives the table once it can take the fields, creating or altering it where the config allows that.
func (t *tables) ready(ctx context.Context, n name, fields []field, p purpose) (*table, error) {
	target := t.known[n]
	if target == nil {
		var err error
		if target, err = loadTable(ctx, t.conn, n); err != nil {
			return nil, classify(err)
		}
	}
	if target == nil && p != forDelete && !t.config.AutoCreate {
		return nil, connector.Permanent(fmt.Errorf("table %s does not exist: create it, or set auto.create = true. It could be: %s",
			n, createTable(n, fields)))
	}
	if target == nil && p == forDelete {
		return nil, connector.Permanent(fmt.Errorf("table %s, from which a record is to be deleted, does not exist", n))
	}
	changes := []string{"create"}
	if target != nil {
		var err error
		if changes, err = t.changes(target, fields, p); err != nil {
			return nil, err
		}
	}
	if len(changes) > 0 {
		var err error
		if target, err = t.define(ctx, n, fields, p); err != nil {
			return nil, classify(err)
		}
	}
	if p == forUpsert && !target.hasUnique(pkNames(fields)) {
		return nil, connector.Permanent(fmt.Errorf("table %s has no unique index on the primary key of insert.mode = upsert: alter table %s add primary key (%s)",
			n, n, quoteAll(pkNames(fields))))
	}
	t.known[n] = target
	return target, nil
}

// define creates or alters the table. Tasks that do so at once take turns by an advisory lock, and each looks again
// at what is still to be done when its turn comes.
func (t *tables) define(ctx context.Context, n name, fields []field, p purpose) (target *table, err error) {
	err = pgx.BeginFunc(ctx, t.conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock(hashtextextended('gantry table ' || $1, 0))", n.String()); err != nil {
			return fmt.Errorf("wait for the turn to define table %s: %w", n, err)
		}
		if target, err = loadTable(ctx, tx, n); err != nil {
			return err
		}
		statements := []string{createTable(n, fields)}
		if target != nil {
			changes, err := t.changes(target, fields, p)
			if err != nil || len(changes) == 0 {
				return err
			}
			statements = []string{fmt.Sprintf("alter table %s %s", n, strings.Join(changes, ", "))}
		}
		for _, sql := range statements {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
		target, err = loadTable(ctx, tx, n)
		return err
	})
	if err == nil && target == nil {
		err = fmt.Errorf("table %s is gone again right after it was created", n)
	}
	return target, err
}

// changes are the clauses of ALTER TABLE that auto.evolve carries out. Without it, or where no safe change helps, what
// is missing is an error.
func (t *tables) changes(target *table, fields []field, p purpose) ([]string, error) {
	var clauses []string
	var errs []error
	for _, f := range fields {
		c := target.column(f.name)
		clause, needed := "", true
		if c == nil {
			clause = fmt.Sprintf("add column %s %s", quote(f.name), sqlType(f.schema))
		} else if w := wider(f.schema, c); w != "" {
			clause, needed = fmt.Sprintf("alter column %s type %s", quote(f.name), w), encoder(f.schema, c) == nil
		} else if encoder(f.schema, c) == nil {
			errs = append(errs, mismatch(target, f, c))
			continue
		}
		if clause != "" && t.config.AutoEvolve {
			clauses = append(clauses, clause)
		} else if clause != "" && needed && c == nil {
			errs = append(errs, fmt.Errorf("table %s has no column %q for a field of type %v: set auto.evolve = true, or: alter table %s %s",
				target.name, f.name, f.schema.Type, target.name, clause))
		} else if clause != "" && needed {
			errs = append(errs, mismatch(target, f, c))
		}
	}
	errs = append(errs, unfilled(target, fields, p)...)
	return clauses, connector.Permanent(errors.Join(errs...))
}

func mismatch(t *table, f field, c *column) error {
	return fmt.Errorf("table %s: column %q is %s and cannot hold the field's %v without loss: alter table %s alter column %s type %s using %s::%s",
		t.name, f.name, c.typ, f.schema.Type, t.name, quote(f.name), sqlType(f.schema), quote(f.name), sqlType(f.schema))
}

// unfilled finds columns that must have a value and that the records lack.
func unfilled(t *table, fields []field, p purpose) (errs []error) {
	if p != forInsert && p != forUpsert {
		return nil
	}
	for _, c := range t.columns {
		if c.notNull && !c.filled && !slices.ContainsFunc(fields, func(f field) bool { return f.name == c.name }) {
			errs = append(errs, fmt.Errorf("table %s: column %q is not null, has no default, and the records have no such field: alter table %s alter column %s drop not null",
				t.name, c.name, t.name, quote(c.name)))
		}
	}
	return errs
}

func createTable(n name, fields []field) string {
	var lines []string
	for _, f := range fields {
		line := quote(f.name) + " " + sqlType(f.schema)
		if f.pk || !f.schema.Optional {
			line += " not null"
		}
		lines = append(lines, line)
	}
	if pk := pkNames(fields); len(pk) > 0 {
		lines = append(lines, "primary key ("+quoteAll(pk)+")")
	}
	return fmt.Sprintf("create table %s (%s)", n, strings.Join(lines, ", "))
}

func pkNames(fields []field) []string {
	var names []string
	for _, f := range fields {
		if f.pk {
			names = append(names, f.name)
		}
	}
	return names
}

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i := range names {
		quoted[i] = quote(names[i])
	}
	return strings.Join(quoted, ", ")
}

// existing gives a table without looking at its columns; nil if there is none.
func (t *tables) existing(ctx context.Context, n name) (*table, error) {
	if target := t.known[n]; target != nil {
		return target, nil
	}
	target, err := loadTable(ctx, t.conn, n)
	if target != nil {
		t.known[n] = target
	}
	return target, classify(err)
}
