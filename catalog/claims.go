package catalog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

const (
	// claimPoll is how often a keeper looks whether a task that is waited for has become free, for all that wait at once.
	claimPoll = 30 * time.Millisecond
	// claimantFor is how long a claimant counts as waiting after its last sign of life, by the database's clock.
	claimantFor = 3 * time.Second
	// claimantEvery is how often that sign is given.
	claimantEvery = time.Second
	// giveUpWithin bounds the tidying after a claim that failed; what it leaves runs out by itself.
	giveUpWithin = time.Second
)

// ClaimRequest asks for a task.
type ClaimRequest struct {
	UID       int64
	Task      int
	Owner     string // the worker
	Attempt   string // what AttemptNo counts in: activity id and run id
	AttemptNo int
	// Settle claims a task in order to end it cleanly: only a claimant makes such a lease wanted, not the connector's
	// desired state nor its plan.
	Settle bool
}

func (r ClaimRequest) String() string {
	return fmt.Sprintf("task %d of connector with uid %d", r.Task, r.UID)
}

// claim is a request that waits.
type claim struct {
	req   ClaimRequest
	token pgtype.UUID
	free  chan struct{} // capacity 1: the task may be had now
}

// Claim registers as claimant, waits until the owner before has released the task or its lease has run out, and takes a
// new epoch. It waits until ctx ends. ErrNotFound if there is no such connector; ErrStaleAttempt if a later attempt of the
// same activity has claimed or claims the task.
func (k *Keeper) Claim(ctx context.Context, req ClaimRequest) (*Lease, error) {
	cl := &claim{req: req, free: make(chan struct{}, 1)}
	cl.token.Valid = true
	_, _ = rand.Read(cl.token.Bytes[:]) // never fails
	lease, err := k.claim(ctx, cl)
	if err != nil {
		// The grant may have happened without our knowing; what cannot be tidied now runs out by itself.
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUpWithin)
		defer cancel()
		_ = k.catalog.release(tidy, req, cl.token, false)
		return nil, fmt.Errorf("claim %v for %s: %w", req, req.Owner, err)
	}
	return lease, nil
}

func (k *Keeper) claim(ctx context.Context, cl *claim) (*Lease, error) {
	if err := k.catalog.ensureTask(ctx, cl.req); err != nil {
		return nil, err
	}
	for {
		lease, err := k.tryClaim(ctx, cl)
		if lease != nil || err != nil {
			return lease, err
		}
		if err := k.awaitFree(ctx, cl); err != nil {
			return nil, err
		}
	}
}

// ensureTask makes the rows of a task that is claimed for the first time, and gives it its writer number.
func (c *Catalog) ensureTask(ctx context.Context, req ClaimRequest) error {
	args := pgx.StrictNamedArgs{"uid": req.UID, "task": req.Task}
	b := &pgx.Batch{}
	b.Queue(`
		insert into gantry.tasks (uid, task, writer)
		select c.uid, @task, drawn.writer from gantry.connectors c, lateral (
			select w.writer from (select 1 + floor(random() * 4294967295)::bigint as writer from generate_series(1, 8)) w
			where not exists (select from gantry.tasks t where t.writer = w.writer)
			  and not exists (select from gantry.fences f where f.writer = w.writer) limit 1) drawn
		where c.uid = @uid and not exists (select from gantry.tasks where uid = @uid and task = @task)
		on conflict (uid, task) do nothing`, args)
	b.Queue(`
		insert into gantry.leases (uid, task) select uid, task from gantry.tasks t
		where uid = @uid and task = @task and not exists (select from gantry.leases l where l.uid = t.uid and l.task = t.task)
		on conflict (uid, task) do nothing`, args)
	var known bool
	b.Queue("select exists (select from gantry.tasks where uid = @uid and task = @task)", args).
		QueryRow(func(row pgx.Row) error { return row.Scan(&known) })
	if err := c.pool.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	if !known {
		return ErrNotFound
	}
	return nil
}

// tryClaim takes the task if it is free, or else registers as claimant and returns nil. All of it is one flight to the
// server and one transaction, which locks the task first: no commit of the owner before can come in between.
func (k *Keeper) tryClaim(ctx context.Context, cl *claim) (*Lease, error) {
	l := &Lease{
		keeper: k, req: cl.req, token: cl.token,
		renewed: make(chan struct{}), wanted: make(chan struct{}), lost: make(chan struct{}),
	}
	var isStale bool
	b := &pgx.Batch{}
	queueGrant(b, cl, &isStale)
	queueStart(b, cl, &l.start)
	queueClaimant(b, cl)
	asked := sinceBoot()
	err := k.catalog.pool.SendBatch(ctx, b).Close()
	switch {
	case sqlState(err) == codeForeignKey: // forgotten meanwhile
		return nil, ErrNotFound
	case err != nil:
		return nil, err
	case isStale:
		return nil, ErrStaleAttempt
	case l.start.Epoch == 0:
		return nil, nil
	}
	l.deadline.Store(int64(asked + ownFor))
	if err := k.add(l); err != nil {
		return nil, err
	}
	return l, nil
}

const (
	// granted is true in the statements that follow a successful grant.
	granted = "exists (select from gantry.leases where uid = @uid and task = @task and token = @token)"
	// stale is true if a later attempt of the same activity has claimed the task, or waits for it.
	stale = `(exists (select from gantry.leases
			where uid = @uid and task = @task and attempt = @attempt and attempt_no > @attempt_no)
		or exists (select from gantry.claimants
			where uid = @uid and task = @task and attempt = @attempt and attempt_no > @attempt_no
			  and waits_until > clock_timestamp()))`
)

func queueGrant(b *pgx.Batch, cl *claim, isStale *bool) {
	req := cl.req
	b.Queue("select from gantry.tasks where uid = @uid and task = @task for update",
		pgx.StrictNamedArgs{"uid": req.UID, "task": req.Task})
	b.Queue("select "+stale,
		pgx.StrictNamedArgs{"uid": req.UID, "task": req.Task, "attempt": req.Attempt, "attempt_no": req.AttemptNo}).
		QueryRow(func(row pgx.Row) error { return row.Scan(isStale) })
	b.Queue(`
		update gantry.leases
		set token = @token, owner = @owner, attempt = @attempt, attempt_no = @attempt_no,
		    expires_at = clock_timestamp() + @lease::interval
		where uid = @uid and task = @task and (token is null or expires_at <= clock_timestamp()) and not `+stale,
		pgx.StrictNamedArgs{
			"uid": req.UID, "task": req.Task, "token": cl.token, "owner": req.Owner, "attempt": req.Attempt,
			"attempt_no": req.AttemptNo, "lease": leaseFor,
		})
	args := pgx.StrictNamedArgs{"uid": req.UID, "task": req.Task, "token": cl.token}
	b.Queue(`
		update gantry.epochs set ended_at = clock_timestamp()
		where uid = @uid and task = @task and ended_at is null and `+granted, args)
	// Rule 1: the clock makes epochs rise even after the catalog was restored from an older copy.
	b.Queue(`
		update gantry.tasks
		set token = @token, commit_seq = 0,
		    epoch = greatest(epoch + 1, (select epoch + 1 from gantry.epoch_floor),
		                     (extract(epoch from clock_timestamp()) * 1000000)::bigint)
		where uid = @uid and task = @task and `+granted, args)
	b.Queue(`
		insert into gantry.epochs (uid, task, epoch, owner, attempt, attempt_no)
		select uid, task, epoch, @owner::text, @attempt::text, @attempt_no::integer
		from gantry.tasks where uid = @uid and task = @task and token = @token`,
		pgx.StrictNamedArgs{
			"uid": req.UID, "task": req.Task, "token": cl.token, "owner": req.Owner, "attempt": req.Attempt,
			"attempt_no": req.AttemptNo,
		})
}

// queueStart reads what the new owner starts from; start.Epoch stays 0 if nothing was granted.
func queueStart(b *pgx.Batch, cl *claim, start *LeaseStart) {
	args := pgx.StrictNamedArgs{"uid": cl.req.UID, "task": cl.req.Task, "token": cl.token}
	b.Queue(`
		select t.writer, t.epoch, t.failures, c.position_generation, c.generation, coalesce(p.hash, '')
		from gantry.tasks t join gantry.connectors c using (uid) left join gantry.planned_tasks p using (uid, task)
		where t.uid = @uid and t.task = @task and t.token = @token`, args).
		QueryRow(func(row pgx.Row) error {
			err := row.Scan(&start.Writer, &start.Epoch, &start.ConsecutiveFailures, &start.PositionGeneration,
				&start.Generation, &start.PlanHash)
			if errors.Is(err, pgx.ErrNoRows) {
				return nil
			}
			return err
		})
	b.Queue(`select partition, "offset", task is distinct from @task from gantry.positions where uid = @uid and `+granted, args).
		Query(func(rows pgx.Rows) error {
			start.Position = map[string]string{}
			var partition, offset string
			var elsewhere bool
			_, err := pgx.ForEachRow(rows, []any{&partition, &offset, &elsewhere}, func() error {
				start.Position[partition] = offset
				if elsewhere {
					start.Elsewhere = append(start.Elsewhere, partition)
				}
				return nil
			})
			return err
		})
	const columns = "select q.topic, q.broker, q.queue, q.low, q.seq, q.tail, q.tail_seq from "
	const mine = " where q.uid = @uid and q.task = @task and " + granted
	const inOrder = " order by q.topic, q.broker, q.queue"
	queueQueues(b, columns+"gantry.open_queues q"+mine+inOrder, args, &start.Open)
	queueQueues(b, columns+"gantry.closed_queues q"+mine+` and not exists (
			select from gantry.open_queues o
			where (o.uid, o.task, o.topic, o.broker, o.queue) = (q.uid, q.task, q.topic, q.broker, q.queue))`+inOrder, args, &start.Closed)
}

func queueQueues(b *pgx.Batch, sql string, args pgx.StrictNamedArgs, into *[]OpenQueue) {
	b.Queue(sql, args).Query(func(rows pgx.Rows) (err error) {
		*into, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (q OpenQueue, err error) {
			err = row.Scan(&q.Topic, &q.Broker, &q.ID, &q.Low, &q.Seq, &q.Tail, &q.TailSeq)
			return q, err
		})
		return err
	})
}

// queueClaimant registers the claim, or takes it off the list once it was granted.
func queueClaimant(b *pgx.Batch, cl *claim) {
	req := cl.req
	b.Queue(`
		insert into gantry.claimants (token, uid, task, owner, attempt, attempt_no, waits_until)
		select @token, @uid, @task, @owner::text, @attempt::text, @attempt_no::integer, clock_timestamp() + @wait::interval
		where not `+granted+" and not "+stale+`
		on conflict (token) do update set waits_until = excluded.waits_until`,
		pgx.StrictNamedArgs{
			"token": cl.token, "uid": req.UID, "task": req.Task, "owner": req.Owner, "attempt": req.Attempt,
			"attempt_no": req.AttemptNo, "wait": claimantFor,
		})
	b.Queue(`
		delete from gantry.claimants
		where uid = @uid and task = @task and (waits_until < clock_timestamp() or (token = @token and `+granted+`))`,
		pgx.StrictNamedArgs{"uid": req.UID, "task": req.Task, "token": cl.token})
}

// awaitFree returns nil when it is worth trying again.
func (k *Keeper) awaitFree(ctx context.Context, cl *claim) error {
	if err := k.addWaiting(cl); err != nil {
		return err
	}
	defer k.dropWaiting(cl)
	select {
	case <-cl.free:
		return nil
	case <-k.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}
