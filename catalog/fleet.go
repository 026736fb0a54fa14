package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// WorkerTask is a task that a worker owns.
type WorkerTask struct {
	Worker        string
	Connector     string
	Task          int
	State         string // what it said last; empty if nothing yet
	RatePerSecond float64
}

// WorkerView is a worker as operators see it.
type WorkerView struct {
	Worker
	Alive bool // seen in the last 3 s
}

// WorkerViews reads all workers that were seen within the last hour, by id, and the tasks that they own by the database's
// clock, by worker, connector and number.
func (c *Catalog) WorkerViews(ctx context.Context) ([]WorkerView, []WorkerTask, error) {
	rows, err := c.pool.Query(ctx, `
		select `+workerColumns+`, seen_at > clock_timestamp() - @silence::interval as alive
		from gantry.workers where seen_at > clock_timestamp() - @forgotten::interval order by id`,
		pgx.StrictNamedArgs{"silence": workerSilence, "forgotten": workerForgotten})
	if err != nil {
		return nil, nil, fmt.Errorf("list the workers: %w", err)
	}
	workers, err := pgx.CollectRows(rows, pgx.RowToStructByName[WorkerView])
	if err != nil {
		return nil, nil, fmt.Errorf("list the workers: %w", err)
	}
	rows, err = c.pool.Query(ctx, `
		select l.owner as worker, c.name as connector, l.task, coalesce(s.state, '') as state,
		       coalesce(s.rate_per_second, 0) as rate_per_second
		from gantry.leases l join gantry.connectors c using (uid) left join gantry.task_status s using (uid, task)
		where l.token is not null and l.expires_at > clock_timestamp() order by l.owner, c.name, l.task`)
	if err != nil {
		return nil, nil, fmt.Errorf("list the workers' tasks: %w", err)
	}
	tasks, err := pgx.CollectRows(rows, pgx.RowToStructByName[WorkerTask])
	if err != nil {
		return nil, nil, fmt.Errorf("list the workers' tasks: %w", err)
	}
	return workers, tasks, nil
}

// Cordon says whether a worker is to hand over its tasks and take none. It finds out with its next sign of life. ErrNotFound
// if no such worker was seen within the last hour.
func (c *Catalog) Cordon(ctx context.Context, id string, cordoned bool) error {
	var seen time.Time
	err := c.pool.QueryRow(ctx, "update gantry.workers set cordoned = @cordoned where id = @id returning seen_at",
		pgx.StrictNamedArgs{"id": id, "cordoned": cordoned}).Scan(&seen)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("set worker %s to cordoned = %t: %w", id, cordoned, err)
	}
	return nil
}

// Rebalance asks all workers to compare what they run with their share at once; it returns how many were asked.
func (c *Catalog) Rebalance(ctx context.Context) (workers int, err error) {
	tag, err := c.pool.Exec(ctx, `
		update gantry.workers set rebalance_seq = rebalance_seq + 1
		where seen_at > clock_timestamp() - @silence::interval and not draining`, pgx.StrictNamedArgs{"silence": workerSilence})
	if err != nil {
		return 0, fmt.Errorf("ask the workers to rebalance: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
