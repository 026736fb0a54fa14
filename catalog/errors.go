package catalog

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// States that callers act upon; test with errors.Is.
var (
	// ErrNotMigrated: the database has no catalog yet, or an older one than this binary works with.
	ErrNotMigrated = errors.New("the catalog is not migrated: run gantry migrate")
	// ErrNewerCatalog: a newer gantry has migrated the catalog.
	ErrNewerCatalog = errors.New("the catalog belongs to a newer gantry: run that version")
	// ErrEnvironment: the catalog is tied to another Temporal namespace.
	ErrEnvironment = errors.New("the catalog belongs to another environment")
	// ErrNotFound: no such connector, task, schema or queue map.
	ErrNotFound = errors.New("not found in the catalog")
	// ErrExists: the name is taken, perhaps by a connector that is still being deleted.
	ErrExists = errors.New("the name is taken")
	// ErrDeleting: the connector is on its way out and cannot be changed any more.
	ErrDeleting = errors.New("the connector is being deleted")
	// ErrKindFixed: a source cannot become a sink, nor a sink a source.
	ErrKindFixed = errors.New("the kind of a connector cannot change: delete it and create it again")
	// ErrOutdated: what was planned is not the newest config revision any more; plan again.
	ErrOutdated = errors.New("a newer config revision exists")
	// ErrNotSettled: the connector must be stopped, with no task owned and no queue open.
	ErrNotSettled = errors.New("the connector is not settled: stop it and wait until its tasks have ended")
	// ErrChanged: the position has another generation than the caller has seen.
	ErrChanged = errors.New("the position was edited meanwhile: read it again")
	// ErrFenced: a newer epoch owns the task, or nobody does. The owner stops, commits nothing, and may claim again.
	ErrFenced = errors.New("the task is not owned by this epoch any more")
	// ErrStaleAttempt: a later attempt of the same activity has claimed the task; this one must end.
	ErrStaleAttempt = errors.New("a later attempt of the same activity has claimed the task")
	// ErrClosed: the keeper was closed.
	ErrClosed = errors.New("the keeper is closed")
)

// SQLSTATEs that are told apart.
const (
	codeUndefinedTable  = "42P01"
	codeForeignKey      = "23503"
	codeSerialization   = "40001"
	codeDeadlock        = "40P01"
	codeLockTimeout     = "55P03"
	codeReadOnly        = "25006" // the server has become a standby
	classConnection     = "08"
	classResources      = "53"
	classOperatorAction = "57" // shutting down, starting up, cancelled
)

// sqlState is the server's code for err, or "" if the server did not answer.
func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// isOutage reports whether the server says that it cannot serve now, whatever it is asked.
func isOutage(err error) bool {
	code := sqlState(err)
	if len(code) != 5 {
		return false
	}
	switch code[:2] {
	case classConnection, classResources, classOperatorAction:
		return true
	}
	return code == codeReadOnly
}
