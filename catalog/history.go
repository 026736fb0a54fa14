package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// PositionVersion is a point in a connector's position history: a checkpoint of a task, or an edit.
type PositionVersion struct {
	Version    int64 // rises
	At         time.Time
	Task       *int   // nil: an edit, or what it found
	Author     string // of an edit; empty for a task, and for what an edit found
	Generation int64  // of the position then
	// Changed is what the point changed, against the points before it that are still known: partition to offset, nil where the
	// partition was removed.
	Changed map[string]*string
}

// positionAt is the position at a version: partition and offset.
const positionAt = `
	select partition, "offset" from (
		select distinct on (partition) partition, "offset" from gantry.checkpoint_positions
		where uid = @uid and version <= @version order by partition, version desc) as latest
	where "offset" is not null`

// PositionHistory reads the newest points of a connector's position history, newest first, at most limit. Tasks add one every
// few seconds or minutes while they copy, and old ones are thinned out; each edit adds what it found, if that is not known
// yet, and what it made of it.
func (c *Catalog) PositionHistory(ctx context.Context, uid int64, limit int) ([]PositionVersion, error) {
	rows, err := c.pool.Query(ctx, `
		select c.version, c.at, c.task, c.author, c.generation, coalesce((
			select jsonb_object_agg(p.partition, p."offset") from gantry.checkpoint_positions p
			where p.uid = c.uid and p.version = c.version), '{}') as changed
		from gantry.checkpoints c where c.uid = @uid order by c.version desc limit @limit`,
		pgx.StrictNamedArgs{"uid": uid, "limit": limit})
	if err != nil {
		return nil, fmt.Errorf("read the position history of connector with uid %d: %w", uid, err)
	}
	history, err := pgx.CollectRows(rows, pgx.RowToStructByName[PositionVersion])
	if err != nil {
		return nil, fmt.Errorf("read the position history of connector with uid %d: %w", uid, err)
	}
	return history, nil
}

// PositionAt reads a connector's position as it was at a point of its history: partition to offset. ErrNotFound if there is no
// such point, or not any more.
func (c *Catalog) PositionAt(ctx context.Context, uid, version int64) (map[string]string, error) {
	positions, err := readPositionAt(ctx, c.pool, uid, version)
	if err != nil {
		return nil, fmt.Errorf("read the position at version %d of connector with uid %d: %w", version, uid, err)
	}
	return positions, nil
}

func readPositionAt(ctx context.Context, q querier, uid, version int64) (map[string]string, error) {
	args := pgx.StrictNamedArgs{"uid": uid, "version": version}
	rows, err := q.Query(ctx, "select 1 from gantry.checkpoints where uid = @uid and version = @version", args)
	if err != nil {
		return nil, err
	}
	points, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return nil, err
	}
	if len(points) == 0 {
		return nil, ErrNotFound
	}
	if rows, err = q.Query(ctx, positionAt, args); err != nil {
		return nil, err
	}
	return collectPositions(rows)
}

// UndoPositions makes the position what it was at a point of the history: an edit, under the rules of EditPositions.
// ErrNotFound if there is no such connector or point.
func (c *Catalog) UndoPositions(ctx context.Context, uid, expected, version int64, author string) (generation int64, err error) {
	conn, err := c.change(ctx, "uid", uid, func(tx pgx.Tx, conn *Connector) error {
		if err := expectGeneration(conn, expected); err != nil {
			return err
		}
		was, err := readPositionAt(ctx, tx, uid, version)
		if err != nil {
			return err
		}
		edits := make([]PositionEdit, 0, len(was))
		for partition, offset := range was {
			edits = append(edits, PositionEdit{Partition: partition, Offset: &offset})
		}
		return editPositions(ctx, tx, conn, true, edits, author, fmt.Sprintf("back to version %d", version))
	})
	if err != nil {
		return 0, fmt.Errorf("set the positions of connector with uid %d back to version %d: %w", uid, version, err)
	}
	return conn.PositionGeneration, nil
}

// pointOfEdit adds a point to the history: what an edit has found, if the history does not know it (author empty), or made.
func pointOfEdit(ctx context.Context, tx pgx.Tx, uid int64, author string) error {
	_, err := tx.Exec(ctx, `
		with changed as materialized (
			select coalesce(p.partition, h.partition) as partition, p."offset"
			from (select partition, "offset" from gantry.positions where uid = @uid) as p
			full join (
				select distinct on (partition) partition, "offset" from gantry.checkpoint_positions
				where uid = @uid order by partition, version desc) as h using (partition)
			where p."offset" is distinct from h."offset"),
		made as (
			insert into gantry.checkpoints (uid, number, epoch, plan_hash, generation, author, queues)
			select @uid, 1 + coalesce((select max(number) from gantry.checkpoints where uid = @uid and task is null), 0), 0, '',
			       c.position_generation, @author::text, '[]'
			from gantry.connectors c where c.uid = @uid and (@author::text <> '' or exists (select from changed))
			returning version)
		insert into gantry.checkpoint_positions (uid, partition, version, "offset")
		select @uid, c.partition, made.version, c."offset" from made cross join changed c`,
		pgx.StrictNamedArgs{"uid": uid, "author": author})
	if err != nil {
		return err
	}
	return forgetPoints(ctx, tx, `task is null and number <= (
		select max(number) from gantry.checkpoints where uid = @uid and task is null) - @kept::bigint`,
		pgx.StrictNamedArgs{"uid": uid, "kept": editsKept})
}
