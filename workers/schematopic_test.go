package workers_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/rocketmq"
	"github.com/gantry-connect/gantry/workers"
)

// TestAnotherInstallationReadsTheSchemasFromTheirTopic: a sink whose catalog has never seen the schema of what it reads.
func TestAnotherInstallationReadsTheSchemasFromTheirTopic(t *testing.T) {
	t.Parallel()
	here, there := newRig(t), newRig(t)
	schemas := here.topic("schemas")
	with := func(topic string) func(*workers.Config, *workers.Deps) {
		return func(c *workers.Config, _ *workers.Deps) { c.Activities.SchemaTopic = topic }
	}
	here.worker("one", with(schemas))
	conn := here.create("numbers", here.numbers("numbers", 1, map[string]string{"counter.count": "300", "value.converter": "json"}))
	here.await("all is sent", func() bool { return here.tasks(conn)[0].CommittedRecords == 300 })

	sink := there.drainInto("numbers", 1)
	sink["topics"] = here.topic("numbers")
	blind := there.worker("blind", nil)
	reader := there.create("drain", sink)
	there.await("it fails for want of the schema", func() bool { return there.tasks(reader)[0].State == catalog.StatusFailed })
	require.Contains(t, there.tasks(reader)[0].Trace, "rocketmq.schema-topic")
	blind.halt(t)

	there.worker("two", with(schemas))
	there.restart("drain", catalog.Restart{Connector: true, AllTasks: true})
	there.await("all is read", func() bool { return there.memory.count() == 300 })
	there.memory.exactly(t)
	for _, r := range there.memory.records[:1] {
		body, err := there.catalog.Schema(t.Context(), r.After.Schema.Fingerprint())
		require.NoError(t, err, "its own catalog has the schema now")
		theirs, err := here.catalog.Schema(t.Context(), r.After.Schema.Fingerprint())
		require.NoError(t, err)
		require.Equal(t, string(theirs), string(body))
	}

	queues, err := here.broker.Queues(t.Context(), schemas)
	require.NoError(t, err)
	stored := int64(0)
	for _, q := range queues {
		_, end, err := here.broker.ExactBounds(t.Context(), rocketmq.Queue(q))
		require.NoError(t, err)
		stored += end
	}
	require.Equal(t, int64(1), stored, "one message for one schema")
}
