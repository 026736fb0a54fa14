package operate

import (
	"context"
	"errors"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/client"
)

// getting are the flags of get.
type getting struct {
	selector string
	watch    bool
	interval time.Duration
	limit    int
	all      bool
}

// resource is a kind of thing that get lists.
type resource struct {
	name, alias string // plural and singular
	short       string
	get         func(ctx context.Context, s *session, g *getting, names []string) error
}

var resources = []resource{
	{"connectors", "connector", "what is copied, and how it gets on", getConnectors},
	{"tasks", "task", "tasks [CONNECTOR…]: who runs them, how far and how fast", getTasks},
	{"workers", "worker", "the processes that run tasks", getWorkers},
	{"plugins", "plugin", "the classes that configs may name", getPlugins},
	{"revisions", "revision", "revisions CONNECTOR: every config that it has had", getRevisions},
	{"events", "event", "events [CONNECTOR]: what happened and why", getEvents},
	{"topics", "topic", "topics [CONNECTOR…]: which topics connectors have used", getTopics},
	{"offsets", "offset", "offsets CONNECTOR: how far each partition has been copied", getOffsets},
	{"queues", "queue", "queues SOURCE: which queues it sends to", getQueues},
	{"loggers", "logger", "the levels of the server's log", getLoggers},
	{"audit", "audit", "audit [CONNECTOR]: who changed what (for admins)", getAudit},
}

func findResource(word string) (resource, error) {
	for _, r := range resources {
		if word == r.name || word == r.alias {
			return r, nil
		}
	}
	return resource{}, usagef("unknown resource %q: must be one of %s", word, strings.Join(resourceNames(), ", "))
}

func resourceNames() []string {
	names := make([]string, len(resources))
	for i, r := range resources {
		names[i] = r.name
	}
	return names
}

func (t *tool) getCommand() *cobra.Command {
	var g getting
	cmd := &cobra.Command{Use: "get RESOURCE [NAME…]", Short: "List connectors, tasks, workers and more", Long: explainResources(),
		Example: `  gantry get connectors
  gantry get connectors -l team=orders -o wide --watch
  gantry get connectors orders-in -o yaml > orders-in.yaml
  gantry get tasks orders-in
  gantry get events orders-in --limit 50`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("say what to list: %s", strings.Join(resourceNames(), ", "))
			}
			return nil
		},
		RunE: t.run(func(ctx context.Context, s *session, args []string) error {
			word, names := args[0], args[1:]
			if kind, name, ok := strings.Cut(word, "/"); ok {
				word, names = kind, append([]string{name}, names...)
			}
			r, err := findResource(word)
			if err != nil {
				return err
			}
			if err := checkLimit(g.limit, 0); err != nil {
				return err
			}
			return r.get(ctx, s, &g, trimKind(trimKind(names, r.alias+"/"), "connector/"))
		}),
		ValidArgsFunction: t.completeResources}
	f := cmd.Flags()
	f.StringVarP(&g.selector, "selector", "l", "", "connectors, tasks and topics of connectors with these labels: a=b, a!=b, a in (b,c), a, !a, separated by commas")
	f.BoolVarP(&g.watch, "watch", "w", false, "go on and print what changes, until interrupted")
	f.DurationVar(&g.interval, "interval", time.Second, "how often --watch looks")
	f.IntVar(&g.limit, "limit", 20, "how many events or revisions; 0 is all")
	f.BoolVar(&g.all, "all-plugins", false, "not only connectors but also converters, transforms and predicates")
	return t.withOutput(cmd)
}

// checkLimit refuses a number of things that nobody can mean.
func checkLimit(limit, least int) error {
	if limit < least {
		return usagef("limit %d: must be %d or more", limit, least)
	}
	return nil
}

func explainResources() string {
	var b strings.Builder
	b.WriteString("List things:\n")
	for _, r := range resources {
		b.WriteString("\n  " + r.name + strings.Repeat(" ", 12-len(r.name)) + r.short)
	}
	b.WriteString("\n\nNames that come from -o name may be given as they are: connector/orders-in.")
	return b.String()
}

// completeResources proposes what to list, and then names of it.
func (t *tool) completeResources(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		words := make([]string, len(resources))
		for i, r := range resources {
			words[i] = r.name + "\t" + r.short
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
	ask := connectorNames
	switch r, _ := findResource(args[0]); r.name {
	case "workers":
		ask = workerIDs
	case "plugins":
		ask = pluginClasses
	case "loggers":
		ask = loggerNames
	}
	return t.asking(0, ask)(cmd, args[1:], typed)
}

// show lists what fetch finds: once, or again and again with --watch. With one name given, programs get the thing itself.
func show[T any](ctx context.Context, s *session, g *getting, list sheet[T], single bool, fetch func(context.Context) ([]T, error)) error {
	items, err := fetch(ctx)
	if err != nil && (g.watch || len(items) == 0) {
		return err
	}
	if !g.watch {
		if err != nil { // some of the names are there
			return together(list.print(s.out, items), err)
		}
		if single && len(items) == 1 {
			return list.printOne(s.out, items[0])
		}
		if len(items) == 0 && !s.out.structured() && s.out.format != asName {
			s.note("no %ss found", list.kind)
			return nil
		}
		return list.print(s.out, items)
	}
	return watch(ctx, s, g.interval, list, items, fetch)
}

// named picks those with the names given, in their order; without names all. A name that is missing is an error.
func named[T any](all []T, names []string, nameOf func(T) string, kind string) ([]T, error) {
	if len(names) == 0 {
		return all, nil
	}
	picked := make([]T, 0, len(names))
	var missing []error
	for _, name := range names {
		i := slices.IndexFunc(all, func(item T) bool { return nameOf(item) == name })
		if i < 0 {
			missing = append(missing, failf(ExitNotFound, "%s %s not found", kind, name))
			continue
		}
		picked = append(picked, all[i])
	}
	return picked, together(missing...)
}

// listedConnector is a connector with its config, so that what get writes can be applied again.
type listedConnector struct {
	client.Overview
	Config map[string]string `json:"config,omitempty"`
}

func connectorSheet(now func() time.Time) sheet[listedConnector] {
	type row = listedConnector
	return sheet[row]{kind: "connector", name: func(c row) string { return c.Name }, columns: []column[row]{
		{title: "NAME", text: func(c row) string { return c.Name }},
		{title: "KIND", text: func(c row) string { return c.Kind }},
		{title: "STATE", text: func(c row) string { return string(c.State) }, paint: func(c row) paint { return statePaint(c.State) }},
		{title: "HEALTH", text: func(c row) string { return c.Health }, paint: func(c row) paint { return healthPaint(c.Health) }},
		{title: "TASKS", text: func(c row) string { return fraction(c.Tasks.Running, c.Tasks.Total) }},
		{title: "RATE", text: func(c row) string { return rate(c.Rate) }},
		{title: "LAG", text: func(c row) string { return unknownOr(c.LagRecords) }},
		{title: "LAG-TIME", wide: true, text: func(c row) string { return lagTime(c.LagSeconds) }},
		{title: "RECORDS", text: func(c row) string { return unknownOr(c.Records) }},
		{title: "LAST-RECORD", wide: true, text: func(c row) string { return ago(c.LastRecordAt, now()) }},
		{title: "CLASS", wide: true, text: func(c row) string { return c.Class }},
		{title: "GUARANTEE", wide: true, text: func(c row) string { return strings.ReplaceAll(c.Guarantee, " ", "-") }},
		{title: "REVISION", wide: true, text: func(c row) string { return unknownOr(c.Revision) }},
		{title: "AGE", text: func(c row) string { return age(c.CreatedAt, now()) }},
		{title: "LABELS", wide: true, text: func(c row) string { return pairs(c.Labels) }},
		{title: "REASON", wide: true, text: func(c row) string { return c.Reason }},
	}}
}

func getConnectors(ctx context.Context, s *session, g *getting, names []string) error {
	return show(ctx, s, g, connectorSheet(s.now), len(names) == 1, func(ctx context.Context) ([]listedConnector, error) {
		all, missing := overviews(ctx, s, g, names)
		rows := make([]listedConnector, len(all))
		for i, c := range all {
			rows[i].Overview = c
		}
		if s.out.structured() && !g.watch {
			if err := addConfigs(ctx, s.api, rows); err != nil {
				return nil, err
			}
		}
		return rows, missing
	})
}

// addConfigs reads the configs of connectors, of many all at once.
func addConfigs(ctx context.Context, api *client.Client, rows []listedConnector) error {
	config := func(name string) (map[string]string, error) {
		config, _, err := api.Config(ctx, name)
		return config, err
	}
	if len(rows) >= enough {
		infos, err := api.Infos(ctx)
		if err != nil {
			return err
		}
		config = func(name string) (map[string]string, error) { return infos[name].Config, nil }
	}
	for i := range rows {
		c, err := config(rows[i].Name)
		if err != nil {
			return err
		}
		rows[i].Config = withoutName(c)
	}
	return nil
}

// overviews are the connectors named, or those that the selector matches. A name that is missing is an error beside the others.
func overviews(ctx context.Context, s *session, g *getting, names []string) ([]client.Overview, error) {
	if len(names) == 0 {
		return s.api.Overviews(ctx, client.Query{Selector: g.selector})
	}
	if g.selector != "" {
		return nil, usagef("give either names or -l, not both")
	}
	all := make([]client.Overview, 0, len(names))
	var missing []error
	for _, name := range names {
		c, err := s.api.Overview(ctx, name)
		switch {
		case errors.Is(err, client.ErrNotFound):
			missing = append(missing, err)
		case err != nil:
			return nil, err
		default:
			all = append(all, c)
		}
	}
	return all, together(missing...)
}

func fraction(part, whole int) string {
	return unknownOr(int64(part)) + "/" + unknownOr(int64(whole))
}

func ago(at *time.Time, now time.Time) string {
	if at == nil {
		return ""
	}
	return age(*at, now)
}

func lagTime(seconds float64) string {
	if seconds < 0 {
		return ""
	}
	return span(time.Duration(seconds * float64(time.Second)))
}

func healthPaint(health string) paint {
	switch health {
	case "running", "idle":
		return green
	case "failed":
		return red
	case "paused", "stopped":
		return faint
	}
	return yellow
}

// listedTask is a task with its connector's name.
type listedTask struct {
	Connector string `json:"connector"`
	client.TaskProgress
}

func taskSheet(now func() time.Time) sheet[listedTask] {
	type row = listedTask
	return sheet[row]{kind: "task", name: func(t row) string { return t.Connector + "/" + unknownOr(int64(t.Task)) }, columns: []column[row]{
		{title: "CONNECTOR", text: func(t row) string { return t.Connector }},
		{title: "TASK", text: func(t row) string { return unknownOr(int64(t.Task)) }},
		{title: "STATE", text: func(t row) string { return string(t.State) }, paint: func(t row) paint { return statePaint(t.State) }},
		{title: "WORKER", text: func(t row) string { return t.WorkerID }},
		{title: "RATE", text: func(t row) string { return rate(t.RecordsPerSecond) }},
		{title: "LAG", text: func(t row) string { return unknownOr(t.LagRecords) }},
		{title: "LAG-BYTES", wide: true, text: func(t row) string { return unknownOr(t.LagBytes) }},
		{title: "RECORDS", text: func(t row) string { return unknownOr(t.Records) }},
		{title: "BYTES", wide: true, text: func(t row) string { return unknownOr(t.Bytes) }},
		{title: "HEALTH", text: func(t row) string { return t.Health }, paint: func(t row) paint { return healthPaint(t.Health) }},
		{title: "FILTERED", wide: true, text: func(t row) string { return unknownOr(t.Filtered) }},
		{title: "BAD", wide: true, text: func(t row) string { return unknownOr(t.Bad) }},
		{title: "RETRIES", text: func(t row) string { return unknownOr(t.Retries) }},
		{title: "LAST-RECORD", text: func(t row) string { return ago(t.LastRecordAt, now()) }},
		{title: "NEXT-RETRY", wide: true, text: func(t row) string {
			if t.NextRetryAt == nil || t.NextRetryAt.Before(now()) {
				return ""
			}
			return "in " + span(t.NextRetryAt.Sub(now()))
		}},
		{title: "REASON", wide: true, text: func(t row) string { return t.Reason }},
	}}
}

func getTasks(ctx context.Context, s *session, g *getting, names []string) error {
	return show(ctx, s, g, taskSheet(s.now), false, func(ctx context.Context) ([]listedTask, error) {
		all, missing := overviews(ctx, s, g, names)
		rows := []listedTask{}
		for _, c := range all {
			tasks, err := tasksOf(ctx, s, c.Name)
			if err != nil {
				return nil, err
			}
			rows = append(rows, tasks...)
		}
		return rows, missing
	})
}

// tasksOf is a connector's tasks by number.
func tasksOf(ctx context.Context, s *session, name string) ([]listedTask, error) {
	tasks, err := s.api.Progress(ctx, name)
	if err != nil {
		return nil, err
	}
	st, err := s.api.Status(ctx, name)
	if err != nil {
		return nil, err
	}
	rows := make([]listedTask, len(tasks))
	for i, t := range tasks {
		if at := slices.IndexFunc(st.Tasks, func(s client.TaskStatus) bool { return s.ID == t.Task }); at >= 0 {
			t.State = st.Tasks[at].State // as everywhere: what is wanted shows at once
		}
		rows[i] = listedTask{name, t}
	}
	return rows, nil
}

func getWorkers(ctx context.Context, s *session, g *getting, names []string) error {
	list := workerSheet(s.now)
	return show(ctx, s, g, list, len(names) == 1, func(ctx context.Context) ([]client.Worker, error) {
		all, err := s.api.Workers(ctx)
		if err != nil {
			return nil, err
		}
		return named(all, names, list.name, "worker")
	})
}

func getPlugins(ctx context.Context, s *session, g *getting, names []string) error {
	list := pluginSheet()
	return show(ctx, s, g, list, len(names) == 1, func(ctx context.Context) ([]client.Plugin, error) {
		all, err := s.api.Plugins(ctx, g.all || len(names) > 0)
		if err != nil {
			return nil, err
		}
		return named(all, names, list.name, "plugin")
	})
}

func getRevisions(ctx context.Context, s *session, g *getting, names []string) error {
	if len(names) != 1 {
		return usagef("name one connector: gantry get revisions CONNECTOR")
	}
	list := sheet[client.Revision]{kind: "revision", name: func(r client.Revision) string { return unknownOr(r.Number) }, columns: []column[client.Revision]{
		{title: "REVISION", text: func(r client.Revision) string { return unknownOr(r.Number) }},
		{title: "CURRENT", text: func(r client.Revision) string { return map[bool]string{true: "*"}[r.Current] }},
		{title: "AUTHOR", text: func(r client.Revision) string { return r.Author }},
		{title: "AGE", text: func(r client.Revision) string { return age(r.At, s.now()) }},
		{title: "CLASS", wide: true, text: func(r client.Revision) string { return r.Class }},
		{title: "CHANGED", text: func(r client.Revision) string { return strings.Join(r.Changed, ",") }},
	}}
	return show(ctx, s, g, list, false, func(ctx context.Context) ([]client.Revision, error) { return s.api.Revisions(ctx, names[0], g.limit) })
}

// listedTopic is a topic that a connector has used.
type listedTopic struct {
	Topic     string `json:"topic"`
	Connector string `json:"connector"`
}

func getTopics(ctx context.Context, s *session, g *getting, names []string) error {
	list := sheet[listedTopic]{kind: "topic", name: func(t listedTopic) string { return t.Topic }, columns: []column[listedTopic]{
		{title: "TOPIC", text: func(t listedTopic) string { return t.Topic }},
		{title: "CONNECTOR", text: func(t listedTopic) string { return t.Connector }},
	}}
	return show(ctx, s, g, list, false, func(ctx context.Context) ([]listedTopic, error) {
		all, missing := overviews(ctx, s, g, names)
		rows := []listedTopic{}
		for _, c := range all {
			topics, err := s.api.Topics(ctx, c.Name)
			if err != nil {
				return nil, err
			}
			for _, topic := range topics {
				rows = append(rows, listedTopic{topic, c.Name})
			}
		}
		sort.Slice(rows, func(i, j int) bool {
			return rows[i].Topic < rows[j].Topic || rows[i].Topic == rows[j].Topic && rows[i].Connector < rows[j].Connector
		})
		return rows, missing
	})
}

// listedLogger is a logger with its name.
type listedLogger struct {
	Name string `json:"name"`
	client.Logger
}

func getLoggers(ctx context.Context, s *session, g *getting, names []string) error {
	list := sheet[listedLogger]{kind: "logger", name: func(l listedLogger) string { return l.Name }, columns: []column[listedLogger]{
		{title: "LOGGER", text: func(l listedLogger) string { return l.Name }},
		{title: "LEVEL", text: func(l listedLogger) string { return l.Level }},
		{title: "SET", text: func(l listedLogger) string {
			if l.LastModified == nil {
				return ""
			}
			return age(time.UnixMilli(*l.LastModified), s.now())
		}},
	}}
	return show(ctx, s, g, list, len(names) == 1, func(ctx context.Context) ([]listedLogger, error) {
		all, err := s.api.Loggers(ctx)
		if err != nil {
			return nil, err
		}
		rows := make([]listedLogger, 0, len(all))
		for name, l := range all {
			rows = append(rows, listedLogger{name, l})
		}
		sort.Slice(rows, func(i, j int) bool { return rows[i].Name < rows[j].Name })
		return named(rows, names, list.name, "logger")
	})
}
