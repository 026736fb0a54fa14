package activities

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/workflows"
)

// What a workflow is told costs its history: words are few, and the last one counts.
func TestWordsToAWorkflowAreFewAndTheLastCounts(t *testing.T) {
	t.Parallel()
	w, now := newWords(), time.Now()
	say := func(id string, records int64) {
		w.put(word{workflow: id, progress: workflows.TaskProgress{Records: records}})
	}
	say("a", 1)
	say("a", 2)
	say("b", 3)
	require.ElementsMatch(t, []word{{workflow: "a", progress: workflows.TaskProgress{Records: 2}},
		{workflow: "b", progress: workflows.TaskProgress{Records: 3}}}, w.take(now))
	say("a", 4)
	require.Empty(t, w.take(now.Add(tellPause-1)))
	say("a", 5)
	require.Equal(t, []word{{workflow: "a", progress: workflows.TaskProgress{Records: 5}}}, w.take(now.Add(tellPause)))
	require.Empty(t, w.take(now.Add(time.Hour)))
	require.Empty(t, w.said, "nothing is remembered for ever")
}

func TestRetriesAreToldLessAndLessOften(t *testing.T) {
	t.Parallel()
	a := &Activities{words: newWords()}
	run := &turn{a: a}
	told := 0
	for n := 1; n <= 1000; n++ {
		run.tellRetry(catalog.TaskStatus{}, n)
		told += len(a.words.pending)
		clear(a.words.pending)
	}
	require.Equal(t, 10, told)
}

func TestLatenciesAreCountedInBuckets(t *testing.T) {
	t.Parallel()
	var l latency
	for _, took := range []time.Duration{0, time.Millisecond, 1500 * time.Microsecond, time.Second, time.Minute} {
		l.observe(took)
	}
	read := l.read()
	require.EqualValues(t, 5, read.Count)
	require.InDelta(t, 61.0025, read.Seconds, 1e-6)
	require.EqualValues(t, 2, read.Buckets[.001])
	require.EqualValues(t, 3, read.Buckets[.0025])
	require.EqualValues(t, 4, read.Buckets[5])
}

func TestAGroupWithoutWorkersIsSeen(t *testing.T) {
	t.Parallel()
	all := []catalog.Worker{{ID: "a", Group: "big"}, {ID: "b", Group: "small", Draining: true}}
	require.Empty(t, lonelyAmong(all, "big"))
	for group, want := range map[string]string{"small": `no worker of group "small"`, "none": `no worker of group "none"`, "": "no worker without a group"} {
		require.True(t, strings.HasPrefix(lonelyAmong(all, group), want), group)
	}
}

// A connector whose planning is being tried is left alone, unless that has gone silent.
func TestPlanningUnderWayIsNotDisturbed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := catalog.Connector{Desired: catalog.StateRunning, Revision: 2, PlannedRevision: 1}
		status := catalog.ConnectorStatus{State: catalog.StatusUnassigned, Trace: "the broker is down", UpdatedAt: time.Now()}
		require.True(t, beingPlanned(conn, status))
		failed := status
		failed.State = catalog.StatusFailed
		require.False(t, beingPlanned(conn, failed), "somebody may have mended it")
		time.Sleep(planningSilence)
		require.False(t, beingPlanned(conn, status))
	})
}
