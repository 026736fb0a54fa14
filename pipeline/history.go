package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/gantry-connect/gantry/connector"
)

// History keeps some of a task's checkpoints, so that it can go back to one when the broker has lost what later ones cover. Its
// methods fail with an error that wraps ErrFenced once a newer epoch exists.
type History interface {
	// Remember keeps what was committed last. No commit is under way meanwhile.
	Remember(ctx context.Context) error
	// Past is what the task can go back to, newest first.
	Past(ctx context.Context) ([]Past, error)
	// GoBack makes a past checkpoint the present one: the position, and all queues that the task has ever sent to open where they
	// stood then. It returns what it has moved.
	GoBack(ctx context.Context, p Past) ([]Moved, error)
}

// Past is an earlier checkpoint.
type Past struct {
	Version int64
	At      time.Time
	Queues  []OpenQueue // all that the task had ever sent to
}

// Moved is a partition that was set back; To is empty if it begins anew.
type Moved struct {
	Partition connector.Partition
	From, To  connector.Offset
}

// WentBackError ends a start that found that the broker had lost what the position covered. The next one goes on at an older
// checkpoint: it skips what has survived, and sends the rest again.
type WentBackError struct {
	Lost  *LostError
	To    Past
	Moved []Moved
}

// shownPartitions is how many partitions an error names.
const shownPartitions = 3

func (e *WentBackError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v; went back to the checkpoint of %s, what is missing since then is sent again:", e.Lost,
		e.To.At.UTC().Format(time.RFC3339))
	for i, m := range e.Moved {
		if i == shownPartitions {
			fmt.Fprintf(&b, " and %d partitions more", len(e.Moved)-i)
			break
		}
		to := string(m.To)
		if to == "" {
			to = "its beginning"
		}
		fmt.Fprintf(&b, " %s from %s to %s,", m.Partition, to, m.From)
	}
	return strings.TrimRight(b.String(), ",:")
}

// Unwrap returns the loss.
func (e *WentBackError) Unwrap() error { return e.Lost }

const (
	// A checkpoint is remembered after rememberEvery, and sooner if so many records were committed since: what a task has to read
	// back after it went back is held in memory.
	rememberEvery   = 10 * time.Second
	rememberRecords = 250_000
	rememberAtMost  = time.Second
	// rememberSink is for sinks, which never go back by themselves: operators may want to.
	rememberSink = time.Minute
)

// historian remembers checkpoints from time to time. It is used by one goroutine.
type historian struct {
	history History // nil: nothing is remembered
	retry   *retrier
	every   time.Duration
	last    time.Time // zero: none of this start's
	records int64     // committed since
}

// committed is told of each commit that may be gone back to.
func (h *historian) committed(ctx context.Context, records int64) error {
	h.records += records
	since := time.Since(h.last)
	if since < h.every && (h.records < rememberRecords || since < rememberAtMost) {
		return nil
	}
	return h.remember(ctx)
}

func (h *historian) remember(ctx context.Context) error {
	if h.history == nil {
		return nil
	}
	if err := h.retry.do(ctx, "remember a checkpoint", func() error { return h.history.Remember(ctx) }); err != nil {
		return err
	}
	h.last, h.records = time.Now(), 0
	return nil
}

// goBack sets the task back to the newest checkpoint of which the broker has everything, and returns a *WentBackError. It
// returns nil if there is none and the task goes on without what is lost.
func (s *Source) goBack(ctx context.Context, lost *LostError) error {
	why := ""
	p, err := s.newestKept(ctx)
	switch {
	case err != nil:
		return err
	case p == nil:
		why = "the queues do not hold all of any checkpoint that is remembered"
	case s.forgetful():
		why = "the source's system, which was told of it, may have forgotten it"
	default:
		e := &WentBackError{Lost: lost, To: *p}
		err := s.retry.do(ctx, "go back to a checkpoint", func() (err error) {
			e.Moved, err = s.past.history.GoBack(ctx, *p)
			return err
		})
		if err != nil {
			return err
		}
		s.progress.losses.Add(1)
		s.doubts.tell(ctx, slog.LevelError, "the broker has lost messages", e)
		return e
	}
	if s.doubts.once != onceOff {
		return s.doubts.stuck(lost, why)
	}
	s.doubts.without = true
	return nil
}

// forgetful reports whether the source's system lets go of what is committed.
func (s *Source) forgetful() bool {
	_, told := s.source.(connector.CommitListener)
	return told
}

// newestKept is the newest checkpoint of which no covered message is lost; nil if there is none.
func (s *Source) newestKept(ctx context.Context) (*Past, error) {
	if s.past.history == nil {
		return nil, nil
	}
	var all []Past
	err := s.retry.do(ctx, "read the checkpoints", func() (err error) {
		all, err = s.past.history.Past(ctx)
		return err
	})
	for i := range all {
		kept, err := s.kept(ctx, all[i].Queues)
		if err != nil || kept {
			return &all[i], err
		}
	}
	return nil, err
}

// kept reports whether the broker has all that a checkpoint covers in these queues.
func (s *Source) kept(ctx context.Context, queues []OpenQueue) (bool, error) {
	lanes := make([]*lane, len(queues))
	for i := range queues {
		lanes[i] = s.lane(queues[i].Queue)
	}
	g := newGroup(ctx, s.logger, 8)
	for i := range queues {
		g.Go("read-back", func(ctx context.Context) error {
			start, end, err := lanes[i].bounds(ctx)
			if err != nil {
				return err
			}
			return lanes[i].lostBelow(ctx, &queues[i], start, end)
		})
	}
	err := g.Wait()
	if errors.Is(err, ErrBrokerLostData) {
		return false, nil
	}
	return err == nil, err
}
