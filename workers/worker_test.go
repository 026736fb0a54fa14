package workers_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/catalog"
)

func TestCopyFromSourceThroughTopicToSink(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.worker("one", nil)
	source := r.create("numbers", r.numbers("numbers", 2, map[string]string{"counter.count": "300"}))
	sink := r.create("drain", r.drainInto("numbers", 2))
	r.await("all records at the sink", func() bool { return r.memory.count() == 600 })
	r.memory.exactly(t)
	require.Equal(t, 4, w.Health().Running)
	for _, conn := range []catalog.Connector{source, sink} {
		r.await("status", func() bool {
			s := r.tasks(conn)
			return len(s) == 2 && s[0].State == catalog.StatusRunning && s[1].State == catalog.StatusRunning
		})
		require.Equal(t, catalog.StatusRunning, r.connectorState(conn))
	}
	took := w.halt(t)
	t.Logf("stopped in %v", took)
	require.Less(t, took, 3*time.Second)
	members, err := r.catalog.Workers(t.Context())
	require.NoError(t, err)
	require.Empty(t, members)
}
