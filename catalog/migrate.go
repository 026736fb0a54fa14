package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/golang-migrate/migrate/v4"
	migratepgx "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/gantry-connect/gantry/migrations"
)

// migrationLock is the advisory lock that one migrating process holds. The library's own lock covers neither the creation
// of the schema nor the reading of the version.
const migrationLock int64 = 0x67616e747279 // "gantry"

// Migrate brings the catalog at url to this binary's version, creating it if need be, and says from where to where it
// went; from = to means that nothing had to be done. Several processes may call it at once: one works, the others wait
// until ctx ends. A catalog of a newer gantry is left alone (ErrNewerCatalog). Copying goes on meanwhile.
func Migrate(ctx context.Context, url string) (from, to uint, err error) {
	err = withMigrator(ctx, url, func(m *migrate.Migrate) error {
		if from, err = migratedVersion(m); err != nil {
			return err
		}
		if from > migrations.Latest() {
			return fmt.Errorf("it has version %d, this binary knows %d: %w", from, migrations.Latest(), ErrNewerCatalog)
		}
		if err := m.Up(); err != nil && !errors.Is(err, migrate.ErrNoChange) {
			return fmt.Errorf("from version %d: %w", from, err)
		}
		to, err = migratedVersion(m)
		return errors.Join(err, ctx.Err())
	})
	if err != nil {
		return from, to, fmt.Errorf("migrate the catalog: %w", err)
	}
	return from, to, nil
}

func migratedVersion(m *migrate.Migrate) (uint, error) {
	version, dirty, err := m.Version()
	if errors.Is(err, migrate.ErrNilVersion) {
		return 0, nil
	}
	if err == nil && dirty {
		err = fmt.Errorf("migration %d was interrupted: look whether its changes are there; if they are, set dirty to false in gantry.schema_migrations, if not, set version to %d as well", version, version-1)
	}
	return version, err
}

// withMigrator calls f while no other process migrates. What f does stops between two files when ctx ends.
func withMigrator(ctx context.Context, url string, f func(*migrate.Migrate) error) (err error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return unreadable(err)
	}
	db := stdlib.OpenDB(*config)
	defer func() { err = errors.Join(err, db.Close()) }()
	lock, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }() // the server frees the lock with the connection
	if _, err := lock.ExecContext(ctx, "select pg_advisory_lock($1)", migrationLock); err != nil {
		return fmt.Errorf("wait for another migration: %w", err)
	}
	if _, err := lock.ExecContext(ctx, "create schema if not exists gantry"); err != nil {
		return fmt.Errorf("create the schema gantry: %w", err)
	}
	m, err := newMigrator(db)
	if err != nil {
		return err
	}
	defer func() {
		source, database := m.Close()
		err = errors.Join(err, source, database)
	}()
	stop := context.AfterFunc(ctx, func() { m.GracefulStop <- true }) // has room for one
	defer stop()
	return f(m)
}

func newMigrator(db *sql.DB) (*migrate.Migrate, error) {
	source, err := iofs.New(migrations.Files, ".")
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	driver, err := migratepgx.WithInstance(db, &migratepgx.Config{SchemaName: "gantry"})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the table of versions: %w", err), source.Close())
	}
	m, err := migrate.NewWithInstance("iofs", source, "pgx5", driver)
	if err != nil {
		return nil, errors.Join(err, source.Close(), driver.Close())
	}
	return m, nil
}
