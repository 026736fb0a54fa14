package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// What a question to the workers may take. Whoever asked waits no longer.
const (
	probeTaken  = 10 * time.Second // until a worker takes it up
	probeWithin = 30 * time.Second // until it is answered
)

// Probe has a worker answer a question that is in the catalog, where the worker leaves the answer. Nobody is to wait for it
// long, and it may be asked again: what fails is tried once more, and given up.
func Probe(ctx workflow.Context, in ProbeInput) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ScheduleToStartTimeout: probeTaken, StartToCloseTimeout: probeWithin, ScheduleToCloseTimeout: probeWithin,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Second, MaximumAttempts: 2}, Summary: in.About,
	})
	return workflow.ExecuteActivity(ctx, ActivityProbe, in).Get(ctx, nil)
}
