// Package migrations holds the catalog's schema: numbered SQL files, embedded, each run once and in order by
// catalog.Migrate. It has no logic and imports nothing of Gantry.
//
// Each file is one transaction. A file that has been released is never changed: what comes later is a new number, with a
// .down.sql that undoes it. Workers of the version before must go on working while and after a file runs, so columns are
// added with defaults, and what is no longer used is dropped one release later. A file that rewrites or indexes a table
// which may be big says in its head how long it takes and what it locks.
package migrations

import (
	"embed"
	"fmt"
	"io/fs"
)

// Files are the migrations, named NNN_name.up.sql and NNN_name.down.sql.
//
//go:embed *.sql
var Files embed.FS

// Latest is the number of the newest migration: the version that this binary works with.
func Latest() uint {
	ups, err := fs.Glob(Files, "*.up.sql")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	var latest uint
	for _, name := range ups {
		var n uint
		if _, err := fmt.Sscanf(name, "%d_", &n); err != nil {
			panic(fmt.Sprintf("migration %s has no number", name)) // seen by every test that opens a catalog
		}
		latest = max(latest, n)
	}
	return latest
}
