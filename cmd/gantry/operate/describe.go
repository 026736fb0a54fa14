package operate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/client"
)

// describedEvents is how many events describe shows.
const describedEvents = 10

// described is all that is known of a connector.
type described struct {
	client.Overview
	Config map[string]string     `json:"config"`
	Status client.Status         `json:"status"`
	Detail []client.TaskProgress `json:"progress"`
	Topics []string              `json:"topics"`
	Events []client.Event        `json:"events"`
}

func (t *tool) describeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "describe connector|worker NAME…", Short: "Show all about a connector or a worker", Args: Args(cobra.MinimumNArgs(1)),
		Long: `Show all about connectors: config, how they and their tasks get on and why, topics, and what happened last; or about workers. The
word connector may be left out.`,
		Example: `  gantry describe orders-in
  gantry describe worker host-1-4711`,
		RunE: t.run(func(ctx context.Context, s *session, args []string) error {
			kind, names := "connector", args
			if len(args) > 1 && slices.Contains([]string{"connector", "connectors", "worker", "workers"}, args[0]) {
				kind, names = strings.TrimSuffix(args[0], "s"), args[1:]
			}
			describe := describeConnector
			if kind == "worker" {
				describe = describeWorker
			}
			var missing []error
			for i, name := range trimKind(names, kind+"/") {
				if i > len(missing) && !s.out.structured() {
					s.out.printf("\n")
				}
				err := describe(ctx, s, name)
				if err != nil && !errors.Is(err, client.ErrNotFound) {
					return err
				}
				if err != nil {
					missing = append(missing, err)
				}
			}
			return together(missing...)
		})}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		ask := connectorNames
		if len(args) > 0 && strings.HasPrefix(args[0], "worker") {
			ask = workerIDs
		}
		return t.asking(0, ask)(cmd, args, typed)
	}
	return t.withOutput(cmd)
}

func describeConnector(ctx context.Context, s *session, name string) error {
	var d described
	var err error
	if d.Overview, err = s.api.Overview(ctx, name); err != nil {
		return err
	}
	if d.Config, _, err = s.api.Config(ctx, name); err != nil {
		return err
	}
	if d.Status, err = s.api.Status(ctx, name); err != nil {
		return err
	}
	if d.Detail, err = s.api.Progress(ctx, name); err != nil {
		return err
	}
	if d.Events, err = s.api.Events(ctx, client.EventQuery{Connector: name}, describedEvents); err != nil {
		return err
	}
	d.Topics, _ = s.api.Topics(ctx, name) // refused where the server does not track topics: then there are none to tell
	if s.out.structured() {
		return s.out.encode(d)
	}
	d.print(s)
	return nil
}

func (d described) print(s *session) {
	o, now := s.out, s.now()
	fact := func(name, value string) {
		if value != "" {
			o.printf("%-14s %s\n", name+":", value)
		}
	}
	fact("Name", d.Name)
	fact("Class", oneLine(d.Class+" "+d.Version)+" ("+d.Kind+")")
	fact("State", o.paint(statePaint(d.State), string(d.State)))
	fact("Wanted", string(d.Desired))
	fact("Health", d.Health)
	fact("Reason", oneLine(d.Reason))
	fact("Guarantee", d.Guarantee)
	fact("Labels", orDash(pairs(d.Labels)))
	fact("Revision", unknownOr(d.Revision))
	fact("Created", d.CreatedAt.Local().Format(time.DateTime)+" ("+age(d.CreatedAt, now)+" ago)")
	fact("Records", fmt.Sprintf("%d (%s per second)", d.Records, rate(d.Rate)))
	fact("Lag", orDash(unknownOr(d.LagRecords))+" records, "+orDash(lagTime(d.LagSeconds)))
	fact("Topics", strings.Join(d.Topics, ", "))
	o.printf("Config:\n")
	for _, key := range slices.Sorted(maps.Keys(d.Config)) {
		if key != "name" {
			o.printf("  %s\n", yamlLine(key, d.Config[key]))
		}
	}
	if len(d.Detail) > 0 {
		o.printf("Tasks:\n")
		rows := make([]listedTask, len(d.Detail))
		for i, t := range d.Detail {
			rows[i] = listedTask{d.Name, t}
		}
		taskSheet(s.now).table(o, rows, true)
	}
	d.printTraces(o)
	if len(d.Events) > 0 {
		o.printf("Events:\n")
		for _, e := range slices.Backward(d.Events) {
			o.printf("  %s\n", eventLine(o, e, false))
		}
	}
}

// printTraces tells why something failed, as the server has it.
func (d described) printTraces(o *output) {
	trace := func(who string, i client.Instance) {
		if i.Trace != "" {
			o.printf("%s %s:\n%s\n", who, o.paint(statePaint(i.State), string(i.State)), indent(i.Trace, "  "))
		}
	}
	trace("Connector", d.Status.Connector)
	for _, t := range d.Status.Tasks {
		trace(fmt.Sprintf("Task %d", t.ID), t.Instance)
	}
}

// indent writes each line behind a prefix, without what could steer the terminal.
func indent(text, prefix string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = prefix + strings.TrimRight(clean(line), " ")
	}
	return strings.Join(lines, "\n")
}

func describeWorker(ctx context.Context, s *session, id string) error {
	w, err := s.api.Worker(ctx, id)
	if err != nil {
		return err
	}
	if s.out.structured() {
		return s.out.encode(w)
	}
	for _, fact := range [][2]string{{"ID", w.ID}, {"Host", w.Host}, {"Group", orDash(w.Group)}, {"Version", w.Version}, {"State", workerState(w)},
		{"Tasks", fraction(w.Running, w.Capacity)}, {"Rate", rate(w.Rate) + " records per second"}, {"Since", age(w.Since, s.now())}, {"Seen", age(w.SeenAt, s.now()) + " ago"}} {
		s.out.printf("%-9s %s\n", fact[0]+":", oneLine(fact[1]))
	}
	if len(w.Tasks) == 0 {
		return nil
	}
	s.out.printf("Tasks:\n")
	sheet[client.WorkerTask]{columns: []column[client.WorkerTask]{
		{title: "CONNECTOR", text: func(t client.WorkerTask) string { return t.Connector }},
		{title: "TASK", text: func(t client.WorkerTask) string { return unknownOr(int64(t.Task)) }},
		{title: "STATE", text: func(t client.WorkerTask) string { return string(t.State) }, paint: func(t client.WorkerTask) paint { return statePaint(t.State) }},
		{title: "RATE", text: func(t client.WorkerTask) string { return rate(t.Rate) }},
	}}.table(s.out, w.Tasks, true)
	return nil
}
