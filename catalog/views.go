package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// View is a connector with everything that is known of how it gets on.
type View struct {
	Connector
	Status         ConnectorStatus // the zero value if nobody has said yet
	Tasks          []TaskStatus    // of the present plan, by number; State is empty for one that has not said anything yet
	Records, Bytes int64           // committed by all tasks that there ever were
}

// Views reads connectors that are not being deleted, with their tasks, sorted by name: those behind after, at most limit.
func (c *Catalog) Views(ctx context.Context, after string, limit int) ([]View, error) {
	views, err := c.views(ctx, " where c.name > @after and c.desired <> 'DELETED' order by c.name limit @limit",
		pgx.StrictNamedArgs{"after": after, "limit": limit})
	if err != nil {
		return nil, fmt.Errorf("read %d connectors behind %q: %w", limit, after, err)
	}
	return views, nil
}

// View reads one connector; ErrNotFound if there is none or it is being deleted.
func (c *Catalog) View(ctx context.Context, name string) (View, error) {
	views, err := c.views(ctx, " where c.name = @name and c.desired <> 'DELETED'", pgx.StrictNamedArgs{"name": name})
	if err == nil && len(views) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return View{}, fmt.Errorf("read connector %s: %w", name, err)
	}
	return views[0], nil
}

func (c *Catalog) views(ctx context.Context, which string, args pgx.StrictNamedArgs) ([]View, error) {
	rows, err := c.pool.Query(ctx, selectConnector+which, args)
	if err != nil {
		return nil, err
	}
	conns, err := pgx.CollectRows(rows, pgx.RowToStructByName[Connector])
	if err != nil {
		return nil, err
	}
	views, at := make([]View, len(conns)), make(map[int64]*View, len(conns))
	uids := make([]int64, len(conns))
	for i, conn := range conns {
		views[i].Connector, uids[i] = conn, conn.UID
		at[conn.UID] = &views[i]
	}
	if err := c.addStatuses(ctx, uids, at); err != nil {
		return nil, err
	}
	if err := c.addTotals(ctx, uids, at); err != nil {
		return nil, err
	}
	return views, c.addTasks(ctx, uids, at)
}

func (c *Catalog) addTotals(ctx context.Context, uids []int64, at map[int64]*View) error {
	rows, err := c.pool.Query(ctx, "select uid, sum(records)::bigint, sum(bytes)::bigint from gantry.tasks where uid = any(@uids) group by uid",
		pgx.StrictNamedArgs{"uids": uids})
	if err != nil {
		return err
	}
	var uid, records, bytes int64
	_, err = pgx.ForEachRow(rows, []any{&uid, &records, &bytes}, func() error {
		at[uid].Records, at[uid].Bytes = records, bytes
		return nil
	})
	return err
}

func (c *Catalog) addStatuses(ctx context.Context, uids []int64, at map[int64]*View) error {
	rows, err := c.pool.Query(ctx, "select uid, state, worker, trace, updated_at from gantry.connector_status where uid = any(@uids)",
		pgx.StrictNamedArgs{"uids": uids})
	if err != nil {
		return err
	}
	var uid int64
	var s ConnectorStatus
	_, err = pgx.ForEachRow(rows, []any{&uid, &s.State, &s.Worker, &s.Trace, &s.UpdatedAt}, func() error {
		at[uid].Status = s
		return nil
	})
	return err
}

func (c *Catalog) addTasks(ctx context.Context, uids []int64, at map[int64]*View) error {
	rows, err := c.pool.Query(ctx, `
		select p.uid, p.task, `+statusColumns+`
		from gantry.planned_tasks p left join gantry.task_status s using (uid, task) left join gantry.tasks t using (uid, task)
		where p.uid = any(@uids) order by p.uid, p.task`, pgx.StrictNamedArgs{"uids": uids})
	if err != nil {
		return err
	}
	tasks, err := pgx.CollectRows(rows, pgx.RowToStructByName[TaskStatus])
	for _, t := range tasks {
		at[t.UID].Tasks = append(at[t.UID].Tasks, t)
	}
	return err
}

// statusColumns are TaskStatus but its key, also where a task has said nothing yet.
const statusColumns = `
	coalesce(s.state, '') as state, coalesce(s.worker, '') as worker, coalesce(s.epoch, 0) as epoch, coalesce(s.trace, '') as trace,
	coalesce(s.records, 0) as records, coalesce(s.bytes, 0) as bytes, coalesce(s.lag_records, -1) as lag_records,
	coalesce(s.lag_bytes, -1) as lag_bytes, coalesce(s.rate_per_second, 0) as rate_per_second, s.last_record_at, s.next_retry_at,
	coalesce(s.retries, 0) as retries, coalesce(s.filtered, 0) as filtered, coalesce(s.bad, 0) as bad,
	coalesce(s.dead_letters, 0) as dead_letters, coalesce(s.retrying, '') as retrying, s.retrying_since,
	coalesce(s.updated_at, 'epoch') as updated_at, coalesce(s.updated_at < clock_timestamp() - interval '10 s', false) as silent,
	coalesce(t.records, 0) as committed_records, coalesce(t.bytes, 0) as committed_bytes`
