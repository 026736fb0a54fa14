package catalog_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gantry-connect/gantry/catalog"
)

func TestACatalogBelongsToOneNamespace(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	id, err := f.BindEnvironment(ctx, "production")
	require.NoError(t, err)
	require.NotEmpty(t, id)
	again, err := f.BindEnvironment(ctx, "production")
	require.NoError(t, err)
	require.Equal(t, id, again)
	_, err = f.BindEnvironment(ctx, "staging")
	require.ErrorIs(t, err, catalog.ErrEnvironment)
	require.ErrorContains(t, err, "production")
	require.ErrorContains(t, err, "staging")
}

// fenced is what a reader that starts at offset x must know, by definition: the highest fence of each writer before x.
func fenced(all []catalog.Fence, x int64) map[uint32]catalog.Fence {
	highest := map[uint32]catalog.Fence{}
	for _, f := range all {
		h, has := highest[f.Writer]
		if f.Offset < x && (!has || f.Epoch > h.Epoch || (f.Epoch == h.Epoch && f.Term > h.Term)) {
			highest[f.Writer] = f
		}
	}
	return highest
}

func TestPruningFencesTakesNothingThatAReaderNeeds(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 3)
	k := f.keeper(t, "a")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var all []catalog.Fence
	for range 3 {
		for _, task := range []int{0, 1, 2} {
			l := claim(t, k, c.UID, task)
			for term := range uint32(2) { // offsets in any order: an older owner may fence behind a newer one
				all = append(all, catalog.Fence{
					Queue: q0, Writer: l.Start().Writer, Epoch: l.Start().Epoch, Term: term, Offset: random.Int64N(50),
				})
				require.NoError(t, l.RecordFence(ctx, all[len(all)-1]))
			}
			require.NoError(t, l.RecordFence(ctx, catalog.Fence{Queue: q1, Writer: l.Start().Writer, Epoch: l.Start().Epoch}))
			require.NoError(t, l.Release(ctx))
		}
	}
	check := func(low int64) {
		for x := low; x <= 51; x++ {
			got, err := f.FencesBefore(ctx, q0, x)
			require.NoError(t, err)
			byWriter := map[uint32]catalog.Fence{}
			for _, fence := range got {
				byWriter[fence.Writer] = fence
			}
			require.Equal(t, fenced(all, x), byWriter, "a reader that starts at %d of a queue from %d", x, low)
		}
	}
	check(0)
	queues, err := f.FencedQueues(ctx)
	require.NoError(t, err)
	require.Equal(t, []catalog.Queue{q0, q1}, queues)
	for low := int64(0); low <= 51; low += 17 {
		_, err := f.PruneFences(ctx, q0, low)
		require.NoError(t, err)
		check(low)
	}
	require.Equal(t, 3, read[int](t, f, "select count(*) from gantry.fences where queue = 0"), "the last of each writer stays")
	require.Equal(t, 9, read[int](t, f, "select count(*) from gantry.fences where queue = 1"), "other queues are left alone")
}

func TestAnOwnerRecordsOnlyItsOwnFences(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	l := claim(t, f.keeper(t, "a"), f.connector(t, 1).UID, 0)
	start := l.Start()
	require.Error(t, l.RecordFence(ctx, catalog.Fence{Queue: q0, Writer: start.Writer + 1, Epoch: start.Epoch}))
	require.Error(t, l.RecordFence(ctx, catalog.Fence{Queue: q0, Writer: start.Writer, Epoch: start.Epoch + 1}))
	require.Zero(t, read[int](t, f, "select count(*) from gantry.fences"))
}

func TestASchemaComesBackByteForByte(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	body := []byte(`{"b" : 1.0,"a":[ "ü\u0000" ]}`)
	for range 2 {
		require.NoError(t, f.PutSchema(ctx, "print", body))
	}
	got, err := f.Schema(ctx, "print")
	require.NoError(t, err)
	require.Equal(t, string(body), string(got))
	require.Error(t, f.PutSchema(ctx, "other", []byte("no JSON")))
}

func TestTheFirstQueueMapIsFrozen(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 1)
	got := make([][]catalog.Queue, 8)
	var g errgroup.Group
	for i := range got {
		g.Go(func() (err error) {
			got[i], err = f.FreezeQueueMap(ctx, c.UID, "t", []catalog.Queue{{Topic: "t", Broker: fmt.Sprint(i), ID: i}})
			return err
		})
	}
	require.NoError(t, g.Wait())
	frozen, err := f.QueueMap(ctx, c.UID, "t")
	require.NoError(t, err)
	require.Len(t, frozen, 1)
	for _, q := range got {
		require.Equal(t, frozen, q)
	}
	_, err = f.FreezeQueueMap(ctx, c.UID, "empty", nil)
	require.Error(t, err)
}

func TestStatusIsReportedForManyTasksAndNeverByAnOlderOwner(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 2)
	moment := time.Now().Round(time.Microsecond)
	full := catalog.TaskStatus{
		UID: c.UID, Task: 0, State: catalog.StatusFailed, Worker: "w", Epoch: 7, Trace: "boom\x00\xff", Records: 1, Bytes: 2,
		LagRecords: 3, LagBytes: -1, RatePerSecond: 4.5, LastRecordAt: &moment, NextRetryAt: &moment, Retries: 5,
	}
	require.NoError(t, f.ReportStatus(ctx, []catalog.TaskStatus{
		full,
		{UID: c.UID, Task: 1, State: catalog.StatusRunning, Epoch: 1},
		{UID: c.UID, Task: 1, State: catalog.StatusPaused, Epoch: 2},
		{UID: c.UID + 1000, Task: 0, State: catalog.StatusRunning},
	}))
	require.NoError(t, f.ReportStatus(ctx, []catalog.TaskStatus{{UID: c.UID, Task: 0, State: catalog.StatusRunning, Epoch: 6}}))
	got, err := f.TaskStatuses(ctx, c.UID)
	require.NoError(t, err)
	require.Len(t, got, 2)
	full.Trace = "boom\uFFFD\uFFFD"
	full.UpdatedAt = got[0].UpdatedAt
	require.True(t, moment.Equal(*got[0].LastRecordAt) && moment.Equal(*got[0].NextRetryAt))
	got[0].LastRecordAt, got[0].NextRetryAt = &moment, &moment
	require.Equal(t, full, got[0])
	require.Equal(t, catalog.StatusPaused, got[1].State)

	require.NoError(t, f.SetConnectorStatus(ctx, c.UID, catalog.ConnectorStatus{State: catalog.StatusRunning, Worker: "w"}))
	require.NoError(t, f.SetConnectorStatus(ctx, c.UID+1000, catalog.ConnectorStatus{State: catalog.StatusRunning}))
	status, err := f.ConnectorStatus(ctx, c.UID)
	require.NoError(t, err)
	require.Equal(t, catalog.ConnectorStatus{State: catalog.StatusRunning, Worker: "w", UpdatedAt: status.UpdatedAt}, status)

	// That it has failed is an event, and saying so again is none.
	for range 2 {
		require.NoError(t, f.SetConnectorStatus(ctx, c.UID, catalog.ConnectorStatus{State: catalog.StatusFailed, Worker: "w", Trace: "no such table"}))
	}
	require.NoError(t, f.SetConnectorStatus(ctx, c.UID+1000, catalog.ConnectorStatus{State: catalog.StatusFailed}))
	events, err := f.EventsAfter(ctx, catalog.EventFilter{Connector: c.Name, Kinds: []string{string(catalog.EventFailed)}}, 0, 10)
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Equal(t, "no such table", events[0].Detail)
	require.Nil(t, events[0].Task)
}

func TestFailuresAreCountedUntilTheTaskIsHealthy(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 1)
	k := f.keeper(t, "a")
	l := claim(t, k, c.UID, 0)
	for n := range 3 {
		got, err := f.NoteFailure(ctx, c.UID, 0, errors.New("no such table"))
		require.NoError(t, err)
		require.Equal(t, n+1, got)
	}
	require.NoError(t, l.Release(ctx))
	l = claim(t, k, c.UID, 0)
	require.Equal(t, 3, l.Start().ConsecutiveFailures)
	require.NoError(t, f.NoteHealthy(ctx, c.UID, 0))
	n, err := f.NoteFailure(ctx, c.UID, 0, errors.New("again"))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	events, err := f.Events(ctx, c.UID, 1)
	require.NoError(t, err)
	require.Equal(t, "again", events[0].Detail)
}

func TestAWorkerLivesByTheDatabasesClock(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	w := catalog.Worker{ID: "a", Host: "h", Group: "g", Capacity: 100, Running: 3, Draining: true}
	require.NoError(t, f.UpsertWorker(ctx, catalog.Worker{ID: "a"}))
	require.NoError(t, f.UpsertWorker(ctx, w))
	for _, id := range []string{"silent", "gone", "long gone"} {
		require.NoError(t, f.UpsertWorker(ctx, catalog.Worker{ID: id}))
	}
	require.NoError(t, f.RemoveWorker(ctx, "gone"))
	f.exec(t, "update gantry.workers set seen_at = clock_timestamp() - interval '3 s' where id = 'silent'")
	f.exec(t, "update gantry.workers set seen_at = clock_timestamp() - interval '2 h' where id = 'long gone'")
	require.NoError(t, f.UpsertWorker(ctx, w))
	got, err := f.Workers(ctx)
	require.NoError(t, err)
	require.Len(t, got, 1)
	w.Since, w.Seen = got[0].Since, got[0].Seen
	require.Equal(t, w, got[0])
	require.Equal(t, 2, read[int](t, f, "select count(*) from gantry.workers"), "long gone ones are removed")
}

func TestDemandCountsTasksThatAreWanted(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c, paused := f.connector(t, 3), f.connector(t, 5)
	_, err := f.SetDesired(ctx, paused.Name, catalog.StatePaused, "ada")
	require.NoError(t, err)
	claim(t, f.keeper(t, "a"), c.UID, 0)
	got, err := f.GroupDemand(ctx, "")
	require.NoError(t, err)
	require.Equal(t, catalog.Demand{Wanted: 3, Unowned: 2}, got)

	_, err = f.connect(t).Exec(ctx, `update gantry.planned_tasks set config = config || '{"worker.group": "big"}' where uid = $1 and task < 2`, c.UID)
	require.NoError(t, err)
	for group, want := range map[string]catalog.Demand{"": {Wanted: 1, Unowned: 1}, "big": {Wanted: 2, Unowned: 1}, "small": {}} {
		got, err := f.GroupDemand(ctx, group)
		require.NoError(t, err)
		require.Equal(t, want, got, group)
	}
}

func TestPositionsAreEditedOnlyWhenSettled(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 1)
	k := f.keeper(t, "a")
	offset := `{"n":9}`
	edit := func() (int64, error) {
		return f.EditPositions(ctx, c.UID, catalog.AnyGeneration, false, []catalog.PositionEdit{
			{Partition: partition, Offset: &offset}, {Partition: `{"file":"b"}`},
		}, "ada")
	}
	l := claim(t, k, c.UID, 0)
	require.NoError(t, l.Commit(ctx, catalog.Checkpoint{
		Position: map[string]string{partition: `{"n":1}`, `{"file":"b"}`: `{"n":1}`, `{"file":"c"}`: `{"n":1}`},
		Queues:   []catalog.OpenQueue{{Queue: q0}},
	}))
	_, err := edit()
	require.ErrorIs(t, err, catalog.ErrNotSettled, "running")
	require.ErrorIs(t, f.Settled(ctx, c.UID), catalog.ErrNotSettled)
	_, err = f.SetDesired(ctx, c.Name, catalog.StateStopped, "ada")
	require.NoError(t, err)
	_, err = edit()
	require.ErrorIs(t, err, catalog.ErrNotSettled, "owned")
	require.NoError(t, l.Release(ctx))
	_, err = edit()
	require.ErrorIs(t, err, catalog.ErrNotSettled, "a queue is open")
	require.ErrorIs(t, f.Settled(ctx, c.UID), catalog.ErrNotSettled)

	frozen := claim(t, f.frozen(t), c.UID, 0)
	require.NoError(t, frozen.Commit(ctx, catalog.Checkpoint{Close: []catalog.Queue{q0}}))
	f.exec(t, "update gantry.leases set expires_at = clock_timestamp()")
	generation, err := edit()
	require.NoError(t, err)
	require.EqualValues(t, 1, generation)
	require.ErrorIs(t, commit(t, frozen, at(2)), catalog.ErrFenced, "an owner that does not know of its end")
	got, err := f.Positions(ctx, c.UID)
	require.NoError(t, err)
	require.Equal(t, map[string]string{partition: offset, `{"file":"c"}`: `{"n":1}`}, got)
	require.EqualValues(t, 1, claim(t, k, c.UID, 0).Start().PositionGeneration)

	f.exec(t, "update gantry.leases set expires_at = clock_timestamp(), token = null")
	require.NoError(t, f.Settled(ctx, c.UID))
	_, err = f.EditPositions(ctx, c.UID, catalog.AnyGeneration, true, nil, "ada")
	require.NoError(t, err)
	got, err = f.Positions(ctx, c.UID)
	require.NoError(t, err)
	require.Empty(t, got)
}

// A sink's worker that dies between its target's commit and the catalog's leaves the target ahead. An edit by then would put every
// partition that it does not name back to where the catalog believes it to be, and what lies between would be written twice.
func TestASinkIsSettledOnlyAfterACleanEnd(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 1)
	f.exec(t, "update gantry.connectors set kind = 'sink' where uid = $1", c.UID)
	require.NoError(t, f.Settled(ctx, f.stopped(t, c)), "nobody has run it")

	dead := claim(t, f.frozen(t), c.UID, 0)
	require.NoError(t, commit(t, dead, at(1)))
	f.exec(t, "update gantry.leases set expires_at = clock_timestamp()")
	require.ErrorIs(t, f.Settled(ctx, c.UID), catalog.ErrNotSettled, "nobody has asked its target since")
	k := f.keeper(t, "a")
	require.NoError(t, claim(t, k, c.UID, 0).ReleaseUnclean(ctx))
	require.ErrorIs(t, f.Settled(ctx, c.UID), catalog.ErrNotSettled, "its target did not answer")
	require.NoError(t, claim(t, k, c.UID, 0).Release(ctx))
	require.NoError(t, f.Settled(ctx, c.UID))
}

func (f *fixture) stopped(t *testing.T, c catalog.Connector) (uid int64) {
	t.Helper()
	_, err := f.SetDesired(testContext(t), c.Name, catalog.StateStopped, "ada")
	require.NoError(t, err)
	return c.UID
}
