package control

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/gantry-connect/gantry/workflows"
)

// Temporal is the Notifier and the Prober of a running installation.
type Temporal struct {
	Client client.Client
	Queue  string // the task queue of connector workflows; workflows.ControlTaskQueue where empty
}

// probeWithin bounds the workflow that has a question answered.
const probeWithin = time.Minute

// Probe starts the workflow that has a worker of a group answer a question, and waits for its end.
func (t Temporal) Probe(ctx context.Context, question, about, group string) error {
	queue := t.Queue
	if queue == "" {
		queue = workflows.ControlTaskQueue
	}
	id := workflows.ProbeWorkflowID(question)
	run, err := t.Client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: queue, StaticSummary: about,
		WorkflowExecutionTimeout: probeWithin}, workflows.ProbeType, workflows.ProbeInput{Question: question, About: about, Group: group})
	if err != nil {
		return fmt.Errorf("start workflow %s: %w", id, err)
	}
	if err := run.Get(ctx, nil); err != nil {
		return fmt.Errorf("wait for workflow %s: %w", id, err)
	}
	return nil
}

// Reconcile signals the connector's workflow and starts it if it does not run.
func (t Temporal) Reconcile(ctx context.Context, name string) error {
	queue := t.Queue
	if queue == "" {
		queue = workflows.ControlTaskQueue
	}
	id := workflows.ConnectorWorkflowID(name)
	_, err := t.Client.SignalWithStartWorkflow(ctx, id, workflows.SignalReconcile, nil,
		client.StartWorkflowOptions{ID: id, TaskQueue: queue, WorkflowTaskTimeout: workflows.StepTimeout}, workflows.ConnectorType, workflows.ConnectorState{Name: name})
	if err != nil {
		return fmt.Errorf("signal workflow %s: %w", id, err)
	}
	return nil
}
