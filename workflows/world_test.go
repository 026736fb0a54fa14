package workflows_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdk "go.temporal.io/api/sdk/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/gantry-connect/gantry/internal/devstack/devstacktest"
	"github.com/gantry-connect/gantry/workflows"
)

// world is a catalog and a copy loop in memory, behind the real activities' names, on the real server.
type world struct {
	t      testing.TB
	client client.Client
	name   string
	queue  string

	mu        sync.Mutex
	changed   chan struct{} // closed and replaced at every change
	found     bool
	loaded    workflows.LoadConnectorResult
	config    []workflows.PlannedTask // what planning makes of the newest config
	restarts  []workflows.Restart
	planErr   error
	trouble   string // planning fails with it, which may pass
	reason    string // that was last reported
	refuse    error
	unclean   bool          // tasks end without having committed everything
	down      bool          // settling is given up
	goOn      bool          // although it is, a new plan may go on
	holdPlan  chan struct{} // planning waits for it, if set
	holdGone  chan struct{} // the news that the connector is forgotten waits for it, if set
	running   map[int]string
	owners    map[int]*int // the attempts that run the tasks
	starts    map[int]int
	fail      map[int]bool
	settled   []int
	progress  *workflows.TaskProgress // of tasks that end
	watching  int
	watchers  chan struct{}
	status    []workflows.State
	plans     int
	loads     int
	forgotten int
}

func newWorld(t testing.TB) *world {
	t.Helper()
	info := devstacktest.Shared(t)
	c, err := client.DialContext(t.Context(), client.Options{
		HostPort: info.TemporalAddress, Namespace: info.TemporalNamespace, Logger: quiet{}})
	require.NoError(t, err)
	suffix := strings.ToLower(rand.Text()[:10])
	w := &world{t: t, client: c, name: "test-" + suffix, queue: "test-" + suffix, changed: make(chan struct{}),
		running: map[int]string{}, owners: map[int]*int{}, starts: map[int]int{}, fail: map[int]bool{}, watchers: make(chan struct{}),
		found: true, loaded: workflows.LoadConnectorResult{Found: true, UID: 7, Kind: "source", Class: "TestSource",
			Desired: workflows.DesiredRunning, Revision: 1}}
	stop := w.work(w.queue)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = c.TerminateWorkflow(ctx, workflows.ConnectorWorkflowID(w.name), "", "end of the test") // may have ended
		for n := range 4 {
			_ = c.TerminateWorkflow(ctx, workflows.TaskWorkflowID(w.name, n), "", "end of the test")
		}
		stop()
		c.Close()
	})
	return w
}

// work starts a worker on a queue; the returned function stops it.
func (w *world) work(queue string) (stop func()) {
	w.t.Helper()
	sdk := worker.New(w.client, queue, worker.Options{MaxHeartbeatThrottleInterval: 50 * time.Millisecond,
		DisableRegistrationAliasing: true, WorkflowPanicPolicy: worker.FailWorkflow})
	sdk.RegisterWorkflowWithOptions(workflows.Connector, workflow.RegisterOptions{Name: workflows.ConnectorType})
	sdk.RegisterWorkflowWithOptions(workflows.Task, workflow.RegisterOptions{Name: workflows.TaskType})
	for name, f := range map[string]any{
		workflows.ActivityLoadConnector: w.load, workflows.ActivityPlanTasks: w.plan,
		workflows.ActivitySetDesired: w.setDesired, workflows.ActivitySettleTask: w.settle,
		workflows.ActivityFinishDelete: w.finishDelete, workflows.ActivityRunTask: w.runTask,
		workflows.ActivityWatchConnector: w.watch, workflows.ActivitySetConnectorStatus: w.setStatus,
	} {
		sdk.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
	require.NoError(w.t, sdk.Start())
	return sdk.Stop
}

// planOf makes tasks from hashes, numbered from 0.
func planOf(hashes ...string) []workflows.PlannedTask {
	tasks := make([]workflows.PlannedTask, len(hashes))
	for i, h := range hashes {
		tasks[i] = workflows.PlannedTask{Number: i, Hash: h}
	}
	return tasks
}

// edit changes the world as REST changes the catalog.
func (w *world) edit(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	close(w.changed)
	w.changed = make(chan struct{})
}

// await waits until the world looks as wanted.
func (w *world) await(what string, ok func() bool) {
	w.t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		w.mu.Lock()
		done, changed := ok(), w.changed
		w.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			w.mu.Lock()
			defer w.mu.Unlock()
			w.t.Fatalf("waited in vain for: %s; running %v, starts %v, settled %v, states %v, plans %d", what, w.running,
				w.starts, w.settled, w.status, w.plans)
		}
	}
}

// runs is a condition for await: exactly these hashes run, by task number.
func (w *world) runs(hashes ...string) func() bool {
	return func() bool {
		if len(w.running) != len(hashes) {
			return false
		}
		for i, h := range hashes {
			if w.running[i] != h {
				return false
			}
		}
		return true
	}
}

// is is a condition for await: the state that was last reported.
func (w *world) is(state workflows.State) func() bool {
	return func() bool { return len(w.status) > 0 && w.status[len(w.status)-1] == state }
}

// signal starts the connector's workflow if there is none, and signals it.
func (w *world) signal(name string, arg any) {
	w.t.Helper()
	_, err := w.client.SignalWithStartWorkflow(w.t.Context(), workflows.ConnectorWorkflowID(w.name), name, arg,
		client.StartWorkflowOptions{TaskQueue: w.queue}, workflows.ConnectorType,
		workflows.ConnectorState{Name: w.name, TaskQueue: w.queue})
	require.NoError(w.t, err)
}

func (w *world) signalTask(task int, name string) {
	w.t.Helper()
	require.NoError(w.t, w.client.SignalWorkflow(w.t.Context(), workflows.TaskWorkflowID(w.name, task), "", name, nil))
}

func (w *world) tell(id string, progress any) {
	w.t.Helper()
	require.NoError(w.t, w.client.SignalWorkflow(w.t.Context(), id, "", workflows.SignalProgress, progress))
}

// shows waits until the Web UI would show a text.
func (w *world) shows(id, text string) {
	w.t.Helper()
	var shown sdk.WorkflowMetadata
	require.Eventually(w.t, func() bool {
		value, err := w.client.QueryWorkflow(w.t.Context(), id, "", "__temporal_workflow_metadata")
		require.NoError(w.t, err)
		require.NoError(w.t, value.Get(&shown))
		return strings.Contains(shown.CurrentDetails, text)
	}, 10*time.Second, 20*time.Millisecond, "%s", text)
}

// query asks the connector for its status.
func (w *world) query() workflows.ConnectorStatus {
	w.t.Helper()
	value, err := w.client.QueryWorkflow(w.t.Context(), workflows.ConnectorWorkflowID(w.name), "", workflows.QueryStatus)
	require.NoError(w.t, err)
	var status workflows.ConnectorStatus
	require.NoError(w.t, value.Get(&status))
	return status
}

func (w *world) load(_ context.Context, in workflows.LoadConnectorInput) (workflows.LoadConnectorResult, error) {
	w.edit(func() { w.loads++ })
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.found {
		return workflows.LoadConnectorResult{}, nil
	}
	r := w.loaded
	r.RestartSeq = int64(len(w.restarts))
	r.Restarts = w.restarts[min(int(in.RestartSeq), len(w.restarts)):]
	return r, nil
}

func (w *world) plan(ctx context.Context, in workflows.PlanTasksInput) (workflows.PlanTasksResult, error) {
	w.mu.Lock()
	hold, config := w.holdPlan, w.config // of the system as it is now
	w.mu.Unlock()
	w.edit(func() { w.plans++ })
	if hold != nil && !beatUntil(ctx, hold) {
		return workflows.PlanTasksResult{}, ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.planErr != nil {
		return workflows.PlanTasksResult{}, w.planErr
	}
	if w.trouble != "" && in.Patience.Trouble != w.trouble {
		p := *in.Patience
		p.Trouble, p.Failures, p.Pause = w.trouble, p.Failures+1, 100*time.Millisecond
		return workflows.PlanTasksResult{Trouble: &p}, nil
	}
	if w.trouble != "" {
		return workflows.PlanTasksResult{}, temporal.NewApplicationErrorWithOptions(w.trouble, "Failure",
			temporal.ApplicationErrorOptions{NextRetryDelay: in.Patience.Pause})
	}
	r := workflows.PlanTasksResult{Revision: w.loaded.Revision, Tasks: config, Generation: w.loaded.Generation, Saved: true, Watched: true, Group: w.loaded.Group}
	for _, b := range in.Busy {
		if b.Number >= len(config) || config[b.Number] != b {
			r.Saved, r.Moved = false, append(r.Moved, b.Number)
		}
	}
	if r.Saved {
		w.loaded.Generation++
		w.loaded.Plan = config
		r.Generation = w.loaded.Generation
	}
	return r, nil
}

// beatUntil heartbeats until done is closed; it reports false if the activity ends first.
func beatUntil(ctx context.Context, done <-chan struct{}) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return true
		case <-ctx.Done():
			return false
		case <-tick.C:
			activity.RecordHeartbeat(ctx)
		}
	}
}

func (w *world) setDesired(_ context.Context, in workflows.SetDesiredInput) error {
	var err error
	w.edit(func() {
		if err = w.refuse; err != nil {
			return
		}
		switch in.Signal {
		case workflows.SignalPause:
			w.loaded.Desired = workflows.DesiredPaused
		case workflows.SignalResume:
			w.loaded.Desired = workflows.DesiredRunning
		case workflows.SignalStop:
			w.loaded.Desired = workflows.DesiredStopped
		case workflows.SignalDelete:
			w.loaded.Desired = workflows.DesiredDeleted
		case workflows.SignalRestart:
			w.restarts = append(w.restarts, workflows.Restart{Connector: in.Verb.Task == nil, AllTasks: in.Verb.Task == nil,
				Task: in.Verb.Task, OnlyFailed: in.Verb.OnlyFailed})
		}
	})
	return err
}

func (w *world) settle(_ context.Context, in workflows.SettleTaskInput) (workflows.SettleTaskResult, error) {
	result := workflows.SettleTaskResult{Settled: true}
	w.edit(func() {
		w.settled = append(w.settled, in.Task)
		if w.down {
			result = workflows.SettleTaskResult{Reason: "the system is down", GoOn: in.Replan && in.Moved && w.goOn}
		}
	})
	return result, nil
}

func (w *world) finishDelete(ctx context.Context, _ workflows.FinishDeleteInput) error {
	var hold chan struct{}
	w.edit(func() { w.found = false; w.forgotten++; hold = w.holdGone })
	if hold != nil && !beatUntil(ctx, hold) {
		return ctx.Err()
	}
	return nil
}

func (w *world) setStatus(_ context.Context, in workflows.SetConnectorStatusInput) error {
	w.edit(func() { w.status, w.reason = append(w.status, in.State), in.Reason })
	return nil
}

func (w *world) watch(ctx context.Context, _ workflows.WatchConnectorInput) (workflows.WatchConnectorResult, error) {
	w.edit(func() { w.watching++ })
	defer w.edit(func() { w.watching-- })
	w.mu.Lock()
	changed := w.watchers
	w.mu.Unlock()
	if !beatUntil(ctx, changed) {
		return workflows.WatchConnectorResult{}, ctx.Err()
	}
	return workflows.WatchConnectorResult{Changed: true}, nil
}

func (w *world) runTask(ctx context.Context, in workflows.RunTaskInput) (workflows.RunTaskResult, error) {
	attempt := new(int)
	defer w.edit(func() {
		if w.owners[in.Task] == attempt {
			delete(w.running, in.Task)
		}
	})
	w.edit(func() {
		w.running[in.Task], w.owners[in.Task] = in.Hash, attempt
		if activity.GetInfo(ctx).Attempt == 1 { // another one is no start of the workflow's: a busy machine has missed a heartbeat
			w.starts[in.Task]++
		}
	})
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() { // ends with the activity
		defer close(done)
		for {
			w.mu.Lock()
			failing, changed := w.fail[in.Task], w.changed
			w.mu.Unlock()
			if failing {
				close(stop)
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	failed := beatUntil(ctx, stop)
	if failed {
		<-done
		return workflows.RunTaskResult{}, temporal.NewNonRetryableApplicationError("the file is gone", workflows.ErrorTypePermanent, nil)
	}
	<-done
	w.mu.Lock()
	defer w.mu.Unlock()
	return workflows.RunTaskResult{}, temporal.NewCanceledError(workflows.RunTaskResult{Settled: !w.unclean, Progress: w.progress})
}

// closed waits for the end of the connector's workflow.
func (w *world) closed() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(w.t, w.client.GetWorkflow(ctx, workflows.ConnectorWorkflowID(w.name), "").Get(ctx, nil))
}

// runID is the id of a workflow's newest run.
func (w *world) runID(id string) string {
	w.t.Helper()
	d, err := w.client.DescribeWorkflowExecution(w.t.Context(), id, "")
	require.NoError(w.t, err)
	return d.WorkflowExecutionInfo.Execution.RunId
}

// listRuns are the run ids that visibility knows.
func (w *world) listRuns(id string) []string {
	w.t.Helper()
	var runs []string
	require.Eventually(w.t, func() bool { // visibility lags
		resp, err := w.client.ListWorkflow(w.t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			Query: fmt.Sprintf("WorkflowId = %q", id)})
		require.NoError(w.t, err)
		runs = nil
		for _, e := range resp.Executions {
			runs = append(runs, e.Execution.RunId)
		}
		return len(runs) > 0
	}, 10*time.Second, 50*time.Millisecond)
	return runs
}

// quiet keeps the SDK's log out of the tests' output.
type quiet struct{}

var _ sdklog.Logger = quiet{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
