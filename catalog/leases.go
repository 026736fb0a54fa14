package catalog

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

const (
	// leaseFor is how long the catalog keeps others from a task after its owner's last renewal, by the database's clock.
	leaseFor = 3 * time.Second
	// ownFor is how long the owner itself counts on it, from the moment before it asked.
	ownFor = 2500 * time.Millisecond
	// renewEvery is how often a keeper renews all its leases.
	renewEvery = 750 * time.Millisecond
)

// Reason says why an owner should let go of its task.
type Reason string

// The reasons.
const (
	ReasonNone     Reason = ""
	ReasonClaimant Reason = "another worker waits for the task"
	ReasonDesired  Reason = "the connector is not wanted running any more"
	ReasonPlan     Reason = "the plan of the task has changed"
)

// OpenQueue is a queue that a task may have sent to beyond its committed position.
type OpenQueue struct {
	Queue
	Low int64  // lowest queue offset of a record that the committed position does not cover; the next offset if there is none
	Seq uint64 // the number that the writer's first message at or after Low carries; at most 2^63-1
	// Tail is where the writer's message of number TailSeq lies: the newest known that the position covers. TailSeq 0: none is.
	Tail    int64
	TailSeq uint64
}

// LeaseStart is what an owner starts from. It is read in the transaction that grants the epoch, so no commit of an earlier
// owner is missing or can follow.
type LeaseStart struct {
	Writer              uint32            // the task's number in stamps; never reused
	Epoch               int64             // of this owner, higher than all before
	Position            map[string]string // of the whole connector
	Elsewhere           []string          // partitions of Position that another task, or an operator, has committed last
	PositionGeneration  int64
	Open                []OpenQueue // not empty: the last owner stopped uncleanly
	Closed              []OpenQueue // where queues ended that the task has closed; Low is the end
	ConsecutiveFailures int
	PlanHash            string // the task's planned hash; empty if the plan does not name the task
	Generation          int64  // of the plan
}

// Lease is the right to copy one task for a while, and the task's page in the catalog. A Keeper renews it. Its methods may
// be called from any goroutine.
type Lease struct {
	keeper *Keeper
	req    ClaimRequest
	token  pgtype.UUID
	start  LeaseStart

	deadline atomic.Int64 // sinceBoot
	seq      atomic.Int64 // of the last commit that was queued

	remembered atomic.Bool // this owner has made a checkpoint

	mu      sync.Mutex
	renewed chan struct{} // closed and replaced by each renewal
	reason  Reason
	wanted  chan struct{}
	lost    chan struct{}
	isLost  bool
}

func (l *Lease) String() string {
	return fmt.Sprintf("task %d of connector with uid %d, epoch %d", l.req.Task, l.req.UID, l.start.Epoch)
}

// Start is what the owner starts from.
func (l *Lease) Start() LeaseStart { return l.start }

// Remaining is how long the lease is valid yet, on a clock that goes on while the machine sleeps; past 0 nothing may be
// sent. It costs a system call, some 100 ns.
func (l *Lease) Remaining() time.Duration { return time.Duration(l.deadline.Load()) - sinceBoot() }

// Valid reports whether the owner may still send.
func (l *Lease) Valid() bool { return l.Remaining() > 0 }

// Deadline is time.Now plus Remaining. Ask again before each use: Go's own clocks stand still while the machine sleeps, so
// a deadline that was kept may lie.
func (l *Lease) Deadline() time.Time { return time.Now().Add(l.Remaining()) }

// Wait returns once the lease is valid. ErrFenced if it is lost: a newer epoch has the task.
func (l *Lease) Wait(ctx context.Context) error {
	for {
		l.mu.Lock()
		renewed := l.renewed
		l.mu.Unlock()
		select {
		case <-l.lost:
			return fmt.Errorf("wait for the lease of %v: %w", l, ErrFenced)
		default:
		}
		if l.Valid() {
			return nil
		}
		l.keeper.renewSoon()
		select {
		case <-renewed:
		case <-l.lost:
		case <-l.keeper.closed:
			return fmt.Errorf("wait for the lease of %v: %w", l, ErrClosed)
		case <-ctx.Done():
			return fmt.Errorf("wait for the lease of %v: %w", l, ctx.Err())
		}
	}
}

// Wanted is closed when the owner should drain, commit and release; Reason says why. It is never opened again.
func (l *Lease) Wanted() <-chan struct{} { return l.wanted }

// Reason is why Wanted is closed, or ReasonNone.
func (l *Lease) Reason() Reason {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reason
}

// Lost is closed once the catalog has said that this epoch does not own the task any more. A lease that merely ran out is
// not lost: see Wait.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

func (l *Lease) extend(asked time.Duration) {
	l.deadline.Store(int64(asked + ownFor))
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.renewed)
	l.renewed = make(chan struct{})
}

func (l *Lease) want(r Reason) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r != ReasonNone && l.reason == ReasonNone {
		l.reason = r
		close(l.wanted)
	}
}

// lose ends the lease for its owner, at once and for good.
func (l *Lease) lose() {
	l.deadline.Store(0)
	l.keeper.drop(l)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.isLost {
		l.isLost = true
		close(l.lost)
	}
}

// Release gives the task back, so that a claimant gets it at once. Nothing can be committed under this lease afterwards.
// It says of a sink that the positions are its target's; of a source the queues that are open tell whether the stop was clean.
// Releasing what is lost does nothing. After an error the lease runs out by itself within 3 s.
func (l *Lease) Release(ctx context.Context) error { return l.release(ctx, true) }

// ReleaseUnclean is Release for a task that did not end cleanly: the target of a sink may be ahead of the positions.
func (l *Lease) ReleaseUnclean(ctx context.Context) error { return l.release(ctx, false) }

func (l *Lease) release(ctx context.Context, clean bool) error {
	l.lose()
	if err := l.keeper.catalog.release(ctx, l.req, l.token, clean); err != nil {
		return fmt.Errorf("release %v: %w", l, err)
	}
	return nil
}

// release ends whatever the token has got: a lease, or a place among the claimants.
func (c *Catalog) release(ctx context.Context, req ClaimRequest, token pgtype.UUID, clean bool) error {
	args := pgx.StrictNamedArgs{"uid": req.UID, "task": req.Task, "token": token}
	b := &pgx.Batch{}
	b.Queue("select from gantry.tasks where uid = @uid and task = @task for update",
		pgx.StrictNamedArgs{"uid": req.UID, "task": req.Task}) // tasks before leases: the lock order
	b.Queue(`
		update gantry.epochs e set ended_at = clock_timestamp(), released = @clean
		from gantry.tasks t
		where t.uid = @uid and t.task = @task and t.token = @token and (e.uid, e.task, e.epoch) = (t.uid, t.task, t.epoch)`,
		pgx.StrictNamedArgs{"uid": req.UID, "task": req.Task, "token": token, "clean": clean})
	b.Queue("update gantry.leases set token = null, expires_at = '-infinity' where uid = @uid and task = @task and token = @token", args)
	b.Queue("update gantry.tasks set token = null where uid = @uid and task = @task and token = @token", args)
	b.Queue("delete from gantry.claimants where token = @token", pgx.StrictNamedArgs{"token": token})
	return c.pool.SendBatch(ctx, b).Close()
}
