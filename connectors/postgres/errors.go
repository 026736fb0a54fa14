package postgres

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gantry-connect/gantry/connector"
)

// sqlState is Postgres's code of err, or nothing if the error is not the server's.
func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// describe says what the server said, with the parts that help.
func describe(err error) string {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err.Error()
	}
	text := fmt.Sprintf("%s (SQLSTATE %s)", pg.Message, pg.Code)
	if pg.Detail != "" {
		text += ": " + pg.Detail
	}
	return text
}

// classify decides whether trying again can mend an error of the target. Everything that a restart, a fail-over or
// other transactions cause is left as it is, to be tried again; only what waits for a person is permanent.
func classify(err error) error {
	if err == nil || connector.IsPermanent(err) {
		return err
	}
	code := sqlState(err)
	if len(code) != 5 {
		return err
	}
	remedy := ""
	switch code {
	case "28000", "28P01":
		remedy = "check connection.user, connection.password and the server's pg_hba.conf"
	case "3D000":
		remedy = "create the database, or correct connection.url"
	case "42501":
		remedy = "grant the privilege to connection.user"
	case "3F000":
		remedy = "create the schema"
	case "42P10":
		remedy = "give the table a primary key or unique constraint on exactly the columns of pk.fields"
	default:
		return err
	}
	return connector.Permanent(fmt.Errorf("%w; %s", err, remedy))
}

// blamable reports whether a record may be at fault for a statement's failure: data exceptions (22), constraints (23), what
// triggers raise (P0), and values larger than an index takes (54).
func blamable(err error) bool {
	code := sqlState(err)
	if len(code) != 5 {
		return false
	}
	switch code[:2] {
	case "22", "23", "P0", "54":
		return true
	}
	return code == "44000" // a view's check option
}

// stale reports whether the table has another shape than the one in memory.
func stale(err error) bool {
	switch sqlState(err) {
	case "42P01", "42703", "42804", "42846", "42883", "0A000", "22P03":
		return true
	}
	return false
}
