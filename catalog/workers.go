package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// workerSilence is after how long a worker that says nothing does not count any more.
	workerSilence = 3 * time.Second
	// workerForgotten is after how long its row goes.
	workerForgotten = time.Hour
)

// Worker is a process that runs tasks.
type Worker struct {
	ID       string
	Host     string
	Group    string
	Capacity int // tasks it can run
	Running  int // tasks it runs
	Draining bool
	Version  string    // of Gantry
	Since    time.Time // set by the catalog: when it came
	Seen     time.Time // set by the catalog: its last sign of life

	// What operators want of it; see Cordon and Rebalance.
	Cordoned     bool  // it is to hand over its tasks
	RebalanceSeq int64 // raised when it is to look at its share at once
}

const workerColumns = `id, host, "group", capacity, running, draining, version, first_seen_at as since, seen_at as seen,
	cordoned, rebalance_seq`

// UpsertWorker is a worker's sign of life, due at least every second.
func (c *Catalog) UpsertWorker(ctx context.Context, w Worker) error {
	b := &pgx.Batch{}
	b.Queue(`
		insert into gantry.workers (id, host, "group", capacity, running, draining, version)
		values (@id, @host, @group, @capacity, @running, @draining, @version)
		on conflict (id) do update
		set host = excluded.host, "group" = excluded."group", capacity = excluded.capacity, running = excluded.running,
		    draining = excluded.draining, version = excluded.version, seen_at = clock_timestamp()`,
		pgx.StrictNamedArgs{
			"id": w.ID, "host": w.Host, "group": w.Group, "capacity": w.Capacity, "running": w.Running, "draining": w.Draining,
			"version": w.Version,
		})
	b.Queue("delete from gantry.workers where seen_at < clock_timestamp() - @forgotten::interval and id <> @id",
		pgx.StrictNamedArgs{"forgotten": workerForgotten, "id": w.ID})
	if err := c.pool.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("report worker %s: %w", w.ID, err)
	}
	return nil
}

// Workers reads the workers that are alive, by id: seen in the last 3 s by the database's clock.
func (c *Catalog) Workers(ctx context.Context) ([]Worker, error) {
	rows, err := c.pool.Query(ctx, `
		select `+workerColumns+`
		from gantry.workers where seen_at > clock_timestamp() - @silence::interval order by id`,
		pgx.StrictNamedArgs{"silence": workerSilence})
	if err != nil {
		return nil, fmt.Errorf("list the workers: %w", err)
	}
	workers, err := pgx.CollectRows(rows, pgx.RowToStructByName[Worker])
	if err != nil {
		return nil, fmt.Errorf("list the workers: %w", err)
	}
	return workers, nil
}

// RemoveWorker says that a worker has ended by itself.
func (c *Catalog) RemoveWorker(ctx context.Context, id string) error {
	_, err := c.pool.Exec(ctx, "delete from gantry.workers where id = @id", pgx.StrictNamedArgs{"id": id})
	if err != nil {
		return fmt.Errorf("remove worker %s: %w", id, err)
	}
	return nil
}

// Demand is how many tasks the workers of a group have to share.
type Demand struct {
	Wanted  int // planned tasks of connectors that are wanted RUNNING
	Unowned int // of those, tasks that nobody owns by the database's clock
}

// GroupDemand counts the tasks that are wanted of one group of workers, for a worker that works out its fair share: those whose
// connectors have it as worker.group. "" stands for those without.
func (c *Catalog) GroupDemand(ctx context.Context, group string) (Demand, error) {
	rows, err := c.pool.Query(ctx, `
		select count(*) as wanted,
		       count(*) filter (where l.token is null or l.expires_at <= clock_timestamp()) as unowned
		from gantry.connectors c join gantry.planned_tasks p using (uid) left join gantry.leases l using (uid, task)
		where c.desired = 'RUNNING' and trim(coalesce(p.config ->> 'worker.group', '')) = @grp`,
		pgx.StrictNamedArgs{"grp": group})
	if err != nil {
		return Demand{}, fmt.Errorf("count the wanted tasks: %w", err)
	}
	return oneRow[Demand](rows, "count the wanted tasks")
}
