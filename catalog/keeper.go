package catalog

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// renewWithin bounds one renewal: a lease must survive one that fails.
const renewWithin = time.Second

// Keeper claims tasks for one worker, renews all its leases in one round trip on a connection of its own, and commits for
// all its tasks together on another. It goes on through restarts of the database.
type Keeper struct {
	catalog *Catalog
	worker  string
	log     *slog.Logger
	every   time.Duration // between renewals
	renewal line
	commits committer

	stop   context.CancelFunc
	closed chan struct{} // closed when Close begins
	done   sync.WaitGroup
	soon   chan struct{} // capacity 1: renew before the next tick
	came   chan struct{} // capacity 1: a claim waits

	renewals atomic.Int64

	mu      sync.Mutex
	ended   bool
	leases  map[pgtype.UUID]*Lease
	waiting map[pgtype.UUID]*claim
}

// StartKeeper starts a worker's keeper. ctx bounds the start only; Close ends it.
func (c *Catalog) StartKeeper(ctx context.Context, worker string) (*Keeper, error) {
	k := c.newKeeper(worker)
	for _, l := range []*line{&k.renewal, &k.commits.line} {
		if err := l.connect(ctx); err != nil {
			k.renewal.hangUp()
			return nil, fmt.Errorf("start the keeper of worker %s: %w", worker, err)
		}
	}
	k.run()
	return k, nil
}

func (c *Catalog) newKeeper(worker string) *Keeper {
	log := c.log.With("worker", worker)
	reserved := func(name string) line {
		config := c.conn.Copy()
		config.RuntimeParams["application_name"] = "gantry " + name
		// Statements here find rows by their keys; plans that were made while the tables were small must not scan them.
		config.RuntimeParams["enable_seqscan"] = "off"
		config.RuntimeParams["lock_timeout"] = fmt.Sprint(lockWithin.Milliseconds())
		return line{config: config, log: log.With("connection", name)}
	}
	k := &Keeper{
		catalog: c, worker: worker, log: log, every: renewEvery,
		renewal: reserved("leases"),
		commits: committer{line: reserved("commits"), came: make(chan struct{}, 1)},
		closed:  make(chan struct{}), soon: make(chan struct{}, 1), came: make(chan struct{}, 1),
		leases: map[pgtype.UUID]*Lease{}, waiting: map[pgtype.UUID]*claim{},
	}
	return k
}

func (k *Keeper) run() {
	ctx, stop := context.WithCancel(context.Background())
	k.stop = stop
	k.done.Go(func() { k.renewAll(ctx) })
	k.done.Go(func() { k.watchWaiting(ctx) })
	k.done.Go(func() { k.commits.run(ctx) })
}

// Close ends the keeper and waits for its goroutines. Release leases first: those that are left run out by themselves
// within 3 s. Commits and claims under way fail with ErrClosed.
func (k *Keeper) Close() {
	k.mu.Lock()
	first := !k.ended
	k.ended = true
	k.mu.Unlock()
	if first {
		close(k.closed)
		k.stop()
	}
	k.done.Wait()
}

// Stats is what a keeper has done so far, for metrics.
type Stats struct {
	Leases   int   // held now
	Renewals int64 // round trips that renewed leases
	Rounds   int64 // round trips that committed
	Commits  int64 // committed in them
	Passed   int64 // times that a commit was passed over because its rows were locked
	Split    int64 // rounds that failed as a whole and were repeated commit by commit
}

// Stats may be called at any time.
func (k *Keeper) Stats() Stats {
	k.mu.Lock()
	defer k.mu.Unlock()
	return Stats{
		Leases: len(k.leases), Renewals: k.renewals.Load(), Rounds: k.commits.rounds.Load(),
		Commits: k.commits.committed.Load(), Passed: k.commits.passed.Load(),
		Split: k.commits.split.Load(),
	}
}

func (k *Keeper) add(l *Lease) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended {
		return ErrClosed
	}
	k.leases[l.token] = l
	k.renewSoon() // tells the new owner what it should know
	return nil
}

func (k *Keeper) drop(l *Lease) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.leases, l.token)
}

func (k *Keeper) held() []*Lease {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make([]*Lease, 0, len(k.leases))
	for _, l := range k.leases {
		all = append(all, l)
	}
	return all
}

func (k *Keeper) renewSoon() { signal(k.soon) }

// signal fills a channel of capacity 1.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (k *Keeper) renewAll(ctx context.Context) {
	defer k.renewal.hangUp()
	tick := time.NewTicker(k.every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-k.soon:
		case <-ctx.Done():
			return
		}
		leases := k.held()
		if len(leases) == 0 {
			continue
		}
		switch outage, err := k.renew(ctx, leases); {
		case outage:
			k.renewSoon() // the line has waited, and has logged it
		case err != nil:
			k.log.Error("leases are not renewed", "error", err)
		}
	}
}

// found is what a renewal learns of one lease.
type found struct {
	Token   pgtype.UUID
	Exists  bool // the task's row
	Locked  bool // by us; if not, someone else has it for a moment
	Renewed bool
	Desired string
	Hash    string
	Claimed bool // someone waits
}

const renewStatement = `
	with mine as (
		select * from unnest(@uid::bigint[], @task::integer[], @token::uuid[]) as m(uid, task, token)),
	locked as (
		select l.uid, l.task, l.token as holder, m.token
		from mine m join gantry.leases l using (uid, task)
		order by l.uid, l.task for no key update of l skip locked),
	renewed as (
		update gantry.leases l set expires_at = clock_timestamp() + @lease::interval
		from locked h where l.uid = h.uid and l.task = h.task and h.holder = h.token
		returning h.token)
	select m.token, l.uid is not null as exists, m.token in (select token from locked) as locked,
	       m.token in (select token from renewed) as renewed,
	       coalesce(c.desired, '') as desired, coalesce(p.hash, '') as hash,
	       exists (select from gantry.claimants w
	               where w.uid = m.uid and w.task = m.task and w.waits_until > clock_timestamp()) as claimed
	from mine m
	left join gantry.leases l on l.uid = m.uid and l.task = m.task
	left join gantry.connectors c on c.uid = m.uid
	left join gantry.planned_tasks p on p.uid = m.uid and p.task = m.task`

func (k *Keeper) renew(ctx context.Context, leases []*Lease) (outage bool, err error) {
	var all []found
	var asked time.Duration
	outage, err = k.renewal.do(ctx, renewWithin, func(ctx context.Context, conn *pgx.Conn) error {
		asked = sinceBoot()
		rows, err := conn.Query(ctx, renewStatement, pgx.StrictNamedArgs{
			"uid":   column(leases, func(l *Lease) int64 { return l.req.UID }),
			"task":  column(leases, func(l *Lease) int { return l.req.Task }),
			"token": column(leases, func(l *Lease) pgtype.UUID { return l.token }),
			"lease": leaseFor,
		})
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByName[found])
		return err
	})
	if err != nil {
		return outage, fmt.Errorf("renew %d leases: %w", len(leases), err)
	}
	k.renewals.Add(1)
	byToken := make(map[pgtype.UUID]*Lease, len(leases))
	for _, l := range leases {
		byToken[l.token] = l
	}
	for _, f := range all {
		byToken[f.Token].learn(f, asked)
	}
	return false, nil
}

func (l *Lease) learn(f found, asked time.Duration) {
	switch {
	case !f.Exists || (f.Locked && !f.Renewed):
		l.lose()
		return
	case f.Renewed:
		l.extend(asked)
	}
	switch {
	case f.Claimed:
		l.want(ReasonClaimant)
	case l.req.Settle:
	case State(f.Desired) != StateRunning:
		l.want(ReasonDesired)
	case f.Hash != l.start.PlanHash:
		l.want(ReasonPlan)
	}
}
