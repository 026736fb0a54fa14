package pipeline

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// TestAHungConnectorIsSeen although the rest of the job goes on.
func TestAHungConnectorIsSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := NewProgress()
		require.Equal(t, int64(-1), p.Snapshot().LagRecords)
		require.True(t, p.Beat().IsZero())
		leave := p.enter(callWrite)
		time.Sleep(time.Minute)
		p.tick()
		require.Equal(t, start.UnixNano(), p.Beat().UnixNano())
		require.Equal(t, callWrite, p.Snapshot().ConnectorCall)
		leave()
		require.Equal(t, time.Now().UnixNano(), p.Beat().UnixNano())

		leave = p.enter(callRead)
		read := time.Now()
		time.Sleep(time.Minute)
		p.tick()
		require.Equal(t, read.UnixNano(), p.Beat().UnixNano(), "a read that is silent hangs")
		p.Alive()
		alive := time.Now()
		time.Sleep(time.Second)
		p.tick()
		require.Equal(t, alive.UnixNano(), p.Beat().UnixNano(), "one that says that it is alive waits")
		leave()
		require.Empty(t, p.Snapshot().ConnectorCall)
	})
}

func TestRetriesGoOnUntilItWorksAndShow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := NewProgress()
		r := &retrier{p, discard}
		down, start := errors.New("down"), time.Now()
		done := make(chan error, 1)
		var up atomic.Bool
		go func() {
			done <- r.do(t.Context(), "reach it", func() error {
				if up.Load() {
					return nil
				}
				return down
			})
		}()
		time.Sleep(time.Hour)
		s := p.Snapshot()
		require.Equal(t, down, s.LastError)
		require.Equal(t, "reach it", s.RetryingWhat)
		require.True(t, s.RetryingSince.Equal(start))
		require.InDelta(t, 3600/5, s.Retries, 60, "back-off ends at five seconds")
		up.Store(true)
		require.NoError(t, <-done)
		require.NoError(t, p.Snapshot().LastError)
	})
}

func TestFinalErrorsAreNotTriedAgain(t *testing.T) {
	t.Parallel()
	for _, final := range []error{connector.Permanent(errors.New("x")), ErrFenced, ErrBrokerLostData, ErrOffsetOutOfRange} {
		r := &retrier{NewProgress(), discard}
		calls := 0
		err := r.do(context.Background(), "reach it", func() error { calls++; return final })
		require.ErrorIs(t, err, final)
		require.Equal(t, 1, calls)
	}
}

func TestWatermarkCoversContiguousWorkOnly(t *testing.T) {
	t.Parallel()
	w := newWatermark(100, 1000)
	size := volume{8, 80}
	begin := func(n int) uint64 {
		require.NoError(t, w.reserve(t.Context(), size))
		return w.begin(sourceBatch{pending: n, next: connector.Position{only: offset(int(w.nextSeq()))}, size: size})
	}
	first, second, third := begin(2), begin(3), begin(1)
	w.done(second, 3)
	w.done(third, 1)
	require.Nil(t, w.take().position)
	w.done(first, 1)
	require.Nil(t, w.take().position)
	w.done(first, 1)
	c := w.take()
	require.Equal(t, connector.Position{only: offset(3)}, c.position)
	require.Equal(t, third, c.seq)
	require.Equal(t, volume{24, 240}, c.size)
	require.Nil(t, w.take().position, "what was taken is not taken twice")
	require.True(t, w.empty())

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	large := volume{76, 760}
	require.NoError(t, w.reserve(t.Context(), large))
	fourth := w.begin(sourceBatch{pending: 1, next: connector.Position{only: offset(4)}, size: large})
	w.committed(c.size)
	require.ErrorIs(t, w.reserve(ctx, size), context.Canceled, "a quarter of the window may lack its acknowledgement")
	w.done(fourth, 1)
	require.NoError(t, w.reserve(ctx, volume{24, 240}))
	require.ErrorIs(t, w.reserve(ctx, volume{1, 1}), context.Canceled, "only a commit makes room")
	w.committed(large)
	require.NoError(t, w.reserve(ctx, volume{1, 1}))
}

func TestFrameworkConfig(t *testing.T) {
	t.Parallel()
	s, err := ParseSourceConfig(map[string]string{"name": "n", "connector.class": "C", "topic": "t"})
	require.NoError(t, err)
	require.Equal(t, SourceConfig{CommonConfig: CommonConfig{Name: "n", Class: "C", TasksMax: 1, KeyConverter: "json", ValueConverter: "json",
		CheckpointInterval: time.Second, Tolerance: tolerateNone, RetryTimeout: -time.Millisecond, RetryDelayMax: time.Minute, LogErrors: true},
		Topic: "t", TopicQueues: 8, TopicCreate: true, Unkeyed: "partition", Fences: true, ExactlyOnce: "preferred",
		BatchMaxRecords: 1000, BatchMaxBytes: 1 << 20}, s)
	k, err := ParseSinkConfig(map[string]string{"name": "n", "connector.class": "C", "topics": "a, b;c"})
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "c"}, k.TopicNames())
	for name, bad := range map[string]map[string]string{
		"topic":                             {"name": "n", "connector.class": "C"},
		"exactly.once":                      {"name": "n", "connector.class": "C", "topic": "t", "exactly.once": "maybe"},
		"errors.deadletterqueue.topic.name": {"name": "n", "connector.class": "C", "topic": "t", "errors.deadletterqueue.topic.name": "d"},
	} {
		_, err := ParseSourceConfig(bad)
		var errs connector.ConfigErrors
		require.ErrorAs(t, err, &errs, name)
		require.Equal(t, name, errs[0].Field)
	}
	_, err = ParseSinkConfig(map[string]string{"name": "n", "connector.class": "C", "topics": ";"})
	require.Error(t, err)
	_, err = ParseSinkConfig(map[string]string{"name": "n", "connector.class": "C", "topics": "a,dead", "errors.tolerance": "all", "errors.deadletterqueue.topic.name": "dead"})
	require.ErrorContains(t, err, "would read its own dead letters")
	require.NotEmpty(t, Definitions(connector.KindSource))
	require.NotEmpty(t, Definitions(connector.KindSink))
}
