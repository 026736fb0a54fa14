package operate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/client"
)

// waiting are the flags of commands that return before their effect.
type waiting struct {
	kind    string // of what is waited for, for people
	wait    bool
	timeout time.Duration
}

func (w *waiting) add(cmd *cobra.Command) {
	if w.kind == "" {
		w.kind = "connector"
	}
	cmd.Flags().BoolVar(&w.wait, "wait", false, "return only when it has happened; exit code 8 if that takes too long, 1 if something fails meanwhile")
	cmd.Flags().DurationVar(&w.timeout, "timeout", time.Minute, "how long --wait waits")
}

// after waits for connectors if that was asked for.
func (w *waiting) after(ctx context.Context, s *session, names []string, is condition) error {
	if !w.wait {
		return nil
	}
	return w.until(ctx, s, names, is)
}

// condition looks at a connector: done is nil once it is as it should be, else what is missing; an error ends the wait.
type condition func(ctx context.Context, api *client.Client, name string) (missing string, err error)

// lookEvery is the pause between two looks.
const lookEvery = 250 * time.Millisecond

// until waits for all connectors.
func (w *waiting) until(ctx context.Context, s *session, names []string, is condition) error {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	for _, name := range names {
		missing := ""
		for {
			now, err := is(ctx, s.api, name)
			if ctx.Err() == nil && err != nil {
				return err
			}
			if err == nil && now == "" {
				break
			}
			if err == nil {
				missing = now
			}
			select {
			case <-ctx.Done():
				if errors.Is(ctx.Err(), context.Canceled) {
					return ctx.Err()
				}
				if missing == "" {
					missing = "the server has not said yet how it is"
				}
				return failf(ExitTimeout, "waited %s for %s %s: %s", w.timeout, w.kind, name, missing)
			case <-time.After(lookEvery):
			}
		}
	}
	return nil
}

// everyTask is the condition that a connector and its tasks are all in a state. What has failed will not get there.
func everyTask(want client.State) condition {
	return func(ctx context.Context, api *client.Client, name string) (string, error) {
		st, err := api.Status(ctx, name)
		if err != nil {
			return "", err
		}
		if reason, failed := st.Failure(); failed && want == client.Running {
			return "", failf(ExitFailed, "connector %s failed: %s", name, reason)
		}
		if st.Connector.State != want {
			return "it is " + string(st.Connector.State), nil
		}
		if want != client.Running {
			return stillOwned(ctx, api, name)
		}
		if len(st.Tasks) == 0 {
			return "it has no tasks yet", nil
		}
		for _, t := range st.Tasks {
			if t.State != want && t.State != client.Failed {
				return fmt.Sprintf("task %d is %s", t.ID, t.State), nil
			}
		}
		return "", nil
	}
}

// stillOwned looks at what the tasks themselves say: the status tells of what is wanted at once, also while they are ending.
func stillOwned(ctx context.Context, api *client.Client, name string) (string, error) {
	tasks, err := api.Progress(ctx, name)
	if err != nil {
		return "", err
	}
	for _, t := range tasks {
		if t.State == client.Running {
			return fmt.Sprintf("task %d still runs", t.Task), nil
		}
	}
	return "", nil
}

// gone is the condition that nothing is left of the connector, so that its name is free. Its status is gone at once; its
// last event comes when its tasks have ended.
func gone(ctx context.Context, api *client.Client, name string) (string, error) {
	_, err := api.Status(ctx, name)
	switch {
	case err == nil:
		return "it is still there", nil
	case !errors.Is(err, client.ErrNotFound):
		return "", err
	}
	last, err := api.Events(ctx, client.EventQuery{Connector: name}, 1)
	if errors.Is(err, client.ErrNotFound) || err == nil && (len(last) == 0 || last[0].Kind == "forgotten") {
		return "", nil
	}
	return "its tasks are ending", err
}

// inForce is the condition that a connector is as it is wanted, by its newest config.
func inForce(ctx context.Context, api *client.Client, name string) (string, error) {
	o, err := api.Overview(ctx, name)
	if err != nil {
		return "", err
	}
	if missing, err := everyTask(o.Desired)(ctx, api, name); missing != "" || err != nil {
		return missing, err
	}
	if o.Desired != client.Running {
		return "", nil
	}
	if o.Planned < o.Revision {
		return fmt.Sprintf("its tasks still run by revision %d of its config, not by %d", o.Planned, o.Revision), nil
	}
	tasks, err := api.Progress(ctx, name) // also of the plan before, as long as they run
	if err == nil && len(tasks) > o.Tasks.Total {
		return fmt.Sprintf("it has %d tasks and is to have %d", len(tasks), o.Tasks.Total), nil
	}
	return "", err
}

// failures are what had failed before a restart: until the server has taken that up it shows them as before.
type failures struct{ seen map[string]failure }

type failure struct {
	reason string
	at     time.Time // when it was noted
}

// staleFor is how long a failure may be the one that was there before.
const staleFor = 5 * time.Second

func (f *failures) note(ctx context.Context, api *client.Client, name string) error {
	st, err := api.Status(ctx, name)
	if reason, failed := st.Failure(); err == nil && failed {
		if f.seen == nil {
			f.seen = map[string]failure{}
		}
		f.seen[name] = failure{reason, time.Now()}
	}
	return err
}

// over is a condition that takes no failure for a new one which is like the old, until some time has passed.
func (f *failures) over(is condition) condition {
	return func(ctx context.Context, api *client.Client, name string) (string, error) {
		missing, err := is(ctx, api, name)
		old, had := f.seen[name]
		if err != nil && had && time.Since(old.at) < staleFor && strings.Contains(err.Error(), old.reason) {
			return "it has not been started again yet", nil
		}
		return missing, err
	}
}
