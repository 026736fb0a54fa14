package pipeline

import (
	"context"
	"errors"
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

// lost returns nil if the task goes on although the broker has lost messages. What no position covers is read and sent again,
// behind what survived. What is covered is not given again, so only off, which asks for no such promise, goes on without it.
func (d *doubts) lost(ctx context.Context, e *LostError) error {
	if err := d.final(e); err != nil {
		return err
	}
	d.progress.losses.Add(1)
	d.tell(ctx, slog.LevelError, "the broker has lost messages", e)
	return nil
}

// final is e as a final error if the task must not go on without the messages, else nil.
func (d *doubts) final(e *LostError) error {
	switch {
	case d.once == onceRequired:
		return connector.Permanent(fmt.Errorf("%w; exactly.once = required forbids going on: set it to preferred, or to off where "+
			"the position covers what was lost", e))
	case e.Covered && d.once != onceOff:
		return connector.Permanent(fmt.Errorf("%w; the position covers them, so going on would leave them out: set exactly.once = off "+
			"to go on without them; to send them again, then stop the connector and set its offsets back", e))
	}
	return nil
}

// ended makes an error that lost messages have caused final, unless another start copes with the loss.
func (d *doubts) ended(err error) error {
	var lost *LostError
	if !errors.As(err, &lost) || connector.IsPermanent(err) {
		return err
	}
	if final := d.final(lost); final != nil {
		return final
	}
	return err
}

func (d *doubts) tell(ctx context.Context, level slog.Level, what string, problem error) {
	d.logger.Log(ctx, level, what, "error", problem)
	if d.report != nil {
		d.report(ctx, problem)
	}
}
