package devstack_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/internal/devstack"
)

// sharing is one use of the stack in a folder, which ends at the latest with the test.
func sharing(t *testing.T, dir string) (s *devstack.Stack, release func()) {
	t.Helper()
	o := devstack.Options{Dir: dir, Parts: []devstack.Part{devstack.Postgres}, Unsafe: true}
	s, end, err := devstack.Share(testContext(t), o, func(string) {})
	require.NoError(t, err)
	done := false
	release = func() {
		if !done {
			done = true
			require.NoError(t, end(context.Background()))
		}
	}
	t.Cleanup(release)
	return s, release
}

// Two runs of the tests that overlap: the first one to end must not take the servers away from the other.
func TestASharedStackRunsUntilItsLastUserIsDone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "stack")
	first, releaseFirst := sharing(t, dir)
	sql(t, first, "create table kept (n int)")
	second, releaseSecond := sharing(t, dir)
	releaseFirst()
	require.True(t, status(t, second, devstack.Postgres).Running)
	require.Equal(t, 0, count(t, second, "select count(*) from kept"), "the second run has the servers of the first")
	releaseSecond()
	_, err := devstack.Attach(dir)
	require.ErrorIs(t, err, devstack.ErrNotRunning)
	require.NoDirExists(t, dir)

	third, _ := sharing(t, dir)
	require.NoError(t, third.Kill(devstack.Postgres)) // a run finds no use in servers that have died
	fourth, _ := sharing(t, dir)
	require.True(t, status(t, fourth, devstack.Postgres).Running)
}

func TestASharedStackThatOthersStartedStays(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	o := devstack.Options{Dir: filepath.Join(t.TempDir(), "stack"), Parts: []devstack.Part{devstack.Postgres}, Background: true, Unsafe: true}
	require.NoError(t, devstack.Prepare(ctx, o, func(string) {}))
	require.NoError(t, os.MkdirAll(o.Dir, 0o755))
	_, err := devstack.Start(ctx, o)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, devstack.Down(context.Background(), o.Dir))
		require.NoError(t, devstack.Remove(context.Background(), o.Dir))
	})
	s, release := sharing(t, o.Dir)
	release()
	require.True(t, status(t, s, devstack.Postgres).Running)
}
