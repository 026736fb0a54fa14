package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gantry-connect/gantry/connector"
)

// The position lives in the target, in two tables.
//
//   - owners has a row per task: the epoch of its owner. Opening raises it; every transaction of an owner ends by
//     locking the row where it still has the owner's epoch. Whoever comes second waits for the other: an older owner
//     either commits before the new one reads the positions, or finds a newer epoch and rolls back.
//   - positions has a row per partition (a queue of a topic), shared by all tasks of the connector, because a new plan
//     moves partitions between tasks. Each move names the version of the row that its owner has read or written last.
//     That makes the position safe whoever owns the partition, without comparing epochs of different tasks: of two
//     transactions that go on from the same version only one commits, and the other one's rows are rolled back with it.
//     It also covers the session whose COMMIT was cut off and arrives after its successor has read the positions.
//
// Rows of positions are never deleted here, so that versions never start again; an edit that takes a partition's
// position away sets it to null. Owners are locked before positions everywhere, target rows before both.
type positions struct {
	conn     *pgx.Conn
	task     connector.Task
	table    string // quoted
	owners   string // quoted
	current  connector.Position
	versions map[connector.Partition]int64

	partitions, offsets []string // of the move at hand; reused
	expected            []int64
}

func newPositions(conn *pgx.Conn, task connector.Task, table string) (*positions, error) {
	n, err := parseName(table)
	if err != nil {
		return nil, &connector.ConfigError{Field: "position.table", Value: table, Reason: err.Error()}
	}
	owners := name{n.schema, n.table + "_owners"}
	return &positions{conn: conn, task: task, table: n.String(), owners: owners.String()}, nil
}

func (p *positions) definitions() []string {
	return []string{
		fmt.Sprintf(`create table if not exists %s (
  uid bigint not null,       -- of the connector
  task integer not null,
  connector text not null,   -- its name
  epoch bigint not null,     -- of the task's owner
  generation bigint not null, -- of the positions, as far as this task knows
  claimed_at timestamptz not null default now(),
  primary key (uid, task))`, p.owners),
		fmt.Sprintf(`create table if not exists %s (
  uid bigint not null,
  partition text not null,   -- a queue of a topic
  position text,             -- what comes next is not written yet; null: none
  version bigint not null,   -- counts the moves
  task integer not null,     -- that moved it last
  epoch bigint not null,
  moved_at timestamptz not null default now(),
  primary key (uid, partition)) with (fillfactor = 50)`, p.table),
	}
}

// create makes the tables if they are missing.
func (p *positions) create(ctx context.Context) error {
	var found bool
	err := p.conn.QueryRow(ctx, "select to_regclass($1) is not null and to_regclass($2) is not null", p.table, p.owners).Scan(&found)
	if err != nil || found {
		return err
	}
	err = pgx.BeginFunc(ctx, p.conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock(hashtextextended('gantry table ' || $1, 0))", p.table); err != nil {
			return err
		}
		for _, sql := range p.definitions() {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	})
	if code := sqlState(err); code == "42501" || code == "3F000" {
		return connector.Permanent(fmt.Errorf("create the position table %s: %w; set position.table to a place where connection.user may create tables, or create them: %s",
			p.table, err, strings.Join(p.definitions(), "; ")))
	}
	return err
}

// endOlderSessions ends what is left of earlier owners of the task, so that nobody waits for their locks. It reaches as
// far as the role's privileges do; safety does not rest on it.
func (p *positions) endOlderSessions(ctx context.Context) error {
	rows, err := p.conn.Query(ctx, `
select pid, application_name from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and starts_with(application_name, $1)
  and pg_has_role(usesysid, 'usage')`, p.session(""))
	if err != nil {
		return err
	}
	type session struct {
		PID  int32
		Name string
	}
	sessions, err := pgx.CollectRows(rows, pgx.RowToStructByPos[session])
	if err != nil {
		return err
	}
	for _, s := range sessions {
		var epoch int64
		if _, err := fmt.Sscan(strings.TrimPrefix(s.Name, p.session("")), &epoch); err != nil || epoch > p.task.Epoch {
			continue
		}
		if _, err := p.conn.Exec(ctx, "select pg_terminate_backend($1)", s.PID); err != nil && sqlState(err) != "42501" {
			return fmt.Errorf("end session %s of an earlier owner: %w", s.Name, err)
		}
	}
	return nil
}

func (p *positions) session(epoch string) string {
	return fmt.Sprintf("gantry/%d/%d/%s", p.task.UID, p.task.Number, epoch)
}

// claim makes the task's epoch the only one that can write and reads the positions.
func (p *positions) claim(ctx context.Context) error {
	if err := p.create(ctx); err != nil {
		return err
	}
	if err := p.endOlderSessions(ctx); err != nil {
		return err
	}
	return pgx.BeginTxFunc(ctx, p.conn, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		if err := p.raiseEpoch(ctx, tx); err != nil {
			return err
		}
		if err := p.raiseGeneration(ctx, tx); err != nil {
			return err
		}
		return p.read(ctx, tx)
	})
}

func (p *positions) raiseEpoch(ctx context.Context, tx pgx.Tx) error {
	var other string
	err := tx.QueryRow(ctx, fmt.Sprintf("select connector from %s where uid = $1 and connector <> $2 limit 1", p.owners),
		p.task.UID, p.task.Connector).Scan(&other)
	if err == nil {
		return connector.Permanent(fmt.Errorf("the position table %s holds uid %d for the connector %q of another installation: set position.table to another name, or delete that connector's rows from it and from %s",
			p.table, p.task.UID, other, p.owners))
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	tag, err := tx.Exec(ctx, fmt.Sprintf(`
insert into %s as o (uid, task, connector, epoch, generation) values ($1, $2, $3, $4, -1)
on conflict (uid, task) do update set epoch = excluded.epoch, claimed_at = now() where o.epoch <= excluded.epoch`, p.owners),
		p.task.UID, p.task.Number, p.task.Connector, p.task.Epoch)
	if err == nil && tag.RowsAffected() == 0 {
		return p.fenced("open")
	}
	return err
}

// raiseGeneration writes the task's positions to the target if an operator has edited them since, or if the target is
// new to the connector. The task that comes first does so for all tasks; the lock makes the others wait and see.
func (p *positions) raiseGeneration(ctx context.Context, tx pgx.Tx) error {
	known := func() (generation int64, err error) {
		return generation, tx.QueryRow(ctx, fmt.Sprintf("select max(generation) from %s where uid = $1", p.owners), p.task.UID).Scan(&generation)
	}
	generation, err := known()
	if err != nil || generation >= p.task.Generation {
		return err
	}
	if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock(hashtextextended('gantry positions ' || $1, 0))", fmt.Sprint(p.task.UID)); err != nil {
		return err
	}
	if generation, err = known(); err != nil || generation >= p.task.Generation {
		return err
	}
	if _, err := tx.Exec(ctx, fmt.Sprintf("update %s set generation = $3 where uid = $1 and task = $2", p.owners),
		p.task.UID, p.task.Number, p.task.Generation); err != nil {
		return err
	}
	p.partitions, p.offsets = []string{}, []string{} // not nil, which SQL takes for null: an edit may leave nothing
	for partition, offset := range p.task.Position {
		p.partitions = append(p.partitions, string(partition))
		p.offsets = append(p.offsets, string(offset))
	}
	if _, err := tx.Exec(ctx, fmt.Sprintf(`
update %s set position = null, version = version + 1, task = $2, epoch = $3, moved_at = now()
where uid = $1 and partition <> all ($4::text[])`, p.table), p.task.UID, p.task.Number, p.task.Epoch, p.partitions); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, fmt.Sprintf(`
insert into %s as p (uid, partition, position, version, task, epoch)
select $1, n.partition, n.position, 1, $2, $3 from unnest($4::text[], $5::text[]) as n (partition, position)
on conflict (uid, partition) do update
set position = excluded.position, version = p.version + 1, task = $2, epoch = $3, moved_at = now()`, p.table),
		p.task.UID, p.task.Number, p.task.Epoch, p.partitions, p.offsets)
	return err
}

func (p *positions) read(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, fmt.Sprintf("select partition, position, version from %s where uid = $1", p.table), p.task.UID)
	if err != nil {
		return err
	}
	p.current, p.versions = connector.Position{}, map[connector.Partition]int64{}
	var partition string
	var position *string
	var version int64
	_, err = pgx.ForEachRow(rows, []any{&partition, &position, &version}, func() error {
		p.versions[connector.Partition(partition)] = version
		if position != nil {
			p.current[connector.Partition(partition)] = connector.Offset(*position)
		}
		return nil
	})
	return err
}

// move gives the last statement of a transaction. It fails with a division by zero unless this owner has the epoch and
// every partition stands where this owner believes, so that the COMMIT sent along with it becomes a rollback.
func (p *positions) move(next connector.Position) (sql string, args []any) {
	p.partitions, p.offsets, p.expected = p.partitions[:0], p.offsets[:0], p.expected[:0]
	for partition, offset := range next {
		p.partitions = append(p.partitions, string(partition))
		p.offsets = append(p.offsets, string(offset))
		p.expected = append(p.expected, p.versions[partition])
	}
	return fmt.Sprintf(`
with owner as materialized (
  select 1 from %s where uid = $1 and task = $2 and epoch = $3 for no key update
), moved as (
  insert into %s as p (uid, partition, position, version, task, epoch)
  select $1, n.partition, n.position, n.expected + 1, $2, $3
  from owner, unnest($4::text[], $5::text[], $6::bigint[]) as n (partition, position, expected)
  order by n.partition
  on conflict (uid, partition) do update
  set position = excluded.position, version = excluded.version, task = excluded.task, epoch = excluded.epoch, moved_at = now()
  where p.version = excluded.version - 1
  returning 1
)
select 1 / ((select count(*) from owner) = 1 and (select count(*) from moved) = cardinality($4::text[]))::integer`, p.owners, p.table),
		[]any{p.task.UID, p.task.Number, p.task.Epoch, p.partitions, p.offsets, p.expected}
}

// moved notes that the target has committed next.
func (p *positions) moved(next connector.Position) {
	for partition, offset := range next {
		p.current[partition] = offset
		p.versions[partition]++
	}
}

// sync commits a change that says nothing new, as durably as the target's settings have it for any commit.
func (p *positions) sync(ctx context.Context) error {
	tag, err := p.conn.Exec(ctx, fmt.Sprintf("update %s set epoch = epoch where uid = $1 and task = $2 and epoch = $3", p.owners),
		p.task.UID, p.task.Number, p.task.Epoch)
	switch {
	case err != nil:
		return fmt.Errorf("make what was written durable, by %s: %w", p.owners, err)
	case tag.RowsAffected() == 0:
		return p.fenced("flush")
	}
	return nil
}

// epoch is that of the task's present owner, looked up on another connection.
func (p *positions) epoch(ctx context.Context, conn *pgx.Conn) (epoch int64, err error) {
	err = conn.QueryRow(ctx, fmt.Sprintf("select epoch from %s where uid = $1 and task = $2", p.owners), p.task.UID, p.task.Number).Scan(&epoch)
	return epoch, err
}

func (p *positions) fenced(doing string) error {
	return fmt.Errorf("%s task %d of connector %s at epoch %d: %w", doing, p.task.Number, p.task.Connector, p.task.Epoch, connector.ErrFenced)
}
