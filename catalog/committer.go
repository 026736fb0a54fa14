package catalog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// lockWithin bounds what a round waits for rows that cannot be passed over.
	lockWithin = 200 * time.Millisecond
	// roundWithin bounds one round trip; the round is then repeated on a new connection.
	roundWithin = 5 * time.Second
	// roundMost bounds the commits of one round, and roundPartitions the partitions in it, so that a round stays short.
	roundMost       = 256
	roundPartitions = 4096
	// passedFirst and passedMost are how long a commit rests whose rows were locked.
	passedFirst = 10 * time.Millisecond
	passedMost  = 200 * time.Millisecond
)

// page is what one commit changes for its task; all of it or nothing.
type page struct {
	position map[string]string
	open     []OpenQueue
	closed   []Queue
	fences   []Fence
	records  int64
	bytes    int64
}

// commit is a page on its way.
type commit struct {
	ctx   context.Context
	lease *Lease
	seq   int64 // rises within a lease: one that has been stored is not stored again, and none after a later one
	page  page
	done  chan error // capacity 1

	alone bool          // its error would have hit others in the same round
	rest  time.Duration // before it is tried again
	after time.Duration // sinceBoot: not tried before
}

type taskKey struct {
	uid  int64
	task int
}

func (c *commit) key() taskKey { return taskKey{c.lease.req.UID, c.lease.req.Task} }

// committer commits for all tasks of a worker: while one round is under way, the next collects. Of one task only one
// commit is in a round, and they keep their order.
type committer struct {
	line line
	came chan struct{} // capacity 1

	rounds, committed, passed, split atomic.Int64

	mu     sync.Mutex
	queue  []*commit // bounded by its callers: each waits
	closed bool
	turn   bool // of those that must be alone
}

// submit returns once the page is stored, or will never be. If ctx ends before, it may yet be.
func (c *committer) submit(ctx context.Context, l *Lease, p page) error {
	cm := &commit{ctx: ctx, lease: l, page: p, done: make(chan error, 1)}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrClosed
	}
	cm.seq = l.seq.Add(1)
	c.queue = append(c.queue, cm)
	c.mu.Unlock()
	signal(c.came)
	select {
	case err := <-cm.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *committer) run(ctx context.Context) {
	defer c.line.hangUp()
	defer c.failAll()
	for ctx.Err() == nil {
		round, wait := c.pick(sinceBoot())
		if len(round) == 0 {
			c.await(ctx, wait)
			continue
		}
		c.settle(c.commitRound(ctx, round))
	}
}

func (c *committer) await(ctx context.Context, wait time.Duration) {
	var rested <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		rested = timer.C
	}
	select {
	case <-c.came:
	case <-rested:
	case <-ctx.Done():
	}
}

// pick takes what goes into the next round. If there is nothing, wait says after how long to look again; 0 = not until
// something comes.
func (c *committer) pick(now time.Duration) (round []*commit, wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var alone *commit
	partitions := 0
	seen := make(map[taskKey]bool, len(c.queue))
	kept := c.queue[:0]
	for _, cm := range c.queue {
		if !cm.dead() {
			kept = append(kept, cm)
		}
	}
	clear(c.queue[len(kept):])
	c.queue = kept
	for _, cm := range c.queue {
		switch {
		case seen[cm.key()]:
		case cm.after > now:
			if wait == 0 || cm.after-now < wait {
				wait = cm.after - now
			}
		case cm.alone:
			if alone == nil {
				alone = cm
			}
		case len(round) < roundMost && partitions < roundPartitions:
			round = append(round, cm)
			partitions += len(cm.page.position)
		}
		seen[cm.key()] = true
	}
	c.turn = !c.turn
	if alone != nil && (len(round) == 0 || c.turn) {
		round = []*commit{alone}
	}
	return round, wait
}

// dead answers a commit that nobody waits for, or whose lease is gone.
func (c *commit) dead() bool {
	if err := c.ctx.Err(); err != nil {
		c.done <- err
		return true
	}
	select {
	case <-c.lease.lost:
		c.done <- ErrFenced
		return true
	default:
		return false
	}
}

// outcome is what became of a commit in a round.
type outcome struct {
	commit *commit
	err    error // nil: stored
	retry  bool  // it stays in the queue
}

// commitRound tries a round, and if it fails by itself, each of its commits alone, so that one cannot spoil the others.
func (c *committer) commitRound(ctx context.Context, round []*commit) []outcome {
	verdicts, outage, err := c.send(ctx, round)
	switch {
	case outage, err != nil && ctx.Err() != nil: // what became of it is unknown; a repetition does nothing if it was stored
		return outcomes(round, func(*commit) outcome { return outcome{retry: true} })
	case err != nil && len(round) > 1:
		c.split.Add(1)
		var all []outcome
		for _, cm := range round {
			cm.alone = true
			all = append(all, c.commitRound(ctx, []*commit{cm})...)
		}
		return all
	case err != nil:
		code := sqlState(err)
		passing := code == codeLockTimeout || code == codeDeadlock || code == codeSerialization
		if passing {
			c.pass(round[0])
		}
		return []outcome{{commit: round[0], err: err, retry: passing}}
	}
	return outcomes(round, func(cm *commit) outcome { return c.judge(cm, verdicts[cm.key()]) })
}

func outcomes(round []*commit, f func(*commit) outcome) []outcome {
	all := make([]outcome, len(round))
	for i, cm := range round {
		all[i] = f(cm)
		all[i].commit = cm
	}
	return all
}

func (c *committer) judge(cm *commit, v verdict) outcome {
	switch v.Verdict {
	case verdictStored:
		c.committed.Add(1)
		return outcome{}
	case verdictFenced:
		return outcome{err: fmt.Errorf("the catalog has epoch %d: %w", v.Epoch, ErrFenced)}
	case verdictBusy:
		c.pass(cm)
		return outcome{retry: true}
	}
	return outcome{err: fmt.Errorf("the catalog answered %q for it", v.Verdict)}
}

// pass lets a commit rest whose rows someone else has locked.
func (c *committer) pass(cm *commit) {
	c.passed.Add(1)
	cm.rest = min(max(2*cm.rest, passedFirst), passedMost)
	cm.after = sinceBoot() + cm.rest
}

// settle answers what is finished and takes it out of the queue.
func (c *committer) settle(all []outcome) {
	finished := make(map[*commit]bool, len(all))
	for _, o := range all {
		if o.retry {
			continue
		}
		finished[o.commit] = true
		if errors.Is(o.err, ErrFenced) {
			o.commit.lease.lose()
		}
		o.commit.done <- o.err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.queue[:0]
	for _, cm := range c.queue {
		if !finished[cm] {
			kept = append(kept, cm)
		}
	}
	clear(c.queue[len(kept):])
	c.queue = kept
}

func (c *committer) failAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, cm := range c.queue {
		cm.done <- ErrClosed
	}
	c.queue = nil
}

// send is one round trip.
func (c *committer) send(ctx context.Context, round []*commit) (verdicts map[taskKey]verdict, outage bool, err error) {
	outage, err = c.line.do(ctx, roundWithin, func(ctx context.Context, conn *pgx.Conn) error {
		verdicts = make(map[taskKey]verdict, len(round))
		return conn.SendBatch(ctx, roundBatch(round, verdicts)).Close()
	})
	c.rounds.Add(1)
	return verdicts, outage, err
}
