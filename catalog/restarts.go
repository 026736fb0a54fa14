package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Restart is a wish to start something again.
type Restart struct {
	Connector  bool // the connector's watcher
	AllTasks   bool
	Task       *int // this one task; nil if none
	OnlyFailed bool // of those named, only what has failed

	Seq    int64 // set by RequestRestart: 1, 2, … for each connector
	Author string
	At     time.Time
}

// RequestRestart notes a wish and raises the connector's RestartSeq; what it asks for is done by who reads Restarts.
// ErrNotFound, ErrDeleting.
func (c *Catalog) RequestRestart(ctx context.Context, name string, r Restart, author string) (Connector, error) {
	return c.RequestRestartOnce(ctx, name, r, author, "")
}

// RequestRestartOnce is RequestRestart for a wish that may come again under the same key; see SetDesiredOnce.
func (c *Catalog) RequestRestartOnce(ctx context.Context, name string, r Restart, author, key string) (Connector, error) {
	conn, err := c.change(ctx, "name", name, func(tx pgx.Tx, conn *Connector) error {
		if isNew, err := takeKey(ctx, tx, key); err != nil || !isNew {
			return err
		}
		if conn.Desired == StateDeleted {
			return ErrDeleting
		}
		b := &pgx.Batch{}
		b.Queue(`insert into gantry.restarts (uid, seq, connector, all_tasks, only_failed, task, author)
			values (@uid, @seq, @connector, @all_tasks, @only_failed, @task, @author)`,
			pgx.StrictNamedArgs{
				"uid": conn.UID, "seq": conn.RestartSeq + 1, "connector": r.Connector, "all_tasks": r.AllTasks,
				"only_failed": r.OnlyFailed, "task": r.Task, "author": author,
			})
		b.Queue("update gantry.connectors set restart_seq = @seq, updated_at = clock_timestamp() where uid = @uid",
			pgx.StrictNamedArgs{"uid": conn.UID, "seq": conn.RestartSeq + 1})
		queueEvent(b, Event{UID: conn.UID, Connector: conn.Name, Task: r.Task, Kind: EventRestart, Author: author,
			Detail: fmt.Sprintf("connector: %t, all tasks: %t, only failed: %t", r.Connector, r.AllTasks, r.OnlyFailed)})
		return tx.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return Connector{}, fmt.Errorf("request a restart of connector %s: %w", name, err)
	}
	return conn, nil
}

// Restarts reads the wishes after afterSeq, oldest first.
func (c *Catalog) Restarts(ctx context.Context, uid, afterSeq int64) ([]Restart, error) {
	rows, err := c.pool.Query(ctx, `
		select connector, all_tasks, task, only_failed, seq, author, at
		from gantry.restarts where uid = @uid and seq > @after order by seq`,
		pgx.StrictNamedArgs{"uid": uid, "after": afterSeq})
	if err != nil {
		return nil, fmt.Errorf("read the restarts of connector with uid %d: %w", uid, err)
	}
	restarts, err := pgx.CollectRows(rows, pgx.RowToStructByName[Restart])
	if err != nil {
		return nil, fmt.Errorf("read the restarts of connector with uid %d: %w", uid, err)
	}
	return restarts, nil
}

// RestartsDone forgets the wishes up to seq, which have been obeyed.
func (c *Catalog) RestartsDone(ctx context.Context, uid, seq int64) error {
	_, err := c.pool.Exec(ctx, "delete from gantry.restarts where uid = @uid and seq <= @seq", pgx.StrictNamedArgs{"uid": uid, "seq": seq})
	if err != nil {
		return fmt.Errorf("forget the restarts of connector with uid %d that are done: %w", uid, err)
	}
	return nil
}

// RestartsLeft are the uids of the connectors with wishes that nobody has said to be done.
func (c *Catalog) RestartsLeft(ctx context.Context) ([]int64, error) {
	rows, err := c.pool.Query(ctx, "select distinct uid from gantry.restarts")
	if err != nil {
		return nil, fmt.Errorf("list the restarts that are left: %w", err)
	}
	uids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("list the restarts that are left: %w", err)
	}
	return uids, nil
}
