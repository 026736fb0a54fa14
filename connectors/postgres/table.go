package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// column is a column of a target table.
type column struct {
	name     string
	typ      string // as SQL writes it, with its modifier
	oid      uint32
	base     uint32 // oid, or that of the type a domain stands on: its binary form
	kind     rune   // pg_type.typtype of the base: b base, e enum, …
	elem     uint32 // of an array's elements, else 0
	elemKind rune
	notNull  bool
	filled   bool // has a default, is generated or an identity: records may leave it out
}

// table is a target table as the server has it.
type table struct {
	name    name
	oid     uint32
	columns []column
	unique  [][]string // the column sets of unique indexes that on conflict can use, each sorted
	direct  bool       // COPY can write to it: no view, no row security
}

func (t *table) column(name string) *column {
	for i := range t.columns {
		if t.columns[i].name == name {
			return &t.columns[i]
		}
	}
	return nil
}

// hasUnique reports whether a unique index is on exactly these columns.
func (t *table) hasUnique(columns []string) bool {
	sorted := slices.Sorted(slices.Values(columns))
	return slices.ContainsFunc(t.unique, func(u []string) bool { return slices.Equal(u, sorted) })
}

// querier is the connection, or a transaction on it.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

const findTable = `
select c.oid, c.relkind in ('r', 'p', 'f') and not row_security_active(c.oid)
from pg_class c
where c.oid = to_regclass($1) and c.relkind in ('r', 'p', 'f', 'v')`

const tableColumns = `
select a.attname, format_type(a.atttypid, a.atttypmod), a.atttypid, b.oid, b.typtype,
       case when b.typcategory = 'A' and b.typelem <> 0 then b.typelem else 0 end,
       coalesce(e.typtype, ' '), a.attnotnull, a.atthasdef or a.attidentity <> '' or a.attgenerated <> ''
from pg_attribute a
join pg_type t on t.oid = a.atttypid
join pg_type b on b.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end
left join pg_type e on e.oid = b.typelem
where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped
order by a.attnum`

const tableIndexes = `
select array_agg(a.attname::text order by a.attname::text collate "C")
from pg_index i
join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey[0:i.indnkeyatts - 1])
where i.indrelid = $1 and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null
group by i.indexrelid`

// loadTable reads what the server knows of a table; nil if there is none.
func loadTable(ctx context.Context, q querier, n name) (*table, error) {
	t := &table{name: n}
	err := q.QueryRow(ctx, findTable, n.String()).Scan(&t.oid, &t.direct)
	if err == pgx.ErrNoRows {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up table %s: %w", n, err)
	}
	rows, err := q.Query(ctx, tableColumns, t.oid)
	if err == nil {
		t.columns, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c column, err error) {
			err = row.Scan(&c.name, &c.typ, &c.oid, &c.base, &c.kind, &c.elem, &c.elemKind, &c.notNull, &c.filled)
			return c, err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("look up the columns of table %s: %w", n, err)
	}
	rows, err = q.Query(ctx, tableIndexes, t.oid)
	if err == nil {
		t.unique, err = pgx.CollectRows(rows, pgx.RowTo[[]string])
	}
	if err != nil {
		return nil, fmt.Errorf("look up the indexes of table %s: %w", n, err)
	}
	return t, nil
}
