package operate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/client"
	"github.com/gantry-connect/gantry/secrets"
	"github.com/gantry-connect/gantry/selector"
)

// files are the flags of commands that read connector files.
type files struct {
	paths     []string
	recursive bool
}

func (f *files) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP(&f.paths, "filename", "f", nil, "`FILE`, folder (its .yaml, .yml and .json files) or - for the input; may be repeated")
	cmd.Flags().BoolVarP(&f.recursive, "recursive", "R", false, "also the folders within folders")
}

func (f *files) read(s *session) ([]manifest, error) {
	return readManifests(s.in, f.paths, f.recursive)
}

// What a change would be, or was.
const (
	created    = "created"
	configured = "configured"
	unchanged  = "unchanged"
	pruned     = "pruned"
)

// dryRun is how far a change goes.
type dryRun string

func (d *dryRun) add(cmd *cobra.Command, t *tool) {
	cmd.Flags().StringVar((*string)(d), "dry-run", "none", "none; client: only read the files, no server is called; server: have the server check everything and change nothing")
	t.completeFlag(cmd, "dry-run", fixed("none", "client", "server"))
}

func (d dryRun) check() error {
	if !slices.Contains([]dryRun{"none", "client", "server"}, d) {
		return usagef("dry-run %q: must be none, client or server", string(d))
	}
	return nil
}

func (d dryRun) note() string {
	if d == "none" {
		return ""
	}
	return " (" + string(d) + " dry run)"
}

type applying struct {
	files
	waiting
	dryRun   dryRun
	prune    bool
	selector string
}

func (t *tool) applyCommand() *cobra.Command {
	var a applying
	cmd := &cobra.Command{Use: "apply -f FILE…", Short: "Make connectors as files declare them", Args: Args(cobra.NoArgs),
		Long: `Make connectors as files declare them: create those that are missing, change those that differ, leave the others alone. Applying
the same files again changes nothing.

A file holds YAML (several documents between lines of ---) or JSON, and in it connectors as {name, config, labels,
initial_state}, in Kafka Connect's form {name, config}, or as a flat config with its name in it; also lists of them. Labels are
left alone where a file has none; initial_state counts when a connector is created and never after.

With --prune, connectors that the selector matches and no file declares are deleted, so that a folder is the whole truth about
them. Every connector that is declared must then carry the selector's labels.`,
		Example: `  gantry apply -f connectors/
  gantry apply -f connectors/ --prune -l team=orders
  gantry apply -f orders.yaml --dry-run=server
  gantry apply -f orders.yaml --wait --timeout 2m
  kubectl get configmap x -o jsonpath='{.data.connector}' | gantry apply -f -`,
		RunE: t.run(func(ctx context.Context, s *session, _ []string) error { return a.do(ctx, s) })}
	a.files.add(cmd)
	a.waiting.add(cmd)
	a.dryRun.add(cmd, t)
	cmd.Flags().BoolVar(&a.prune, "prune", false, "delete the connectors that -l matches and no file declares")
	cmd.Flags().StringVarP(&a.selector, "selector", "l", "", "labels of what --prune may delete; of a connector without them nothing is applied")
	return t.withOutput(cmd)
}

func (a *applying) do(ctx context.Context, s *session) error {
	if err := a.dryRun.check(); err != nil {
		return err
	}
	picks, err := selector.Parse(a.selector)
	switch {
	case err != nil:
		return Usage(err)
	case a.prune && strings.TrimSpace(a.selector) == "":
		return usagef("--prune needs -l: it says which connectors the files are the whole truth about")
	}
	all, err := a.read(s)
	if err != nil {
		return err
	}
	for _, m := range all {
		if a.selector != "" && !picks.Matches(m.Labels) {
			return failf(ExitInvalid, "%s: does not carry the labels of -l %s: add them to it", m.source, a.selector)
		}
	}
	out := newOutcomes(s, a.dryRun)
	var look lookup
	if a.dryRun != "client" {
		if look, err = lookUp(ctx, s.api, len(all)); err != nil {
			return err
		}
	}
	var old failures
	for _, m := range all {
		what := "read"
		if look != nil {
			if a.wait {
				_ = old.note(ctx, s.api, m.Name) // may be new; what else is wrong shows at once
			}
			what, err = m.apply(ctx, s.api, look, a.dryRun == "server")
		}
		out.add(m.Name, what, wrapSource(m, err))
		if ctx.Err() != nil {
			break
		}
	}
	switch {
	case !a.prune || a.dryRun == "client":
	case out.failed():
		s.note("nothing is pruned, because something could not be applied")
	default:
		if err := a.pruneRest(ctx, s, all, out); err != nil {
			return err
		}
	}
	return out.endWhen(ctx, a.waiting, old.over(inForce))
}

func wrapSource(m manifest, err error) error {
	if err == nil || m.source == "" {
		return err
	}
	return fmt.Errorf("%s: %w", m.source, err)
}

func (a *applying) pruneRest(ctx context.Context, s *session, declared []manifest, out *outcomes) error {
	theirs, err := s.api.Overviews(ctx, client.Query{Selector: a.selector})
	if err != nil {
		return fmt.Errorf("find what to prune: %w", err)
	}
	for _, c := range theirs {
		if slices.ContainsFunc(declared, func(m manifest) bool { return m.Name == c.Name }) {
			continue
		}
		if a.dryRun == "none" {
			err = s.api.Delete(ctx, c.Name, client.Deletion{})
		}
		out.add(c.Name, pruned, err)
	}
	return nil
}

// apply makes the connector as the manifest says and tells what that was.
func (m manifest) apply(ctx context.Context, api *client.Client, look lookup, dry bool) (string, error) {
	now, err := look(ctx, m.Name)
	if errors.Is(err, client.ErrNotFound) {
		_, err := api.Create(ctx, client.NewConnector{Name: m.Name, Config: m.Config, Labels: m.Labels, InitialState: m.InitialState}, dry)
		return created, err
	}
	if err != nil {
		return "", err
	}
	what := unchanged
	if !maps.Equal(m.Config, now.Config) {
		revision, _, err := api.ReplaceConfig(ctx, m.Name, m.Config, client.Replacement{DryRun: dry})
		if err != nil {
			return "", err
		}
		if revision != now.revision { // a secret is masked in what was fetched: only the server knows whether it differs
			what = configured
		}
	}
	if m.labelled && !maps.Equal(m.Labels, now.Labels) {
		what = configured
		if !dry {
			err = api.PutLabels(ctx, m.Name, m.Labels)
		}
	}
	return what, err
}

// shown is the config as it may be shown: secrets are masked as the server masks its own, so that both can be compared.
func (m manifest) shown(server map[string]string) map[string]string {
	config := maps.Clone(m.Config)
	for key, value := range config {
		if value != server[key] {
			config[key] = secrets.Shown(value, secrets.NamesSecret(key) || server[key] == secrets.Mask)
		}
	}
	return config
}

// kept is a connector as the server has it.
type kept struct {
	manifest
	revision int64
}

// lookup reads a connector in the form of a manifest.
type lookup func(ctx context.Context, name string) (kept, error)

// enough is from how many connectors on all that there are are read at once, instead of each by itself.
const enough = 3

// lookUp is a lookup for n connectors.
func lookUp(ctx context.Context, api *client.Client, n int) (lookup, error) {
	if n < enough {
		return func(ctx context.Context, name string) (kept, error) { return fetch(ctx, api, name) }, nil
	}
	overviews, err := api.Overviews(ctx, client.Query{})
	if err != nil {
		return nil, err
	}
	infos, err := api.Infos(ctx)
	if err != nil {
		return nil, err
	}
	all := make(map[string]kept, len(overviews))
	for _, o := range overviews {
		if info, ok := infos[o.Name]; ok {
			all[o.Name] = kept{manifest{Name: o.Name, Config: withoutName(info.Config), Labels: o.Labels}, o.Revision}
		}
	}
	return func(_ context.Context, name string) (kept, error) {
		if k, ok := all[name]; ok {
			return k, nil
		}
		return kept{}, fmt.Errorf("connector %s: %w", name, client.ErrNotFound)
	}, nil
}

// fetch reads one connector.
func fetch(ctx context.Context, api *client.Client, name string) (kept, error) {
	config, revision, err := api.Config(ctx, name)
	if err != nil {
		return kept{}, err
	}
	labels, err := api.Labels(ctx, name)
	if err != nil {
		return kept{}, err
	}
	if labels == nil {
		labels = map[string]string{}
	}
	return kept{manifest{Name: name, Config: withoutName(config), Labels: labels}, revision}, nil
}

// outcome is what became of one connector.
type outcome struct {
	Name    string `json:"name"`
	Outcome string `json:"outcome"`
	Error   string `json:"error,omitempty"`
}

// outcomes tells what becomes of each connector as it happens, and of all at the end.
type outcomes struct {
	s      *session
	dryRun dryRun
	items  []outcome
	errs   []error
}

func newOutcomes(s *session, d dryRun) *outcomes {
	return &outcomes{s: s, dryRun: d, items: []outcome{}}
}

func (o *outcomes) failed() bool { return len(o.errs) > 0 }

func (o *outcomes) add(name, what string, err error) {
	item := outcome{Name: name, Outcome: what}
	if err != nil {
		item.Outcome, item.Error = "failed", err.Error()
		o.errs = append(o.errs, err)
	}
	o.items = append(o.items, item)
	switch {
	case o.s.out.structured() || err != nil:
	case o.s.out.format == asName:
		o.s.out.printf("connector/%s\n", name)
	default:
		o.s.out.printf("connector/%s %s%s\n", name, what, o.dryRun.note())
	}
}

// endWhen is end for what may be waited for: all connectors that are there and were not refused.
func (o *outcomes) endWhen(ctx context.Context, w waiting, is condition) error {
	err := o.end()
	if o.dryRun != "none" {
		return err
	}
	var names []string
	for _, item := range o.items {
		if item.Error == "" && item.Outcome != pruned {
			names = append(names, item.Name)
		}
	}
	return together(err, w.after(ctx, o.s, names, is))
}

// end writes what is left to write, and returns the failures.
func (o *outcomes) end() error {
	if o.s.out.structured() {
		if err := o.s.out.encode(map[string]any{"items": o.items}); err != nil {
			return err
		}
	}
	return together(o.errs...)
}
