package catalog_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/internal/devstack"
	"github.com/gantry-connect/gantry/internal/devstack/devstacktest"
)

func TestAKeeperSurvivesTheLossOfItsConnections(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := f.connector(t, 2)
	k := f.keeper(t, "a")
	l, other := claim(t, k, c.UID, 0), claim(t, k, c.UID, 1)
	const most = 15
	var cut atomic.Int64
	killer := f.connect(t)
	cuts := later(t, func() error {
		for range most {
			_, err := killer.Exec(testContext(t), `
				select pg_terminate_backend(pid) from pg_stat_activity
				where datname = current_database() and application_name in ('gantry leases', 'gantry commits')`)
			if err != nil {
				return err
			}
			cut.Add(1)
			time.Sleep(100 * time.Millisecond) // the rhythm of the cuts, not a wait for anything
		}
		return nil
	})
	var n int
	for ; cut.Load() < most; n++ {
		require.NoError(t, commit(t, l, at(n)))
		require.NoError(t, commit(t, other, map[string]string{`{"file":"b"}`: fmt.Sprintf(`{"n":%d}`, n)}))
	}
	t.Logf("%d commits of two tasks each, %d cuts", n, cut.Load())
	renewals := k.Stats().Renewals
	require.NoError(t, await(t, cuts))
	eventually(t, func() bool { return k.Stats().Renewals >= renewals+2 }, "renewals go on")
	require.NoError(t, l.Wait(testContext(t)))
	require.Equal(t, []int64{int64(n), int64(n)}, read[[]int64](t, f, "select array_agg(records) from gantry.tasks"),
		"a commit whose answer was lost is stored once")
	require.Equal(t, catalog.ReasonNone, l.Reason())
}

func TestAKeeperSurvivesARestartOfPostgres(t *testing.T) {
	t.Parallel()
	stack := devstacktest.Private(t, devstack.Postgres)
	ctx := t.Context()
	url := stack.PostgresURL("gantry")
	_, _, err := catalog.Migrate(ctx, url)
	require.NoError(t, err)
	cat, err := catalog.Open(ctx, catalog.Config{URL: url})
	require.NoError(t, err)
	t.Cleanup(cat.Close)
	f := &fixture{Catalog: cat, url: url}
	c := f.connector(t, 1)
	k := f.keeper(t, "a")
	l := claim(t, k, c.UID, 0)
	require.NoError(t, commit(t, l, at(1)))

	require.NoError(t, stack.Stop(ctx, devstack.Postgres))
	during := later(t, func() error { return commit(t, l, at(2)) })
	eventually(t, func() bool { return !l.Valid() }, "without a catalog the lease runs out")
	require.NoError(t, stack.Restart(ctx, devstack.Postgres))
	require.NoError(t, await(t, during), "a commit waits the outage out")
	require.NoError(t, l.Wait(testContext(t)), "the same epoch goes on")
	require.NoError(t, commit(t, l, at(3)))
	require.EqualValues(t, 3, read[int64](t, f, "select records from gantry.tasks"))
	require.Equal(t, l.Start().Epoch, read[int64](t, f, "select epoch from gantry.tasks"))
}

func TestAClosedKeeperLeavesItsLeasesToRunOut(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := f.connector(t, 1)
	k := f.keeper(t, "a")
	l := claim(t, k, c.UID, 0)
	k.Close()
	k.Close()
	eventually(t, func() bool { return !l.Valid() }, "it runs out")
	require.ErrorIs(t, l.Wait(testContext(t)), catalog.ErrClosed)
	claim(t, f.keeper(t, "b"), c.UID, 0)
}

func BenchmarkRenew(b *testing.B) {
	const tasks = 500
	f := newFixture(b)
	k := f.StartKeeperEvery(time.Hour)
	defer k.Close()
	c := f.connector(b, tasks)
	claimAll(b, k, c.UID, tasks)
	for b.Loop() {
		before := k.Stats().Renewals
		k.Thaw()
		for k.Stats().Renewals == before {
			time.Sleep(50 * time.Microsecond)
		}
	}
}
