package catalog

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Queue is one queue of a topic on one broker. Comparable.
type Queue struct {
	Topic  string `json:"topic"`
	Broker string `json:"broker"`
	ID     int    `json:"id"`
}

// PlannedTask is one task of a plan.
type PlannedTask struct {
	Number int    `db:"task"`
	Hash   string // changes exactly when the task must start again
	Config map[string]string
	Queues []Queue // of a sink: what this task reads
}

func (t PlannedTask) equal(u PlannedTask) bool {
	return t.Number == u.Number && t.Hash == u.Hash && maps.Equal(t.Config, u.Config) && slices.Equal(t.Queues, u.Queues)
}

// SavePlan replaces a connector's plan as a whole and raises its generation. A plan that says the same as the one before
// keeps its generation. Tasks that the plan does not name any more keep their epochs and writers. ErrNotFound; ErrOutdated
// if revision is not the newest config any more.
func (c *Catalog) SavePlan(ctx context.Context, uid, revision int64, tasks []PlannedTask) (generation int64, err error) {
	conn, err := c.change(ctx, "uid", uid, func(tx pgx.Tx, conn *Connector) error {
		if revision != conn.Revision {
			return fmt.Errorf("planned from revision %d, now at %d: %w", revision, conn.Revision, ErrOutdated)
		}
		old, err := readPlan(ctx, tx, uid)
		if err != nil {
			return err
		}
		next := conn.Generation
		if next == 0 || !slices.EqualFunc(old, tasks, PlannedTask.equal) {
			next++
		} else if conn.PlannedRevision == revision {
			return nil
		}
		return tx.SendBatch(ctx, planBatch(*conn, revision, next, tasks)).Close()
	})
	if err != nil {
		return 0, fmt.Errorf("save the plan of connector with uid %d: %w", uid, err)
	}
	return conn.Generation, nil
}

func planBatch(conn Connector, revision, generation int64, tasks []PlannedTask) *pgx.Batch {
	b := &pgx.Batch{}
	b.Queue(`update gantry.connectors
		set generation = @generation, planned_revision = @revision, updated_at = clock_timestamp() where uid = @uid`,
		pgx.StrictNamedArgs{"uid": conn.UID, "generation": generation, "revision": revision})
	if generation == conn.Generation {
		return b
	}
	b.Queue("delete from gantry.planned_tasks where uid = @uid", pgx.StrictNamedArgs{"uid": conn.UID})
	for _, t := range tasks {
		queues := t.Queues
		if queues == nil {
			queues = []Queue{} // not a JSON null
		}
		b.Queue("insert into gantry.planned_tasks (uid, task, hash, config, queues) values (@uid, @task, @hash, @config, @queues)",
			pgx.StrictNamedArgs{
				"uid": conn.UID, "task": t.Number, "hash": t.Hash, "config": configDocument(t.Config), "queues": queues,
			})
	}
	what := "tasks"
	if len(tasks) == 1 {
		what = "task"
	}
	queueEvent(b, Event{UID: conn.UID, Connector: conn.Name, Kind: EventPlanned,
		Detail: fmt.Sprintf("generation %d: %d %s from revision %d", generation, len(tasks), what, revision)})
	return b
}

const selectPlanned = "select task, hash, config, queues from gantry.planned_tasks where uid = @uid"

func readPlan(ctx context.Context, q querier, uid int64) ([]PlannedTask, error) {
	rows, err := q.Query(ctx, selectPlanned+" order by task", pgx.StrictNamedArgs{"uid": uid})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[PlannedTask])
}

// Plan reads a connector's plan by task number; empty if there is none yet.
func (c *Catalog) Plan(ctx context.Context, uid int64) ([]PlannedTask, error) {
	plan, err := readPlan(ctx, c.pool, uid)
	if err != nil {
		return nil, fmt.Errorf("read the plan of connector with uid %d: %w", uid, err)
	}
	return plan, nil
}

// PlannedTask reads one task of the plan; ErrNotFound if the plan does not name it.
func (c *Catalog) PlannedTask(ctx context.Context, uid int64, task int) (PlannedTask, error) {
	what := fmt.Sprintf("read task %d of the plan of connector with uid %d", task, uid)
	rows, err := c.pool.Query(ctx, selectPlanned+" and task = @task", pgx.StrictNamedArgs{"uid": uid, "task": task})
	if err != nil {
		return PlannedTask{}, fmt.Errorf("%s: %w", what, err)
	}
	return oneRow[PlannedTask](rows, what)
}
