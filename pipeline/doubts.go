package pipeline

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/gantry-connect/gantry/connector"
)

// doubts decides, by exactly.once, what becomes of a source task whose guarantee cannot be kept, and tells of it.
type doubts struct {
	once     string
	progress *Progress
	logger   *slog.Logger
	report   func(ctx context.Context, problem error)
	without  bool // the task goes on without what is lost and covered: set before anything is read back a second time
}

// mayDouble returns nil if the task goes on although records may be sent twice.
func (d *doubts) mayDouble(ctx context.Context, problem error) error {
	if d.once == onceRequired {
		return connector.Permanent(fmt.Errorf("%w; exactly.once = required forbids it: set it to preferred to go on", problem))
	}
	d.progress.doubles.Add(1)
	d.tell(ctx, slog.LevelWarn, "exactly once is not certain", problem)
	return nil
}

// lost decides about messages that a start finds missing. It returns nil if the task goes on: what no position covers is read
// and sent again, behind what survived. What is covered is not given again by reading on: e is returned, so that the task goes
// back, unless it has come out that it cannot and exactly.once = off asks for no such promise.
func (d *doubts) lost(ctx context.Context, e *LostError) error {
	switch {
	case e.Covered && !d.without:
		return e
	case !e.Covered && d.once == onceRequired:
		return connector.Permanent(fmt.Errorf("%w; others lie behind it, so it could only be sent late, which exactly.once = required "+
			"forbids: set it to preferred to go on", e))
	}
	d.progress.losses.Add(1)
	d.tell(ctx, slog.LevelError, "the broker has lost messages", e)
	return nil
}

// stuck is the error of a task that must not go on without covered messages that are lost, and cannot go back either.
func (d *doubts) stuck(e *LostError, why string) error {
	return connector.Permanent(fmt.Errorf("%w; the position covers it, and %s, so going on would leave it out: set exactly.once = off "+
		"to go on without it; to send it again, then stop the connector and set its offsets back", e, why))
}

func (d *doubts) tell(ctx context.Context, level slog.Level, what string, problem error) {
	d.logger.Log(ctx, level, what, "error", problem)
	if d.report != nil {
		d.report(ctx, problem)
	}
}
