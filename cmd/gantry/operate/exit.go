package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/client"
)

// Exit codes of every command; docs/cli.md tells scripts what they may rely on.
const (
	ExitOK          = 0
	ExitFailed      = 1 // a connector failed, a check found errors, diff found differences, or nothing below fits
	ExitUsage       = 2 // unknown command, flag or argument; nothing was called
	ExitNotFound    = 3
	ExitConflict    = 4 // exists already, changed meanwhile, or is in the wrong state
	ExitUnreachable = 5 // no server answers, or it cannot serve for now
	ExitNotAllowed  = 6 // no token, a wrong one, or one that may not do this
	ExitInvalid     = 7 // a file, a config or a value is wrong
	ExitTimeout     = 8 // --wait has waited long enough
	ExitServer      = 9 // the server failed; diff also gives it for failures that have no code of their own
	ExitInterrupted = 130
)

// exitCodesTopic is what gantry help exit-codes tells.
func exitCodesTopic() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "What scripts can tell from how a command ends", Long: `What scripts can tell from how a command ends:

  0    done; diff: no difference; check: no error
  1    failed: a connector failed while it was waited for, check found errors, diff found differences, or nothing below fits
  2    usage: an unknown command, flag or argument; no server was called
  3    not found
  4    conflict: it exists already, was changed meanwhile, or is in the wrong state
  5    unreachable: no server answers, or it cannot serve for now
  6    not allowed: no token, a wrong one, or one that may not do this
  7    invalid: a file, a config or a value is wrong
  8    --wait has waited long enough
  9    the server failed; diff also gives it for failures that have no code of their own
  130  interrupted; what goes on until it is interrupted (--watch, --follow, top) ends with 0`}
}

// codedError gives an error an exit code.
type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

func failf(code int, format string, args ...any) error {
	return &codedError{code, fmt.Errorf(format, args...)}
}

func usagef(format string, args ...any) error { return failf(ExitUsage, format, args...) }

// Usage marks err as a mistake in the command's flags or arguments.
func Usage(err error) error { return Fail(ExitUsage, err) }

// Fail gives err an exit code.
func Fail(code int, err error) error { return &codedError{code, err} }

// quiet ends a command with a code after it has itself said why.
func quiet(code int) error { return &codedError{code, errSaid} }

// Ended is quiet for commands outside of this package: what they have run has said why it failed.
func Ended(code int) error { return quiet(code) }

var errSaid = errors.New("")

// hintedError adds a line that tells what to do.
type hintedError struct {
	err  error
	hint string
}

func (e *hintedError) Error() string { return e.err.Error() }
func (e *hintedError) Unwrap() error { return e.err }

// several are failures that are told one by one; the first has the exit code.
type several []error

func (s several) Error() string   { return errors.Join(s...).Error() }
func (s several) Unwrap() []error { return s }

// together makes one failure of many, of which some may be nil.
func together(errs ...error) error {
	errs = slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil })
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return several(errs)
}

// ExitCode is what the process should end with after err.
func ExitCode(err error) int {
	var (
		coded *codedError
		many  several
	)
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &many):
		return ExitCode(many[0])
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	case errors.As(err, &coded):
		return coded.code
	case errors.Is(err, client.ErrNotFound):
		return ExitNotFound
	case errors.Is(err, client.ErrConflict):
		return ExitConflict
	case errors.Is(err, client.ErrUnreachable), errors.Is(err, client.ErrUnavailable):
		return ExitUnreachable
	case errors.Is(err, client.ErrUnauthorized), errors.Is(err, client.ErrForbidden):
		return ExitNotAllowed
	case errors.Is(err, client.ErrInvalid):
		return ExitInvalid
	case errors.Is(err, client.ErrServer):
		return ExitServer
	}
	return ExitFailed
}

// Report writes what is wrong and what to do about it, for people. cmd is the command that failed.
func Report(w io.Writer, cmd *cobra.Command, err error) {
	if many, ok := err.(several); ok { //nolint:errorlint // what is wrapped is one failure
		for _, err := range many {
			Report(w, cmd, err)
		}
		return
	}
	if errors.Is(err, errSaid) {
		return
	}
	if ExitCode(err) == ExitInterrupted {
		fmt.Fprintln(w, "gantry: interrupted")
		var hinted *hintedError
		if errors.As(err, &hinted) {
			fmt.Fprintf(w, "  %s\n", hinted.hint)
		}
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "gantry: %s\n", strings.TrimRight(plainPath(err), "\n"))
	explain(&b, err)
	var coded *codedError
	if errors.As(err, &coded) && coded.code == ExitUsage && cmd != nil {
		fmt.Fprintf(&b, "  see: %s --help\n", cmd.CommandPath())
	}
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	io.WriteString(w, strings.Join(lines, "\n")) //nolint:errcheck // there is nowhere else to say it
}

// plainPath is an error's text without the name of the call of the system that failed on a file.
func plainPath(err error) string {
	text := err.Error()
	var path *fs.PathError
	if errors.As(err, &path) {
		text = strings.Replace(text, path.Error(), path.Path+": "+path.Err.Error(), 1)
	}
	return text
}

// explain adds the fields of a problem and the remedies that are known.
func explain(b *strings.Builder, err error) {
	var answer *client.Error
	if errors.As(err, &answer) {
		said := strings.HasPrefix(answer.Message, fmt.Sprintf("%s = %q:", answer.Field, answer.Value))
		if answer.Field != "" && !said && !strings.HasPrefix(answer.Message, answer.Field+":") {
			fmt.Fprintf(b, "  field: %s\n", answer.Field)
		}
		if answer.Value != "" && !said {
			fmt.Fprintf(b, "  value: %s\n", answer.Value)
		}
		for _, part := range answer.Errors {
			line := part.Message
			if part.Field != "" {
				line = part.Field + ": " + line
			}
			if part.Value != "" {
				line += fmt.Sprintf(" (given: %q)", part.Value)
			}
			fmt.Fprintf(b, "  - %s\n", line)
		}
		if answer.Remedy != "" {
			fmt.Fprintf(b, "  remedy: %s\n", answer.Remedy)
		}
	}
	var hinted *hintedError
	if errors.As(err, &hinted) {
		fmt.Fprintf(b, "  %s\n", hinted.hint)
	}
}
