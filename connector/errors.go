package connector

import (
	"errors"
	"fmt"
	"strings"
)

// ConfigError says that a config cannot work. A task that meets one fails for good: only a new config mends it.
type ConfigError struct {
	Field  string // the user's key
	Value  string // as given; empty where there is none or where it is secret
	Reason string // what is wrong and what to do
}

func (e *ConfigError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("%s: %s", e.Field, e.Reason)
	}
	return fmt.Sprintf("%s = %q: %s", e.Field, e.Value, e.Reason)
}

// ConfigErrors is every problem of a config, one per field at least.
type ConfigErrors []*ConfigError

func (e ConfigErrors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// RecordError says that one record is bad, not the connector: the pipeline stops, skips it or sends it to the dead
// letters, as errors.tolerance says. Index is the record's index in the batch at hand.
type RecordError struct {
	Index int
	Err   error
}

func (e *RecordError) Error() string { return fmt.Sprintf("record %d: %v", e.Index, e.Err) }
func (e *RecordError) Unwrap() error { return e.Err }

// permanentError marks an error that no retry mends.
type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// Permanent marks err as one that trying again does not mend: wrong credentials, a missing table, a privilege. Errors
// of a source or sink that are not marked are tried again with back-off, for ever.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

// IsPermanent reports whether err is marked as permanent, or is a config error.
func IsPermanent(err error) bool {
	var p *permanentError
	var c *ConfigError
	var cs ConfigErrors
	return errors.As(err, &p) || errors.As(err, &c) || errors.As(err, &cs)
}

// ErrFenced is returned by a sink whose target says that a newer owner has taken over the task. The task must write
// nothing more, commit nothing, and may claim again.
var ErrFenced = errors.New("a newer epoch owns the task in the target")
