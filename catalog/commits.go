package catalog

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// Checkpoint is how far an owner has come. All of it is stored, or nothing.
type Checkpoint struct {
	Position map[string]string // partitions that have moved: canonical JSON objects, at most 2,000 bytes for a partition
	Queues   []OpenQueue       // open queues that have moved
	Close    []Queue           // queues with nothing in flight that are not sent to any more
	Records  int64             // covered since the last checkpoint
	Bytes    int64
}

// OpenQueues records queues before the first send to them (rule 3). ErrFenced if a newer epoch has the task.
func (l *Lease) OpenQueues(ctx context.Context, queues []OpenQueue) error {
	if err := l.commit(ctx, page{open: queues}); err != nil {
		return fmt.Errorf("open %d queues for %v: %w", len(queues), l, err)
	}
	return nil
}

// Commit stores a checkpoint, together with those of the worker's other tasks. It waits out locks and outages of the
// database until ctx ends; then the checkpoint may or may not be stored, and a later one may be committed all the same.
// ErrFenced if a newer epoch has the task: nothing was changed.
func (l *Lease) Commit(ctx context.Context, cp Checkpoint) error {
	err := l.commit(ctx, page{
		position: cp.Position, open: cp.Queues, closed: cp.Close, records: cp.Records, bytes: cp.Bytes,
	})
	if err != nil {
		return fmt.Errorf("commit a checkpoint of %v: %w", l, err)
	}
	return nil
}

// RecordFence stores where a fence lies, for readers that start without state: one of this owner, or one of an earlier owner
// of the task, which died before it could. ErrFenced as in Commit.
func (l *Lease) RecordFence(ctx context.Context, f Fence) error {
	err := l.commit(ctx, page{fences: []Fence{f}})
	if err != nil {
		return fmt.Errorf("record a fence in %s %s/%d for %v: %w", f.Topic, f.Broker, f.ID, l, err)
	}
	return nil
}

func (l *Lease) commit(ctx context.Context, p page) error {
	for _, q := range p.open {
		if n := max(q.Seq, q.TailSeq); n > math.MaxInt64 {
			return fmt.Errorf("queue %s %s/%d: seq %d is above 2^63-1", q.Topic, q.Broker, q.ID, n)
		}
	}
	for _, f := range p.fences {
		if f.Writer != l.start.Writer || f.Epoch > l.start.Epoch {
			return fmt.Errorf("the fence is of writer %d, epoch %d, the lease of writer %d, up to epoch %d",
				f.Writer, f.Epoch, l.start.Writer, l.start.Epoch)
		}
	}
	return l.keeper.commits.submit(ctx, l, p)
}

// verdict is the database's answer for one task of a round.
type verdict struct {
	UID     int64
	Task    int
	Verdict string
	Epoch   int64 // the task's current one
}

const (
	verdictStored = "stored"
	verdictFenced = "fenced"
	verdictBusy   = "busy"
)

// The first statement of a round decides. It locks the rows of the tasks, and of the partitions that move, in key order,
// passing over what someone else has locked. A task moves if all its rows could be had and its epoch and token are the
// commit's; it then carries the round's number, by which the statements after it, in the same transaction, know it.
const judgeStatement = `
	with asked as (
		select * from unnest(@uid::bigint[], @task::integer[], @epoch::bigint[], @token::uuid[], @seq::bigint[],
			@records::bigint[], @bytes::bigint[]) as a(uid, task, epoch, token, seq, records, bytes)),
	parts as (
		select * from unnest(@part_uid::bigint[], @part_task::integer[], @partition::text[]) as p(uid, task, partition)),
	held as (
		select t.uid, t.task, t.epoch, t.token, t.commit_seq
		from asked a join gantry.tasks t using (uid, task)
		order by t.uid, t.task for update of t skip locked),
	free as (
		select x.uid, x.task
		from parts x join gantry.positions p using (uid, partition)
		order by p.uid, p.partition for no key update of p skip locked),
	blocked as materialized ( -- counted, because a join of the two sides could take time in square
		select uid, task from (
			select x.uid, x.task, 1 as present, 0 as had from parts x join gantry.positions p using (uid, partition)
			union all
			select uid, task, 0, 1 from free) as n
		group by uid, task having sum(present) > sum(had)),
	moved as (
		update gantry.tasks t
		set round = @round, commit_seq = a.seq, records = t.records + a.records, bytes = t.bytes + a.bytes,
		    committed_at = clock_timestamp()
		from asked a join held h using (uid, task)
		where t.uid = a.uid and t.task = a.task
		  and h.epoch = a.epoch and h.token = a.token and h.commit_seq < a.seq
		  and not exists (select from blocked b where b.uid = a.uid and b.task = a.task)
		returning t.uid, t.task)
	select a.uid, a.task, coalesce(h.epoch, t.epoch, 0) as epoch,
	       case when m.uid is not null then 'stored'
	            when t.uid is null then 'fenced'
	            when h.uid is null then 'busy'
	            when h.epoch <> a.epoch or h.token is distinct from a.token then 'fenced'
	            when h.commit_seq >= a.seq then 'stored'
	            else 'busy' end as verdict
	from asked a
	left join gantry.tasks t on t.uid = a.uid and t.task = a.task
	left join held h on h.uid = a.uid and h.task = a.task
	left join moved m on m.uid = a.uid and m.task = a.task`

const moveStatement = `
	insert into gantry.positions (uid, partition, "offset", task, epoch)
	select n.uid, n.partition, n."offset", t.task, t.epoch
	from unnest(@uid::bigint[], @task::integer[], @partition::text[], @offset::text[]) as n(uid, task, partition, "offset")
	join gantry.tasks t on t.uid = n.uid and t.task = n.task and t.round = @round
	order by n.uid, n.partition
	on conflict (uid, partition) do update
	set "offset" = excluded."offset", task = excluded.task, epoch = excluded.epoch, committed_at = clock_timestamp()`

// A queue keeps the base of its first opening for as long as the task lives.
const openStatement = `
	insert into gantry.open_queues (uid, task, topic, broker, queue, low, seq, tail, tail_seq, base, epoch)
	select n.uid, n.task, n.topic, n.broker, n.queue, n.low, n.seq, n.tail, n.tail_seq, coalesce(c.base, n.low), t.epoch
	from unnest(@uid::bigint[], @task::integer[], @topic::text[], @broker::text[], @queue::integer[], @low::bigint[],
		@seq::bigint[], @tail::bigint[], @tail_seq::bigint[])
		as n(uid, task, topic, broker, queue, low, seq, tail, tail_seq)
	join gantry.tasks t on t.uid = n.uid and t.task = n.task and t.round = @round
	left join gantry.closed_queues c
		on (c.uid, c.task, c.topic, c.broker, c.queue) = (n.uid, n.task, n.topic, n.broker, n.queue)
	on conflict (uid, task, topic, broker, queue) do update
	set low = excluded.low, seq = excluded.seq, tail = excluded.tail, tail_seq = excluded.tail_seq, epoch = excluded.epoch`

const closeStatement = `
	with gone as (
		delete from gantry.open_queues o
		using unnest(@uid::bigint[], @task::integer[], @topic::text[], @broker::text[], @queue::integer[])
			as n(uid, task, topic, broker, queue)
		join gantry.tasks t on t.uid = n.uid and t.task = n.task and t.round = @round
		where (o.uid, o.task, o.topic, o.broker, o.queue) = (n.uid, n.task, n.topic, n.broker, n.queue)
		returning o.*)
	insert into gantry.closed_queues (uid, task, topic, broker, queue, low, seq, tail, tail_seq, base, epoch)
	select uid, task, topic, broker, queue, low, seq, tail, tail_seq, base, epoch from gone
	on conflict (uid, task, topic, broker, queue) do update
	set low = excluded.low, seq = excluded.seq, tail = excluded.tail, tail_seq = excluded.tail_seq, epoch = excluded.epoch,
	    closed_at = clock_timestamp()`

const fenceStatement = `
	insert into gantry.fences (topic, broker, queue, writer, epoch, term, "offset")
	select n.topic, n.broker, n.queue, t.writer, n.epoch, n.term, n."offset"
	from unnest(@uid::bigint[], @task::integer[], @topic::text[], @broker::text[], @queue::integer[], @epoch::bigint[],
		@term::bigint[], @offset::bigint[]) as n(uid, task, topic, broker, queue, epoch, term, "offset")
	join gantry.tasks t on t.uid = n.uid and t.task = n.task and t.round = @round
	on conflict (topic, broker, queue, writer, epoch, term) do nothing`

// of is something of one commit in a round.
type of[T any] struct {
	cm   *commit
	item T
}

func uidOf[T any](o of[T]) int64 { return o.cm.lease.req.UID }
func taskOf[T any](o of[T]) int  { return o.cm.lease.req.Task }

func each[T any](round []*commit, items func(*page) []T) []of[T] {
	var all []of[T]
	for _, cm := range round {
		for _, item := range items(&cm.page) {
			all = append(all, of[T]{cm, item})
		}
	}
	return all
}

// roundBatch makes a round: one transaction in one flight. The verdicts come in as its answer is read.
func roundBatch(round []*commit, verdicts map[taskKey]verdict) *pgx.Batch {
	number := rand.Int64() // this transaction's own: no row carries it before
	b := &pgx.Batch{}
	parts := each(round, func(p *page) []movedPart {
		all := make([]movedPart, 0, len(p.position))
		for partition, offset := range p.position {
			all = append(all, movedPart{partition, offset})
		}
		return all
	})
	queueJudgement(b, round, number, parts, verdicts)
	queueMoves(b, number, parts)
	queueOpen(b, number, each(round, func(p *page) []OpenQueue { return p.open }))
	queueClosed(b, number, each(round, func(p *page) []Queue { return p.closed }))
	queueFences(b, number, each(round, func(p *page) []Fence { return p.fences }))
	return b
}

type movedPart struct{ partition, offset string }

func queueJudgement(b *pgx.Batch, round []*commit, number int64, parts []of[movedPart], verdicts map[taskKey]verdict) {
	b.Queue(judgeStatement, pgx.StrictNamedArgs{
		"round":     number,
		"uid":       column(round, func(c *commit) int64 { return c.lease.req.UID }),
		"task":      column(round, func(c *commit) int { return c.lease.req.Task }),
		"epoch":     column(round, func(c *commit) int64 { return c.lease.start.Epoch }),
		"token":     column(round, func(c *commit) pgtype.UUID { return c.lease.token }),
		"seq":       column(round, func(c *commit) int64 { return c.seq }),
		"records":   column(round, func(c *commit) int64 { return c.page.records }),
		"bytes":     column(round, func(c *commit) int64 { return c.page.bytes }),
		"part_uid":  column(parts, uidOf[movedPart]),
		"part_task": column(parts, taskOf[movedPart]),
		"partition": column(parts, func(o of[movedPart]) string { return o.item.partition }),
	}).Query(func(rows pgx.Rows) error {
		all, err := pgx.CollectRows(rows, pgx.RowToStructByName[verdict])
		for _, v := range all {
			verdicts[taskKey{v.UID, v.Task}] = v
		}
		return err
	})
}

func queueMoves(b *pgx.Batch, number int64, parts []of[movedPart]) {
	if len(parts) == 0 {
		return
	}
	b.Queue(moveStatement, pgx.StrictNamedArgs{
		"round":     number,
		"uid":       column(parts, uidOf[movedPart]),
		"task":      column(parts, taskOf[movedPart]),
		"partition": column(parts, func(o of[movedPart]) string { return o.item.partition }),
		"offset":    column(parts, func(o of[movedPart]) string { return o.item.offset }),
	})
}

func queueOpen(b *pgx.Batch, number int64, open []of[OpenQueue]) {
	if len(open) == 0 {
		return
	}
	b.Queue(openStatement, pgx.StrictNamedArgs{
		"round":    number,
		"uid":      column(open, uidOf[OpenQueue]),
		"task":     column(open, taskOf[OpenQueue]),
		"topic":    column(open, func(o of[OpenQueue]) string { return o.item.Topic }),
		"broker":   column(open, func(o of[OpenQueue]) string { return o.item.Broker }),
		"queue":    column(open, func(o of[OpenQueue]) int { return o.item.ID }),
		"low":      column(open, func(o of[OpenQueue]) int64 { return o.item.Low }),
		"seq":      column(open, func(o of[OpenQueue]) int64 { return int64(o.item.Seq) }),
		"tail":     column(open, func(o of[OpenQueue]) int64 { return o.item.Tail }),
		"tail_seq": column(open, func(o of[OpenQueue]) int64 { return int64(o.item.TailSeq) }),
	})
}

func queueClosed(b *pgx.Batch, number int64, closed []of[Queue]) {
	if len(closed) == 0 {
		return
	}
	b.Queue(closeStatement, pgx.StrictNamedArgs{
		"round":  number,
		"uid":    column(closed, uidOf[Queue]),
		"task":   column(closed, taskOf[Queue]),
		"topic":  column(closed, func(o of[Queue]) string { return o.item.Topic }),
		"broker": column(closed, func(o of[Queue]) string { return o.item.Broker }),
		"queue":  column(closed, func(o of[Queue]) int { return o.item.ID }),
	})
}

func queueFences(b *pgx.Batch, number int64, fences []of[Fence]) {
	if len(fences) == 0 {
		return
	}
	b.Queue(fenceStatement, pgx.StrictNamedArgs{
		"round":  number,
		"uid":    column(fences, uidOf[Fence]),
		"task":   column(fences, taskOf[Fence]),
		"topic":  column(fences, func(o of[Fence]) string { return o.item.Topic }),
		"broker": column(fences, func(o of[Fence]) string { return o.item.Broker }),
		"queue":  column(fences, func(o of[Fence]) int { return o.item.ID }),
		"epoch":  column(fences, func(o of[Fence]) int64 { return o.item.Epoch }),
		"term":   column(fences, func(o of[Fence]) int64 { return int64(o.item.Term) }),
		"offset": column(fences, func(o of[Fence]) int64 { return o.item.Offset }),
	})
}
