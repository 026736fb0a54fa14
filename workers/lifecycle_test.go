package workers_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdk "go.temporal.io/api/sdk/v1"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/workers"
	"github.com/gantry-connect/gantry/workflows"
)

func TestReconfiguringRestartsOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.worker("one", nil)
	conn := r.create("numbers", r.numbers("numbers", 2, map[string]string{"counter.partitions": "3"})) // tasks 0,2 and 1
	r.await("both tasks", r.allRun(conn, 2))
	before, ok := w.task(conn.Name, 1)
	require.True(t, ok)
	epoch := r.tasks(conn)[0].Epoch

	r.configure("numbers", map[string]string{"tasks.max": "3"}) // tasks 0, 1 and 2
	r.await("three tasks", r.allRun(conn, 3))
	after, ok := w.task(conn.Name, 1)
	require.True(t, ok)
	require.Equal(t, before.Since, after.Since, "task 1 is the same as before: it goes on")
	require.Greater(t, r.tasks(conn)[0].Epoch, epoch, "task 0 has lost a partition: it starts again")

	r.create("drain", r.drainInto("numbers", 2))
	r.await("some records of all", func() bool { return r.memory.count() > 600 })
	r.desire("numbers", catalog.StateStopped)
	r.await("stopped", func() bool { return r.connectorState(conn) == catalog.StatusStopped })
	r.memory.exactly(t)
}

func TestPauseResumeStopByCatalogAndBySignal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   func(r *rig, verb string, state catalog.State)
	}{
		{"catalog", func(r *rig, _ string, state catalog.State) { r.desire("numbers", state) }},
		{"signal", func(r *rig, verb string, _ catalog.State) { r.signal("numbers", verb, nil) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			w := r.worker("one", nil)
			conn := r.create("numbers", r.numbers("numbers", 2, nil))
			r.create("drain", r.drainInto("numbers", 1))
			r.await("both tasks", r.allRun(conn, 2))
			for _, step := range []struct {
				verb  string
				state catalog.State
				tasks int // of both connectors
			}{
				{workflows.SignalPause, catalog.StatePaused, 1}, {workflows.SignalResume, catalog.StateRunning, 3},
				{workflows.SignalStop, catalog.StateStopped, 1}, {workflows.SignalResume, catalog.StateRunning, 3},
			} {
				tt.do(r, step.verb, step.state)
				r.await(step.verb, func() bool {
					return r.connectorState(conn) == string(step.state) && w.Health().Running == step.tasks
				})
				wanted, err := r.catalog.Connector(t.Context(), conn.Name)
				require.NoError(t, err)
				require.Equal(t, step.state, wanted.Desired)
			}
			count := r.memory.count()
			r.await("records flow again", func() bool { return r.memory.count() > count+100 })
			r.memory.exactly(t)
		})
	}
}

func TestRestartVariants(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.worker("one", nil)
	conn := r.create("numbers", r.numbers("numbers", 2, nil))
	r.await("both tasks", r.allRun(conn, 2))
	epochs := func() [2]int64 { s := r.tasks(conn); return [2]int64{s[0].Epoch, s[1].Epoch} }

	before, one := epochs(), 1
	r.restart("numbers", catalog.Restart{Task: &one})
	r.await("task 1 restarted", func() bool { e := epochs(); return e[1] > before[1] && r.allRun(conn, 2)() })
	require.Equal(t, before[0], epochs()[0], "task 0 is left alone")

	before = epochs()
	r.signal("numbers", workflows.SignalRestart, nil)
	r.await("all restarted", func() bool { e := epochs(); return e[0] > before[0] && e[1] > before[1] && r.allRun(conn, 2)() })

	before = epochs()
	r.restart("numbers", catalog.Restart{Connector: true, AllTasks: true, OnlyFailed: true})
	r.restart("numbers", catalog.Restart{Task: &one}) // comes after it
	r.await("the last one obeyed", func() bool { return epochs()[1] > before[1] })
	require.Equal(t, before[0], epochs()[0], "nothing had failed")
}

func TestDeleteForgetsAndFreesTheName(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.worker("one", nil)
	conn := r.create("numbers", r.numbers("numbers", 2, nil))
	r.await("both tasks", r.allRun(conn, 2))
	require.NoError(t, r.catalog.DeleteConnector(t.Context(), conn.Name, "test"))
	r.reconcile("numbers")
	r.await("forgotten", func() bool {
		_, err := r.catalog.Connector(t.Context(), conn.Name)
		return err != nil && w.Health().Running == 0
	})
	require.ErrorIs(t, func() error { _, err := r.catalog.Connector(t.Context(), conn.Name); return err }(), catalog.ErrNotFound)
	again := r.create("numbers", r.numbers("numbers", 1, nil))
	require.Greater(t, again.UID, conn.UID)
	r.await("the new one", r.allRun(again, 1))
	r.await("the workflow is done with the old one", func() bool { return w.Health().Running == 1 })
}

// Names are in any letters, also those that no header of gRPC takes.
func TestANameInAnyLettersRunsAndGoes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.worker("one", nil)
	const base = "grüße 日本 😀"
	conn := r.create(base, r.numbers("letters", 1, nil))
	r.await("the task", r.allRun(conn, 1))
	r.signal(base, workflows.SignalPause, nil)
	r.await("paused by a signal", func() bool { return r.connectorState(conn) == "PAUSED" })
	require.NoError(t, r.catalog.DeleteConnector(t.Context(), conn.Name, "test"))
	r.reconcile(base)
	r.await("forgotten", func() bool {
		_, err := r.catalog.Connector(t.Context(), conn.Name)
		return err != nil
	})
}

func TestRollLeavesTheHistoryBehind(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.worker("one", nil)
	conn := r.create("numbers", r.numbers("numbers", 2, nil))
	r.create("drain", r.drainInto("numbers", 1))
	r.await("both tasks", r.allRun(conn, 2))
	run := func() string {
		d, err := r.client.DescribeWorkflowExecution(t.Context(), workflows.ConnectorWorkflowID(conn.Name), "")
		require.NoError(t, err)
		return d.WorkflowExecutionInfo.Execution.RunId
	}
	before := run()
	r.signal("numbers", workflows.SignalRoll, nil)
	r.await("another run", func() bool { return run() != before })
	count := r.memory.count()
	r.await("records flow again", func() bool { return r.memory.count() > count+100 })
	r.memory.exactly(t)
}

func TestTasksStayInTheirGroup(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	plain := r.worker("plain", nil)
	conn := r.create("numbers", r.numbers("numbers", 2, map[string]string{"worker.group": "big"}))
	status := func() string {
		s, err := r.catalog.ConnectorStatus(t.Context(), conn.UID)
		if err != nil {
			return err.Error()
		}
		return s.State + ": " + s.Trace
	}
	r.await("it waits", func() bool { return strings.HasPrefix(status(), `UNASSIGNED: no worker of group "big" is alive`) })
	big := r.worker("big", func(c *workers.Config, _ *workers.Deps) { c.Group = "big" })
	r.await("both tasks", r.allRun(conn, 2))
	r.await("nothing is wrong any more", func() bool { return status() == "RUNNING: " || r.nudge() })
	require.Equal(t, 2, big.Health().Running)
	other := r.create("drain", r.drainInto("numbers", 2))
	r.await("the sink", r.allRun(other, 2))
	require.Equal(t, 2, plain.Health().Running, "what has no group goes to workers without one")
	require.Equal(t, 2, big.Health().Share, "shares are those of the group")

	big.halt(t)
	r.await("it shows", func() bool {
		return strings.HasPrefix(status(), `RUNNING: no worker of group "big" is alive`) || r.nudge()
	})
	events, err := r.catalog.Events(t.Context(), conn.UID, 50)
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(events, func(e catalog.Event) bool { return e.Kind == "no worker" }))
	require.Equal(t, 2, plain.Health().Running)
	r.desire("numbers", catalog.StatePaused)
	r.await("paused all the same", func() bool { return r.connectorState(conn) == catalog.StatusPaused })
	r.memory.exactly(t)
}

// nudge has the schedule run now, now and then; it returns false, for conditions.
func (r *rig) nudge() bool {
	if time.Since(r.nudged) < 300*time.Millisecond {
		return false
	}
	r.nudged = time.Now()
	require.NoError(r.t, r.client.ScheduleClient().GetHandle(r.t.Context(), r.suffix).Trigger(r.t.Context(), triggerNow))
	return false
}

// What Temporal's Web UI shows: where tasks run, how far they are.
func TestWorkflowsShowProgress(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.worker("one", nil)
	conn := r.create("numbers", r.numbers("numbers", 1, nil))
	r.await("it runs", r.allRun(conn, 1))
	r.awaitDetails(workflows.TaskWorkflowID(conn.Name, 0), "| worker | "+cutName(w.id))
	require.NoError(t, r.client.ScheduleClient().GetHandle(t.Context(), r.suffix).Trigger(t.Context(), triggerNow))
	r.awaitDetails(workflows.ConnectorWorkflowID(conn.Name), "| 0 | RUNNING | "+cutName(w.id))
	r.trouble.set("fail in open")
	bad := r.create("trouble", r.troubled(""))
	r.awaitDetails(workflows.TaskWorkflowID(bad.Name, 0), "open the source: the system is down; next try at ")
}

// cutName is as much of a worker's name as details show for certain.
func cutName(id string) string { return id[:min(len(id), 30)] }

// awaitDetails waits until Temporal's Web UI would show a text for a workflow.
func (r *rig) awaitDetails(workflow, text string) {
	r.t.Helper()
	var shown sdk.WorkflowMetadata
	r.await(text, func() bool {
		value, err := r.client.QueryWorkflow(r.t.Context(), workflow, "", "__temporal_workflow_metadata")
		return err == nil && value.Get(&shown) == nil && strings.Contains(shown.CurrentDetails, text)
	})
}

func TestSinkWaitsForItsTopic(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.worker("one", nil)
	sink := r.create("drain", r.drainInto("numbers", 2))
	r.await("it runs, with nothing to do", func() bool { return r.connectorState(sink) == catalog.StatusRunning })
	status, err := r.catalog.ConnectorStatus(t.Context(), sink.UID)
	require.NoError(t, err)
	require.Contains(t, status.Trace, "waiting for topics that do not exist yet")
	r.create("numbers", r.numbers("numbers", 1, map[string]string{"counter.count": "50"}))
	r.await("all records", func() bool { return r.memory.count() == 50 })
	r.memory.exactly(t)
}

// An emptied Temporal namespace costs minutes, not data: the schedule starts what is missing.
func TestScheduleRebuildsLostWorkflows(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.worker("one", nil)
	conn := r.create("numbers", r.numbers("numbers", 1, nil))
	r.create("drain", r.drainInto("numbers", 1))
	r.await("it runs", r.allRun(conn, 1))
	epoch := r.tasks(conn)[0].Epoch
	require.NoError(t, r.client.TerminateWorkflow(t.Context(), workflows.ConnectorWorkflowID(conn.Name), "", "test"))
	require.NoError(t, r.client.TerminateWorkflow(t.Context(), workflows.TaskWorkflowID(conn.Name, 0), "", "test"))
	require.NoError(t, r.client.ScheduleClient().GetHandle(t.Context(), r.suffix).Trigger(t.Context(), triggerNow))
	r.await("it runs again", func() bool {
		s := r.tasks(conn)[0]
		return s.Epoch > epoch && s.State == catalog.StatusRunning && s.Records > 0
	})
	count := r.memory.count()
	r.await("records flow again", func() bool { return r.memory.count() > count+100 })
	r.memory.exactly(t)
	require.Less(t, r.memory.longestGap(), 10*time.Second)
}
