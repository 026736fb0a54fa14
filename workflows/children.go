package workflows

import (
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

const (
	// An earlier child of the same id may still be closing when the next one starts.
	childRetry     = 200 * time.Millisecond
	childRetryMax  = 5 * time.Second
	childRetryKind = 10 // tries after which a child in the way is no longer waited for, but cancelled

	// A child that ended although nobody asked it to is started again after this, so that one that cannot live does not
	// fill the history.
	childGap = time.Second

	// After a watcher failed for good it is tried again, less and less often.
	watchGap        = time.Minute
	longestWatchGap = time.Hour
)

// child is the workflow of one task.
type child struct {
	cancel workflow.CancelFunc
	future workflow.ChildWorkflowFuture // nil until started
	asked  bool                         // to stop
}

// task is the entry of a task, or nil. It is valid until the next plan.
func (c *connectorRun) task(number int) *TaskEntry {
	for i := range c.state.Tasks {
		if c.state.Tasks[i].Number == number {
			return &c.state.Tasks[i]
		}
	}
	return nil
}

func (c *connectorRun) plan() []PlannedTask {
	plan := make([]PlannedTask, len(c.state.Tasks))
	for i, t := range c.state.Tasks {
		plan[i] = t.PlannedTask
	}
	return plan
}

// running are the numbers of the tasks whose workflows have not ended.
func (c *connectorRun) running() []int {
	var numbers []int
	for _, t := range c.state.Tasks {
		if c.tasks[t.Number] != nil {
			numbers = append(numbers, t.Number)
		}
	}
	return numbers
}

// startMissing starts the workflow of every task that has none.
func (c *connectorRun) startMissing(ctx workflow.Context) {
	for i := range c.state.Tasks {
		t := &c.state.Tasks[i]
		if c.tasks[t.Number] != nil {
			continue
		}
		t.State, t.Reason, t.Settled, t.GoOn = Running, "", false, false
		cctx, cancel := workflow.WithCancel(ctx)
		ch := &child{cancel: cancel}
		c.tasks[t.Number] = ch
		number, hash := t.Number, t.Hash
		workflow.GoNamed(cctx, fmt.Sprintf("task %d", number), func(ctx workflow.Context) { c.mind(ctx, ch, number, hash) })
	}
}

// mind sees one task's workflow from its start to its end.
func (c *connectorRun) mind(ctx workflow.Context, ch *child, number int, hash string) {
	settled := c.runChild(ctx, ch, number, hash)
	if t := c.task(number); t != nil {
		t.Settled = settled
	}
	if !ch.asked {
		_ = workflow.Sleep(ctx, childGap) // cut short when it is asked to stop meanwhile
		c.dirty = true
	}
	delete(c.tasks, number)
}

// runChild starts the task's workflow and waits for its end. It reports whether the task ended settled.
func (c *connectorRun) runChild(ctx workflow.Context, ch *child, number int, hash string) bool {
	id := TaskWorkflowID(c.state.Name, number)
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:          id,
		ParentClosePolicy:   enumspb.PARENT_CLOSE_POLICY_REQUEST_CANCEL,
		WaitForCancellation: true,
		WorkflowTaskTimeout: StepTimeout,
		StaticSummary:       fmt.Sprintf("%s task %d of %s", c.state.Class, number, c.state.Name),
		TypedSearchAttributes: temporal.NewSearchAttributes(attributeName.ValueSet(c.state.Name),
			attributeClass.ValueSet(c.state.Class), attributeKind.ValueSet(c.state.Kind),
			attributeTaskNumber.ValueSet(int64(number)), attributeTaskState.ValueSet(string(Running))),
	})
	state := TaskState{Connector: c.state.Name, UID: c.state.UID, Task: number, Hash: hash,
		Class: c.state.Class, Kind: c.state.Kind, TaskQueue: c.taskQueue(), State: Running}
	gap := childRetry
	for try := 1; ; try++ {
		ch.future = workflow.ExecuteChildWorkflow(ctx, TaskType, state)
		var result TaskResult
		err := ch.future.Get(ctx, &result)
		var there *temporal.ChildWorkflowExecutionAlreadyStartedError
		if !errors.As(err, &there) {
			return settledBy(result, err)
		}
		if try == childRetryKind { // its connector was ended by force and it never heard of that
			_ = workflow.RequestCancelExternalWorkflow(ctx, id, "").Get(ctx, nil) // refused when it has just ended
		}
		if workflow.Sleep(ctx, gap) != nil {
			return false
		}
		gap = min(2*gap, childRetryMax)
	}
}

// taskQueue is where the tasks of the plan in force run.
func (c *connectorRun) taskQueue() string {
	if c.state.TaskQueue == "" && c.state.Group != "" {
		return InGroup(TaskTaskQueue, c.state.Group)
	}
	return InGroup(c.state.TaskQueue, c.state.Group)
}

// settledBy reads a task's last word: it normally ends cancelled, with a TaskResult as detail.
func settledBy(result TaskResult, err error) bool {
	var canceled *temporal.CanceledError
	if errors.As(err, &canceled) && canceled.HasDetails() {
		if canceled.Details(&result) != nil {
			return false
		}
		return result.Settled
	}
	return err == nil && result.Settled
}

// stop cancels the workflows of the tasks and waits until they have ended.
func (c *connectorRun) stop(ctx workflow.Context, numbers []int) error {
	for _, n := range numbers {
		if ch := c.tasks[n]; ch != nil {
			ch.asked = true
			ch.cancel()
		}
	}
	return workflow.Await(ctx, func() bool {
		for _, n := range numbers {
			if c.tasks[n] != nil {
				return false
			}
		}
		return true
	})
}

// restartTasks lets the workflows of the tasks start over.
func (c *connectorRun) restartTasks(ctx workflow.Context, r Restart) {
	for _, t := range c.state.Tasks {
		ch := c.tasks[t.Number]
		wanted := r.AllTasks || (r.Task != nil && *r.Task == t.Number)
		if !wanted || ch == nil || ch.future == nil {
			continue // one that is not there is about to be started anyway
		}
		// Whether it has failed is the task's to know: the catalog may have told of it before the task's report came here.
		in := TaskRestart{OnlyFailed: r.OnlyFailed}
		if err := ch.future.SignalChildWorkflow(ctx, SignalRestart, in).Get(ctx, nil); err != nil && ctx.Err() == nil {
			workflow.GetLogger(ctx).Warn("restart a task", "connector", c.state.Name, "task", t.Number, "error", err)
		}
	}
}

// watcher is a running WatchConnector.
type watcher struct {
	cancel   workflow.CancelFunc
	revision int64
}

// watch keeps the connector's watcher running, with the config of the plan in force.
func (c *connectorRun) watch(ctx workflow.Context) {
	if c.watcher != nil && (!c.state.Watched || c.watcher.revision != c.state.Revision) {
		c.unwatch()
	}
	if c.watcher != nil || !c.state.Watched {
		return
	}
	wctx, cancel := workflow.WithCancel(ctx)
	c.watcher = &watcher{cancel: cancel, revision: c.state.Revision}
	group := c.state.Group
	in := WatchConnectorInput{Name: c.state.Name, UID: c.state.UID, Revision: c.state.Revision}
	workflow.GoNamed(wctx, "watch", func(ctx workflow.Context) {
		for gap := watchGap; ctx.Err() == nil; {
			var result WatchConnectorResult
			err := workflow.ExecuteActivity(watchOptions(ctx, in.Name, group), ActivityWatchConnector, in).Get(ctx, &result)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				workflow.GetLogger(ctx).Warn("watch for changes", "connector", in.Name, "error", err)
				c.unwatched(ctx, cause(err))
				_ = workflow.Sleep(ctx, gap) // cut short when it is no longer wanted
				gap = min(2*gap, longestWatchGap)
				continue
			case result.Changed:
				c.replan, c.dirty = true, true
			}
			gap = watchGap
			c.unwatched(ctx, "")
		}
	})
}

// unwatched shows why changes are not watched; empty: they are.
func (c *connectorRun) unwatched(ctx workflow.Context, why string) {
	if c.state.Unwatched != why {
		c.state.Unwatched = why
		c.show(ctx)
	}
}

// unwatch ends the watcher. It writes nothing, so nobody waits for it.
func (c *connectorRun) unwatch() {
	if c.watcher != nil {
		c.watcher.cancel()
		c.watcher, c.state.Unwatched = nil, ""
	}
}
