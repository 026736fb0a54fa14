package catalog_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gantry-connect/gantry/catalog"
)

func TestUsedTopicsAreThoseSinceTheReset(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	f := newFixture(t)
	c := f.connector(t, 1)
	require.NoError(t, f.NoteTopics(ctx, c.UID, []string{"b", "a", "b"}))
	require.NoError(t, f.NoteTopics(ctx, c.UID, nil))
	require.NoError(t, f.NoteTopics(ctx, 7, []string{"of a connector that is gone"}))
	topics, err := f.Topics(ctx, c.UID)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, topics)
	require.NoError(t, f.ResetTopics(ctx, c.UID))
	topics, err = f.Topics(ctx, c.UID)
	require.NoError(t, err)
	require.Empty(t, topics)

	// A queue that is open is in use, whatever was reset.
	l := claim(t, f.keeper(t, "w"), c.UID, 0)
	require.NoError(t, l.OpenQueues(ctx, []catalog.OpenQueue{{Queue: catalog.Queue{Topic: "c", Broker: "x", ID: 0}}}))
	require.NoError(t, f.NoteTopics(ctx, c.UID, []string{"a"}))
	topics, err = f.Topics(ctx, c.UID)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "c"}, topics)
}

// A deletion that is interrupted goes on with the topics that it was not done with.
func TestATopicThatIsDoneIsLeftNoMore(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	f := newFixture(t)
	c, other := f.connector(t, 1), f.connector(t, 1)
	require.NoError(t, f.NoteTopics(ctx, c.UID, []string{"a", "b", "shared"}))
	require.NoError(t, f.NoteTopics(ctx, other.UID, []string{"shared"}))
	require.NoError(t, f.Delete(ctx, c.Name, catalog.Deletion{DropTopics: true}, "ada"))
	left, err := f.TopicsToDrop(ctx, c.UID)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, left)
	require.NoError(t, f.TopicDone(ctx, "a", catalog.Event{UID: c.UID, Connector: c.Name, Kind: "topic dropped", Detail: "a"}))
	left, err = f.TopicsToDrop(ctx, c.UID)
	require.NoError(t, err)
	require.Equal(t, []string{"b"}, left)
	events, err := f.Events(ctx, c.UID, 1)
	require.NoError(t, err)
	require.Equal(t, catalog.EventKind("topic dropped"), events[0].Kind)
}

func TestConfigsAreChangedOneAfterTheOther(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	f := newFixture(t)
	c := f.connector(t, 0)
	var g errgroup.Group
	for n := range 8 {
		g.Go(func() error {
			_, err := f.ChangeConfig(ctx, c.Name, "ada", func(now catalog.Connector) (catalog.NextConfig, error) {
				now.Config[fmt.Sprint("k", n)] = "v"
				return catalog.NextConfig{Class: now.Class, Kind: now.Kind, Config: now.Config}, nil
			})
			return err
		})
	}
	require.NoError(t, g.Wait())
	now, err := f.Connector(ctx, c.Name)
	require.NoError(t, err)
	require.Len(t, now.Config, len(c.Config)+8, "none is lost")
	require.Equal(t, c.Revision+8, now.Revision)

	refused := errors.New("refused")
	_, err = f.ChangeConfig(ctx, c.Name, "ada", func(catalog.Connector) (catalog.NextConfig, error) { return catalog.NextConfig{}, refused })
	require.ErrorIs(t, err, refused)
	_, err = f.ChangeConfig(ctx, c.Name, "ada", func(now catalog.Connector) (catalog.NextConfig, error) {
		return catalog.NextConfig{Class: now.Class, Kind: "sink", Config: now.Config}, nil
	})
	require.ErrorIs(t, err, catalog.ErrKindFixed)
	_, err = f.ChangeConfig(ctx, "nobody", "ada", nil)
	require.ErrorIs(t, err, catalog.ErrNotFound)
}

func TestAStoppedConnectorIsEmptiedUntilItRuns(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	f := newFixture(t)
	c := f.connector(t, 1)
	for _, step := range []struct {
		state   catalog.State
		emptied bool
	}{
		{catalog.StatePaused, false}, {catalog.StateRunning, false}, {catalog.StateStopped, true},
		{catalog.StatePaused, true}, {catalog.StateStopped, true}, {catalog.StatePaused, true}, {catalog.StateRunning, false},
	} {
		now, err := f.SetDesired(ctx, c.Name, step.state, "ada")
		require.NoError(t, err)
		require.Equal(t, step.emptied, now.Emptied, step.state)
	}
}
