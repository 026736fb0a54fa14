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
// costs one claim. Where the connector itself makes settling impossible, exactly.once decides: required refuses, and the
// reason tells the operator; otherwise the task counts as settled, at the price that the reason names.
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
	p.log.Error("the task cannot be settled", "error", err)
	if c, perr := pipeline.ParseSourceConfig(p.conn.Config); perr == nil && c.ExactlyOnce == "required" {
		return workflows.SettleTaskResult{Reason: err.Error()}, nil
	}
	return workflows.SettleTaskResult{Settled: true,
		Reason: "went on without settling, records since the last checkpoint may be doubled: " + err.Error()}, nil
}

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
	if p.conn, err = a.Catalog.ConnectorByUID(ctx, in.UID); err == nil {
		p.task, err = a.Catalog.PlannedTask(ctx, in.UID, in.Task)
	}
	if errors.Is(err, catalog.ErrNotFound) {
		return nil // forgotten, and its positions with it; or it never ran under this plan
	}
	if err != nil {
		return err
	}
	info := activity.GetInfo(ctx)
	lease, err := a.Claims.Claim(ctx, catalog.ClaimRequest{UID: in.UID, Task: in.Task, Owner: a.config.Worker,
		Attempt: info.WorkflowExecution.RunID + "/" + info.ActivityID, AttemptNo: int(info.Attempt), Settle: true})
	if err != nil {
		return err
	}
	defer func() {
		rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseWithin)
		defer cancel()
		if rerr := lease.Release(rctx); rerr != nil {
			p.log.Warn("release the task; its lease runs out by itself", "error", rerr)
		}
	}()
	if p.conn.Kind == string(connector.KindSource) && len(lease.Start().Open) == 0 {
		return nil
	}
	j := a.start(ctx, *p, lease)
	select {
	case err = <-j.done:
		return err
	case <-ctx.Done():
	case <-lease.Lost():
	}
	j.cancel()
	select {
	case err = <-j.done:
		return err
	case <-time.After(a.config.EndTimeout):
		j.left.Store(true)
		a.abandoned.Add(1)
		return &crashError{what: "settling does not end"}
	}
}
