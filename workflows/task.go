package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

const (
	// Failover is the server's retry after this silence; the worker heartbeats four times as often.
	runTaskHeartbeat = 3 * time.Second
	// An activity returns by itself after an hour (ReleaseTurn); this only ends one that does not.
	runTaskStartToClose = 2 * time.Hour
	// The back-off counts attempts over the activity's life, so it must not grow: errors of the source or sink bring
	// their own delay.
	runTaskRetry = 250 * time.Millisecond

	// A restart of failed tasks that comes this long before the failure was meant for it: REST shows a failure before the
	// workflow hears of it.
	forgiveFor = 5 * time.Second

	shortTurn      = time.Second // a turn that ends sooner is suspicious
	shortTurns     = 5           // this many in a row are followed by pauses
	longestPause   = time.Minute // between turns that the catalog does not want
	reasonMaxBytes = 1000        // of an error's text in a workflow's state
)

// Task keeps one task running: it runs RunTask again whenever it ends, and waits for a restart where no retry would
// help. It ends only when it is cancelled, with a TaskResult as the detail of its CanceledError.
func Task(ctx workflow.Context, state TaskState) (TaskResult, error) {
	t := &taskRun{state: state}
	if err := t.setup(ctx); err != nil {
		return TaskResult{}, err
	}
	return t.run(ctx)
}

// taskRun is one run of Task.
type taskRun struct {
	state   TaskState
	restart workflow.ReceiveChannel
	yield   workflow.ReceiveChannel
	short   int       // turns in a row that ended at once
	pauses  int       // in a row
	forgive time.Time // when failed tasks were last asked to start over
}

func (t *taskRun) setup(ctx workflow.Context) error {
	t.restart = workflow.GetSignalChannelWithOptions(ctx, SignalRestart, workflow.SignalChannelOptions{
		Description: "Stop the task and start it again; the way out of FAILED."})
	t.yield = workflow.GetSignalChannelWithOptions(ctx, SignalYield, workflow.SignalChannelOptions{
		Description: "Hand the task over to whichever worker has room."})
	err := workflow.SetQueryHandlerWithOptions(ctx, QueryStatus, func() (TaskState, error) { return t.state, nil },
		workflow.QueryHandlerOptions{Description: "The task's state."})
	if err != nil {
		return fmt.Errorf("set the handler of query %s: %w", QueryStatus, err)
	}
	if t.state.State == "" {
		t.state.State = Running
	}
	t.show(ctx)
	workflow.GoNamed(ctx, "progress", t.listen)
	return nil
}

// listen shows what workers tell of the task's progress, as long as the workflow runs.
func (t *taskRun) listen(ctx workflow.Context) {
	told := workflow.GetSignalChannelWithOptions(ctx, SignalProgress, workflow.SignalChannelOptions{
		Description: "Sent by the worker that has the task: how far it is."})
	for {
		var p TaskProgress
		told.Receive(ctx, &p)
		t.progressed(ctx, &p)
	}
}

// progressed takes over how far the task is, unless something newer is known.
func (t *taskRun) progressed(ctx workflow.Context, p *TaskProgress) {
	if p == nil || (t.state.Progress != nil && p.At.Before(t.state.Progress.At)) {
		return
	}
	t.state.Progress = p
	t.show(ctx)
}

func (t *taskRun) run(ctx workflow.Context) (TaskResult, error) {
	for {
		if t.state.State == Failed {
			if err := workflow.Await(ctx, func() bool { return t.restart.Len() > 0 }); err != nil {
				return TaskResult{}, err
			}
			t.take(ctx)
			t.become(ctx, Running, "")
		}
		began := workflow.Now(ctx)
		result, err := t.turn(ctx)
		t.state.Turns++
		t.progressed(ctx, result.Progress)
		if ctx.Err() != nil {
			return TaskResult{}, temporal.NewCanceledError(TaskResult{Settled: result.Settled})
		}
		again := t.take(ctx) || workflow.Now(ctx).Sub(t.forgive) <= forgiveFor
		if final(err) && !again {
			t.become(ctx, Failed, cause(err))
		} else if pause := t.pause(result, err, workflow.Now(ctx).Sub(began)); pause > 0 {
			if _, err := workflow.AwaitWithTimeout(ctx, pause, t.signalled); err != nil {
				return TaskResult{}, temporal.NewCanceledError(TaskResult{Settled: result.Settled})
			}
			t.take(ctx)
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() && t.restart.Len() == 0 && t.yield.Len() == 0 {
			return TaskResult{}, workflow.NewContinueAsNewError(ctx, TaskType, t.state)
		}
	}
}

// turn runs RunTask until it ends by itself, or ends it when a signal or the parent asks for that.
func (t *taskRun) turn(ctx workflow.Context) (RunTaskResult, error) {
	queue := t.state.TaskQueue
	if queue == "" {
		queue = TaskTaskQueue
	}
	actx, cancel := workflow.WithCancel(workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           queue,
		StartToCloseTimeout: runTaskStartToClose,
		HeartbeatTimeout:    runTaskHeartbeat,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: runTaskRetry, BackoffCoefficient: 1,
			MaximumInterval: runTaskRetry},
		// Without it the task would count as stopped while it still writes.
		WaitForCancellation:   true,
		DisableEagerExecution: true,
		Summary:               fmt.Sprintf("%s/%d %s", t.state.Connector, t.state.Task, t.state.Class),
	}))
	defer cancel()
	done := workflow.ExecuteActivity(actx, ActivityRunTask, RunTaskInput{
		Connector: t.state.Connector, UID: t.state.UID, Task: t.state.Task, Hash: t.state.Hash})
	for !done.IsReady() {
		if err := workflow.Await(ctx, func() bool { return done.IsReady() || t.signalled() }); err != nil {
			break // the activity is being cancelled too
		}
		if !done.IsReady() && t.take(ctx) {
			cancel()
			break
		}
	}
	var result RunTaskResult
	err := done.Get(ctx, &result)
	var canceled *temporal.CanceledError
	if errors.As(err, &canceled) && canceled.HasDetails() {
		if derr := canceled.Details(&result); derr != nil {
			return RunTaskResult{}, derr
		}
	}
	return result, err
}

// pause says how long to wait before the next turn. Most turns follow at once.
func (t *taskRun) pause(result RunTaskResult, err error, lasted time.Duration) time.Duration {
	if lasted >= shortTurn {
		t.short, t.pauses = 0, 0
	} else {
		t.short++
	}
	if (err == nil && result.Release == ReleaseUnwanted) || t.short >= shortTurns {
		d := min(time.Second<<min(t.pauses, 10), longestPause)
		t.pauses++
		return d
	}
	return 0
}

func (t *taskRun) signalled() bool { return t.restart.Len() > 0 || t.yield.Len() > 0 }

// take takes all signals and reports whether one of them wants a turn to end.
func (t *taskRun) take(ctx workflow.Context) (end bool) {
	for in := (TaskRestart{}); t.restart.ReceiveAsync(&in); in = (TaskRestart{}) {
		if in.OnlyFailed {
			t.forgive = workflow.Now(ctx)
		} else {
			end = true
		}
	}
	for t.yield.ReceiveAsync(nil) {
		end = true
	}
	return end
}

// become moves to a new state and tells whoever watches: the search attributes, the Web UI, the connector.
func (t *taskRun) become(ctx workflow.Context, state State, reason string) {
	t.state.State, t.state.Reason = state, reason
	err := workflow.UpsertTypedSearchAttributes(ctx, attributeTaskState.ValueSet(string(state)))
	if err != nil {
		workflow.GetLogger(ctx).Error("set the search attributes of the task", "error", err)
	}
	t.show(ctx)
	parent := workflow.GetInfo(ctx).ParentWorkflowExecution
	if parent == nil {
		return
	}
	report := TaskReport{Number: t.state.Task, State: state, Reason: reason}
	if err := workflow.SignalExternalWorkflow(ctx, parent.ID, "", SignalTask, report).Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Warn("tell the connector of the task's state", "error", err)
	}
}

func (t *taskRun) show(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, taskDetails(t.state))
}

// final reports whether err is one that no retry mends.
func final(err error) bool {
	var app *temporal.ApplicationError
	return errors.As(err, &app) && app.NonRetryable()
}

// cause is the text of the error that an activity ended with, without Temporal's wrapping, cut to a bounded length.
func cause(err error) string {
	text := err.Error()
	var app *temporal.ApplicationError
	var timeout *temporal.TimeoutError
	switch {
	case errors.As(err, &app):
		text = app.Message()
	case errors.As(err, &timeout):
		text = fmt.Sprintf("timed out (%s)", timeout.TimeoutType())
		if last := timeout.Unwrap(); last != nil {
			text += ": " + last.Error()
		}
	}
	return clip(text, reasonMaxBytes)
}
