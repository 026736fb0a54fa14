package postgres

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// The log is flushed for others' commits too, and now and then by itself: many rounds make a lucky pass unlikely.
func TestFlushWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	g.exec("do $$ begin execute format('alter database %I set synchronous_commit = on', current_database()); end $$")
	s := g.open(task(1))
	for i := 1; i <= 50; i++ {
		write(t, s, batch(i, row(i, "a")))
		written := g.scalar("select pg_current_wal_insert_lsn()::text")
		require.NoError(t, s.Flush(t.Context()))
		require.Equal(t, 1, g.count("select (pg_current_wal_flush_lsn() >= '"+written+"')::integer"), "round %d", i)
	}
}

func TestOlderOwnerFlushesNothing(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	old := g.hidden(g.open(task(1)))
	write(t, old, batch(1, row(1, "a")))
	young := g.open(task(2))
	require.Equal(t, at(1), young.Position())
	require.ErrorIs(t, old.Flush(t.Context()), connector.ErrFenced)
	require.ErrorIs(t, old.Write(t.Context(), batch(2, row(2, "old"))), connector.ErrFenced)
	require.NoError(t, young.Flush(t.Context()))
}

func TestFlushTellsWhyTheSessionEnded(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	old := g.open(task(1))
	write(t, old, batch(1, row(1, "a")))
	g.open(task(2)) // ends the old session
	require.ErrorIs(t, old.Flush(t.Context()), connector.ErrFenced)
}
