package workers

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/gantry-connect/gantry/workflows"
)

// searchAttributes are what workflows set. A workflow that sets an unregistered one hangs.
var searchAttributes = map[string]enumspb.IndexedValueType{
	workflows.AttributeConnectorName:  enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	workflows.AttributeConnectorClass: enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	workflows.AttributeConnectorKind:  enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	workflows.AttributeConnectorState: enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	workflows.AttributeTaskState:      enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	workflows.AttributeTaskNumber:     enumspb.INDEXED_VALUE_TYPE_INT,
}

const (
	startWithin = time.Minute // Temporal may start together with its workers
	startPause  = time.Second
)

// awaitTemporal prepares Temporal, and tries again for a while when that fails.
func (w *Worker) awaitTemporal(ctx context.Context) error {
	for began := time.Now(); ; {
		err := w.prepareTemporal(ctx)
		if err == nil || ctx.Err() != nil || time.Since(began) > startWithin {
			return err
		}
		w.log.Warn("prepare Temporal; tried again", "error", err)
		select {
		case <-time.After(startPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// prepareTemporal makes sure that the namespace has what workflows need. It may be done by many workers at once, again and
// again.
func (w *Worker) prepareTemporal(ctx context.Context) error {
	if err := w.ensureSearchAttributes(ctx); err != nil {
		return fmt.Errorf("register search attributes in namespace %s: %w", w.config.Namespace, err)
	}
	return w.ensureSchedule(ctx)
}

func (w *Worker) ensureSearchAttributes(ctx context.Context) error {
	operator := w.deps.Temporal.OperatorService()
	have, err := operator.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: w.config.Namespace})
	if err != nil {
		return err
	}
	missing := map[string]enumspb.IndexedValueType{}
	for name, kind := range searchAttributes {
		if got, ok := have.CustomAttributes[name]; !ok {
			missing[name] = kind
		} else if got != kind {
			return fmt.Errorf("%s is there as %v, and has to be %v: use a namespace of its own for Gantry", name, got, kind)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = operator.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: w.config.Namespace, SearchAttributes: missing})
	var exists *serviceerror.AlreadyExists
	if errors.As(err, &exists) { // another worker was faster
		return nil
	}
	return err
}

func (w *Worker) ensureSchedule(ctx context.Context) error {
	_, err := w.deps.Temporal.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID:      w.config.ScheduleID,
		Spec:    client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: w.config.ReconcileEvery}}},
		Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
		Action: &client.ScheduleWorkflowAction{ID: w.config.ScheduleID, Workflow: workflows.ReconcileType,
			TaskQueue: w.config.ControlQueue, StaticSummary: "Starts what is missing, and wakes what has fallen behind"},
		TriggerImmediately: true,
	})
	if err != nil && !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return fmt.Errorf("create schedule %s: %w", w.config.ScheduleID, err)
	}
	return nil
}

// keepSchedule makes the schedule again when somebody has emptied the namespace.
func (w *Worker) keepSchedule(ctx context.Context) {
	tick := time.NewTicker(w.config.ReconcileEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := w.prepareTemporal(ctx); err != nil && ctx.Err() == nil {
				w.log.Warn("look after the schedule; tried again later", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// Starter reaches the workflows of connectors.
type Starter struct {
	Client                  client.Client
	ControlQueue, TaskQueue string // empty: those of the package workflows
}

func (w *Worker) starter() Starter {
	return Starter{w.deps.Temporal, w.config.ControlQueue, w.config.TaskQueue}
}

// Reconcile signals the connector's workflow to look at the catalog, and starts it if it does not run.
func (s Starter) Reconcile(ctx context.Context, connector string) error {
	queue := s.ControlQueue
	if queue == "" {
		queue = workflows.ControlTaskQueue
	}
	id := workflows.ConnectorWorkflowID(connector)
	_, err := s.Client.SignalWithStartWorkflow(ctx, id, workflows.SignalReconcile, nil,
		client.StartWorkflowOptions{ID: id, TaskQueue: queue, WorkflowTaskTimeout: workflows.StepTimeout, StaticSummary: "Connector " + connector},
		workflows.ConnectorType, workflows.ConnectorState{Name: connector, TaskQueue: s.TaskQueue})
	if err != nil {
		return fmt.Errorf("signal workflow %s: %w", id, err)
	}
	return nil
}

// Tell signals progress to a workflow, which need not run any more.
func (s Starter) Tell(ctx context.Context, workflow, run string, progress any) error {
	err := s.Client.SignalWorkflow(ctx, workflow, run, workflows.SignalProgress, progress)
	var missing *serviceerror.NotFound
	if err != nil && !errors.As(err, &missing) {
		return fmt.Errorf("tell workflow %s of progress: %w", workflow, err)
	}
	return nil
}

// Running reports whether the connector's workflow runs.
func (s Starter) Running(ctx context.Context, connector string) (bool, error) {
	id := workflows.ConnectorWorkflowID(connector)
	d, err := s.Client.DescribeWorkflowExecution(ctx, id, "")
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("describe workflow %s: %w", id, err)
	}
	return d.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, nil
}
