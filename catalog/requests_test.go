package catalog_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/catalog/catalogtest"
)

// Positions that were kept go to the next connector of the name and kind, once, and to no other.
func TestKeptPositionsWaitForTheNextOfTheName(t *testing.T) {
	t.Parallel()
	c := catalogtest.New(t)
	ctx := t.Context()
	create := func(kind string) map[string]string {
		conn, err := c.CreateConnector(ctx, catalog.NewConnector{Name: "x", Class: "A", Kind: kind, Desired: catalog.StateStopped, Author: "t"})
		require.NoError(t, err)
		positions, err := c.Positions(ctx, conn.UID)
		require.NoError(t, err)
		return positions
	}
	remove := func(keep bool) {
		conn, err := c.Connector(ctx, "x")
		require.NoError(t, err)
		require.ErrorIs(t, c.Delete(ctx, "x", catalog.Deletion{Expected: conn.Revision + 1}, "t"), catalog.ErrChanged)
		require.NoError(t, c.Delete(ctx, "x", catalog.Deletion{KeepPositions: keep, Expected: conn.Revision}, "t"))
		require.ErrorIs(t, c.Delete(ctx, "x", catalog.Deletion{}, "t"), catalog.ErrDeleting)
		require.NoError(t, c.Forget(ctx, conn.UID))
	}
	require.Empty(t, create("source"))
	conn, err := c.Connector(ctx, "x")
	require.NoError(t, err)
	offset := `{"at":5}`
	_, err = c.EditPositions(ctx, conn.UID, catalog.AnyGeneration, false, []catalog.PositionEdit{{Partition: `{"p":1}`, Offset: &offset}}, "t")
	require.NoError(t, err)
	remove(true)
	require.Empty(t, create("sink"), "another kind's positions mean nothing to it")
	remove(false)
	require.Equal(t, map[string]string{`{"p":1}`: offset}, create("source"))
	remove(false)
	require.Empty(t, create("source"), "they were handed on once")
}

func TestAQuestionIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	c := catalogtest.New(t)
	ctx := t.Context()
	id, err := c.Ask(ctx, json.RawMessage(`{"q":1}`))
	require.NoError(t, err)
	q, err := c.Question(ctx, id)
	require.NoError(t, err)
	require.JSONEq(t, `{"q":1}`, string(q))
	_, err = c.TakeReply(ctx, id)
	require.ErrorIs(t, err, catalog.ErrNotFound, "not answered yet")
	require.NoError(t, c.Reply(ctx, id, json.RawMessage(`{"a":2}`)))
	a, err := c.TakeReply(ctx, id)
	require.NoError(t, err)
	require.JSONEq(t, `{"a":2}`, string(a))
	_, err = c.Question(ctx, id)
	require.ErrorIs(t, err, catalog.ErrNotFound, "nothing is left")
	require.NoError(t, c.Reply(ctx, id, json.RawMessage(`{}`)), "whoever answers late finds nobody")
}

// Of many requests with one key exactly one is carried out; the others see that it is under way, and later its answer.
func TestARequestWithAKeyIsTakenOnce(t *testing.T) {
	t.Parallel()
	c := catalogtest.New(t)
	ctx := t.Context()
	type result struct {
		a        catalog.Answer
		answered bool
		err      error
	}
	const n = 8
	results := make(chan result, n)
	for range n {
		go func() {
			a, answered, err := c.TakeAnswer(ctx, "ana", "k", "print")
			results <- result{a, answered, err}
		}()
	}
	taken := 0
	for range n {
		r := <-results
		require.NoError(t, r.err)
		require.Zero(t, r.a.Status)
		if !r.answered {
			taken++
		}
	}
	require.Equal(t, 1, taken)
	_, answered, err := c.TakeAnswer(ctx, "ben", "k", "print")
	require.NoError(t, err)
	require.False(t, answered, "keys belong to who made them up")
	want := catalog.Answer{Fingerprint: "print", Status: 201, Header: map[string]string{"ETag": `"1"`}, Body: []byte("{}")}
	require.NoError(t, c.KeepAnswer(ctx, "ana", "k", want))
	require.NoError(t, c.DropAnswer(ctx, "ana", "k"), "what is answered stays")
	a, answered, err := c.TakeAnswer(ctx, "ana", "k", "another")
	require.NoError(t, err)
	require.True(t, answered)
	require.Equal(t, want, a)
	require.NoError(t, c.DropAnswer(ctx, "ben", "k"))
	_, answered, err = c.TakeAnswer(ctx, "ben", "k", "print")
	require.NoError(t, err)
	require.False(t, answered, "it may be made again")
}
