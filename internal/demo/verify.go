package demo

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/jackc/pgx/v5"
)

// result is the outcome of one table's comparison.
type result struct {
	table          string
	rows           int64
	missing, extra int64 // rows of the file that the table lacks, rows of the table that the file lacks
	types          string
}

func (r result) equal() bool { return r.missing == 0 && r.extra == 0 && r.types == "" }

// verify lets Postgres load t's file by COPY and compare it with the copied table, duplicates counted, both ways. It
// uses nothing of Gantry.
func verify(ctx context.Context, url string, t table, file string) (r result, err error) {
	r.table = t.name
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return r, fmt.Errorf("connect to the target: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if _, err := conn.Exec(ctx, t.createExpected()); err != nil {
		return r, fmt.Errorf("create the table for the comparison: %w", err)
	}
	f, err := os.Open(file)
	if err != nil {
		return r, err
	}
	defer f.Close() //nolint:errcheck // only read
	tag, err := conn.PgConn().CopyFrom(ctx, f, "copy expected from stdin with (format csv, header, null 'NA')")
	if err != nil {
		return r, fmt.Errorf("copy %s into Postgres: %w", file, err)
	}
	r.rows = tag.RowsAffected()
	copied := pgx.Identifier{t.name}.Sanitize()
	for _, c := range []struct {
		a, b  string
		count *int64
	}{{"expected", "public." + copied, &r.missing}, {"public." + copied, "expected", &r.extra}} {
		q := fmt.Sprintf("select count(*) from (select * from %s except all select * from %s) d", c.a, c.b)
		if err := conn.QueryRow(ctx, q).Scan(c.count); err != nil {
			return r, fmt.Errorf("compare %s: %w", t.name, err)
		}
	}
	r.types, err = otherTypes(ctx, conn, t)
	return r, err
}

// otherTypes tells the first column of the copy whose type is not the expected one.
func otherTypes(ctx context.Context, conn *pgx.Conn, t table) (string, error) {
	rows, err := conn.Query(ctx, `select column_name, data_type from information_schema.columns
		where table_schema = 'public' and table_name = $1`, t.name)
	if err != nil {
		return "", fmt.Errorf("read the columns of %s: %w", t.name, err)
	}
	types := map[string]string{}
	var name, kind string
	if _, err := pgx.ForEachRow(rows, []any{&name, &kind}, func() error { types[name] = kind; return nil }); err != nil {
		return "", fmt.Errorf("read the columns of %s: %w", t.name, err)
	}
	for _, c := range t.columns {
		if types[c.name] != c.sql {
			return fmt.Sprintf("column %s is %s, not %s", c.name, types[c.name], c.sql), nil
		}
	}
	return "", nil
}

// ensureDatabase creates the database if it is missing.
func ensureDatabase(ctx context.Context, url, name string) (err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	var there bool
	if err := conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", name).Scan(&there); err != nil {
		return fmt.Errorf("look for database %s: %w", name, err)
	}
	if there {
		return nil
	}
	if _, err := conn.Exec(ctx, "create database "+pgx.Identifier{name}.Sanitize()); err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}
