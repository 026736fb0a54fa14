package workers_test

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/connectors/counter"
	"github.com/gantry-connect/gantry/control"
	"github.com/gantry-connect/gantry/rocketmq"
	"github.com/gantry-connect/gantry/workers"
)

// TestASourceTakesUpNewQueuesWhenToldTo, and only once it has ended cleanly and the sinks have read what is there.
func TestASourceTakesUpNewQueuesWhenToldTo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	service := r.service()
	r.worker("one", nil)
	conn := r.create("numbers", r.numbers("numbers", 1, map[string]string{"topic.queues": "1", "counter.keys": "50"}))
	r.await("it runs", r.allRun(conn, 1))
	ctx, topic := t.Context(), r.topic("numbers")
	require.NoError(t, r.broker.CreateTopic(ctx, rocketmq.Topic{Name: topic, Queues: 3}))
	var conflict *control.ConflictError
	_, err := service.Requeue(ctx, conn.Name, control.Requeue{}, "ada")
	require.ErrorAs(t, err, &conflict, "it runs")
	require.ErrorContains(t, err, "has to be stopped")

	r.desire("numbers", catalog.StateStopped)
	r.await("stopped", func() bool { return r.connectorState(conn) == catalog.StatusStopped })
	sink := r.create("drain", r.drainInto("numbers", 1))
	r.desire("drain", catalog.StateStopped)
	r.await("the sink rests", func() bool { return r.connectorState(sink) == catalog.StatusStopped })
	r.memory.mu.Lock()
	clear(r.memory.position) // as if it had not begun
	r.memory.records = nil
	r.memory.mu.Unlock()
	_, err = r.catalog.EditPositions(ctx, sink.UID, catalog.AnyGeneration, true, nil, "ada")
	require.NoError(t, err)
	_, err = service.Requeue(ctx, conn.Name, control.Requeue{Topic: topic}, "ada")
	require.ErrorAs(t, err, &conflict, "the sink is behind")
	require.ErrorContains(t, err, "Let it read to the end first")
	r.desire("drain", catalog.StateRunning)
	var maps []control.TopicQueues
	r.await("the sink has read all", func() bool {
		maps, err = service.Requeue(ctx, conn.Name, control.Requeue{}, "ada")
		return err == nil
	})
	require.Len(t, maps, 1)
	require.Equal(t, 2, maps[0].Version)
	require.Len(t, maps[0].Queues, 3)
	again, err := service.Requeue(ctx, conn.Name, control.Requeue{}, "ada")
	require.NoError(t, err)
	require.Equal(t, maps, again, "nothing has changed since")
	_, err = service.Requeue(ctx, conn.Name, control.Requeue{Topic: "other"}, "ada")
	require.ErrorAs(t, err, new(*control.NotFoundError))
	_, err = service.Requeue(ctx, sink.Name, control.Requeue{}, "ada")
	require.ErrorAs(t, err, new(*control.RequestError))

	count := r.memory.count()
	r.desire("numbers", catalog.StateRunning)
	r.await("records come through the new queues", func() bool {
		ends := 0
		for n := range 3 {
			_, end, err := r.broker.Bounds(ctx, rocketmq.Queue{Topic: topic, Broker: maps[0].Queues[n].Broker, ID: n})
			if err == nil && end > 0 {
				ends++
			}
		}
		return ends == 3 && r.memory.count() > count+100
	})
	r.desire("numbers", catalog.StateStopped)
	r.await("stopped again", func() bool { return r.connectorState(conn) == catalog.StatusStopped })
	sent := r.tasks(conn)[0].CommittedRecords
	r.await("all is read", func() bool { return int64(r.memory.count()) >= sent })
	r.memory.complete(t, sent)
}

// complete checks that every number is there once, whatever the order of different keys.
func (m *memory) complete(t *testing.T, count int64) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	last, seen := map[int64]int64{}, map[int64]bool{}
	for _, r := range m.records {
		number := r.After.Value.List()[1].Int()
		key := r.Key.Value.Int()
		require.False(t, seen[number], "number %d twice", number)
		before, ok := last[key]
		require.True(t, !ok || before < number, "key %d: %d after %d", key, number, before)
		seen[number], last[key] = true, number
	}
	require.Len(t, seen, int(count))
}

// service is what operators use.
func (r *rig) service() *control.Service {
	s := control.New(control.Options{Connectors: r.catalog, Progress: r.catalog, Queues: workers.Broker{Client: r.broker},
		Notifier: workers.Starter{Client: r.client, ControlQueue: r.suffix, TaskQueue: r.suffix + "-task"},
		Plugins:  connector.Plugins{counter.Plugin, r.memory.plugin()}, Environment: "e", Version: "0", Logger: slog.New(slog.DiscardHandler)})
	r.t.Cleanup(s.Close)
	return s
}
