package catalog_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gantry-connect/gantry/catalog"
)

var (
	q0 = catalog.Queue{Topic: "t", Broker: "b", ID: 0}
	q1 = catalog.Queue{Topic: "t", Broker: "b", ID: 1}
)

func TestACheckpointIsWhatTheNextOwnerStartsFrom(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 2)
	k := f.keeper(t, "a")
	l := claim(t, k, c.UID, 0)
	start := l.Start()
	require.NotZero(t, start.Writer)
	require.Equal(t, "h0", start.PlanHash)
	require.Equal(t, c.Generation, start.Generation)
	require.Empty(t, start.Position)
	require.Empty(t, start.Open)

	require.NoError(t, l.OpenQueues(ctx, []catalog.OpenQueue{{Queue: q0, Low: 7, Seq: 1}, {Queue: q1, Low: 9, Seq: 1}}))
	require.NoError(t, l.Commit(ctx, catalog.Checkpoint{
		Position: map[string]string{`{"file":"a"}`: `{"n":1}`, `{"file":"b"}`: `{"n":2}`},
		Queues:   []catalog.OpenQueue{{Queue: q0, Low: 8, Seq: 3}}, Close: []catalog.Queue{q1}, Records: 3, Bytes: 30,
	}))
	require.NoError(t, l.Commit(ctx, catalog.Checkpoint{Position: map[string]string{`{"file":"b"}`: `{"n":4}`}, Records: 2, Bytes: 20}))
	_, err := f.NoteFailure(ctx, c.UID, 0, context.DeadlineExceeded)
	require.NoError(t, err)
	require.NoError(t, l.Release(ctx))

	next := claim(t, k, c.UID, 0).Start()
	require.Equal(t, catalog.LeaseStart{
		Writer: start.Writer, Epoch: next.Epoch, PlanHash: "h0", Generation: c.Generation, ConsecutiveFailures: 1,
		Position: map[string]string{`{"file":"a"}`: `{"n":1}`, `{"file":"b"}`: `{"n":4}`},
		Open:     []catalog.OpenQueue{{Queue: q0, Low: 8, Seq: 3}},
		Closed:   []catalog.OpenQueue{{Queue: q1, Low: 9, Seq: 1}},
	}, next)
	sibling := claim(t, k, c.UID, 1).Start()
	require.Equal(t, next.Position, sibling.Position, "partitions may move between tasks")
	require.ElementsMatch(t, []string{`{"file":"a"}`, `{"file":"b"}`}, sibling.Elsewhere, "task 0 has committed them last")
	require.Empty(t, sibling.Open)
	require.Equal(t, []int64{5, 50}, read[[]int64](t, f, "select array[records, bytes] from gantry.tasks where task = 0"))
}

func TestAnOldEpochCommitsNothing(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 1)
	k := f.keeper(t, "a")
	for name, end := range map[string]string{
		"a higher epoch":  "update gantry.tasks set epoch = epoch + 1",
		"a lower epoch":   "update gantry.tasks set epoch = epoch - 1",
		"another token":   "update gantry.tasks set token = gen_random_uuid()",
		"no owner at all": "update gantry.tasks set token = null",
	} {
		l := claim(t, k, c.UID, 0)
		require.NoError(t, commit(t, l, at(1)), name)
		f.exec(t, end)
		before := everything(t, f)
		require.ErrorIs(t, l.Commit(ctx, catalog.Checkpoint{
			Position: at(2), Queues: []catalog.OpenQueue{{Queue: q0}}, Close: []catalog.Queue{q1}, Records: 1,
		}), catalog.ErrFenced, name)
		require.Equal(t, before, everything(t, f), name)
		awaitClosed(t, l.Lost(), name)
		require.ErrorIs(t, l.OpenQueues(ctx, []catalog.OpenQueue{{Queue: q0}}), catalog.ErrFenced, name)
		require.ErrorIs(t, l.RecordFence(ctx, catalog.Fence{Queue: q0, Writer: l.Start().Writer, Epoch: l.Start().Epoch}),
			catalog.ErrFenced, name)
		require.Equal(t, before, everything(t, f), name)
		f.exec(t, "update gantry.leases set token = null")
	}
}

// everything is all that a commit may change.
func everything(t testing.TB, f *fixture) string {
	return read[string](t, f, `
		select (select coalesce(json_agg(t order by task), '[]') from gantry.tasks t)::text ||
		       (select coalesce(json_agg(p order by partition), '[]') from gantry.positions p)::text ||
		       (select coalesce(json_agg(o order by queue), '[]') from gantry.open_queues o)::text ||
		       (select coalesce(json_agg(f order by term), '[]') from gantry.fences f)::text`)
}

func TestABlockedRowDoesNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	for name, lock := range map[string]string{
		"task":       "select from gantry.tasks where task = 0 for update",
		"position":   `select from gantry.positions where partition = '{"file":"a"}' for update`,
		"open queue": "select from gantry.open_queues where task = 0 for update",
		"connector":  "select from gantry.connectors for update",
		"lease":      "select from gantry.leases where task = 0 for update",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, ctx := newFixture(t), testContext(t)
			c := f.connector(t, 3)
			k := f.keeper(t, "a")
			blocked, free, other := claim(t, k, c.UID, 0), claim(t, k, c.UID, 1), claim(t, k, c.UID, 2)
			open := []catalog.OpenQueue{{Queue: q0, Low: 1}}
			require.NoError(t, blocked.Commit(ctx, catalog.Checkpoint{Position: at(1), Queues: open}))
			require.NoError(t, commit(t, free, map[string]string{`{"file":"b"}`: `{"n":0}`}))
			require.NoError(t, commit(t, other, map[string]string{`{"file":"c"}`: `{"n":0}`}))

			tx, err := f.connect(t).Begin(ctx)
			require.NoError(t, err)
			_, err = tx.Exec(ctx, lock)
			require.NoError(t, err)
			result := later(t, func() error {
				return blocked.Commit(ctx, catalog.Checkpoint{
					Position: map[string]string{partition: `{"n":2}`, `{"file":"new"}`: `{"n":2}`}, Queues: open,
				})
			})
			for n := range 20 {
				var g errgroup.Group
				for partition, l := range map[string]*catalog.Lease{`{"file":"b"}`: free, `{"file":"c"}`: other} {
					g.Go(func() error {
						return l.Commit(ctx, catalog.Checkpoint{Position: map[string]string{partition: fmt.Sprintf(`{"n":%d}`, n)}})
					})
				}
				require.NoError(t, g.Wait())
			}
			renewals := k.Stats().Renewals
			eventually(t, func() bool { return k.Stats().Renewals >= renewals+2 }, "renewals go on")
			for _, l := range []*catalog.Lease{blocked, free, other} {
				require.True(t, l.Valid() || name == "lease" && l == blocked)
			}
			if name != "lease" { // commits do not touch it
				select {
				case err := <-result:
					require.Fail(t, "the blocked commit ended", "%v", err)
				default:
				}
			}
			if name == "task" || name == "position" {
				require.Zero(t, k.Stats().Split, "locked rows are passed over, not waited for")
				require.NotZero(t, k.Stats().Passed)
			}
			require.NoError(t, tx.Rollback(ctx))
			require.NoError(t, await(t, result))
			got, err := f.Positions(ctx, c.UID)
			require.NoError(t, err)
			require.Equal(t, `{"n":2}`, got[partition])
		})
	}
}

func TestManyTasksCommitInOneRoundTrip(t *testing.T) {
	t.Parallel()
	const tasks = 64
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, tasks)
	k := f.keeper(t, "a")
	leases := claimAll(t, k, c.UID, tasks)
	require.NoError(t, leases[0].OpenQueues(ctx, []catalog.OpenQueue{{Queue: q0}}))

	tx, err := f.connect(t).Begin(ctx) // keeps the first round under way while the others come
	require.NoError(t, err)
	_, err = tx.Exec(ctx, "select from gantry.open_queues for update")
	require.NoError(t, err)
	before := k.Stats()
	var g errgroup.Group
	g.Go(func() error { return leases[0].OpenQueues(ctx, []catalog.OpenQueue{{Queue: q0, Low: 1}}) })
	eventually(t, func() bool { return k.Queued() == 1 }, "one is under way")
	for n, l := range leases[1:] {
		g.Go(func() error {
			return l.Commit(ctx, catalog.Checkpoint{Position: map[string]string{fmt.Sprintf(`{"n":%d}`, n): `{}`}})
		})
	}
	eventually(t, func() bool { return k.Queued() >= tasks || k.Stats().Commits > before.Commits }, "all wait")
	require.NoError(t, tx.Rollback(ctx))
	require.NoError(t, g.Wait())
	after := k.Stats()
	require.EqualValues(t, tasks, after.Commits-before.Commits)
	rounds := after.Rounds - before.Rounds - (after.Passed - before.Passed)
	t.Logf("%d commits in %d rounds", tasks, rounds)
	require.LessOrEqual(t, rounds, int64(4))
}

func claimAll(t testing.TB, k *catalog.Keeper, uid int64, tasks int) []*catalog.Lease {
	leases := make([]*catalog.Lease, tasks)
	var g errgroup.Group
	for n := range leases {
		g.Go(func() (err error) {
			leases[n], err = k.Claim(testContext(t), request(uid, n))
			return err
		})
	}
	require.NoError(t, g.Wait())
	return leases
}

func TestACommitThatCannotBeSpoilsNoOther(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 2)
	k := f.keeper(t, "a")
	bad, good := claim(t, k, c.UID, 0), claim(t, k, c.UID, 1)
	var g errgroup.Group
	for n := range 10 {
		g.Go(func() error {
			for name, cp := range map[string]catalog.Checkpoint{
				"no JSON":         {Position: map[string]string{"x": `{}`}},
				"no object":       {Position: map[string]string{partition: `[]`}},
				"a zero byte":     {Position: map[string]string{"{\"a\":\"\x00\"}": `{}`}},
				"no UTF-8":        {Position: map[string]string{"{\"a\":\"\xff\"}": `{}`}},
				"negative offset": {Queues: []catalog.OpenQueue{{Queue: q0, Low: -1}}},
				"a huge seq":      {Queues: []catalog.OpenQueue{{Queue: q0, Seq: 1 << 63}}},
				"half of it bad":  {Position: at(1), Queues: []catalog.OpenQueue{{Queue: catalog.Queue{Topic: "t"}}}},
			} {
				if err := bad.Commit(ctx, cp); err == nil {
					return fmt.Errorf("%s was stored", name)
				}
			}
			return nil
		})
		g.Go(func() error {
			return good.Commit(ctx, catalog.Checkpoint{Position: map[string]string{fmt.Sprintf(`{"n":%d}`, n): `{}`}})
		})
	}
	require.NoError(t, g.Wait())
	got, err := f.Positions(ctx, c.UID)
	require.NoError(t, err)
	require.Len(t, got, 10, "all of the good ones, nothing of the bad ones")
	require.NoError(t, commit(t, bad, at(3)), "its lease is not lost")
}

func TestACommitThatIsRepeatedOrLateChangesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := f.connector(t, 1)
	l := claim(t, f.keeper(t, "a"), c.UID, 0)
	require.NoError(t, commit(t, l, at(1)))
	require.NoError(t, commit(t, l, at(2)))
	before := everything(t, f)
	l.SetSeq(1)
	require.NoError(t, commit(t, l, at(2)), "the second once more")
	l.SetSeq(0)
	require.NoError(t, commit(t, l, at(1)), "the first, after the second")
	require.Equal(t, before, everything(t, f))
}

func TestCommitsOfOneTaskKeepTheirOrder(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 1)
	k := f.keeper(t, "a")
	l := claim(t, k, c.UID, 0)
	tx, err := f.connect(t).Begin(ctx)
	require.NoError(t, err)
	_, err = tx.Exec(ctx, "select from gantry.tasks for update")
	require.NoError(t, err)
	var g errgroup.Group
	for n := range 20 {
		g.Go(func() error { return l.Commit(ctx, catalog.Checkpoint{Position: at(n)}) })
		eventually(t, func() bool { return k.Queued() == n+1 }, "queued")
	}
	require.NoError(t, tx.Rollback(ctx))
	require.NoError(t, g.Wait())
	got, err := f.Positions(ctx, c.UID)
	require.NoError(t, err)
	require.Equal(t, at(19), got)
}

func TestACommitEndsWithItsContextOrItsKeeper(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 1)
	k := f.keeper(t, "a")
	l := claim(t, k, c.UID, 0)
	tx, err := f.connect(t).Begin(ctx)
	require.NoError(t, err)
	_, err = tx.Exec(ctx, "select from gantry.tasks for update")
	require.NoError(t, err)

	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, l.Commit(short, catalog.Checkpoint{Position: at(1)}), context.DeadlineExceeded)
	result := later(t, func() error { return commit(t, l, at(2)) })
	eventually(t, func() bool { return k.Queued() == 1 }, "only the one that waits is queued")
	k.Close()
	require.ErrorIs(t, await(t, result), catalog.ErrClosed)
	require.ErrorIs(t, commit(t, l, at(3)), catalog.ErrClosed)
	_, err = k.Claim(ctx, request(c.UID, 1))
	require.ErrorIs(t, err, catalog.ErrClosed)
}

func BenchmarkCommit(b *testing.B) {
	for _, tasks := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("tasks=%d", tasks), func(b *testing.B) {
			f := newFixture(b)
			k, err := f.StartKeeper(b.Context(), "bench")
			require.NoError(b, err)
			defer k.Close()
			c := f.connector(b, tasks)
			leases := claimAll(b, k, c.UID, tasks)
			before := k.Stats()
			b.ResetTimer()
			var g errgroup.Group
			for n, l := range leases {
				g.Go(func() error {
					for i := n; i < b.N; i += tasks {
						err := l.Commit(b.Context(), catalog.Checkpoint{
							Position: map[string]string{fmt.Sprintf(`{"file":"%d"}`, n): fmt.Sprintf(`{"n":%d}`, i)},
							Queues:   []catalog.OpenQueue{{Queue: q0, Low: int64(i)}, {Queue: q1, Low: int64(i)}}, Records: 1000,
						})
						if err != nil {
							return err
						}
					}
					return nil
				})
			}
			require.NoError(b, g.Wait())
			b.StopTimer()
			after := k.Stats()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
			b.ReportMetric(float64(after.Commits-before.Commits)/float64(after.Rounds-before.Rounds), "commits/round")
		})
	}
}
