package pipeline

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// byTask is a target with a position for each task.
type byTask struct{ *memSink }

func (byTask) PositionByTask() {}

// TestAPartitionThatComesBackToATask: task 0 read the queue up to 1 and gave it away; another task read it up to 3. What the
// target of task 0 still says is old, unless task 0 has gone on since and has not committed yet.
func TestAPartitionThatComesBackToATask(t *testing.T) {
	t.Parallel()
	at := func(n int64) connector.Offset { return offsetOf(n, &readers{}) }
	for name, tt := range map[string]struct {
		sink      func(*memSink) connector.Sink
		target    int64
		elsewhere bool
		want      []string
	}{
		"old":                       {func(s *memSink) connector.Sink { return byTask{s} }, 1, true, []string{"3"}},
		"gone on since":             {func(s *memSink) connector.Sink { return byTask{s} }, 4, true, nil},
		"restored, never moved":     {func(s *memSink) connector.Sink { return byTask{s} }, 1, false, []string{"1", "2", "3"}},
		"one for the whole, behind": {func(s *memSink) connector.Sink { return s }, 1, true, []string{"1", "2", "3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newSinkBench()
				for i := range 4 {
					b.put(nil, fmt.Sprint(i))
				}
				p := partitionOf(theQueue)
				b.page.position[p], b.sink.position[p] = at(3), at(tt.target)
				b.job.Sink = tt.sink(b.sink)
				if tt.elsewhere {
					b.job.Start.Elsewhere = []connector.Partition{p}
				}
				require.NoError(t, b.run(t))
				require.Equal(t, tt.want, b.got())
			})
		})
	}
}

// TestASinkThatBeginsAtTheEndStaysThere: what comes while it does not run, or what its first start could not write, is not
// skipped by the next start.
func TestASinkThatBeginsAtTheEndStaysThere(t *testing.T) {
	t.Parallel()
	t.Run("nothing came", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newSinkBench("start.offset", "latest")
			b.put(rec7(1, 0, 1), "before")
			require.NoError(t, b.run(t))
			b.put(rec7(1, 0, 2), "while it was paused")
			require.NoError(t, b.run(t))
			require.Equal(t, []string{"while it was paused"}, b.got())
		})
	})
	t.Run("the queue came later", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newSinkBench("start.offset", "latest")
			b.job.Later = []Queue{theQueue}
			b.put(nil, "before it was found")
			require.NoError(t, b.run(t))
			require.Equal(t, []string{"before it was found"}, b.got())
		})
	})
	t.Run("the target did not take it", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newSinkBench("start.offset", "latest")
			b.put(nil, "before")
			b.sink.write = func(connector.Batch) error { return errors.New("target is down") }
			time.AfterFunc(time.Second, func() { b.put(nil, "first") })
			require.Error(t, b.run(t))
			b.sink.write = nil
			require.NoError(t, b.run(t))
			require.Equal(t, []string{"first"}, b.got())
		})
	})
}
