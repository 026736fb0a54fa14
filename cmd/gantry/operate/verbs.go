package operate

import (
	"context"
	"fmt"
	"net/http"
	"strings"

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
		do: func(ctx context.Context, api *client.Client, n string) error { return api.Resume(ctx, n) }, done: inForce, bulk: true}
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
	if a.dryRun {
		return err
	}
	return together(err, a.after(ctx, s, acted, v.done))
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
