package operate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/client"
)

// eventSheet lists events.
func eventSheet() sheet[client.Event] {
	type row = client.Event
	return sheet[row]{kind: "event", name: func(e row) string { return unknownOr(e.ID) }, columns: []column[row]{
		{title: "TIME", text: func(e row) string { return e.At.Local().Format(time.DateTime) }},
		{title: "CONNECTOR", text: func(e row) string { return e.Connector }},
		{title: "TASK", text: taskOf},
		{title: "KIND", text: func(e row) string { return strings.ReplaceAll(e.Kind, " ", "-") }, paint: func(e row) paint { return eventPaint(e.Kind) }},
		{title: "AUTHOR", text: func(e row) string { return e.Author }},
		{title: "ID", wide: true, text: func(e row) string { return unknownOr(e.ID) }},
		{title: "DETAIL", text: func(e row) string { return e.Detail }},
	}}
}

func taskOf(e client.Event) string {
	if e.Task == nil {
		return ""
	}
	return unknownOr(int64(*e.Task))
}

func eventPaint(kind string) paint {
	if kind == "failed" {
		return red
	}
	return ""
}

func getEvents(ctx context.Context, s *session, g *getting, names []string) error {
	if len(names) > 1 {
		return usagef("name one connector, or none for the events of all")
	}
	var q client.EventQuery
	if len(names) == 1 {
		q.Connector = names[0]
	}
	if g.watch {
		return followEvents(ctx, s, q, g.limit)
	}
	return show(ctx, s, g, eventSheet(), false, func(ctx context.Context) ([]client.Event, error) { return s.api.Events(ctx, q, g.limit) })
}

func (t *tool) eventsCommand() *cobra.Command {
	var follow bool
	var q client.EventQuery
	g := getting{}
	cmd := &cobra.Command{Use: "events [CONNECTOR]", Short: "Show what happened and why, newest first, or follow it", Args: Args(cobra.MaximumNArgs(1)),
		Example: `  gantry events orders-in
  gantry events --kind failed --limit 100
  gantry events --follow -o json`,
		ValidArgsFunction: t.asking(1, connectorNames),
		RunE: t.onConnector(func(ctx context.Context, s *session, args []string) error {
			if len(args) == 1 {
				q.Connector = args[0]
			}
			if err := checkLimit(g.limit, 0); err != nil {
				return err
			}
			if follow {
				return followEvents(ctx, s, q, g.limit)
			}
			return show(ctx, s, &g, eventSheet(), false, func(ctx context.Context) ([]client.Event, error) { return s.api.Events(ctx, q, g.limit) })
		})}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "print the last ones, oldest first, and then each as it happens, until interrupted")
	cmd.Flags().IntVarP(&g.limit, "limit", "n", 20, "how many; 0 is all that are kept")
	cmd.Flags().StringArrayVar(&q.Kinds, "kind", nil, "only this `KIND`, such as failed; may be repeated")
	return t.withOutput(cmd)
}

// followEvents prints the last events, oldest first, and then those that come, until ctx ends.
func followEvents(ctx context.Context, s *session, q client.EventQuery, last int) error {
	s.out.steady = true
	list := eventSheet()
	before, err := s.api.Events(ctx, q, last)
	if err != nil {
		return err
	}
	slices.Reverse(before)
	if err := list.more(s.out, before, true); err != nil {
		return err
	}
	after := int64(0) // nothing has happened yet that would be told again
	if len(before) > 0 {
		after = before[len(before)-1].ID
	}
	headed := len(before) > 0
	return s.api.Follow(ctx, q, after, func(e client.Event) error {
		err := list.more(s.out, []client.Event{e}, !headed)
		headed = true
		return err
	})
}

// logging are the flags of logs.
type logging struct {
	follow bool
	task   int
	tail   int
}

func (t *tool) logsCommand() *cobra.Command {
	var l logging
	cmd := &cobra.Command{Use: "logs CONNECTOR", Short: "Tell a connector's story: its events and the traces of what failed", Args: Args(cobra.ExactArgs(1)),
		Long: `Tell a connector's story, oldest first: what happened to it and its tasks and why, and behind it the full traces of what has failed
or is being tried again. What workers log beside that is in their own logs.`,
		Example: `  gantry logs orders-in
  gantry logs orders-in --task 2 --follow`,
		ValidArgsFunction: t.asking(1, connectorNames),
		RunE: t.onConnector(func(ctx context.Context, s *session, args []string) error {
			return l.do(ctx, s, args[0])
		})}
	cmd.Flags().BoolVarP(&l.follow, "follow", "f", false, "go on with what happens, until interrupted")
	cmd.Flags().IntVar(&l.task, "task", -1, "only what concerns the task with this number")
	hideDefault(cmd, "task")
	cmd.Flags().IntVar(&l.tail, "tail", 100, "how many events; 0 is all that are kept")
	return cmd
}

// errGone ends following a connector that has gone.
var errGone = errors.New("the connector is gone")

func (l *logging) do(ctx context.Context, s *session, name string) error {
	if err := checkLimit(l.tail, 0); err != nil {
		return err
	}
	q := client.EventQuery{Connector: name}
	events, err := s.api.Events(ctx, q, l.tail)
	if err != nil {
		return err
	}
	status, err := s.api.Status(ctx, name)
	there := err == nil
	if err != nil && (!errors.Is(err, client.ErrNotFound) || len(events) == 0) {
		return err
	}
	after := int64(-1)
	for _, e := range slices.Backward(events) {
		after = e.ID
		l.tell(s.out, e)
	}
	if there {
		l.traces(s, status)
	}
	if !l.follow || !there {
		return nil
	}
	err = s.api.Follow(ctx, q, after, func(e client.Event) error {
		l.tell(s.out, e)
		if e.Kind == "failed" {
			if status, err := s.api.Status(ctx, name); err == nil { // its trace is in the event in short anyway
				l.traces(s, status)
			}
		}
		if e.Kind == "forgotten" {
			return errGone
		}
		return nil
	})
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}

func (l *logging) tell(o *output, e client.Event) {
	if l.task < 0 || e.Task != nil && *e.Task == l.task {
		o.printf("%s\n", eventLine(o, e, true))
	}
}

// eventLine is an event in one line.
func eventLine(o *output, e client.Event, exact bool) string {
	at := e.At.Local().Format(time.DateTime)
	if exact {
		at = e.At.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	who := e.Connector
	if e.Task != nil {
		who = fmt.Sprintf("%s/%d", e.Connector, *e.Task)
	}
	by := ""
	if e.Author != "" {
		by = " by " + e.Author
	}
	line := oneLine(fmt.Sprintf("%s: %s%s", who, e.Kind, by))
	if e.Detail != "" {
		line += ": " + oneLine(e.Detail)
	}
	return o.paint(faint, at) + " " + o.paint(eventPaint(e.Kind), line)
}

func (l *logging) traces(s *session, st client.Status) {
	trace := func(who string, i client.Instance) {
		if i.Trace == "" {
			return
		}
		where := ""
		if i.WorkerID != "" {
			where = " on " + i.WorkerID
		}
		s.out.printf("%s is %s%s:\n%s\n", who, s.out.paint(statePaint(i.State), string(i.State)), clean(where), indent(i.Trace, "    "))
	}
	if l.task < 0 {
		trace(st.Name, st.Connector)
	}
	for _, t := range st.Tasks {
		if l.task < 0 || t.ID == l.task {
			trace(fmt.Sprintf("%s/%d", st.Name, t.ID), t.Instance)
		}
	}
}
