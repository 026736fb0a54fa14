package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/workflows"
)

// eventPlanning is recorded when planning has failed and is tried again; not for each try.
const eventPlanning catalog.EventKind = "planning failed"

// maxTold bounds how often one outage is told to the workflow, each time at the cost of some ten events of its history: a
// failure whose text always differs must not fill it.
const maxTold = 10

const maxTrouble = 900 // bytes of a failure's text in a workflow's history

// awaitTurn waits for what a workflow with patience was told to wait. Later attempts come when the server sends them.
func (a *Activities) awaitTurn(ctx context.Context, p *workflows.Patience) error {
	if p == nil || p.Pause <= 0 || activity.GetInfo(ctx).Attempt > 1 {
		return nil
	}
	select {
	case <-time.After(p.Pause):
		return nil
	case <-activity.GetWorkerStopChannel(ctx):
		return temporal.NewApplicationErrorWithOptions("the worker stops", errorTypeFailure,
			temporal.ApplicationErrorOptions{NextRetryDelay: p.Pause, Category: temporal.ApplicationErrorCategoryBenign})
	case <-ctx.Done():
		return ctx.Err()
	}
}

// planLater decides what becomes of planning that has failed. One that may pass is shown, with the next try, and is then
// either told to the workflow, if it does not know, or tried again by the server.
func (a *Activities) planLater(ctx context.Context, in workflows.PlanTasksInput, problem error) (workflows.PlanTasksResult, error) {
	f := failure{}
	verdict := toTemporal(problem, f)
	var app *temporal.ApplicationError
	if in.Patience == nil || ctx.Err() != nil || !errors.As(verdict, &app) || app.NonRetryable() {
		return workflows.PlanTasksResult{}, verdict
	}
	f.consecutive = in.Patience.Failures + int(activity.GetInfo(ctx).Attempt)
	f.pause = f.delay()
	a.showPlanning(ctx, in, problem, f.pause)
	if text := strings.ToValidUTF8(cut(problem.Error(), maxTrouble), ""); text != in.Patience.Trouble && in.Patience.Told < maxTold {
		a.notePlanning(ctx, in, problem)
		return workflows.PlanTasksResult{Trouble: &workflows.Patience{Trouble: text, Told: in.Patience.Told + 1,
			Failures: f.consecutive, Pause: f.pause}}, nil
	}
	return workflows.PlanTasksResult{}, toTemporal(problem, f)
}

// showPlanning tells REST why there is no plan yet, and when it is tried again.
func (a *Activities) showPlanning(ctx context.Context, in workflows.PlanTasksInput, problem error, pause time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, noteWithin)
	defer cancel()
	err := a.Catalog.SetConnectorStatus(ctx, in.UID, catalog.ConnectorStatus{State: string(in.Patience.State), Worker: a.config.Worker,
		Trace: fmt.Sprintf("%v; tried again at %s", problem, time.Now().Add(pause).UTC().Format(time.RFC3339))})
	if err != nil {
		a.log.Warn("show that planning has failed", "connector", in.Name, "problem", problem, "error", err)
	}
}

func (a *Activities) notePlanning(ctx context.Context, in workflows.PlanTasksInput, problem error) {
	a.log.Warn("planning failed and is tried again", "connector", in.Name, "error", problem)
	ctx, cancel := context.WithTimeout(ctx, noteWithin)
	defer cancel()
	err := a.Catalog.RecordEvent(ctx, catalog.Event{UID: in.UID, Connector: in.Name, Kind: eventPlanning, Detail: problem.Error()})
	if err != nil {
		a.log.Warn("record an event", "kind", eventPlanning, "connector", in.Name, "error", err)
	}
}
