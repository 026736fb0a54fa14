package catalog_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/internal/devstack/devstacktest"
	"github.com/gantry-connect/gantry/migrations"
)

func TestMigrationsGoUpDownAndUpAgain(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	f := &fixture{url: devstacktest.Database(t)}
	const schema = `
		select string_agg(format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default), E'\n'
			order by table_name, column_name)
		from information_schema.columns where table_schema = 'gantry'`
	from, to, err := catalog.Migrate(ctx, f.url)
	require.NoError(t, err)
	require.Zero(t, from)
	require.Equal(t, migrations.Latest(), to)
	first := read[string](t, f, schema)

	require.NoError(t, catalog.MigrateDown(ctx, f.url))
	require.Equal(t, "schema_migrations", read[string](t, f, `
		select string_agg(relname, ',') from pg_class where relnamespace = 'gantry'::regnamespace and relkind in ('r', 'S', 'v')`),
		"nothing but the table of versions is left")
	_, err = catalog.Open(ctx, catalog.Config{URL: f.url})
	require.ErrorIs(t, err, catalog.ErrNotMigrated)

	_, to, err = catalog.Migrate(ctx, f.url)
	require.NoError(t, err)
	require.Equal(t, migrations.Latest(), to)
	require.Equal(t, first, read[string](t, f, schema))
	from, to, err = catalog.Migrate(ctx, f.url)
	require.NoError(t, err)
	require.Equal(t, from, to, "once more does nothing")
}

func TestSeveralMayMigrateAtOnce(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	url := devstacktest.Database(t)
	worked := make([]bool, 6)
	var g errgroup.Group
	for i := range worked {
		g.Go(func() error {
			from, to, err := catalog.Migrate(ctx, url)
			worked[i] = from != to
			return err
		})
	}
	require.NoError(t, g.Wait())
	n := 0
	for _, w := range worked {
		if w {
			n++
		}
	}
	require.Equal(t, 1, n)
}

func TestAMigrationTouchesNothingWhileAnotherRuns(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	f := &fixture{url: devstacktest.Database(t)}
	other := f.connect(t)
	_, err := other.Exec(ctx, "select pg_advisory_lock($1)", catalog.MigrationLock)
	require.NoError(t, err)
	result := later(t, func() error { _, _, err := catalog.Migrate(ctx, f.url); return err })
	eventually(t, func() bool {
		return read[bool](t, f, `
			select exists (select from pg_locks
				where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database()))`)
	}, "it waits")
	require.False(t, read[bool](t, f, "select exists (select from pg_namespace where nspname = 'gantry')"))
	_, err = other.Exec(ctx, "select pg_advisory_unlock($1)", catalog.MigrationLock)
	require.NoError(t, err)
	require.NoError(t, await(t, result))
}

func TestOnlyACatalogOfThisVersionIsOpened(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	f := &fixture{url: devstacktest.Database(t)}
	_, err := catalog.Open(ctx, catalog.Config{URL: f.url})
	require.ErrorIs(t, err, catalog.ErrNotMigrated)
	require.ErrorContains(t, err, "run gantry migrate")

	_, _, err = catalog.Migrate(ctx, f.url)
	require.NoError(t, err)
	f.exec(t, "update gantry.schema_migrations set version = version - 1")
	_, err = catalog.Open(ctx, catalog.Config{URL: f.url})
	require.ErrorIs(t, err, catalog.ErrNotMigrated)
	f.exec(t, "update gantry.schema_migrations set version = 999")
	_, err = catalog.Open(ctx, catalog.Config{URL: f.url})
	require.ErrorIs(t, err, catalog.ErrNewerCatalog)
	_, _, err = catalog.Migrate(ctx, f.url)
	require.ErrorIs(t, err, catalog.ErrNewerCatalog)
	f.exec(t, "update gantry.schema_migrations set version = $1, dirty = true", migrations.Latest())
	_, err = catalog.Open(ctx, catalog.Config{URL: f.url})
	require.ErrorIs(t, err, catalog.ErrNotMigrated)
	_, _, err = catalog.Migrate(ctx, f.url)
	require.ErrorContains(t, err, "interrupted")

	_, err = catalog.Open(ctx, catalog.Config{})
	require.ErrorContains(t, err, "catalog.url")
}
