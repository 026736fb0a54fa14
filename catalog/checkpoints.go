package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Past is a checkpoint that a task can go back to.
type Past struct {
	Version int64
	At      time.Time
	Queues  []OpenQueue // all that the task had ever sent to, open or closed
}

const (
	// A checkpoint whose number is divisible by 2^k, and by no higher power, is kept until pastDense·2^k more have been made:
	// pastDense/2 of each power remain, that is, some 60 of them, the older the sparser.
	pastDense    = 8
	pastSparsest = 1 << 14
	// editsKept is how many points that edits have made are kept for each connector.
	editsKept = 100
)

// Remember keeps what was committed last as a checkpoint that the task can go back to, and thins older ones out. ErrFenced if
// a newer epoch has the task. No commit of the task is under way meanwhile.
func (l *Lease) Remember(ctx context.Context) error {
	err := l.asOwner(ctx, func(tx pgx.Tx) error {
		whole := !l.remembered.Load() // until then, partitions of others may have come to this task
		number, err := l.insertPast(ctx, tx, whole)
		if err != nil {
			return err
		}
		return thin(ctx, tx, l.req.UID, l.req.Task, number)
	})
	if err != nil {
		return fmt.Errorf("remember a checkpoint of %v: %w", l, err)
	}
	l.remembered.Store(true)
	return nil
}

// asOwner runs f in a transaction that has locked the task's row and found that this lease may commit.
func (l *Lease) asOwner(ctx context.Context, f func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, l.keeper.catalog.pool, func(tx pgx.Tx) error {
		var epoch int64
		err := tx.QueryRow(ctx, `
			select epoch from gantry.tasks where uid = @uid and task = @task and epoch = @epoch and token = @token for update`,
			pgx.StrictNamedArgs{"uid": l.req.UID, "task": l.req.Task, "epoch": l.start.Epoch, "token": l.token}).Scan(&epoch)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrFenced
		}
		if err != nil {
			return err
		}
		return f(tx)
	})
}

// insertPast makes a checkpoint of the task's queues and of the partitions that have moved since its last one; of all that are
// not as the history says, if whole.
func (l *Lease) insertPast(ctx context.Context, tx pgx.Tx, whole bool) (number int64, err error) {
	err = tx.QueryRow(ctx, `
		with last as materialized (
			select number, at from gantry.checkpoints where uid = @uid and task = @task order by version desc limit 1),
		queues as (
			select topic, broker, queue, low, seq, tail, tail_seq, base from gantry.open_queues where uid = @uid and task = @task
			union all
			select topic, broker, queue, low, seq, tail, tail_seq, base from gantry.closed_queues c
			where uid = @uid and task = @task and not exists (
				select from gantry.open_queues o
				where (o.uid, o.task, o.topic, o.broker, o.queue) = (c.uid, c.task, c.topic, c.broker, c.queue))),
		made as (
			insert into gantry.checkpoints (uid, task, number, epoch, plan_hash, generation, author, queues)
			select c.uid, @task::integer, coalesce((select number from last), 0) + 1, @epoch, @hash, c.position_generation, '',
			       coalesce((select jsonb_agg(to_jsonb(q)) from queues q), '[]')
			from gantry.connectors c where c.uid = @uid
			returning version, number),
		told as (`+insertChanged+`)
		select number from made`,
		pgx.StrictNamedArgs{"uid": l.req.UID, "task": l.req.Task, "epoch": l.start.Epoch, "hash": l.start.PlanHash, "whole": whole}).
		Scan(&number)
	return number, err
}

// insertChanged adds what of the position is not as the history says. It is asked about all partitions if @whole, else about
// those that @task has moved since last.at; a clock that was set back costs a look at more of them.
const insertChanged = `
	insert into gantry.checkpoint_positions (uid, partition, version, "offset")
	select p.uid, p.partition, made.version, p."offset"
	from made cross join gantry.positions p
	where p.uid = @uid
	  and (@whole::boolean or (p.task = @task and not exists (
		select from last where p.committed_at < last.at - interval '1 min' and last.at < clock_timestamp())))
	  and p."offset" is distinct from (
		select h."offset" from gantry.checkpoint_positions h
		where h.uid = p.uid and h.partition = p.partition order by h.version desc limit 1)`

// thin forgets checkpoints of a task that are too close to each other for their age. What they changed goes to the task's next
// one, unless something newer is known of a partition by then.
func thin(ctx context.Context, tx pgx.Tx, uid int64, task int, number int64) error {
	return forgetPoints(ctx, tx, "task = @task and @number - number >= @dense * least(number & -number, @sparsest)",
		pgx.StrictNamedArgs{"uid": uid, "task": task, "number": number, "dense": pastDense, "sparsest": pastSparsest})
}

// forgetPoints removes points of one line, a task's or that of edits, that which names; never its newest.
func forgetPoints(ctx context.Context, tx pgx.Tx, which string, args pgx.StrictNamedArgs) error {
	_, err := tx.Exec(ctx, `
		with gone as materialized (select version, task from gantry.checkpoints where uid = @uid and `+which+`),
		heirs as materialized (
			select g.version, (
				select min(c.version) from gantry.checkpoints c
				where c.uid = @uid and c.task is not distinct from g.task and c.version > g.version
				  and c.version not in (select version from gone)) as heir
			from gone g),
		moved as (
			insert into gantry.checkpoint_positions (uid, partition, version, "offset")
			select distinct on (h.partition, s.heir) h.uid, h.partition, s.heir, h."offset"
			from heirs s join gantry.checkpoint_positions h on h.uid = @uid and h.version = s.version
			where not exists (
				select from gantry.checkpoint_positions n
				where n.uid = h.uid and n.partition = h.partition and n.version > h.version and n.version <= s.heir
				  and n.version not in (select version from gone))
			order by h.partition, s.heir, h.version desc)
		delete from gantry.checkpoints where uid = @uid and version in (select version from gone)`, args)
	return err
}

// Checkpoints are those that the task can go back to, newest first: made by owners of the same plan, since the position was last
// edited.
func (l *Lease) Checkpoints(ctx context.Context) ([]Past, error) {
	rows, err := l.keeper.catalog.pool.Query(ctx, `
		select c.version, c.at, c.queues from gantry.checkpoints c
		where c.uid = @uid and c.task = @task and c.version > coalesce((
			select max(o.version) from gantry.checkpoints o
			where o.uid = @uid and o.task = @task and (o.plan_hash, o.generation) is distinct from (@hash, @generation)), 0)
		order by c.version desc`,
		pgx.StrictNamedArgs{"uid": l.req.UID, "task": l.req.Task, "hash": l.start.PlanHash, "generation": l.start.PositionGeneration})
	if err != nil {
		return nil, fmt.Errorf("read the checkpoints of %v: %w", l, err)
	}
	past, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Past, err error) {
		var queues []pastQueue
		err = row.Scan(&p.Version, &p.At, &queues)
		for _, q := range queues {
			p.Queues = append(p.Queues, q.open())
		}
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the checkpoints of %v: %w", l, err)
	}
	return past, nil
}

// pastQueue is a queue as checkpoints hold it.
type pastQueue struct {
	Topic   string `json:"topic"`
	Broker  string `json:"broker"`
	Queue   int    `json:"queue"`
	Low     int64  `json:"low"`
	Seq     uint64 `json:"seq"`
	Tail    int64  `json:"tail"`
	TailSeq uint64 `json:"tail_seq"`
}

func (q pastQueue) open() OpenQueue {
	return OpenQueue{Queue: Queue{q.Topic, q.Broker, q.Queue}, Low: q.Low, Seq: q.Seq, Tail: q.Tail, TailSeq: q.TailSeq}
}

// Moved is a partition whose offset was changed: Offset nil says that it was removed, Before nil that it is new.
type Moved struct {
	Partition      string
	Before, Offset *string
}

// GoBack sets the task's part of the position back to a checkpoint, and opens all queues that the task has ever sent to where
// they stood then: the next start reads back what has survived and sends the rest again. It returns what it has moved.
// ErrFenced as in Commit; ErrNotFound if there is no such checkpoint.
func (l *Lease) GoBack(ctx context.Context, version int64) (moved []Moved, err error) {
	err = l.asOwner(ctx, func(tx pgx.Tx) error {
		var err error
		if moved, err = l.positionBack(ctx, tx, version); err != nil {
			return err
		}
		if err := l.queuesBack(ctx, tx, version); err != nil {
			return err
		}
		// What was remembered since then is not so any more.
		_, err = tx.Exec(ctx, "delete from gantry.checkpoints where uid = @uid and task = @task and version > @version",
			pgx.StrictNamedArgs{"uid": l.req.UID, "task": l.req.Task, "version": version})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("go back to checkpoint %d of %v: %w", version, l, err)
	}
	return moved, nil
}

func (l *Lease) positionBack(ctx context.Context, tx pgx.Tx, version int64) ([]Moved, error) {
	rows, err := tx.Query(ctx, `
		with was as materialized (`+positionAt+`),
		differs as materialized (
			select p.partition, p."offset" as before, w."offset"
			from gantry.positions p left join was w using (partition)
			where p.uid = @uid and p.task = @task and p."offset" is distinct from w."offset"),
		gone as (
			delete from gantry.positions p using differs d
			where p.uid = @uid and p.partition = d.partition and d."offset" is null),
		back as (
			update gantry.positions p set "offset" = d."offset", epoch = @epoch, committed_at = clock_timestamp() from differs d
			where p.uid = @uid and p.partition = d.partition and d."offset" is not null)
		select partition, before, "offset" from differs order by partition`,
		pgx.StrictNamedArgs{"uid": l.req.UID, "task": l.req.Task, "version": version, "epoch": l.start.Epoch})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Moved])
}

// queuesBack opens the queues of a checkpoint as they were, and those that came after it where the task first opened them.
func (l *Lease) queuesBack(ctx context.Context, tx pgx.Tx, version int64) error {
	args := pgx.StrictNamedArgs{"uid": l.req.UID, "task": l.req.Task, "version": version, "epoch": l.start.Epoch}
	var known bool
	err := tx.QueryRow(ctx, `
		with past as materialized (
			select q.* from gantry.checkpoints c,
				jsonb_to_recordset(c.queues) as q(topic text, broker text, queue integer, low bigint, seq bigint, tail bigint,
					tail_seq bigint, base bigint)
			where c.uid = @uid and c.version = @version and c.task = @task),
		now as (
			select topic, broker, queue, base from gantry.open_queues where uid = @uid and task = @task
			union
			select topic, broker, queue, base from gantry.closed_queues where uid = @uid and task = @task),
		opened as (
			insert into gantry.open_queues (uid, task, topic, broker, queue, low, seq, tail, tail_seq, base, epoch)
			select @uid::bigint, @task::integer, topic, broker, queue, low, seq, tail, tail_seq, base, @epoch::bigint from past
			union all
			select @uid, @task, topic, broker, queue, greatest(base, 0), 0, -1, 0, base, @epoch
			from now n where not exists (select from past p where (p.topic, p.broker, p.queue) = (n.topic, n.broker, n.queue))
			on conflict (uid, task, topic, broker, queue) do update
			set low = excluded.low, seq = excluded.seq, tail = excluded.tail, tail_seq = excluded.tail_seq, epoch = excluded.epoch)
		select exists (select from gantry.checkpoints where uid = @uid and version = @version and task = @task)`, args).Scan(&known)
	if err == nil && !known {
		err = ErrNotFound
	}
	return err
}
