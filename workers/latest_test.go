package workers_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/catalog"
)

// TestLatestLeavesOutNothingThatCameLater: a sink that begins at the end of what is there reads topics that come after it whole.
func TestLatestLeavesOutNothingThatCameLater(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.worker("one", nil)
	old := r.create("old", r.numbers("old", 1, map[string]string{"counter.count": "100"}))
	r.await("the old records", func() bool { return r.tasks(old)[0].CommittedRecords == 100 })
	config := r.drainInto("old", 1)
	config["start.offset"] = "latest"
	config["topics"] += "," + r.topic("new")
	drain := r.create("drain", config)
	r.await("it runs", func() bool { return r.tasks(drain)[0].State == catalog.StatusRunning })
	r.desire("drain", catalog.StateStopped)
	r.await("stopped", func() bool { return r.connectorState(drain) == catalog.StatusStopped })

	fresh := r.create("new", r.numbers("new", 1, map[string]string{"counter.count": "100"}))
	r.await("the new records", func() bool { return r.tasks(fresh)[0].CommittedRecords == 100 })
	r.desire("drain", catalog.StateRunning)
	r.await("all of the new topic", func() bool { return r.memory.count() >= 100 })
	r.memory.exactly(t)
	for _, rec := range r.memory.records {
		require.Equal(t, r.topic("new"), rec.Topic)
	}
}
