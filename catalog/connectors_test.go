package catalog_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gantry-connect/gantry/catalog"
)

func TestOfConcurrentCreatesExactlyOneWins(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	results := make([]error, 16)
	var g errgroup.Group
	for i := range results {
		g.Go(func() error {
			_, results[i] = f.CreateConnector(ctx, catalog.NewConnector{
				Name: "orders", Class: "FileSource", Kind: "source", Author: fmt.Sprint(i),
			})
			return nil
		})
	}
	require.NoError(t, g.Wait())
	won := 0
	for _, err := range results {
		if err == nil {
			won++
		} else {
			require.ErrorIs(t, err, catalog.ErrExists)
		}
	}
	require.Equal(t, 1, won)
	all, err := f.Connectors(ctx)
	require.NoError(t, err)
	require.Len(t, all, 1)
	events, err := f.Events(ctx, all[0].UID, 10)
	require.NoError(t, err)
	require.Len(t, events, 1, "only the winner tells of it")
}

func TestAConnectorComesBackAsItWasMade(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	made, err := f.CreateConnector(ctx, catalog.NewConnector{
		Name: "orders", Class: "FileSource", Kind: "source", Config: map[string]string{"topic": "t", "": "\"ü"},
		Desired: catalog.StateStopped, Author: "ada",
	})
	require.NoError(t, err)
	got, err := f.Connector(ctx, "orders")
	require.NoError(t, err)
	require.Equal(t, made, got)
	require.Equal(t, catalog.Connector{
		UID: got.UID, Name: "orders", Class: "FileSource", Kind: "source", Desired: catalog.StateStopped, Revision: 1,
		Config: map[string]string{"topic": "t", "": "\"ü"}, Labels: map[string]string{}, Author: "ada",
		Created: got.Created, Updated: got.Updated,
	}, got)
	require.False(t, got.Created.IsZero() || got.Updated.IsZero())
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	calls := map[string]func() error{
		"Connector":       func() error { _, err := f.Connector(ctx, "x"); return err },
		"ConnectorByUID":  func() error { _, err := f.ConnectorByUID(ctx, 9); return err },
		"PutConfig":       func() error { _, err := f.PutConfig(ctx, "x", "c", "source", nil, "ada"); return err },
		"SetDesired":      func() error { _, err := f.SetDesired(ctx, "x", catalog.StatePaused, "ada"); return err },
		"RequestRestart":  func() error { _, err := f.RequestRestart(ctx, "x", catalog.Restart{}, "ada"); return err },
		"DeleteConnector": func() error { return f.DeleteConnector(ctx, "x", "ada") },
		"SavePlan":        func() error { _, err := f.SavePlan(ctx, 9, 1, nil); return err },
		"PlannedTask":     func() error { _, err := f.PlannedTask(ctx, 9, 0); return err },
		"RevisionConfig":  func() error { _, err := f.RevisionConfig(ctx, 9, 1); return err },
		"Schema":          func() error { _, err := f.Schema(ctx, "x"); return err },
		"QueueMap":        func() error { _, err := f.QueueMap(ctx, 9, "t"); return err },
		"ConnectorStatus": func() error { _, err := f.ConnectorStatus(ctx, 9); return err },
		"NoteFailure":     func() error { _, err := f.NoteFailure(ctx, 9, 0, catalog.ErrFenced); return err },
		"EditPositions":   func() error { _, err := f.EditPositions(ctx, 9, catalog.AnyGeneration, true, nil, "ada"); return err },
		"Claim":           func() error { _, err := f.keeper(t, "w").Claim(ctx, request(9, 0)); return err },
	}
	for name, call := range calls {
		require.ErrorIs(t, call(), catalog.ErrNotFound, name)
	}
}

func TestAnUnchangedConfigMakesNoRevision(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 1)
	same, err := f.PutConfig(ctx, c.Name, c.Class, c.Kind, map[string]string{"topic": "t"}, "bob")
	require.NoError(t, err)
	require.Equal(t, c, same)

	changed, err := f.PutConfig(ctx, c.Name, c.Class, c.Kind, map[string]string{"topic": "u", "tasks.max": "2"}, "bob")
	require.NoError(t, err)
	require.EqualValues(t, 2, changed.Revision)
	require.Equal(t, "bob", changed.Author)

	newest, err := f.Revisions(ctx, c.UID, 0, 1)
	require.NoError(t, err)
	require.Len(t, newest, 1)
	oldest, err := f.Revisions(ctx, c.UID, newest[0].Number, 10)
	require.NoError(t, err)
	require.Len(t, oldest, 1)
	revisions := []catalog.Revision{oldest[0], newest[0]}
	before, after, two := "t", "u", "2"
	require.Equal(t, []catalog.Change{{Key: "tasks.max", New: &two}, {Key: "topic", Old: &before, New: &after}},
		revisions[1].Diff(revisions[0]))
	require.Equal(t, []catalog.Change{{Key: "tasks.max", Old: &two}, {Key: "topic", Old: &after, New: &before}},
		revisions[0].Diff(revisions[1]))

	_, err = f.PutConfig(ctx, c.Name, c.Class, "sink", nil, "bob")
	require.ErrorIs(t, err, catalog.ErrKindFixed)
}

func TestConcurrentConfigsAllGetARevision(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 1)
	var g errgroup.Group
	for i := range 10 {
		g.Go(func() error {
			_, err := f.PutConfig(ctx, c.Name, c.Class, c.Kind, map[string]string{"n": fmt.Sprint(i)}, "ada")
			return err
		})
	}
	require.NoError(t, g.Wait())
	revisions, err := f.Revisions(ctx, c.UID, 0, 100)
	require.NoError(t, err)
	require.Len(t, revisions, 11)
	for i, r := range revisions {
		require.EqualValues(t, 11-i, r.Number)
	}
}

func TestADeletedConnectorChangesNoMoreAndItsUIDNeverComesAgain(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 1)
	require.ErrorContains(t, f.Forget(ctx, c.UID), "delete it first")
	require.NoError(t, f.DeleteConnector(ctx, c.Name, "ada"))
	require.NoError(t, f.DeleteConnector(ctx, c.Name, "ada"), "again does nothing")
	_, err := f.SetDesired(ctx, c.Name, catalog.StateRunning, "ada")
	require.ErrorIs(t, err, catalog.ErrDeleting)
	_, err = f.PutConfig(ctx, c.Name, c.Class, c.Kind, nil, "ada")
	require.ErrorIs(t, err, catalog.ErrDeleting)
	again := catalog.NewConnector{Name: c.Name, Class: c.Class, Kind: c.Kind, Author: "ada"}
	_, err = f.CreateConnector(ctx, again)
	require.ErrorIs(t, err, catalog.ErrExists)

	require.NoError(t, f.Forget(ctx, c.UID))
	require.NoError(t, f.Forget(ctx, c.UID), "again does nothing")
	c2, err := f.CreateConnector(ctx, again)
	require.NoError(t, err)
	require.Greater(t, c2.UID, c.UID)
	events, err := f.Events(ctx, c.UID, 10)
	require.NoError(t, err)
	var kinds []catalog.EventKind
	for _, e := range events {
		kinds = append(kinds, e.Kind)
	}
	require.Equal(t, []catalog.EventKind{catalog.EventForgotten, catalog.EventDesired, catalog.EventPlanned, catalog.EventCreated}, kinds)
}

func TestRestartsAreReadOnceEachInOrder(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 1)
	task := 0
	for i, r := range []catalog.Restart{{Connector: true, OnlyFailed: true}, {Task: &task}, {AllTasks: true}} {
		got, err := f.RequestRestart(ctx, c.Name, r, "ada")
		require.NoError(t, err)
		require.EqualValues(t, i+1, got.RestartSeq)
	}
	restarts, err := f.Restarts(ctx, c.UID, 1)
	require.NoError(t, err)
	require.Len(t, restarts, 2)
	require.Equal(t, catalog.Restart{Task: &task, Seq: 2, Author: "ada", At: restarts[0].At}, restarts[0])
	require.Equal(t, catalog.Restart{AllTasks: true, Seq: 3, Author: "ada", At: restarts[1].At}, restarts[1])
	require.NoError(t, f.RestartsDone(ctx, c.UID, 2))
	left, err := f.RestartsLeft(ctx)
	require.NoError(t, err)
	require.Equal(t, []int64{c.UID}, left)
	restarts, err = f.Restarts(ctx, c.UID, 0)
	require.NoError(t, err)
	require.Len(t, restarts, 1, "what is done is forgotten")
	require.NoError(t, f.RestartsDone(ctx, c.UID, 3))
	left, err = f.RestartsLeft(ctx)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestAPlanIsReplacedAsAWhole(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 3)
	require.EqualValues(t, 1, c.Generation)
	plan := []catalog.PlannedTask{{
		Number: 1, Hash: "new", Config: map[string]string{"k": "v"}, Queues: []catalog.Queue{{Topic: "t", Broker: "b", ID: 3}},
	}}
	for range 2 { // saying the same again changes nothing
		generation, err := f.SavePlan(ctx, c.UID, 1, plan)
		require.NoError(t, err)
		require.EqualValues(t, 2, generation)
	}
	got, err := f.Plan(ctx, c.UID)
	require.NoError(t, err)
	require.Equal(t, plan, got)

	_, err = f.PutConfig(ctx, c.Name, c.Class, c.Kind, map[string]string{"topic": "u"}, "ada")
	require.NoError(t, err)
	_, err = f.SavePlan(ctx, c.UID, 1, nil)
	require.ErrorIs(t, err, catalog.ErrOutdated)
	generation, err := f.SavePlan(ctx, c.UID, 2, plan)
	require.NoError(t, err)
	require.EqualValues(t, 2, generation, "a new config may lead to the same plan")
	c, err = f.Connector(ctx, c.Name)
	require.NoError(t, err)
	require.EqualValues(t, 2, c.PlannedRevision)
}
