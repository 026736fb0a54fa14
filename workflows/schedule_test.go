package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/gantry-connect/gantry/workflows"
)

// The schedule starts no second run beside the first: one that was lost with its worker must end soon.
func TestAReconcilingThatIsLostMakesWayForTheNext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	queue := w.queue + "-schedule"
	sdk := worker.New(w.client, queue, worker.Options{DisableRegistrationAliasing: true, WorkflowPanicPolicy: worker.FailWorkflow})
	sdk.RegisterWorkflowWithOptions(workflows.Reconcile, workflow.RegisterOptions{Name: workflows.ReconcileType})
	dead := make(chan struct{})
	sdk.RegisterActivityWithOptions(func(context.Context) (workflows.ReconcileAllResult, error) {
		<-dead // as silent as a worker that was killed
		return workflows.ReconcileAllResult{}, nil
	}, activity.RegisterOptions{Name: workflows.ActivityReconcileAll})
	require.NoError(t, sdk.Start())
	defer sdk.Stop()
	defer close(dead)
	run, err := w.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: queue, TaskQueue: queue,
		WorkflowExecutionTimeout: time.Minute}, workflows.ReconcileType)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var silent *temporal.TimeoutError
	require.ErrorAs(t, run.Get(ctx, nil), &silent)
	require.NoError(t, ctx.Err())
	d, err := w.client.DescribeWorkflowExecution(t.Context(), queue, "")
	require.NoError(t, err)
	require.NotNil(t, d.WorkflowExecutionInfo.CloseTime, "it has ended")
}
