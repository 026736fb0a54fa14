package pipeline

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/internal/devstack"
	"github.com/gantry-connect/gantry/internal/devstack/devstacktest"
	"github.com/gantry-connect/gantry/rocketmq"
)

// TestARealBrokerThatComesBackOlder kills a broker, keeps its disk, lets it go on, kills it again, and gives it the old disk:
// whatever it acknowledged in between is lost, and most of it is covered by committed positions.
func TestARealBrokerThatComesBackOlder(t *testing.T) {
	t.Parallel()
	stack := devstacktest.Private(t, devstack.NameServer, devstack.Broker)
	broker := openRealBroker(t, stack.NameServer)
	topic := devstacktest.Topic(t, "pipeline")
	require.NoError(t, broker.CreateTopic(t.Context(), rocketmq.Topic{Name: topic, Queues: 2}))
	const count, partitions = 2000, 1
	m := newModel(t, 1, count, partitions, "topic", topic, "counter.keys", "10", "counter.interval.ms", "1", "exactly.once", "required",
		"checkpoint.interval.ms", "50")
	m.tweak = func(j *SourceJob) { j.Broker, j.Queues, j.WindowRecords = broker, realQueues{broker}, 2000 }
	m.catalog.ops = func(what string) (error, error) {
		if what == "commit" {
			m.watchSoon()
		}
		return nil, nil
	}
	type result struct {
		back int
		err  error
	}
	ended := make(chan result, 1)
	go func() {
		var r result
		for {
			r.err = m.runOwner(t.Context())
			if errors.As(r.err, new(*WentBackError)) {
				r.back++
			}
			if r.err == nil || connector.IsPermanent(r.err) || t.Context().Err() != nil {
				ended <- r
				return
			}
		}
	}()
	store := filepath.Join(stack.Dir, "rocketmq", "broker", "store")
	kept := filepath.Join(t.TempDir(), "store")

	m.awaitNext(t, 300)
	require.NoError(t, stack.Kill(devstack.Broker))
	require.NoError(t, os.CopyFS(kept, os.DirFS(store)))
	require.NoError(t, stack.Restart(t.Context(), devstack.Broker))
	m.awaitNext(t, 1000)
	require.NoError(t, stack.Kill(devstack.Broker))
	require.NoError(t, os.RemoveAll(store))
	require.NoError(t, os.Rename(kept, store))
	require.NoError(t, stack.Restart(t.Context(), devstack.Broker))

	select {
	case r := <-ended:
		require.NoError(t, r.err)
		require.Positive(t, r.back, "there was no reason to go back: the test shows nothing")
	case <-time.After(2 * time.Minute):
		t.Fatal("the source does not come to its end")
	}
	v := checkCounter(t, "topic", broker.raw(t, topic), count, partitions, "10")
	require.Zero(t, v.rawDoubles, "nothing that has survived was sent again")
}

// awaitNext waits until the committed position of every partition is so far.
func (m *model) awaitNext(t *testing.T, next int64) {
	t.Helper()
	require.Eventually(t, func() bool {
		pos, _ := m.catalog.state()
		for p := range m.partitions {
			partition, err := connector.MakePartition(map[string]any{"counter": p})
			require.NoError(t, err)
			if nextOf(t, pos[partition]) < next {
				return false
			}
		}
		return true
	}, 2*time.Minute, 10*time.Millisecond)
}

func nextOf(t *testing.T, o connector.Offset) int64 {
	t.Helper()
	if o == "" {
		return 0
	}
	var doc struct{ Next int64 }
	require.NoError(t, json.Unmarshal([]byte(o), &doc))
	return doc.Next
}
