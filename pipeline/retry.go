package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/gantry-connect/gantry/connector"
	"golang.org/x/sync/errgroup"
)

const (
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
)

// backoff is the pause before the next try: it doubles up to 5 s, give or take a quarter.
type backoff struct{ pause time.Duration }

func (b *backoff) wait(ctx context.Context) error {
	b.pause = min(max(2*b.pause, firstPause), maxPause)
	return sleep(ctx, b.pause-b.pause/4+rand.N(b.pause/2))
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// retrier repeats calls to the broker and the catalog: an outage of theirs stops a copy, but does not end its task.
type retrier struct {
	progress *Progress
	logger   *slog.Logger
}

// do repeats call until it succeeds, its error is final, or ctx ends. what says what is tried, as in "commit the position".
func (r *retrier) do(ctx context.Context, what string, call func() error) error {
	var pause backoff
	for {
		err := call()
		r.progress.tick()
		if err == nil {
			if pause.pause > 0 {
				r.progress.recovered(what)
				r.logger.Info("works again", "what", what)
			}
			return nil
		}
		if final(ctx, err) {
			return fmt.Errorf("%s: %w", what, err)
		}
		if pause.pause == 0 {
			r.logger.Warn("failed, trying again until it works", "what", what, "error", err)
		}
		r.progress.failing(what, err)
		if pause.wait(ctx) != nil {
			return fmt.Errorf("%s: %w: %w", what, ctx.Err(), err)
		}
	}
}

// final reports whether trying again is of no use. What says so: the task has another owner, the call can never work, a
// queue is not what it was, or nobody wants the result.
func final(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, ErrFenced) || connector.IsPermanent(err) || errors.Is(err, ErrBrokerLostData) ||
		errors.Is(err, ErrOffsetOutOfRange) || errors.Is(err, ErrNoSchema)
}

// awaitLease returns at once while the lease holds, else when it holds again.
func awaitLease(ctx context.Context, r *retrier, lease Lease) error {
	if time.Now().Before(lease.Deadline()) {
		return nil
	}
	return r.do(ctx, "wait for the lease", func() error {
		for !time.Now().Before(lease.Deadline()) {
			if err := lease.Wait(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

// ErrPanicked marks the error of a job in which code has panicked.
var ErrPanicked = errors.New("panicked")

// guard runs f and makes an error of a panic, so that a connector that panics ends its own task only.
func guard(logger *slog.Logger, name string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			logger.Debug("panic", "goroutine", name, "panic", v, "stack", string(debug.Stack()))
			err = fmt.Errorf("%s %w: %v", name, ErrPanicked, v)
		}
	}()
	return f()
}

// group runs goroutines whose panics are errors; the first error ends the context of all.
type group struct {
	*errgroup.Group
	ctx    context.Context
	logger *slog.Logger
}

// newGroup returns a group; limit is how many run at a time, 0 any number.
func newGroup(ctx context.Context, logger *slog.Logger, limit int) *group {
	g, ctx := errgroup.WithContext(ctx)
	if limit > 0 {
		g.SetLimit(limit)
	}
	return &group{g, ctx, logger}
}

// Go starts f under a name for panics.
func (g *group) Go(name string, f func(ctx context.Context) error) {
	g.Group.Go(func() error { return guard(g.logger, name, func() error { return f(g.ctx) }) })
}
