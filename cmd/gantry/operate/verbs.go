package operate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/client"
)

// verb is something that is done to connectors, and how one can see that it is done.
type verb struct {
	name, past, short, long string
	do                      func(ctx context.Context, api *client.Client, name string) error
	done                    condition
	bulk                    bool // the server knows it as a verb for many
}

var (
	pause = verb{name: "pause", past: "paused", short: "Stop the copying of connectors, keep their tasks",
		do: func(ctx context.Context, api *client.Client, n string) error { return api.Pause(ctx, n) }, done: everyTask(client.Paused), bulk: true}
	resume = verb{name: "resume", past: "resumed", short: "Let connectors go on after pause or stop",
		do: func(ctx context.Context, api *client.Client, n string) error { return api.Resume(ctx, n) }, done: everyTask(client.Running), bulk: true}
	stop = verb{name: "stop", past: "stopped", short: "End the tasks of connectors, keep their positions",
		long: "Offsets can be changed only while a connector is stopped.",
		do:   func(ctx context.Context, api *client.Client, n string) error { return api.Stop(ctx, n) }, done: everyTask(client.Stopped), bulk: true}
)

// acting are the flags of commands that do something to connectors and may wait until it is done.
type acting struct {
	picking
	waiting
	dryRun bool
}

func (a *acting) add(cmd *cobra.Command) {
	a.picking.add(cmd)
	a.waiting.add(cmd)
	cmd.Flags().BoolVar(&a.dryRun, "dry-run", false, "only tell which connectors are meant")
}

func (t *tool) verbCommand(v verb) *cobra.Command {
	var a acting
	cmd := &cobra.Command{Use: v.name + " NAME… | -l SELECTOR | --all", Short: v.short, Long: strings.TrimSpace(v.short + ".\n\n" + v.long),
		Args: cobra.ArbitraryArgs, ValidArgsFunction: t.asking(0, connectorNames),
		Example: fmt.Sprintf("  gantry %s orders-in orders-out\n  gantry %s -l team=orders --wait --timeout 2m\n  gantry get connectors -o name | xargs gantry %s", v.name, v.name, v.name),
		RunE: t.run(func(ctx context.Context, s *session, args []string) error {
			return a.act(ctx, s, args, v)
		})}
	a.add(cmd)
	return t.withOutput(cmd)
}

func (a *acting) act(ctx context.Context, s *session, args []string, v verb) error {
	d := dryRun("none")
	if a.dryRun {
		d = "server"
	}
	out := newOutcomes(s, d)
	acted, err := a.actOnAll(ctx, s, args, v, out)
	if err != nil {
		return err
	}
	if len(out.items) == 0 && !s.out.structured() {
		s.said("no connector matches")
		return nil
	}
	err = out.end()
	if a.wait && !a.dryRun && len(acted) > 0 {
		err = together(err, a.until(ctx, s, acted, v.done))
	}
	return err
}

// actOnAll does it and returns the connectors that it was done to. Those that are picked by labels are picked by the server.
func (a *acting) actOnAll(ctx context.Context, s *session, args []string, v verb, out *outcomes) (acted []string, err error) {
	if len(args) == 0 && v.bulk && (a.selector != "") != a.all {
		r, err := s.api.Bulk(ctx, client.Bulk{Verb: v.name, Selector: a.selector, All: a.all, DryRun: a.dryRun})
		if err != nil {
			return nil, err
		}
		for _, item := range r.Items {
			if item.Outcome == "failed" {
				out.add(item.Name, v.past, fmt.Errorf("connector %s: %w", item.Name, &client.Error{Status: statusOf(item.Code), Code: item.Code, Message: item.Detail}))
				continue
			}
			acted = append(acted, item.Name)
			what := v.past
			if item.Outcome == unchanged {
				what = unchanged
			}
			out.add(item.Name, what, nil)
		}
		return acted, nil
	}
	names, err := a.pick(ctx, s, args)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if a.dryRun {
			_, err = s.api.Overview(ctx, name)
		} else {
			err = v.do(ctx, s.api, name)
		}
		if err == nil {
			acted = append(acted, name)
		}
		out.add(name, v.past, err)
		if ctx.Err() != nil {
			break
		}
	}
	return acted, nil
}

// statusOf is the HTTP status of a problem within an answer that as a whole is a success, for the exit code.
func statusOf(code string) int {
	switch code {
	case "not-found":
		return http.StatusNotFound
	case "forbidden":
		return http.StatusForbidden
	case "unavailable", "no-worker":
		return http.StatusServiceUnavailable
	case "invalid-request", "invalid-config":
		return http.StatusBadRequest
	case "internal":
		return http.StatusInternalServerError
	}
	return http.StatusConflict
}

func (t *tool) restartCommand() *cobra.Command {
	var a acting
	var r client.Restart
	var task int
	cmd := &cobra.Command{Use: "restart NAME… | -l SELECTOR | --all", Short: "Start connectors again, with or without their tasks", Args: cobra.ArbitraryArgs,
		Long: `Start connectors again. Without flags only the connector itself, which plans its tasks again; --tasks includes the tasks, and
--only-failed leaves alone what has not failed.`,
		Example: `  gantry restart orders-in --tasks --only-failed --wait
  gantry restart orders-in --task 2`,
		ValidArgsFunction: t.asking(0, connectorNames),
		RunE: t.run(func(ctx context.Context, s *session, args []string) error {
			var old failures
			v := verb{past: "restarted", done: old.over(everyTask(client.Running)), do: func(ctx context.Context, api *client.Client, n string) error {
				if err := old.note(ctx, api, n); err != nil {
					return err
				}
				return api.Restart(ctx, n, r)
			}}
			if task >= 0 {
				v.past = fmt.Sprintf("task %d restarted", task)
				v.do = func(ctx context.Context, api *client.Client, n string) error {
					if err := old.note(ctx, api, n); err != nil {
						return err
					}
					return api.RestartTask(ctx, n, task)
				}
			}
			return a.act(ctx, s, args, v)
		})}
	a.add(cmd)
	cmd.Flags().BoolVar(&r.IncludeTasks, "tasks", false, "also the tasks")
	cmd.Flags().BoolVar(&r.OnlyFailed, "only-failed", false, "only what has failed")
	cmd.Flags().IntVar(&task, "task", -1, "only the task with this number")
	hideDefault(cmd, "task")
	return t.withOutput(cmd)
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
