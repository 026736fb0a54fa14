package workflows

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// What a question to the workers may take. Whoever asked waits no longer.
const (
	probeTaken  = 10 * time.Second // until a worker takes it up
	probeWithin = 30 * time.Second // until it is answered
)

// probeTurns bounds how often workers of other groups may turn a question away. They share the queue of questions about
// connectors without a group; Temporal hands it to any of them.
const (
	probeTurns = 20
	probePause = 200 * time.Millisecond
)

// Probe has a worker of the connector's group answer a question that is in the catalog, where the worker leaves the answer.
// Nobody is to wait for it long, and it may be asked again: what fails is tried once more, and given up.
func Probe(ctx workflow.Context, in ProbeInput) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:              groupQueue(ctx, in.Group),
		ScheduleToStartTimeout: probeTaken, StartToCloseTimeout: probeWithin, ScheduleToCloseTimeout: probeWithin,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Second, MaximumAttempts: 2,
			NonRetryableErrorTypes: []string{ErrorTypeTurnedAway}}, Summary: in.About,
	})
	for turn := 1; ; turn++ {
		err := workflow.ExecuteActivity(ctx, ActivityProbe, in).Get(ctx, nil)
		var e *temporal.ApplicationError
		if !errors.As(err, &e) || e.Type() != ErrorTypeTurnedAway || turn == probeTurns {
			return err
		}
		if err := workflow.Sleep(ctx, probePause); err != nil {
			return err
		}
	}
}
