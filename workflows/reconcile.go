package workflows

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// errOvertaken ends a step whose purpose has gone: something else is wanted now.
var errOvertaken = errors.New("something else is wanted now")

// catalogOptions are for short activities that need nothing but the catalog; they are tried until it answers. They have no
// heartbeats, so one that gets lost with its worker, or on its way there, costs the whole time-out.
func catalogOptions(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 5 * time.Second, // one query; a worker that dies during it costs no more
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: 250 * time.Millisecond, BackoffCoefficient: 2,
			MaximumInterval: 10 * time.Second},
		Summary: summary,
	})
}

// shortHeartbeat is after which silence an activity beside RunTask is taken for lost with its worker. They heartbeat several
// times a second.
const shortHeartbeat = 4 * time.Second

// planOptions are for planning, which asks the connector's system. It is tried until that answers; PlanTasksResult.Trouble
// tells the workflow why it does not.
func planOptions(ctx workflow.Context, connector, group string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           groupQueue(ctx, group),
		StartToCloseTimeout: 10 * time.Minute,
		HeartbeatTimeout:    shortHeartbeat,
		WaitForCancellation: true, // it saves the plan
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: 500 * time.Millisecond, BackoffCoefficient: 2,
			MaximumInterval: time.Minute},
		Summary: connector,
	})
}

// groupQueue is where activities run that need a connector's plugin: on workers of its group.
func groupQueue(ctx workflow.Context, group string) string {
	return InGroup(workflow.GetInfo(ctx).TaskQueueName, group)
}

// lonelyWithin is how long settling waits for a worker of a group. Where there is none, an operator's wish goes on without.
const lonelyWithin = 10 * time.Second

// settleOptions are for settling, which reads back from topics and waits out leases. Where a group is deserted, nobody waits for its
// workers.
func settleOptions(ctx workflow.Context, connector, group string, task int, deserted bool) workflow.Context {
	var scheduleToStart time.Duration
	if group != "" {
		scheduleToStart = lonelyWithin
	}
	var final []string
	if deserted {
		final = []string{ErrorTypeTurnedAway} // by workers of other groups, which poll for those without one, too
	}
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              groupQueue(ctx, group),
		ScheduleToStartTimeout: scheduleToStart,
		StartToCloseTimeout:    time.Hour,
		HeartbeatTimeout:       shortHeartbeat,
		WaitForCancellation:    true,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: 500 * time.Millisecond, BackoffCoefficient: 2,
			MaximumInterval: 30 * time.Second, NonRetryableErrorTypes: final},
		Summary: fmt.Sprintf("%s/%d", connector, task),
	})
}

// watchOptions are for the watcher, which returns by itself after an hour or when something has changed.
func watchOptions(ctx workflow.Context, connector, group string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           groupQueue(ctx, group),
		StartToCloseTimeout: 2 * time.Hour,
		HeartbeatTimeout:    shortHeartbeat,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2,
			MaximumInterval: time.Minute},
		Summary: connector,
	})
}

// reconcile looks at the catalog and makes what it wants true. It reports whether the connector is gone.
func (c *connectorRun) reconcile(ctx workflow.Context) (gone bool, err error) {
	if c.wanted, err = c.load(ctx); err != nil {
		return false, err
	}
	if !c.wanted.Found || (c.state.UID != 0 && c.state.UID != c.wanted.UID) {
		// The connector was forgotten, and perhaps another one has its name: nothing here concerns that one.
		if err := c.forget(ctx); err != nil || !c.wanted.Found {
			return err == nil, err
		}
	}
	c.adopt()
	switch c.wanted.Desired {
	case DesiredRunning:
		return false, c.converge(ctx)
	case DesiredPaused:
		return false, c.halt(ctx, Paused)
	case DesiredStopped:
		return false, c.halt(ctx, Stopped)
	case DesiredDeleted:
		return c.finishDelete(ctx)
	}
	return false, fmt.Errorf("the catalog wants the connector %q, which this version does not know", c.wanted.Desired)
}

func (c *connectorRun) load(ctx workflow.Context) (LoadConnectorResult, error) {
	var loaded LoadConnectorResult
	in := LoadConnectorInput{Name: c.state.Name, RestartSeq: c.state.RestartSeq}
	err := workflow.ExecuteActivity(catalogOptions(ctx, in.Name), ActivityLoadConnector, in).Get(ctx, &loaded)
	return loaded, err
}

// forget stops everything and empties the state.
func (c *connectorRun) forget(ctx workflow.Context) error {
	c.unwatch()
	if err := c.stop(ctx, c.running()); err != nil {
		return err
	}
	c.state = ConnectorState{Name: c.state.Name, TaskQueue: c.state.TaskQueue, State: Unassigned, Refusal: c.state.Refusal}
	c.show(ctx)
	return nil
}

// adopt takes over what the catalog says into the state.
func (c *connectorRun) adopt() {
	s, w := &c.state, &c.wanted
	fresh := s.UID == 0
	if fresh {
		// A workflow that starts after another was lost knows nothing of how the tasks ended.
		for _, p := range w.Plan {
			s.Tasks = append(s.Tasks, TaskEntry{PlannedTask: p, State: Unassigned})
		}
		s.Generation, s.Group = w.Generation, w.PlanGroup
	}
	if fresh || s.Generation != w.Generation || (s.Desired != w.Desired && w.Desired == DesiredRunning) {
		c.replan = true
	}
	s.UID, s.Kind, s.Class, s.Desired = w.UID, w.Kind, w.Class, w.Desired
	c.misshown = w.Shown != "" && w.Shown != s.State
}

// converge makes a connector run that shall run.
func (c *connectorRun) converge(ctx workflow.Context) error {
	c.obeyRestarts(ctx)
	if c.replan || c.state.Revision != c.wanted.Revision || c.state.State == Failed {
		c.replan = false
		if err := c.planAgain(ctx); err != nil {
			c.replan = true
			if !errors.Is(err, errOvertaken) && ctx.Err() == nil {
				c.startMissing(ctx) // the old plan stays in force
			}
			return err
		}
	}
	c.dirty = c.dirty || c.replan // what the watcher has told of meanwhile may have come too late for the plan
	c.startMissing(ctx)
	c.watch(ctx)
	c.become(ctx, Running, strings.Join(slices.DeleteFunc([]string{c.state.Note, c.wanted.Lonely}, func(s string) bool { return s == "" }), "\n"))
	return nil
}

func (c *connectorRun) obeyRestarts(ctx workflow.Context) {
	for _, r := range c.wanted.Restarts {
		if r.Connector && (!r.OnlyFailed || c.state.State == Failed) {
			c.replan = true
		}
		c.restartTasks(ctx, r)
	}
	c.state.RestartSeq = c.wanted.RestartSeq // it falls where the catalog was restored
}

// planAgain puts the plan of the newest config in force. Tasks in its way are stopped and settled under the old plan
// first; the others go on.
func (c *connectorRun) planAgain(ctx workflow.Context) error {
	if c.wanted.Lonely != "" {
		c.become(ctx, c.whilePlanning(), c.wanted.Lonely)
	}
	var patience Patience
	for {
		busy := c.busy()
		patience.State = c.whilePlanning()
		in := PlanTasksInput{Name: c.state.Name, UID: c.state.UID, Busy: busy, Patience: &patience}
		var result PlanTasksResult
		err := c.unlessOvertaken(ctx, func(ctx workflow.Context) error {
			return workflow.ExecuteActivity(planOptions(ctx, c.state.Name, c.wanted.Group), ActivityPlanTasks, in).Get(ctx, &result)
		})
		if err != nil {
			return err
		}
		if result.Trouble != nil {
			patience = *result.Trouble
			c.bear(ctx, patience)
			continue
		}
		patience = Patience{}
		if result.Saved {
			c.state.Tasks = merge(c.state.Tasks, result.Tasks)
			c.state.Revision, c.state.Generation = result.Revision, result.Generation
			c.state.Watched, c.state.Note, c.state.Group = result.Watched, result.Note, result.Group
			c.show(ctx)
			return nil
		}
		blocking := inTheWay(busy, result.Tasks)
		if len(blocking) == 0 {
			return fmt.Errorf("the plan of revision %d was not saved although no task is in its way", result.Revision)
		}
		if err := c.stop(ctx, blocking); err != nil {
			return err
		}
		err = c.settle(ctx, blocking, &result)
		if err != nil && (errors.Is(err, errOvertaken) || ctx.Err() != nil || !c.mayGoOn(blocking)) {
			return err
		}
	}
}

// bear shows that planning is tried again, and why. Meanwhile the old plan stays in force.
func (c *connectorRun) bear(ctx workflow.Context, p Patience) {
	c.startMissing(ctx)
	c.become(ctx, c.whilePlanning(), fmt.Sprintf("%s; tried again with growing pauses of up to a minute, next at %s",
		clip(p.Trouble, reasonMaxBytes-100), workflow.Now(ctx).Add(p.Pause).UTC().Format(time.TimeOnly+" MST")))
}

// whilePlanning is the state of a connector that has no plan of its newest config yet.
func (c *connectorRun) whilePlanning() State {
	if len(c.running()) > 0 {
		return Running
	}
	return Unassigned
}

// mayGoOn reports whether a new plan may replace all of the tasks.
func (c *connectorRun) mayGoOn(numbers []int) bool {
	return !slices.ContainsFunc(numbers, func(n int) bool { t := c.task(n); return t != nil && !t.Settled && !t.GoOn })
}

// busy are the tasks that a new plan must leave alone, or wait for.
func (c *connectorRun) busy() []PlannedTask {
	var busy []PlannedTask
	for _, t := range c.state.Tasks {
		if c.tasks[t.Number] != nil || (!t.Settled && !t.GoOn) {
			busy = append(busy, t.PlannedTask)
		}
	}
	return busy
}

// inTheWay are the numbers of the busy tasks that plan changes or drops.
func inTheWay(busy, plan []PlannedTask) []int {
	var numbers []int
	for _, b := range busy {
		if !slices.Contains(plan, b) {
			numbers = append(numbers, b.Number)
		}
	}
	return numbers
}

// merge gives the entries of a new plan: what it leaves unchanged stays as it is.
func merge(old []TaskEntry, plan []PlannedTask) []TaskEntry {
	tasks := make([]TaskEntry, len(plan))
	for i, p := range plan {
		at := slices.IndexFunc(old, func(t TaskEntry) bool { return t.PlannedTask == p })
		if at >= 0 {
			tasks[i] = old[at]
		} else {
			before := slices.IndexFunc(old, func(t TaskEntry) bool { return t.Number == p.Number })
			tasks[i] = TaskEntry{PlannedTask: p, State: Unassigned, Settled: before < 0 || old[before].Settled}
		}
	}
	slices.SortFunc(tasks, func(a, b TaskEntry) int { return a.Number - b.Number })
	return tasks
}

// settle settles those of the stopped tasks that did not end settled. Its error says which one could not be. plan is what they
// are in the way of; nil if the connector is to rest.
func (c *connectorRun) settle(ctx workflow.Context, numbers []int, plan *PlanTasksResult) error {
	numbers = slices.DeleteFunc(slices.Clone(numbers), func(n int) bool { t := c.task(n); return t == nil || t.Settled })
	if len(numbers) == 0 {
		return nil
	}
	group := c.state.Group
	if c.wanted.Deserted && plan != nil {
		group = plan.Group // they are to have the tasks, and there are some: one has made the plan
	}
	c.become(ctx, Unassigned, fmt.Sprintf("settling what tasks %v left unfinished", numbers))
	return c.unlessOvertaken(ctx, func(ctx workflow.Context) error {
		futures := make([]workflow.Future, len(numbers))
		for i, n := range numbers {
			in := SettleTaskInput{Connector: c.state.Name, UID: c.state.UID, Task: n, Replan: plan != nil}
			in.Moved = plan != nil && slices.Contains(plan.Moved, n)
			futures[i] = workflow.ExecuteActivity(settleOptions(ctx, c.state.Name, group, n, c.wanted.Deserted && plan == nil), ActivitySettleTask, in)
		}
		var problems []string
		for i, n := range numbers {
			var result SettleTaskResult
			if err := futures[i].Get(ctx, &result); err != nil {
				result = SettleTaskResult{Reason: cause(err)}
			}
			if ctx.Err() != nil {
				continue // overtaken: nothing was learnt
			}
			t := c.task(n)
			t.Settled, t.GoOn, t.Reason = result.Settled, result.GoOn, clip(result.Reason, reasonMaxBytes)
			if !result.Settled {
				problems = append(problems, fmt.Sprintf("task %d is not settled: %s", n, t.Reason))
			}
		}
		if len(problems) > 0 {
			return errors.New(strings.Join(problems, "\n"))
		}
		return ctx.Err()
	})
}

// halt makes a connector rest.
func (c *connectorRun) halt(ctx workflow.Context, state State) error {
	c.unwatch()
	all := numbersOf(c.state.Tasks)
	if err := c.stop(ctx, all); err != nil {
		return err
	}
	reason := ""
	switch err := c.settle(ctx, all, nil); {
	case errors.Is(err, errOvertaken), ctx.Err() != nil:
		return err
	case err != nil:
		reason = cause(err) // nothing runs, which is what was asked for; the next start settles, or the next plan
	}
	c.state.RestartSeq = c.wanted.RestartSeq // nothing to restart
	for i := range c.state.Tasks {
		c.state.Tasks[i].State = state
	}
	c.become(ctx, state, reason)
	return nil
}

func numbersOf(tasks []TaskEntry) []int {
	numbers := make([]int, len(tasks))
	for i, t := range tasks {
		numbers[i] = t.Number
	}
	return numbers
}

// finishDelete ends the tasks and has the catalog forget the connector. Only positions that the next one of its name takes over
// have to be the last ones; what cannot be settled for them goes over as it is, and an event has told so.
func (c *connectorRun) finishDelete(ctx workflow.Context) (gone bool, err error) {
	c.unwatch()
	if err := c.stop(ctx, c.running()); err != nil {
		return false, err
	}
	if c.wanted.KeepsPositions {
		err := c.settle(ctx, numbersOf(c.state.Tasks), nil)
		if errors.Is(err, errOvertaken) || ctx.Err() != nil {
			return false, err
		}
	}
	err = workflow.ExecuteActivity(catalogOptions(ctx, c.state.Name), ActivityFinishDelete,
		FinishDeleteInput{Name: c.state.Name, UID: c.state.UID}).Get(ctx, nil)
	if err != nil {
		return false, err
	}
	return true, c.forget(ctx)
}

// unlessOvertaken runs a step that may take long, and ends it with errOvertaken when the catalog wants something else
// meanwhile.
func (c *connectorRun) unlessOvertaken(ctx workflow.Context, step func(workflow.Context) error) error {
	sctx, cancel := workflow.WithCancel(ctx)
	defer cancel()
	var err error
	done := false
	workflow.Go(sctx, func(ctx workflow.Context) {
		err = step(ctx)
		done = true
	})
	for {
		if werr := workflow.Await(ctx, func() bool { return done || c.dirty }); werr != nil {
			return werr
		}
		if done {
			return err
		}
		c.dirty = false
		now, lerr := c.load(ctx)
		if lerr != nil && ctx.Err() != nil {
			return lerr
		}
		if lerr != nil || c.overtaken(now) {
			cancel()
			_ = workflow.Await(ctx, func() bool { return done }) // fails only when the workflow is cancelled too
			c.dirty = true
			return errOvertaken
		}
	}
}

// overtaken reports whether the catalog wants something else than when it was last looked at.
func (c *connectorRun) overtaken(now LoadConnectorResult) bool {
	w := c.wanted
	return now.Found != w.Found || now.UID != w.UID || now.Desired != w.Desired || now.Revision != w.Revision ||
		now.Deserted != w.Deserted || now.RestartSeq > max(c.state.RestartSeq, w.RestartSeq)
}

// Reconcile is what the schedule runs: it finds connectors whose workflow is missing or has fallen behind the catalog.
func Reconcile(ctx workflow.Context) (ReconcileAllResult, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 5 * time.Minute,
		HeartbeatTimeout:    shortHeartbeat,                            // no run is started beside one that was lost
		RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 1}, // the schedule comes again
	})
	var result ReconcileAllResult
	err := workflow.ExecuteActivity(ctx, ActivityReconcileAll).Get(ctx, &result)
	return result, err
}
