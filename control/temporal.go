package control

import (
	"context"
	"fmt"

	"go.temporal.io/sdk/client"

	"github.com/gantry-connect/gantry/workflows"
)

// Temporal is the Notifier of a running installation.
type Temporal struct {
	Client client.Client
	Queue  string // the task queue of connector workflows; workflows.ControlTaskQueue where empty
}

// Reconcile signals the connector's workflow and starts it if it does not run.
func (t Temporal) Reconcile(ctx context.Context, name string) error {
	queue := t.Queue
	if queue == "" {
		queue = workflows.ControlTaskQueue
	}
	id := workflows.ConnectorWorkflowID(name)
	_, err := t.Client.SignalWithStartWorkflow(ctx, id, workflows.SignalReconcile, nil,
		client.StartWorkflowOptions{ID: id, TaskQueue: queue}, workflows.ConnectorType, workflows.ConnectorState{Name: name})
	if err != nil {
		return fmt.Errorf("signal workflow %s: %w", id, err)
	}
	return nil
}
