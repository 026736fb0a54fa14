package activities

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/pipeline"
	"github.com/gantry-connect/gantry/workflows"
)

// LoadConnector reads what the catalog wants of a connector. Restarts that its workflow has obeyed are forgotten.
func (a *Activities) LoadConnector(ctx context.Context, in workflows.LoadConnectorInput) (workflows.LoadConnectorResult, error) {
	conn, err := a.Catalog.Connector(ctx, in.Name)
	if errors.Is(err, catalog.ErrNotFound) {
		return workflows.LoadConnectorResult{}, nil
	}
	if err != nil {
		return workflows.LoadConnectorResult{}, err
	}
	plan, err := a.Catalog.Plan(ctx, conn.UID)
	if err != nil {
		return workflows.LoadConnectorResult{}, err
	}
	if in.RestartSeq > conn.RestartSeq {
		in.RestartSeq = 0 // the catalog was restored: nobody knows which of its restarts were obeyed
	}
	if err := a.Catalog.RestartsDone(ctx, conn.UID, in.RestartSeq); err != nil {
		return workflows.LoadConnectorResult{}, err
	}
	restarts, err := a.Catalog.Restarts(ctx, conn.UID, in.RestartSeq)
	if err != nil {
		return workflows.LoadConnectorResult{}, err
	}
	result := workflows.LoadConnectorResult{Found: true, UID: conn.UID, Kind: conn.Kind, Class: conn.Class,
		Desired: workflows.Desired(conn.Desired), Revision: conn.Revision, Generation: conn.Generation,
		RestartSeq: conn.RestartSeq, KeepsPositions: conn.KeepsPositions}
	result.Group = groupOf(conn.Config)
	if len(plan) > 0 {
		result.PlanGroup = groupOf(plan[0].Config)
	}
	alive, err := a.Catalog.Workers(ctx)
	if err != nil {
		return workflows.LoadConnectorResult{}, err
	}
	result.Lonely = lonelyAmong(alive, result.Group)
	result.Deserted = len(plan) > 0 && lonelyAmong(alive, result.PlanGroup) != ""
	switch status, err := a.Catalog.ConnectorStatus(ctx, conn.UID); {
	case err == nil:
		result.Shown = workflows.State(status.State)
	case errors.Is(err, catalog.ErrNotFound):
		result.Shown = workflows.Unassigned
	default:
		return workflows.LoadConnectorResult{}, err
	}
	for _, t := range plan {
		result.Plan = append(result.Plan, workflows.PlannedTask{Number: t.Number, Hash: t.Hash})
	}
	for _, r := range restarts {
		result.RestartSeq = max(result.RestartSeq, r.Seq) // it may be newer than what was read of the connector
		result.Restarts = append(result.Restarts, workflows.Restart{Connector: r.Connector, AllTasks: r.AllTasks,
			Task: r.Task, OnlyFailed: r.OnlyFailed})
	}
	return result, nil
}

// desiredBy is what a signal wants, by its name.
var desiredBy = map[string]catalog.State{
	workflows.SignalPause:  catalog.StatePaused,
	workflows.SignalResume: catalog.StateRunning,
	workflows.SignalStop:   catalog.StateStopped,
	workflows.SignalDelete: catalog.StateDeleted,
}

// SetDesired writes an operator's signal into the catalog, where REST would have written it. What cannot be done is
// refused, which is final. An attempt that has done so and could not say it is not followed by another that does it again: something
// else may have been asked for since.
func (a *Activities) SetDesired(ctx context.Context, in workflows.SetDesiredInput) error {
	author := in.Verb.Author
	if author == "" {
		author = "signal"
	}
	var err error
	key := activityKey(ctx)
	if state, ok := desiredBy[in.Signal]; ok {
		_, err = a.Catalog.SetDesiredOnce(ctx, in.Name, state, author, key)
	} else if in.Signal == workflows.SignalRestart {
		err = a.requestRestart(ctx, in.Name, in.Verb, author, key)
	} else {
		err = refused(fmt.Errorf("there is no signal %q", in.Signal))
	}
	if errors.Is(err, catalog.ErrNotFound) || errors.Is(err, catalog.ErrDeleting) {
		return refused(err)
	}
	return err
}

// activityKey is the same in all attempts of an activity, and in no other one.
func activityKey(ctx context.Context) string {
	info := activity.GetInfo(ctx)
	return info.WorkflowExecution.RunID + "/" + info.ActivityID
}

func (a *Activities) requestRestart(ctx context.Context, name string, verb workflows.Verb, author, key string) error {
	conn, err := a.Catalog.Connector(ctx, name)
	if err != nil {
		return err
	}
	if verb.Task != nil {
		if _, err := a.Catalog.PlannedTask(ctx, conn.UID, *verb.Task); err != nil {
			return err
		}
	}
	whole := verb.Task == nil
	_, err = a.Catalog.RequestRestartOnce(ctx, name, catalog.Restart{Connector: whole,
		AllTasks: whole && (verb.Tasks == nil || *verb.Tasks), Task: verb.Task, OnlyFailed: verb.OnlyFailed}, author, key)
	return err
}

// SetConnectorStatus stores the state that REST shows, with the worker that says so.
func (a *Activities) SetConnectorStatus(ctx context.Context, in workflows.SetConnectorStatusInput) error {
	return a.Catalog.SetConnectorStatus(ctx, in.UID, catalog.ConnectorStatus{State: string(in.State),
		Worker: a.config.Worker, Trace: in.Reason})
}

const (
	pruneEvery   = time.Hour
	keepHistory  = 30 * 24 * time.Hour
	pruneWithin  = time.Minute
	boundsWithin = 5 * time.Second // of one queue; a broker that is down keeps its fences
)

// prune lets the catalog forget old events and epochs, and fences that no reader can need any more, about once an hour on each
// worker that reconciles.
func (a *Activities) prune(ctx context.Context) {
	last, now := a.pruned.Load(), time.Now().UnixNano()
	if (last != 0 && now-last < int64(pruneEvery)) || !a.pruned.CompareAndSwap(last, now) {
		return
	}
	if err := a.Catalog.Prune(ctx, keepHistory); err != nil {
		a.log.Warn("prune the catalog's history; it is tried again in an hour", "error", err)
	}
	ctx, cancel := context.WithTimeout(ctx, pruneWithin)
	defer cancel()
	if err := a.pruneFences(ctx); err != nil {
		a.log.Warn("prune the fences; it is tried again in an hour", "error", err)
	}
}

// pruneFences forgets the fences that lie, with a later one of their writer, before what their queue still holds: by the topic's
// retention nothing is left that only they fence. It goes on after an error and returns the first one.
func (a *Activities) pruneFences(ctx context.Context) error {
	queues, err := a.Catalog.FencedQueues(ctx)
	for _, q := range queues {
		if qerr := a.pruneQueue(ctx, q); qerr != nil && err == nil && !errors.Is(qerr, ErrNoTopic) {
			err = qerr
		}
	}
	return err
}

func (a *Activities) pruneQueue(ctx context.Context, q catalog.Queue) error {
	bctx, cancel := context.WithTimeout(ctx, boundsWithin)
	defer cancel()
	start, _, err := a.Broker.Bounds(bctx, pipeline.Queue(q))
	if err != nil {
		return err
	}
	_, err = a.Catalog.PruneFences(ctx, q, start)
	return err
}

// ReconcileAll asks the workflow of every connector that is not as the catalog wants it to look, and starts those that
// do not run. It goes on after an error and returns the first one. About once an hour it also prunes the catalog's history.
func (a *Activities) ReconcileAll(ctx context.Context) (workflows.ReconcileAllResult, error) {
	ctx, stop := beat(ctx, a.config.HeartbeatEvery)
	defer stop()
	all, err := a.Catalog.Connectors(ctx)
	if err != nil {
		return workflows.ReconcileAllResult{}, err
	}
	alive, err := a.Catalog.Workers(ctx)
	if err != nil {
		return workflows.ReconcileAllResult{}, err
	}
	restarts, err := a.Catalog.RestartsLeft(ctx)
	if err != nil {
		return workflows.ReconcileAllResult{}, err
	}
	defer a.prune(ctx)
	result := workflows.ReconcileAllResult{Connectors: len(all)}
	var first error
	for _, conn := range all {
		asked, err := a.reconcileOne(ctx, conn, alive, slices.Contains(restarts, conn.UID))
		if asked {
			result.Signalled++
		}
		if err != nil && first == nil {
			first = fmt.Errorf("reconcile connector %s: %w", conn.Name, err)
		}
	}
	return result, first
}

func (a *Activities) reconcileOne(ctx context.Context, conn catalog.Connector, alive []catalog.Worker, restart bool) (asked bool, err error) {
	running, err := a.Starter.Running(ctx, conn.Name)
	if err != nil {
		return false, err
	}
	status, err := a.Catalog.ConnectorStatus(ctx, conn.UID)
	if err != nil && !errors.Is(err, catalog.ErrNotFound) {
		return false, err
	}
	minded, err := a.minded(ctx, conn, status, alive)
	if err != nil {
		return false, err
	}
	if running && minded && !restart && (asWanted(conn, status) || beingPlanned(conn, status)) {
		return false, a.tellConnector(ctx, conn, status)
	}
	return true, a.Starter.Reconcile(ctx, conn.Name)
}

// planningSilence is after how long a plan that is tried for counts as forgotten. A try is shown at least once a minute.
const planningSilence = 3 * time.Minute

// beingPlanned reports whether a connector's workflow is about to do what the catalog wants, and cannot yet: to wake it would
// only fill its history.
func beingPlanned(conn catalog.Connector, status catalog.ConnectorStatus) bool {
	return conn.Desired == catalog.StateRunning && conn.PlannedRevision != conn.Revision && status.Trace != "" &&
		(status.State == catalog.StatusUnassigned || status.State == catalog.StatusRunning) &&
		time.Since(status.UpdatedAt) < planningSilence
}

// asWanted reports whether a connector's workflow has done what the catalog wants.
func asWanted(conn catalog.Connector, status catalog.ConnectorStatus) bool {
	if conn.Desired == catalog.StateRunning && conn.PlannedRevision != conn.Revision {
		return false
	}
	return status.State == string(conn.Desired)
}
