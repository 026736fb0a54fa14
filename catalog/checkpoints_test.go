package catalog_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/catalog"
)

func position(pairs ...any) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[fmt.Sprintf(`{"file":"%v"}`, pairs[i])] = fmt.Sprintf(`{"n":%v}`, pairs[i+1])
	}
	return m
}

func TestWhereAClosedQueueEndedIsRemembered(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 1)
	k := f.keeper(t, "a")
	l := claim(t, k, c.UID, 0)
	require.NoError(t, l.OpenQueues(ctx, []catalog.OpenQueue{{Queue: q0, Low: 7, Seq: 1}, {Queue: q1, Low: 3, Seq: 1}}))
	end := catalog.OpenQueue{Queue: q0, Low: 12, Seq: 5, Tail: 11, TailSeq: 4}
	require.NoError(t, l.Commit(ctx, catalog.Checkpoint{Position: at(1), Queues: []catalog.OpenQueue{end}, Close: []catalog.Queue{q0}}))
	require.NoError(t, l.Release(ctx))

	l = claim(t, k, c.UID, 0)
	require.Equal(t, []catalog.OpenQueue{end}, l.Start().Closed)
	require.Equal(t, []catalog.OpenQueue{{Queue: q1, Low: 3, Seq: 1}}, l.Start().Open)
	again := catalog.OpenQueue{Queue: q0, Low: 20, Seq: 5, Tail: 11, TailSeq: 4}
	require.NoError(t, l.OpenQueues(ctx, []catalog.OpenQueue{again}))
	require.NoError(t, l.Release(ctx))

	start := claim(t, k, c.UID, 0).Start()
	require.Empty(t, start.Closed, "it is open")
	require.Equal(t, []catalog.OpenQueue{again, {Queue: q1, Low: 3, Seq: 1}}, start.Open)
	require.Equal(t, []int64{7, 3}, read[[]int64](t, f, "select array_agg(base order by queue) from gantry.open_queues"), "of the first opening")
}

func TestATaskGoesBackToACheckpoint(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 2)
	k := f.keeper(t, "a")
	l, sibling := claim(t, k, c.UID, 0), claim(t, k, c.UID, 1)
	require.NoError(t, sibling.Commit(ctx, catalog.Checkpoint{Position: position("s", 1)}))
	require.NoError(t, l.Commit(ctx, catalog.Checkpoint{Position: position("a", 1, "b", 1)}))
	require.NoError(t, l.OpenQueues(ctx, []catalog.OpenQueue{{Queue: q0, Low: 2, Seq: 1}}))
	require.NoError(t, l.Commit(ctx, catalog.Checkpoint{Position: position("a", 2), Queues: []catalog.OpenQueue{{Queue: q0, Low: 9, Seq: 4, Tail: 8, TailSeq: 3}}}))
	require.NoError(t, l.Remember(ctx))
	past, err := l.Checkpoints(ctx)
	require.NoError(t, err)
	require.Len(t, past, 1)
	require.Equal(t, []catalog.OpenQueue{{Queue: q0, Low: 9, Seq: 4, Tail: 8, TailSeq: 3}}, past[0].Queues)

	require.NoError(t, l.OpenQueues(ctx, []catalog.OpenQueue{{Queue: q1, Low: 30, Seq: 1}}))
	require.NoError(t, l.Commit(ctx, catalog.Checkpoint{Position: position("a", 3, "new", 1), Close: []catalog.Queue{q0}}))
	require.NoError(t, sibling.Commit(ctx, catalog.Checkpoint{Position: position("s", 2)}))
	require.NoError(t, l.Remember(ctx))

	moved, err := l.GoBack(ctx, past[0].Version)
	require.NoError(t, err)
	require.Len(t, moved, 2)
	require.Equal(t, `{"n":3}`, *moved[0].Before)
	require.Equal(t, `{"n":2}`, *moved[0].Offset)
	require.Nil(t, moved[1].Offset)
	now, err := f.Positions(ctx, c.UID)
	require.NoError(t, err)
	require.Equal(t, position("a", 2, "b", 1, "s", 2), now, "the sibling's stays")
	left, err := l.Checkpoints(ctx)
	require.NoError(t, err)
	require.Equal(t, past, left, "what came after it is not so any more")
	require.NoError(t, l.Release(ctx))
	l = claim(t, k, c.UID, 0)
	require.Equal(t, []catalog.OpenQueue{{Queue: q0, Low: 9, Seq: 4, Tail: 8, TailSeq: 3}, {Queue: q1, Low: 30, Seq: 0, Tail: -1}},
		l.Start().Open, "a queue that was not known then is read from its first opening")
	_, err = l.GoBack(ctx, past[0].Version+1000)
	require.ErrorIs(t, err, catalog.ErrNotFound)
}

func TestOnlyTheOwnerRemembersAndGoesBack(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 1)
	l := claim(t, f.keeper(t, "a"), c.UID, 0)
	require.NoError(t, commit(t, l, at(1)))
	require.NoError(t, l.Remember(ctx))
	past, err := l.Checkpoints(ctx)
	require.NoError(t, err)
	f.exec(t, "update gantry.tasks set epoch = epoch + 1")
	require.ErrorIs(t, l.Remember(ctx), catalog.ErrFenced)
	_, err = l.GoBack(ctx, past[0].Version)
	require.ErrorIs(t, err, catalog.ErrFenced)
	require.Equal(t, 1, read[int](t, f, "select count(*) from gantry.checkpoints"))
}

// TestATaskGoesBackUnderTheSamePlanOnly: another plan may have given its partitions to others, and an edit is meant.
func TestATaskGoesBackUnderTheSamePlanOnly(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 1)
	k := f.keeper(t, "a")
	l := claim(t, k, c.UID, 0)
	remember := func(n int) int {
		require.NoError(t, commit(t, l, at(n)))
		require.NoError(t, l.Remember(ctx))
		past, err := l.Checkpoints(ctx)
		require.NoError(t, err)
		return len(past)
	}
	replan := func(hash string) {
		require.NoError(t, l.Release(ctx))
		_, err := f.SavePlan(ctx, c.UID, c.Revision, []catalog.PlannedTask{{Number: 0, Hash: hash}})
		require.NoError(t, err)
		l = claim(t, k, c.UID, 0)
	}
	require.Equal(t, 1, remember(1))
	require.Equal(t, 2, remember(2))
	replan("other")
	require.Equal(t, 1, remember(3))
	replan("h0")
	require.Equal(t, 1, remember(4), "those of its first time are not its own any more")
	require.NoError(t, l.Release(ctx))
	_, err := f.SetDesired(ctx, c.Name, catalog.StateStopped, "ada")
	require.NoError(t, err)
	_, err = f.EditPositions(ctx, c.UID, catalog.AnyGeneration, true, nil, "ada")
	require.NoError(t, err)
	l = claim(t, k, c.UID, 0)
	require.Equal(t, 1, remember(1))
}

// TestHistoryThinsOutAndStaysTrue: whatever is left of the history says of every partition what it said at the time.
func TestHistoryThinsOutAndStaysTrue(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 1)
	l := claim(t, f.keeper(t, "a"), c.UID, 0)
	random := rand.New(rand.NewPCG(1, 2))
	now, then := map[string]string{}, map[int64]map[string]string{}
	const points = 150
	for n := range points {
		step := position(random.IntN(6), n)
		maps.Copy(now, step)
		require.NoError(t, commit(t, l, step))
		require.NoError(t, l.Remember(ctx))
		then[read[int64](t, f, "select max(version) from gantry.checkpoints")] = maps.Clone(now)
	}
	history, err := f.PositionHistory(ctx, c.UID, 1000)
	require.NoError(t, err)
	require.Less(t, len(history), 40)
	require.Greater(t, len(history), 20)
	for i, v := range history {
		got, err := f.PositionAt(ctx, c.UID, v.Version)
		require.NoError(t, err)
		require.Equal(t, then[v.Version], got, "version %d", v.Version)
		require.Equal(t, 0, *v.Task)
		if i < 4 {
			require.Len(t, v.Changed, 1, "the newest ones are as they were made")
		}
	}
	require.LessOrEqual(t, read[int](t, f, "select count(*) from gantry.checkpoint_positions"), 6*len(history))
	_, err = f.PositionAt(ctx, c.UID, history[0].Version+1000)
	require.ErrorIs(t, err, catalog.ErrNotFound)
}

func TestAnEditCanBeUndone(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 1)
	k := f.keeper(t, "a")
	l := claim(t, k, c.UID, 0)
	before := position("a", 1, "b", 2)
	require.NoError(t, l.Commit(ctx, catalog.Checkpoint{Position: before}))
	require.NoError(t, l.Release(ctx))
	_, err := f.UndoPositions(ctx, c.UID, catalog.AnyGeneration, 1, "ada")
	require.ErrorIs(t, err, catalog.ErrNotFound, "there is no history yet")
	_, err = f.SetDesired(ctx, c.Name, catalog.StateStopped, "ada")
	require.NoError(t, err)

	_, err = f.EditPositions(ctx, c.UID, 5, true, nil, "ada")
	require.ErrorIs(t, err, catalog.ErrChanged)
	offset := `{"n":9}`
	generation, err := f.EditPositions(ctx, c.UID, catalog.AnyGeneration, true, []catalog.PositionEdit{{Partition: `{"file":"a"}`, Offset: &offset}}, "ada")
	require.NoError(t, err)
	for _, seen := range []int64{0, generation + 1} {
		_, err = f.EditPositions(ctx, c.UID, seen, true, nil, "bob")
		require.ErrorIs(t, err, catalog.ErrChanged, "generation %d was seen", seen)
	}

	history, err := f.PositionHistory(ctx, c.UID, 10)
	require.NoError(t, err)
	require.Len(t, history, 2)
	require.Equal(t, "ada", history[0].Author)
	require.Equal(t, map[string]*string{`{"file":"a"}`: &offset, `{"file":"b"}`: nil}, history[0].Changed)
	require.Equal(t, []int64{1, 0}, []int64{history[0].Generation, history[1].Generation})
	require.Empty(t, history[1].Author, "what the edit found")
	require.Nil(t, history[1].Task)

	_, err = f.UndoPositions(ctx, c.UID, 0, history[1].Version, "bob")
	require.ErrorIs(t, err, catalog.ErrChanged)
	next, err := f.UndoPositions(ctx, c.UID, generation, history[1].Version, "bob")
	require.NoError(t, err)
	require.Greater(t, next, generation)
	now, err := f.Positions(ctx, c.UID)
	require.NoError(t, err)
	require.Equal(t, before, now)
	history, err = f.PositionHistory(ctx, c.UID, 1)
	require.NoError(t, err)
	require.Equal(t, "bob", history[0].Author)

	_, err = f.SetDesired(ctx, c.Name, catalog.StateRunning, "ada")
	require.NoError(t, err)
	_, err = f.UndoPositions(ctx, c.UID, catalog.AnyGeneration, history[0].Version, "ada")
	require.ErrorIs(t, err, catalog.ErrNotSettled)
}
