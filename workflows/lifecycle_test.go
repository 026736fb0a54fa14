package workflows_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/gantry-connect/gantry/workflows"
)

// lifeCycle is one path through a connector's life on the real server. Its histories are recorded and replayed.
type lifeCycle struct {
	name string
	run  func(t *testing.T, w *world)
}

var lifeCycles = []lifeCycle{
	{"create", func(_ *testing.T, w *world) {
		w.create("a", "b")
	}},
	{"reconfigure", func(t *testing.T, w *world) {
		w.create("a", "b", "c")
		w.configure("a", "B") // changes 1, drops 2
		w.await("the new plan", w.runs("a", "B"))
		require.Equal(t, map[int]int{0: 1, 1: 2, 2: 1}, w.counts(), "task 0 must not have been restarted")
		require.Empty(t, w.settledTasks(), "all ended settled")
	}},
	{"settle", func(t *testing.T, w *world) {
		w.create("a", "b")
		w.edit(func() { w.unclean = true })
		w.configure("A", "b")
		w.await("the new plan", w.runs("A", "b"))
		require.Equal(t, []int{0}, w.settledTasks(), "what ended uncleanly is settled before the plan changes")
	}},
	{"unsettled", func(t *testing.T, w *world) {
		w.create("a", "b")
		w.edit(func() { w.unclean, w.down = true, true })
		w.signal(workflows.SignalPause, nil)
		w.await("paused although it cannot be settled", and(w.is(workflows.Paused), w.runs()))
		require.Contains(t, w.query().Reason, "task 0 is not settled: the system is down")
		require.False(t, w.query().Tasks[0].Settled)
		w.signal(workflows.SignalResume, nil)
		w.await("the same plan settles by itself", and(w.is(workflows.Running), w.runs("a", "b")))

		w.configure("A", "b")
		w.await("the new plan waits", w.is(workflows.Failed))
		require.Contains(t, w.query().Reason, "task 0 is not settled: the system is down")
		w.await("the old plan stays in force", w.runs("a", "b"))
		w.edit(func() { w.goOn = true })
		w.signal(workflows.SignalReconcile, nil)
		w.await("the new plan goes on", and(w.is(workflows.Running), w.runs("A", "b")))
		require.Equal(t, 2, w.counts()[1], "task 1 was in nobody's way")
	}},
	{"pause and resume", func(_ *testing.T, w *world) {
		w.create("a")
		w.signal(workflows.SignalPause, nil)
		w.await("paused", and(w.is(workflows.Paused), w.runs()))
		w.await("the watcher's end", func() bool { return w.watching == 0 })
		w.signal(workflows.SignalResume, workflows.Verb{Author: "somebody"})
		w.await("resumed", and(w.is(workflows.Running), w.runs("a")))
	}},
	{"stop", func(_ *testing.T, w *world) {
		w.create("a", "b")
		w.signal(workflows.SignalStop, nil)
		w.await("stopped", and(w.is(workflows.Stopped), w.runs()))
		w.edit(func() { w.loaded.Desired = workflows.DesiredRunning })
		w.signal(workflows.SignalReconcile, nil)
		w.await("running again", w.runs("a", "b"))
	}},
	{"restart", func(t *testing.T, w *world) {
		w.create("a", "b")
		w.signal(workflows.SignalRestart, nil)
		w.await("both restarted", and(w.started(2, 2), w.runs("a", "b")))
		one := 1
		w.signal(workflows.SignalRestart, workflows.Verb{Task: &one})
		w.await("one restarted", and(w.started(2, 3), w.runs("a", "b")))
		w.signal(workflows.SignalRestart, workflows.Verb{OnlyFailed: true})
		w.signalTask(0, workflows.SignalYield)
		w.await("the other one yielded", and(w.started(3, 3), w.runs("a", "b")))
		require.Equal(t, workflows.Running, w.query().State)
	}},
	{"task failure", func(t *testing.T, w *world) {
		w.create("a", "b")
		w.edit(func() { w.fail[1] = true })
		w.await("the failure", w.runs("a"))
		require.Eventually(t, func() bool { return w.query().Tasks[1].State == workflows.Failed }, 10*time.Second, 20*time.Millisecond)
		require.Contains(t, w.query().Tasks[1].Reason, "the file is gone")
		require.Equal(t, workflows.Running, w.query().State, "the connector itself is well")
		w.edit(func() { w.fail[1] = false })
		w.signal(workflows.SignalRestart, workflows.Verb{OnlyFailed: true})
		w.await("the restart", w.runs("a", "b"))
		require.Equal(t, map[int]int{0: 1, 1: 2}, w.counts(), "the healthy task is left alone")
		require.Eventually(t, func() bool { return w.query().Tasks[1].State == workflows.Running }, 10*time.Second, 20*time.Millisecond)
	}},
	{"early restart", func(t *testing.T, w *world) {
		w.create("a")
		// REST has shown a failure of which the task's workflow has not heard yet.
		w.signal(workflows.SignalRestart, workflows.Verb{OnlyFailed: true})
		w.await("the wish", func() bool { return len(w.restarts) == 1 })
		require.Eventually(t, func() bool { return w.signals(workflows.TaskWorkflowID(w.name, 0)) == 1 }, 10*time.Second, 20*time.Millisecond)
		require.Equal(t, 1, w.counts()[0], "a task that is well is left alone")
		w.edit(func() { w.fail[0] = true })
		w.await("the failure", w.runs())
		w.edit(func() { w.fail[0] = false })
		w.await("the restart", and(w.runs("a"), func() bool { return w.starts[0] >= 2 }))
	}},
	{"planning failure", func(t *testing.T, w *world) {
		w.create("a")
		w.edit(func() {
			w.planErr = temporal.NewNonRetryableApplicationError("file.path: no such file", workflows.ErrorTypePermanent, nil)
			w.loaded.Revision++
		})
		w.signal(workflows.SignalReconcile, nil)
		w.await("the failure", w.is(workflows.Failed))
		require.Contains(t, w.query().Reason, "no such file")
		w.await("the old plan goes on", w.runs("a"))
		w.edit(func() { w.planErr = nil; w.config = planOf("z") })
		w.signal(workflows.SignalReconcile, nil)
		w.await("the new plan", and(w.is(workflows.Running), w.runs("z")))
	}},
	{"planning trouble", func(t *testing.T, w *world) {
		w.edit(func() { w.trouble = "the broker is down" })
		w.signal(workflows.SignalReconcile, nil)
		w.await("trouble", and(w.is(workflows.Unassigned), func() bool { return w.plans >= 2 }))
		require.Contains(t, w.query().Reason, "the broker is down; tried again with growing pauses of up to a minute, next at ")
		w.edit(func() { w.trouble, w.config = "", planOf("a") })
		w.await("the plan", and(w.is(workflows.Running), w.runs("a")))
		require.Empty(t, w.query().Reason)

		w.edit(func() { w.trouble = "the database is down" })
		w.configure("b")
		w.await("trouble again", func() bool { return strings.Contains(w.reason, "the database is down") })
		require.Equal(t, workflows.Running, w.query().State, "the old plan goes on")
		w.await("the old plan goes on", w.runs("a"))
		w.signal(workflows.SignalPause, nil)
		w.await("paused all the same", and(w.is(workflows.Paused), w.runs()))
		w.signal(workflows.SignalResume, nil)
		w.await("the old plan runs although the new one cannot be made", w.runs("a"))
		w.edit(func() { w.trouble = "" })
		w.await("the new plan", and(w.is(workflows.Running), w.runs("b")))
	}},
	{"overtaken planning", func(_ *testing.T, w *world) {
		hold := make(chan struct{})
		w.edit(func() { w.holdPlan, w.config = hold, planOf("a") })
		w.signal(workflows.SignalReconcile, nil)
		w.await("planning", func() bool { return w.plans == 1 })
		w.signal(workflows.SignalPause, nil) // planning hangs, pausing must not wait for it
		w.await("paused", w.is(workflows.Paused))
		w.edit(func() { w.holdPlan = nil })
		w.signal(workflows.SignalResume, nil)
		w.await("resumed", w.runs("a"))
	}},
	{"watcher", func(t *testing.T, w *world) {
		w.create("a")
		w.await("the watcher", func() bool { return w.watching == 1 })
		w.edit(func() {
			w.config = planOf("a", "b")
			close(w.watchers)
			w.watchers = make(chan struct{})
		})
		w.await("the grown plan", w.runs("a", "b"))
		require.Equal(t, 1, w.counts()[0])
	}},
	{"watcher while planning", func(_ *testing.T, w *world) {
		w.create("a")
		w.await("the watcher", func() bool { return w.watching == 1 })
		hold, loads := make(chan struct{}), 0
		w.edit(func() { w.holdPlan = hold })
		w.configure("a", "b")
		w.await("planning", func() bool { return w.plans == 2 })
		w.edit(func() { // too late for the plan that is being made
			w.config, w.holdPlan, loads = planOf("a", "b", "c"), nil, w.loads
			close(w.watchers)
			w.watchers = make(chan struct{})
		})
		w.await("the workflow has heard of it", func() bool { return w.loads > loads })
		close(hold)
		w.await("the plan after the change", w.runs("a", "b", "c"))
	}},
	{"group", func(t *testing.T, w *world) {
		w.edit(func() {
			w.loaded.Group, w.loaded.Lonely, w.config = "big", "no worker of group big", planOf("a", "b")
		})
		w.signal(workflows.SignalReconcile, nil)
		w.await("it waits", and(w.is(workflows.Unassigned), func() bool { return w.reason == "no worker of group big" }))
		require.Zero(t, w.planned(), "a worker of another group must not plan")
		w.edit(func() { w.loaded.Lonely = "" })
		stop := w.work(workflows.InGroup(w.queue, "big"))
		w.await("it runs", and(w.is(workflows.Running), w.runs("a", "b")))
		require.Equal(t, "big", w.query().Group)
		stop()
		w.signal(workflows.SignalPause, nil)
		w.await("paused without anybody of its group", and(w.is(workflows.Paused), w.runs()))
	}},
	{"progress", func(t *testing.T, w *world) {
		w.create("a")
		id := workflows.TaskWorkflowID(w.name, 0)
		at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		p := workflows.TaskProgress{At: at, State: workflows.Running, Worker: "w1", Since: at, Records: 1234, Bytes: 99, Rate: 12.5,
			LagRecords: 17, LagBytes: -1, LastRecordAt: at, Retries: 3, Trouble: "send: the broker | is away",
			Position: map[string]string{`{"p":1}`: `{"n":7}`}}
		w.tell(id, p)
		w.tell(workflows.ConnectorWorkflowID(w.name), workflows.ConnectorProgress{At: at, Tasks: []workflows.TaskProgress{p}})
		for _, want := range []string{"| worker | w1, since 2026-03-04 05:06:07 UTC |", "| records | 1234 (99 bytes) |", "| rate | 12.5/s |",
			"| lag | 17 records |", `| position of {"p":1} | {"n":7} |`, `| trouble | send: the broker \| is away |`} {
			w.shows(id, want)
		}
		w.shows(workflows.ConnectorWorkflowID(w.name),
			`| 0 | RUNNING | w1 | 1234 | 12.5/s | 17 records | 2026-03-04 05:06:07 UTC | send: the broker \| is away |`)
		p.At, p.State, p.Worker, p.NextTryAt = at.Add(time.Minute), workflows.Restarting, "w2", at.Add(2*time.Minute)
		w.tell(id, p)
		w.shows(id, "| last worker | w2 |")
		w.shows(id, "; next try at 2026-03-04 05:08:07 UTC |")
		p.At, p.Worker = at, "w0"
		w.tell(id, p) // late
		w.edit(func() {
			w.progress = &workflows.TaskProgress{At: at.Add(time.Hour), State: workflows.Unassigned, Worker: "w3"}
		})
		w.signalTask(0, workflows.SignalYield)
		w.shows(id, "| last worker | w3 |")
	}},
	{"refusal", func(t *testing.T, w *world) {
		w.create("a")
		w.edit(func() {
			w.refuse = temporal.NewNonRetryableApplicationError("it is being deleted", workflows.ErrorTypeRefused, errors.New("no"))
		})
		w.signal(workflows.SignalPause, nil)
		require.Eventually(t, func() bool { return w.query().Refusal != "" }, 10*time.Second, 20*time.Millisecond)
		require.Equal(t, "pause: it is being deleted", w.query().Refusal)
		w.await("nothing changed", w.runs("a"))
	}},
	{"lost task", func(t *testing.T, w *world) {
		w.create("a", "b")
		require.NoError(t, w.client.TerminateWorkflow(t.Context(), workflows.TaskWorkflowID(w.name, 1), "", "by force"))
		w.await("it is back", and(w.runs("a", "b"), func() bool { return w.starts[1] == 2 }))
	}},
	{"roll", func(t *testing.T, w *world) {
		w.create("a", "b")
		id := workflows.ConnectorWorkflowID(w.name)
		before := w.runID(id)
		w.signal(workflows.SignalRoll, nil)
		w.await("the next run", and(w.started(2, 2), w.runs("a", "b")))
		require.NotEqual(t, before, w.runID(id))
		require.Equal(t, 1, w.planned(), "the same plan")
		w.signal(workflows.SignalPause, nil)
		w.await("paused", w.is(workflows.Paused))
	}},
	{"lost workflow", func(t *testing.T, w *world) {
		w.create("a", "b")
		require.NoError(t, w.client.TerminateWorkflow(t.Context(), workflows.ConnectorWorkflowID(w.name), "", "by force"))
		w.edit(func() { w.loaded.Desired = workflows.DesiredPaused })
		w.signal(workflows.SignalReconcile, nil) // as the schedule does
		w.await("paused", and(w.is(workflows.Paused), w.runs()))
		require.ElementsMatch(t, []int{0, 1}, w.settledTasks(), "nobody knows how the tasks ended")
	}},
	{"cancel", func(t *testing.T, w *world) {
		w.create("a", "b")
		require.NoError(t, w.client.CancelWorkflow(t.Context(), workflows.ConnectorWorkflowID(w.name), ""))
		err := w.client.GetWorkflow(t.Context(), workflows.ConnectorWorkflowID(w.name), "").Get(t.Context(), nil)
		var canceled *temporal.CanceledError
		require.ErrorAs(t, err, &canceled)
		w.await("its tasks have ended before it", w.runs())
	}},
	{"delete", func(t *testing.T, w *world) {
		w.create("a", "b")
		w.signal(workflows.SignalDelete, nil)
		w.closed()
		w.await("forgotten", and(w.runs(), func() bool { return w.forgotten == 1 }))
		require.Empty(t, w.settledTasks(), "the positions go, too")
	}},
	{"delete and keep positions", func(t *testing.T, w *world) {
		w.edit(func() { w.unclean, w.down, w.loaded.KeepsPositions = true, true, true })
		w.create("a", "b")
		w.signal(workflows.SignalDelete, nil)
		w.closed()
		require.ElementsMatch(t, []int{0, 1}, w.settledTasks(), "the next of its name goes on behind the last record")
		w.await("forgotten, though settling was given up", and(w.runs(), func() bool { return w.forgotten == 1 }))
	}},
	{"recreate", func(t *testing.T, w *world) {
		w.create("a", "b")
		w.edit(func() { w.loaded.UID, w.loaded.Plan, w.loaded.Generation, w.config = 8, nil, 0, planOf("x") })
		w.signal(workflows.SignalReconcile, nil)
		w.await("only the new connector's task", w.runs("x"))
		require.EqualValues(t, 8, w.query().UID)
	}},
	{"recreate at once", func(t *testing.T, w *world) {
		hold := make(chan struct{})
		w.create("a")
		w.edit(func() { w.holdGone = hold })
		w.signal(workflows.SignalDelete, nil)
		w.await("forgotten", func() bool { return w.forgotten == 1 })
		// Its name is free, though the workflow has not heard of that: the worker that did it has died, say.
		w.edit(func() {
			w.found, w.loaded.UID, w.loaded.Plan, w.loaded.Generation, w.config = true, 8, nil, 0, planOf("x")
			w.loaded.Desired = workflows.DesiredRunning
		})
		w.signal(workflows.SignalReconcile, nil)
		require.EqualValues(t, 7, w.query().UID) // answered after the signal
		close(hold)
		w.await("the new connector's task", w.runs("x"))
	}},
}

// TestLifeCycle runs every path; with -record it also writes the histories that TestReplay replays.
func TestLifeCycle(t *testing.T) {
	t.Parallel()
	for _, lc := range lifeCycles {
		t.Run(lc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			lc.run(t, w)
			if *record {
				w.record(lc.name)
			}
		})
	}
}

// create makes a connector with a task for each hash.
func (w *world) create(hashes ...string) {
	w.t.Helper()
	w.edit(func() { w.config = planOf(hashes...) })
	w.signal(workflows.SignalReconcile, nil)
	w.await("creation", and(w.runs(hashes...), w.is(workflows.Running)))
}

// configure is a new revision that plans these tasks.
func (w *world) configure(hashes ...string) {
	w.edit(func() { w.config = planOf(hashes...); w.loaded.Revision++ })
	w.signal(workflows.SignalReconcile, nil)
}

func and(conditions ...func() bool) func() bool {
	return func() bool {
		for _, c := range conditions {
			if !c() {
				return false
			}
		}
		return true
	}
}

// started is a condition for await: how often each task has been started.
func (w *world) started(counts ...int) func() bool {
	return func() bool {
		for i, n := range counts {
			if w.starts[i] != n {
				return false
			}
		}
		return true
	}
}

func (w *world) counts() map[int]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	counts := make(map[int]int, len(w.starts))
	for k, v := range w.starts {
		counts[k] = v
	}
	return counts
}

func (w *world) settledTasks() []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]int(nil), w.settled...)
}

func (w *world) planned() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.plans
}
