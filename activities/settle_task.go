package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/pipeline"
	"github.com/gantry-connect/gantry/workflows"
)

// SettleTask ends cleanly what a task's last owner left: a source's open queues are read back and closed, a sink's position
// is taken over from its target. It works by the plan in force, the one that the owner had. A task that was left clean
// costs one claim. It is tried while the connector's system, a broker or the catalog fails, but for Config.SettleTimeout only.
// What then follows:
//
//	the connector is to rest                            not settled, which is as good: the next start reads back
//	source, another config, exactly.once not required   not settled, but the plan goes on and the next start reads back
//	source, another share, exactly.once not required    the queues are closed as they are: settled, at the price of doubles
//	sink, another config                                not settled, but the plan goes on: the next start asks the target
//	all others                                          not settled, and the plan waits
func (a *Activities) SettleTask(ctx context.Context, in workflows.SettleTaskInput) (workflows.SettleTaskResult, error) {
	ctx, stop := beat(ctx, a.config.HeartbeatEvery)
	defer stop()
	p := plan{settle: true, log: a.log.With("connector", in.Connector, "task", in.Task)}
	err := a.settle(ctx, in, &p)
	switch {
	case err == nil:
		return workflows.SettleTaskResult{Settled: true}, nil
	case !connector.IsPermanent(err):
		return workflows.SettleTaskResult{}, toTemporal(fmt.Errorf("settle task %s/%d: %w", in.Connector, in.Task, err), failure{})
	}
	result, err := a.unsettled(ctx, in, p, err)
	if err != nil {
		return result, toTemporal(fmt.Errorf("settle task %s/%d: %w", in.Connector, in.Task, err), failure{})
	}
	p.log.Error("the task is not settled", "reason", result.Reason, "goesOn", in.Replan && (result.GoOn || result.Settled))
	a.note(ctx, p, eventUnsettled, result.Reason)
	return result, nil
}

// unsettled says what follows when a task cannot be settled because of problem.
func (a *Activities) unsettled(ctx context.Context, in workflows.SettleTaskInput, p plan, problem error) (workflows.SettleTaskResult, error) {
	sink := p.conn.Kind == string(connector.KindSink)
	switch {
	case !in.Replan:
		return workflows.SettleTaskResult{Reason: fmt.Sprintf("%v; the next start settles it", problem)}, nil
	case p.conn.Config["exactly.once"] == "required" && !sink:
		return workflows.SettleTaskResult{Reason: fmt.Sprintf("%v; the new plan waits, because exactly.once = required forbids doubles: "+
			"mend the system, or set exactly.once = preferred to go on", problem)}, nil
	case !in.Moved:
		price := "; the next start settles it by the new config, and records since the last checkpoint may be doubled"
		return workflows.SettleTaskResult{GoOn: true, Reason: problem.Error() + price}, nil
	case sink:
		return workflows.SettleTaskResult{Reason: fmt.Sprintf("%v; the new plan waits, because it moves queues to other tasks: mend the "+
			"target, or change the connection first and the division after", problem)}, nil
	}
	if err := a.closeQueues(ctx, in, &p); err != nil {
		return workflows.SettleTaskResult{}, err
	}
	return workflows.SettleTaskResult{Settled: true,
		Reason: fmt.Sprintf("%v; went on without settling, records since the last checkpoint may be doubled", problem)}, nil
}

// closeQueues gives up what a task's open queues could tell of records that have arrived.
func (a *Activities) closeQueues(ctx context.Context, in workflows.SettleTaskInput, p *plan) error {
	lease, err := a.claimToSettle(ctx, in)
	if err != nil {
		return err
	}
	defer a.release(ctx, p, lease, false)
	point := pipeline.Checkpoint{}
	for _, q := range startOf(lease.Start()).Open {
		point.Queues, point.Close = append(point.Queues, q), append(point.Close, q.Queue)
	}
	if len(point.Close) == 0 {
		return nil
	}
	return newLedger(lease, a.Catalog).Commit(ctx, point)
}

var errNotOpened = errors.New("the connector takes too long to open")

// settleSink takes over the position of the task's queues from the target, which is ahead of the catalog's if the last owner
// died between the two. Opening the sink has fenced that owner.
func settleSink(ctx context.Context, target connector.Position, queues []catalog.Queue, l *ledger) error {
	moved := connector.Position{}
	for _, q := range queues {
		partition, err := connector.MakePartition(map[string]any{ // as sinks' positions name their queues
			"rocketmq_broker": q.Broker, "rocketmq_queue": q.ID, "rocketmq_topic": q.Topic})
		if err != nil {
			return connector.Permanent(err)
		}
		if offset, ok := target[partition]; ok {
			moved[partition] = offset
		}
	}
	if len(moved) == 0 {
		return nil
	}
	return l.Commit(ctx, pipeline.Checkpoint{Position: moved})
}

func (a *Activities) settle(ctx context.Context, in workflows.SettleTaskInput, p *plan) (err error) {
	if p.conn, err = a.load(ctx, in.UID); err == nil {
		p.task, err = a.Catalog.PlannedTask(ctx, in.UID, in.Task)
	}
	if errors.Is(err, catalog.ErrNotFound) {
		return nil // forgotten, and its positions with it; or it never ran under this plan
	}
	if err != nil {
		return err
	}
	began := time.Now()
	for n := 1; ; n++ {
		err = a.settleOnce(ctx, in, p)
		// What comes here is the connector's, or about the task's owner, or the copy loop has waited for a broker or the catalog for
		// too long already.
		if err == nil || ctx.Err() != nil || isFenced(err) || connector.IsPermanent(err) || errors.Is(err, errClaim) {
			return err
		}
		pause := min(failure{consecutive: n}.delay(), longestSettlePause)
		if time.Since(began)+pause >= a.config.SettleTimeout {
			return connector.Permanent(fmt.Errorf("tried for %v: %w", time.Since(began).Round(time.Second), err))
		}
		p.log.Warn("settling failed and is tried again", "error", err, "failures", n)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

const longestSettlePause = 5 * time.Second

// errClaim marks a failure to claim, which is none of the connector's.
var errClaim = errors.New("claim the task")

func (a *Activities) claimToSettle(ctx context.Context, in workflows.SettleTaskInput) (*catalog.Lease, error) {
	lease, err := a.Claims.Claim(ctx, catalog.ClaimRequest{UID: in.UID, Task: in.Task, Owner: a.config.Worker,
		Attempt: activityKey(ctx), AttemptNo: int(activity.GetInfo(ctx).Attempt), Settle: true})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errClaim, err)
	}
	return lease, nil
}

func (a *Activities) release(ctx context.Context, p *plan, lease *catalog.Lease, settled bool) {
	if err := giveBack(ctx, lease, settled); err != nil {
		p.log.Warn("release the task; its lease runs out by itself", "error", err)
	}
}

// settleOnce claims the task and tries once. A connector that has not opened within SettleTimeout is cut off, and so is a copy
// loop that has tried one thing for so long without success.
func (a *Activities) settleOnce(ctx context.Context, in workflows.SettleTaskInput, p *plan) (err error) {
	lease, err := a.claimToSettle(ctx, in)
	if err != nil {
		return err
	}
	defer func() { a.release(ctx, p, lease, err == nil) }()
	if p.conn.Kind == string(connector.KindSource) && len(lease.Start().Open) == 0 {
		return nil
	}
	j := a.start(ctx, *p, lease)
	began := time.Now()
	look := time.NewTicker(settleLook)
	defer look.Stop()
	var reason error
	for waiting := true; waiting; {
		select {
		case err = <-j.done:
			return err
		case <-look.C:
			reason = a.settlesInVain(j, began)
			waiting = reason == nil
		case <-ctx.Done():
			reason, waiting = ctx.Err(), false
		case <-lease.Lost():
			reason, waiting = fmt.Errorf("%w: the catalog has given the task away", pipeline.ErrFenced), false
		}
	}
	j.cancel()
	select {
	case err = <-j.done:
		if errors.Is(err, context.Canceled) {
			return reason
		}
		return err
	case <-time.After(a.config.EndTimeout):
		j.left.Store(true)
		a.abandoned.Add(1)
		return &crashError{what: "settling does not end"}
	}
}

// settleLook is how often settling is looked at.
const settleLook = 100 * time.Millisecond

// settlesInVain says why a job that settles need not be waited for any longer; nil if it does.
func (a *Activities) settlesInVain(j *job, began time.Time) error {
	switch s := j.progress.Snapshot(); {
	case !j.opened.Load() && time.Since(began) >= a.config.SettleTimeout:
		return errNotOpened
	case !s.RetryingSince.IsZero() && time.Since(s.RetryingSince) >= a.config.SettleTimeout:
		return connector.Permanent(fmt.Errorf("%s has failed since %s: %w", s.RetryingWhat, s.RetryingSince.UTC().Format(time.RFC3339), s.LastError))
	}
	return nil
}
