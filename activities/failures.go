package activities

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/pipeline"
	"github.com/gantry-connect/gantry/workflows"
)

const (
	firstDelay   = time.Second
	longestDelay = time.Minute
	fencedDelay  = 10 * time.Millisecond
)

// failure is what is known beside an error when an activity fails.
type failure struct {
	consecutive int           // how many there have been in a row, with this one; 0 leaves the delay to the retry policy
	longest     time.Duration // delay; 0 is a minute
	pause       time.Duration // the delay, where it is settled; 0: see delay
}

// delay is the pause before the next attempt: it doubles from a second on, plus up to a tenth.
func (f failure) delay() time.Duration {
	if f.pause > 0 || f.consecutive <= 0 {
		return f.pause
	}
	longest := f.longest
	if longest == 0 {
		longest = longestDelay
	}
	d := min(firstDelay<<min(f.consecutive-1, 20), longest)
	return d + rand.N(d/10+1)
}

// toTemporal decides what becomes of an activity that ended with err. It is the only place where that is decided.
func toTemporal(err error, f failure) error {
	var canceled *temporal.CanceledError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &canceled), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err // the attempt's end was asked for, or nobody waits for its result any more
	case isFenced(err):
		// A newer owner has the task, and may have let go of it again: claim anew, at once.
		return temporal.NewApplicationErrorWithOptions(err.Error(), errorTypeFenced, temporal.ApplicationErrorOptions{
			NextRetryDelay: fencedDelay, Category: temporal.ApplicationErrorCategoryBenign})
	case errors.Is(err, catalog.ErrStaleAttempt):
		// The server waits for the later attempt; it ignores what this one says.
		return temporal.NewApplicationErrorWithOptions(err.Error(), errorTypeFenced, temporal.ApplicationErrorOptions{
			Category: temporal.ApplicationErrorCategoryBenign})
	case connector.IsPermanent(err), errors.Is(err, errGaveUp):
		return temporal.NewNonRetryableApplicationError(err.Error(), workflows.ErrorTypePermanent, nil)
	}
	// Systems come back: everything else is tried again, for ever, with growing pauses.
	return temporal.NewApplicationErrorWithOptions(err.Error(), errorTypeFailure, temporal.ApplicationErrorOptions{
		NextRetryDelay: f.delay()})
}

const (
	errorTypeFenced  = "Fenced"
	errorTypeFailure = "Failure"
)

// errGaveUp marks errors after which trying again has been given up.
var errGaveUp = errors.New("given up")

// isFenced reports whether err says that a newer epoch owns the task, in the catalog or in the target.
func isFenced(err error) bool {
	return errors.Is(err, pipeline.ErrFenced) || errors.Is(err, catalog.ErrFenced) || errors.Is(err, connector.ErrFenced)
}

// refused is final: what was asked cannot be done.
func refused(err error) error {
	return temporal.NewNonRetryableApplicationError(err.Error(), workflows.ErrorTypeRefused, nil)
}

// crashError is an end that the code of a connector did not mean: a panic or a hang.
type crashError struct {
	what  string
	stack []byte // for the log only
}

func (e *crashError) Error() string { return e.what }

// isCrash reports whether err is a panic or a hang, wherever it was caught.
func isCrash(err error) bool {
	var crash *crashError
	return errors.As(err, &crash) || errors.Is(err, pipeline.ErrPanicked)
}

// guarded runs code of a connector and makes an error of its panic.
func guarded(what string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &crashError{what: fmt.Sprintf("%s panicked: %v", what, v), stack: debug.Stack()}
		}
	}()
	return f()
}
