package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Positions reads how far a connector has come: partition to offset, both canonical JSON objects.
func (c *Catalog) Positions(ctx context.Context, uid int64) (map[string]string, error) {
	rows, err := c.pool.Query(ctx, `select partition, "offset" from gantry.positions where uid = @uid`,
		pgx.StrictNamedArgs{"uid": uid})
	if err != nil {
		return nil, fmt.Errorf("read the positions of connector with uid %d: %w", uid, err)
	}
	positions, err := collectPositions(rows)
	if err != nil {
		return nil, fmt.Errorf("read the positions of connector with uid %d: %w", uid, err)
	}
	return positions, nil
}

func collectPositions(rows pgx.Rows) (map[string]string, error) {
	positions := map[string]string{}
	var partition, offset string
	_, err := pgx.ForEachRow(rows, []any{&partition, &offset}, func() error {
		positions[partition] = offset
		return nil
	})
	return positions, err
}

// PositionEdit is an operator's change of a position. Offset nil removes the partition.
type PositionEdit struct {
	Partition string
	Offset    *string
}

// AnyGeneration is expected by whoever changes a position that they have not looked at.
const AnyGeneration = -1

// EditPositions changes the position of a connector that is stopped and settled, and raises the position's generation,
// by which a sink that keeps its own position in its target knows that the catalog's counts. reset first removes every
// partition. expected is the generation that the caller has seen, or AnyGeneration. The history gets what was there and what is there
// now. Whoever owned a task and has not noticed its end is fenced. ErrNotFound; ErrChanged if the generation is another one;
// ErrNotSettled while the connector is not wanted STOPPED, a task is owned, or a queue is open.
func (c *Catalog) EditPositions(ctx context.Context, uid, expected int64, reset bool, edits []PositionEdit, author string) (generation int64, err error) {
	conn, err := c.change(ctx, "uid", uid, func(tx pgx.Tx, conn *Connector) error {
		if err := expectGeneration(conn, expected); err != nil {
			return err
		}
		return editPositions(ctx, tx, conn, reset, edits, author, fmt.Sprintf("reset: %t, partitions: %d", reset, len(edits)))
	})
	if err != nil {
		return 0, fmt.Errorf("edit the positions of connector with uid %d: %w", uid, err)
	}
	return conn.PositionGeneration, nil
}

func expectGeneration(conn *Connector, expected int64) error {
	if expected != AnyGeneration && expected != conn.PositionGeneration {
		return fmt.Errorf("expected generation %d, it is %d: %w", expected, conn.PositionGeneration, ErrChanged)
	}
	return nil
}

// editPositions is an edit in a transaction that has locked the connector.
func editPositions(ctx context.Context, tx pgx.Tx, conn *Connector, reset bool, edits []PositionEdit, author, detail string) error {
	uid := conn.UID
	if err := requireSettled(ctx, tx, conn); err != nil {
		return err
	}
	if err := pointOfEdit(ctx, tx, uid, ""); err != nil {
		return err
	}
	b := &pgx.Batch{}
	if reset {
		b.Queue("delete from gantry.positions where uid = @uid", pgx.StrictNamedArgs{"uid": uid})
	}
	for _, e := range edits {
		if e.Offset == nil {
			b.Queue("delete from gantry.positions where uid = @uid and partition = @partition",
				pgx.StrictNamedArgs{"uid": uid, "partition": e.Partition})
			continue
		}
		b.Queue(`insert into gantry.positions (uid, partition, "offset") values (@uid, @partition, @offset)
			on conflict (uid, partition) do update
			set "offset" = excluded."offset", task = null, epoch = null, committed_at = clock_timestamp()`,
			pgx.StrictNamedArgs{"uid": uid, "partition": e.Partition, "offset": *e.Offset})
	}
	b.Queue(`update gantry.connectors
		set position_generation = position_generation + 1, author = @author, updated_at = clock_timestamp() where uid = @uid`,
		pgx.StrictNamedArgs{"uid": uid, "author": author})
	queueEvent(b, Event{UID: uid, Connector: conn.Name, Kind: EventEdited, Author: author, Detail: detail})
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	if author == "" {
		author = "unknown" // a point without author is what an edit has found
	}
	return pointOfEdit(ctx, tx, uid, author)
}

// Settled fails with ErrNotSettled, and what else EditPositions may fail with, while positions cannot be edited. It fences as an
// edit does.
func (c *Catalog) Settled(ctx context.Context, uid int64) error {
	_, err := c.change(ctx, "uid", uid, func(tx pgx.Tx, conn *Connector) error { return requireSettled(ctx, tx, conn) })
	if err != nil {
		return fmt.Errorf("look whether the connector with uid %d is settled: %w", uid, err)
	}
	return nil
}

func requireSettled(ctx context.Context, tx pgx.Tx, conn *Connector) error {
	if conn.Desired != StateStopped {
		return fmt.Errorf("it is wanted %s: %w", conn.Desired, ErrNotSettled)
	}
	return fenceSettled(ctx, tx, conn.UID)
}

// fenceSettled locks every task of the connector, checks that none is owned and no queue open, and takes the token from
// owners whose lease ran out: they could still commit. Of a sink's tasks the last owner must have ended cleanly: otherwise the target
// may be ahead, and an edit would put those of its positions back that it does not name.
func fenceSettled(ctx context.Context, tx pgx.Tx, uid int64) error {
	args := pgx.StrictNamedArgs{"uid": uid}
	b := &pgx.Batch{}
	b.Queue("select from gantry.tasks where uid = @uid order by task for update", args)
	b.Queue("select from gantry.leases where uid = @uid order by task for update", args)
	var owned, open, ahead int
	b.Queue("select count(*) from gantry.leases where uid = @uid and token is not null and expires_at > clock_timestamp()", args).
		QueryRow(func(row pgx.Row) error { return row.Scan(&owned) })
	b.Queue("select count(*) from gantry.open_queues where uid = @uid", args).
		QueryRow(func(row pgx.Row) error { return row.Scan(&open) })
	b.Queue(`
		select count(*) from gantry.tasks t join gantry.planned_tasks using (uid, task) join gantry.epochs e using (uid, task, epoch)
		join gantry.connectors c using (uid) where uid = @uid and c.kind = 'sink' and not e.released`, args).
		QueryRow(func(row pgx.Row) error { return row.Scan(&ahead) })
	b.Queue("update gantry.leases set token = null, expires_at = '-infinity' where uid = @uid and token is not null", args)
	b.Queue("update gantry.tasks set token = null where uid = @uid and token is not null", args)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	if owned > 0 || open > 0 || ahead > 0 {
		return fmt.Errorf("%d tasks owned, %d queues open, %d targets perhaps ahead: %w", owned, open, ahead, ErrNotSettled) // rolls the rest back
	}
	return nil
}
