package workers

import (
	"fmt"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"

	"github.com/gantry-connect/gantry/activities"
	"github.com/gantry-connect/gantry/workflows"
)

// poller is one of the SDK's workers, and the queue that it polls.
type poller struct {
	worker.Worker
	queue string
}

// pollers are what a worker polls with, in the order in which they start and stop: workflows and short activities come first,
// so that what tasks report while they drain goes to another worker at once, and not into the queue of one that listens no more.
type pollers []poller

func (p pollers) start() error {
	for i, one := range p {
		if err := one.Start(); err != nil {
			p[:i].stop()
			return fmt.Errorf("poll %s: %w", one.queue, err)
		}
	}
	return nil
}

func (p pollers) stop() {
	for _, one := range p {
		one.Stop() // activities hear of it, drain and release
	}
}

// sdkWorkers makes the pollers: workflows and short activities; those of the worker's group, if it has one; tasks.
func (w *Worker) sdkWorkers(acts *activities.Activities, fatal chan<- error) (pollers, error) {
	options := worker.Options{
		Identity: w.config.ID, DisableRegistrationAliasing: true, WorkerStopTimeout: controlWithin,
		MaxHeartbeatThrottleInterval: heartbeatThrottle, StickyScheduleToStartTimeout: stickyWithin,
		MaxConcurrentWorkflowTaskPollers: workflowPollers,
		OnFatalError: func(err error) {
			select {
			case fatal <- err:
			default: // one is enough
			}
		},
	}
	control := worker.New(w.deps.Temporal, w.config.ControlQueue, options)
	RegisterWorkflows(control)
	register(control, map[string]any{
		workflows.ActivityLoadConnector: acts.LoadConnector, workflows.ActivitySetDesired: acts.SetDesired,
		workflows.ActivityFinishDelete: acts.FinishDelete, workflows.ActivityReconcileAll: acts.ReconcileAll,
		workflows.ActivitySetConnectorStatus: acts.SetConnectorStatus,
	})
	all := pollers{{control, w.config.ControlQueue}}
	byPlugin := map[string]any{ // what needs a connector's plugin, and thus a worker of its group
		workflows.ActivityPlanTasks: acts.PlanTasks, workflows.ActivitySettleTask: acts.SettleTask,
		workflows.ActivityWatchConnector: acts.WatchConnector, workflows.ActivityProbe: acts.Probe,
	}
	if w.config.Group == "" {
		register(control, byPlugin)
	} else {
		for name := range byPlugin {
			register(control, map[string]any{name: acts.TurnAway})
		}
		options.DisableWorkflowWorker = true
		queue := workflows.InGroup(w.config.ControlQueue, w.config.Group)
		group := worker.New(w.deps.Temporal, queue, options)
		register(group, byPlugin)
		all = append(all, poller{group, queue})
	}
	tuner, err := w.slots.tuner()
	if err != nil {
		return nil, err
	}
	options.DisableWorkflowWorker, options.WorkerStopTimeout, options.Tuner = true, drainWithin, tuner
	// A poll that a frozen worker has left open swallows a task until the heartbeat timeout: keep one only.
	options.ActivityTaskPollerBehavior = worker.NewPollerBehaviorSimpleMaximum(
		worker.PollerBehaviorSimpleMaximumOptions{MaximumNumberOfPollers: 1})
	queue := workflows.InGroup(w.config.TaskQueue, w.config.Group)
	task := worker.New(w.deps.Temporal, queue, options)
	register(task, map[string]any{workflows.ActivityRunTask: acts.RunTask})
	return append(all, poller{task, queue}), nil
}

func register(r worker.ActivityRegistry, all map[string]any) {
	for name, f := range all {
		r.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
}
