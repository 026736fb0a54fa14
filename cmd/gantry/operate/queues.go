package operate

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/client"
)

func queueSheet() sheet[client.TopicQueues] {
	type row = client.TopicQueues
	return sheet[row]{kind: "topic", name: func(q row) string { return q.Topic }, columns: []column[row]{
		{title: "TOPIC", text: func(q row) string { return q.Topic }},
		{title: "VERSION", text: func(q row) string { return strconv.Itoa(q.Version) }},
		{title: "QUEUES", text: func(q row) string { return strconv.Itoa(len(q.Queues)) }},
		{title: "ADDRESSES", text: func(q row) string {
			all := make([]string, len(q.Queues))
			for i, a := range q.Queues {
				all[i] = fmt.Sprintf("%s/%d", a.Broker, a.Queue)
			}
			return strings.Join(all, ",")
		}},
	}}
}

func getQueues(ctx context.Context, s *session, g *getting, names []string) error {
	if len(names) != 1 {
		return usagef("name one source: gantry get queues CONNECTOR")
	}
	return show(ctx, s, g, queueSheet(), false, func(ctx context.Context) ([]client.TopicQueues, error) { return s.api.Queues(ctx, names[0]) })
}

func (t *tool) requeueCommand() *cobra.Command {
	var topic string
	var force bool
	cmd := &cobra.Command{Use: "requeue CONNECTOR", Short: "Have a stopped source send to the queues that its topics have now", Args: Args(cobra.ExactArgs(1)),
		Long: `Have a stopped source send to the queues that its topics have now. The queues are frozen when a connector first sends to a topic, so that
the records of a key stay in order; queues that a topic gets later are used after this. The sinks of this installation must have read
what is there, for keys move to other queues.`,
		Example: `  gantry get queues orders-in
  gantry stop orders-in --wait && gantry requeue orders-in && gantry resume orders-in`,
		ValidArgsFunction: t.asking(1, connectorNames),
		RunE: t.onConnector(func(ctx context.Context, s *session, args []string) error {
			all, err := s.api.TakeUpQueues(ctx, args[0], topic, force)
			if err != nil {
				return stoppedFirst(err, args[0])
			}
			return queueSheet().print(s.out, all)
		})}
	cmd.Flags().StringVar(&topic, "topic", "", "only this topic; all that it has sent to by default")
	cmd.Flags().BoolVar(&force, "force", false, "also while sinks have not read to the end: later records of a key may then be read before earlier ones")
	return t.withOutput(cmd)
}

func getAudit(ctx context.Context, s *session, g *getting, names []string) error {
	if len(names) > 1 {
		return usagef("name one connector, or none for all changes")
	}
	q := client.AuditQuery{Limit: g.limit, Connector: strings.Join(names, "")}
	if q.Limit < 1 || q.Limit > 1000 {
		return usagef("limit %d: must be 1 to 1000 for the audit trail", q.Limit)
	}
	type row = client.AuditEntry
	list := sheet[row]{kind: "audit", name: func(e row) string { return unknownOr(e.ID) }, columns: []column[row]{
		{title: "TIME", text: func(e row) string { return e.At.Local().Format(time.DateTime) }},
		{title: "WHO", text: func(e row) string { return e.Principal }},
		{title: "FROM", text: func(e row) string { return e.Address }},
		{title: "OPERATION", text: func(e row) string { return strings.ReplaceAll(e.Operation, " ", "-") }},
		{title: "CONNECTOR", text: func(e row) string { return e.Connector }},
		{title: "STATUS", text: func(e row) string { return strconv.Itoa(e.Status) }, paint: func(e row) paint {
			if e.Status >= 300 {
				return red
			}
			return ""
		}},
		{title: "PATH", wide: true, text: func(e row) string { return e.Method + " " + e.Path }},
	}}
	return show(ctx, s, g, list, false, func(ctx context.Context) ([]row, error) { return s.api.Audit(ctx, q) })
}
