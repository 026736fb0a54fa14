package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/pipeline"
	"github.com/gantry-connect/gantry/workflows"
)

// RunTask copies one task's records until there is a reason to let go of it. It claims the task (a new epoch and a lease),
// goes on at the committed position, and releases the lease at the end, so that the next owner need not wait.
//
//	worker stops, fair share, turn over, another one waits   drained, RunTaskResult: run it again at once, anywhere
//	the catalog does not want it, or not with this plan      drained, RunTaskResult with ReleaseUnwanted
//	cancelled by the workflow                                drained, CanceledError with a RunTaskResult as detail
//	paused or reset by an operator of Temporal               drained, the context's cause
//	superseded, or Temporal out of reach                     goes on until the lease is wanted, lost, or the worker stops
//	a newer epoch has the task                               nothing committed, retried at once
//	an error of source, sink, broker or catalog              retried with growing pauses
//	a config that cannot work, a permanent error             final, the task's state is FAILED
//	a panic, a hang                                          retried; final after MaxCrashes without a record in between
func (a *Activities) RunTask(ctx context.Context, in workflows.RunTaskInput) (workflows.RunTaskResult, error) {
	t := a.newTurn(ctx, in)
	defer t.end()
	e := t.run(ctx)
	return t.outcome(ctx, e)
}

// reason is why a turn was asked to end.
type reason string

const (
	none     reason = ""
	canceled reason = "cancelled"
	paused   reason = "paused or reset"
	killed   reason = "the worker's time to stop is over"
)

// releaseBy says by which release a reason is answered.
func releaseBy(r reason) (workflows.Release, bool) {
	switch release := workflows.Release(r); release {
	case workflows.ReleaseWorkerStop, workflows.ReleaseShed, workflows.ReleaseTurn, workflows.ReleaseWanted, workflows.ReleaseUnwanted:
		return release, true
	}
	return "", false
}

// ending is how a turn ended.
type ending struct {
	reason  reason // none: by itself
	err     error  // of the copy loop, or of the steps before it
	settled bool   // nothing is left to read back
}

// run claims the task and copies.
func (t *turn) run(ctx context.Context) (e ending) {
	if err := t.tooManyCrashes(); err != nil {
		return ending{err: err}
	}
	p, wanted, err := t.lookUp(ctx)
	if err == nil && !wanted {
		t.wake(ctx, p)
	}
	if err != nil || !wanted {
		return ending{reason: unwantedIf(err == nil), err: err}
	}
	lease, why, err := t.claim(ctx)
	if lease == nil {
		return ending{reason: why, err: err}
	}
	defer func() { t.release(ctx, lease, e.settled) }()
	if lease.Start().PlanHash != t.in.Hash {
		t.wake(ctx, p)
		return ending{reason: reason(workflows.ReleaseUnwanted), settled: p.conn.Kind == string(connector.KindSource) && len(lease.Start().Open) == 0}
	}
	p.log = t.log.With("epoch", lease.Start().Epoch)
	// From here on the lease decides, not the activity's context.
	j := t.a.start(context.WithoutCancel(ctx), p, lease)
	t.own(lease, j)
	e = t.conduct(ctx, lease, j)
	if lease.Reason() == catalog.ReasonPlan || isFenced(e.err) {
		t.wakeIfUnknown(ctx)
	}
	e.settled = settledBy(p.conn.Kind, e.err, j.ledger.clean())
	return e
}

// settledBy reports whether a task that ended with err has left nothing to settle. A source may leave queues open although it
// has drained: those that hold records which it had not given again yet. A sink's target may be ahead of the catalog after an
// error.
func settledBy(kind string, err error, clean bool) bool {
	if kind == string(connector.KindSource) {
		return clean
	}
	return err == nil
}

func unwantedIf(unwanted bool) reason {
	if unwanted {
		return reason(workflows.ReleaseUnwanted)
	}
	return none
}

// lookUp reads what the task consists of, and whether the catalog wants it to run as the workflow thinks.
func (t *turn) lookUp(ctx context.Context) (p plan, wanted bool, err error) {
	p.conn, err = t.a.load(ctx, t.in.UID)
	if err == nil {
		p.task, err = t.a.Catalog.PlannedTask(ctx, t.in.UID, t.in.Task)
	}
	if errors.Is(err, catalog.ErrNotFound) {
		return p, false, nil
	}
	if c, perr := pipeline.ParseSourceConfig(p.task.Config); perr == nil {
		t.retry = c.CommonConfig
	} else if c, perr := pipeline.ParseSinkConfig(p.task.Config); perr == nil {
		t.retry = c.CommonConfig
	}
	return p, err == nil && p.conn.Desired == catalog.StateRunning && p.task.Hash == t.in.Hash, err
}

// claim waits for the task until there is a reason not to.
func (t *turn) claim(ctx context.Context) (*catalog.Lease, reason, error) {
	cctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stopped := make(chan struct{})
	defer func() { <-stopped }()
	defer cancel(nil)
	go func() { // waited for above
		defer close(stopped)
		select {
		case <-t.workerStop:
			cancel(errWorkerStop)
		case <-cctx.Done():
		}
	}()
	lease, err := t.a.Claims.Claim(cctx, catalog.ClaimRequest{UID: t.in.UID, Task: t.in.Task, Owner: t.a.config.Worker,
		Attempt: t.info.WorkflowExecution.RunID + "/" + t.info.ActivityID, AttemptNo: int(t.info.Attempt)})
	switch {
	case err == nil:
		return lease, none, nil
	case errors.Is(context.Cause(cctx), errWorkerStop):
		return nil, reason(workflows.ReleaseWorkerStop), nil
	case ctx.Err() != nil:
		return nil, whyOver(ctx), fmt.Errorf("claim the task: %w", context.Canceled)
	case errors.Is(err, catalog.ErrNotFound):
		return nil, reason(workflows.ReleaseUnwanted), nil
	}
	return nil, none, err
}

var errWorkerStop = errors.New("the worker stops")

// whyOver says what the end of the activity's context means; none: the attempt counts no more, but the lease may hold.
func whyOver(ctx context.Context) reason {
	cause := context.Cause(ctx)
	var asked *temporal.CanceledError
	switch {
	case errors.As(cause, &asked):
		return canceled
	case errors.Is(cause, activity.ErrActivityPaused), errors.Is(cause, activity.ErrActivityReset):
		return paused
	case errors.Is(cause, worker.ErrWorkerShutdown):
		return killed
	}
	return none // NotFound: a later attempt exists or the workflow is gone; else Temporal is out of reach
}

// conduct waits for the job's end, and brings it about when there is a reason to.
func (t *turn) conduct(ctx context.Context, lease *catalog.Lease, j *job) ending {
	var why reason
	var bound <-chan time.Time // of the stage that the end has reached
	cut, fenced := false, false
	over, shed, stop, wanted, lost := ctx.Done(), t.shed, t.workerStop, lease.Wanted(), lease.Lost()
	turn := time.NewTimer(jittered(t.a.config.Turn))
	defer turn.Stop()
	look := time.NewTicker(t.a.config.HeartbeatEvery)
	defer look.Stop()
	end := func(r reason, within time.Duration) {
		if why == none {
			why = r
			j.stop()
			bound = time.After(within)
		}
	}
	for {
		select {
		case err := <-j.done:
			if fenced && errors.Is(err, context.Canceled) {
				err = fmt.Errorf("%w: the catalog has given the task away", pipeline.ErrFenced)
			}
			return ending{reason: why, err: err}
		case <-over:
			over = nil
			if r := whyOver(ctx); r != none {
				end(r, t.a.config.DrainTimeout)
			} else {
				t.goOn(ctx)
			}
		case <-shed:
			shed = nil
			end(reason(workflows.ReleaseShed), t.a.config.DrainTimeout)
		case <-stop:
			stop = nil
			end(reason(workflows.ReleaseWorkerStop), t.a.config.DrainTimeout)
		case <-turn.C:
			end(reason(workflows.ReleaseTurn), t.a.config.DrainTimeout)
		case <-wanted:
			wanted = nil
			end(wantedBy(lease.Reason()), t.a.config.DrainTimeout)
		case <-lost:
			lost = nil
			j.cancel()
			cut, fenced = true, true
			bound = time.After(t.a.config.EndTimeout)
		case <-bound:
			if cut {
				return t.abandon(j, why)
			}
			j.cancel()
			cut, bound = true, time.After(t.a.config.EndTimeout)
		case now := <-look.C:
			t.look(ctx, now)
			if why == none && !cut && t.stalled(now, j) {
				j.cancel()
				why, cut, bound = stalledOut, true, time.After(t.a.config.EndTimeout)
			}
		}
	}
}

// goOn says that the task is copied on although its attempt counts no more.
func (t *turn) goOn(ctx context.Context) {
	t.orphan.Store(true)
	t.log.Warn("Temporal is out of reach or has given the task to another attempt; copying goes on while the lease holds",
		"error", context.Cause(ctx))
}

// stalledOut is the reason of a turn whose job was cut because it gave no sign of life.
const stalledOut reason = "no sign of life"

func wantedBy(r catalog.Reason) reason {
	if r == catalog.ReasonClaimant {
		return reason(workflows.ReleaseWanted)
	}
	return reason(workflows.ReleaseUnwanted)
}

// abandon leaves a job behind that does not end. Its lease is released and its context has ended, so it can send and
// commit nothing more; what it can still do to its target is fenced by the target's epoch.
func (t *turn) abandon(j *job, why reason) ending {
	j.left.Store(true)
	n := t.a.abandoned.Add(1)
	s := j.progress.Snapshot()
	t.log.Error("abandon a task that does not end", "call", s.ConnectorCall, "since", s.ConnectorCallStartedAt, "abandoned", n)
	what := "the task does not end"
	if s.ConnectorCall != "" {
		what = fmt.Sprintf("the task does not end: the connector's %s has not returned for %v", s.ConnectorCall,
			time.Since(s.ConnectorCallStartedAt).Round(time.Second))
	}
	return ending{reason: why, err: &crashError{what: what}}
}

// outcome turns the ending into what the server is told, and into what REST shows.
func (t *turn) outcome(ctx context.Context, e ending) (workflows.RunTaskResult, error) {
	result := workflows.RunTaskResult{Settled: e.settled, Progress: t.lastProgress()}
	if release, ok := releaseBy(e.reason); ok {
		result.Release = release
		t.say(catalog.StatusUnassigned, nil, time.Time{})
		return result, nil
	}
	switch e.reason {
	case canceled:
		t.say(catalog.StatusUnassigned, nil, time.Time{})
		return workflows.RunTaskResult{}, temporal.NewCanceledError(result)
	case paused, killed:
		t.say(catalog.StatusUnassigned, nil, time.Time{})
		return workflows.RunTaskResult{}, context.Cause(ctx)
	case stalledOut:
		if e.err == nil || errors.Is(e.err, context.Canceled) {
			e.err = &crashError{what: fmt.Sprintf("the task gave no sign of life for %v and was stopped", t.a.config.StallTimeout)}
		}
	}
	if e.err == nil { // a loop that ends by itself has nothing left to do; its workflow decides
		result.Release = workflows.ReleaseTurn
		return result, nil
	}
	return workflows.RunTaskResult{}, t.failed(ctx, fmt.Errorf("run task %s/%d: %w", t.in.Connector, t.in.Task, e.err))
}
