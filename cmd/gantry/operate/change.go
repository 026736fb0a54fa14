package operate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/client"
)

func (t *tool) createCommand() *cobra.Command {
	var f files
	var d dryRun
	var m manifest
	var w waiting
	cmd := &cobra.Command{Use: "create -f FILE… | create NAME KEY=VALUE…", Short: "Create connectors that do not exist yet", Args: cobra.ArbitraryArgs,
		Long: "Create connectors that do not exist yet, from files as apply takes them, or from a name and the config's keys.",
		Example: `  gantry create -f orders.yaml
  gantry create numbers-in connector.class=FileSource file=/tmp/numbers.txt format=lines topic=numbers
  gantry create -f orders.yaml --wait && echo "it copies"
  gantry create numbers-in --initial-state STOPPED --labels team=ops connector.class=CounterSource topic=numbers`,
		RunE: t.run(func(ctx context.Context, s *session, args []string) error {
			if err := d.check(); err != nil {
				return err
			}
			var all []manifest
			var err error
			switch {
			case len(args) > 0 && len(f.paths) > 0:
				return usagef("give either files or a name with keys, not both")
			case len(args) > 0:
				all, err = fromArguments(m, args)
			default:
				all, err = f.read(s)
			}
			if err != nil {
				return err
			}
			out := newOutcomes(s, d)
			for _, m := range all {
				if d != "client" {
					_, err = s.api.Create(ctx, client.NewConnector{Name: m.Name, Config: m.Config, Labels: m.Labels, InitialState: m.InitialState}, d == "server")
				}
				out.add(m.Name, created, wrapSource(m, err))
			}
			return out.endWhen(ctx, w, inForce)
		})}
	f.add(cmd)
	d.add(cmd, t)
	w.add(cmd)
	cmd.Flags().StringToStringVar(&m.Labels, "labels", nil, "labels, as `a=b,c=d` (with a name)")
	hideDefault(cmd, "labels")
	cmd.Flags().StringVar(&m.InitialState, "initial-state", "", "RUNNING, PAUSED or STOPPED (with a name)")
	t.completeFlag(cmd, "initial-state", fixed("RUNNING", "PAUSED", "STOPPED"))
	return t.withOutput(cmd)
}

// fromArguments is a connector whose name and config stand on the command line.
func fromArguments(m manifest, args []string) ([]manifest, error) {
	set, gone, err := parseChanges(args[1:])
	if err != nil {
		return nil, err
	}
	if len(gone) > 0 {
		return nil, usagef("%s-: nothing can be taken away from a connector that is new", gone[0])
	}
	m.Name, m.Config, m.source = args[0], set, "the arguments"
	if err := m.finish(); err != nil {
		return nil, Usage(err)
	}
	m.source = "" // errors need not say where it stands
	return []manifest{m}, nil
}

// parseChanges reads key=value, which sets, and key-, which removes.
func parseChanges(args []string) (set map[string]string, gone []string, err error) {
	set = map[string]string{}
	seen := map[string]bool{}
	for _, arg := range args {
		key, value, sets := strings.Cut(arg, "=")
		if !sets {
			var removes bool
			if key, removes = strings.CutSuffix(arg, "-"); !removes {
				return nil, nil, usagef("%q: write key=value to set a key, or key- to take it away", arg)
			}
		}
		if key == "" || seen[key] {
			return nil, nil, usagef("%q: every change needs a key, and each key may be given once", arg)
		}
		seen[key] = true
		if sets {
			set[key] = value
		} else {
			gone = append(gone, key)
		}
	}
	return set, gone, nil
}

func (t *tool) patchCommand() *cobra.Command {
	var w waiting
	cmd := &cobra.Command{Use: "patch NAME KEY=VALUE… KEY-…", Short: "Change single keys of a connector's config", Args: Args(cobra.MinimumNArgs(2)),
		Example: `  gantry patch orders-in tasks.max=4 --wait
  gantry patch orders-in transforms=mask transforms.mask.type=MaskField transforms.mask.fields=iban errors.tolerance-`,
		ValidArgsFunction: t.asking(1, connectorNames),
		RunE: t.onConnector(func(ctx context.Context, s *session, args []string) error {
			set, gone, err := parseChanges(args[1:])
			if err != nil {
				return err
			}
			changes := make(map[string]*string, len(set)+len(gone))
			for key, value := range set {
				changes[key] = &value
			}
			for _, key := range gone {
				changes[key] = nil
			}
			_, before, err := s.api.Config(ctx, args[0])
			if err != nil {
				return err
			}
			var old failures
			if w.wait {
				if err := old.note(ctx, s.api, args[0]); err != nil {
					return err
				}
			}
			info, err := s.api.PatchConfig(ctx, args[0], changes)
			if err != nil {
				return err
			}
			if s.out.structured() {
				return together(s.out.encode(info), w.after(ctx, s, args[:1], old.over(inForce)))
			}
			_, after, err := s.api.Config(ctx, args[0])
			if err != nil {
				return err
			}
			s.said("connector/%s %s", args[0], changedWord(before != after))
			return w.after(ctx, s, args[:1], old.over(inForce))
		})}
	w.add(cmd)
	return t.withOutput(cmd)
}

func changedWord(changed bool) string {
	if changed {
		return configured
	}
	return unchanged
}

func (t *tool) labelCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "label NAME KEY=VALUE… KEY-…", Short: "Change a connector's labels", Args: Args(cobra.MinimumNArgs(2)),
		Long:              "Change a connector's labels. Labels change nothing about the copying: they are for selectors (-l) and for access.",
		Example:           "  gantry label orders-in team=orders env=production legacy-",
		ValidArgsFunction: t.asking(1, connectorNames),
		RunE: t.onConnector(func(ctx context.Context, s *session, args []string) error {
			set, gone, err := parseChanges(args[1:])
			if err != nil {
				return err
			}
			labels, err := s.api.Labels(ctx, args[0])
			if err != nil {
				return err
			}
			now := maps.Clone(labels)
			if now == nil {
				now = map[string]string{}
			}
			maps.Copy(now, set)
			for _, key := range gone {
				delete(now, key)
			}
			if !maps.Equal(labels, now) {
				if err := s.api.PutLabels(ctx, args[0], now); err != nil {
					return err
				}
			}
			if s.out.structured() {
				return s.out.encode(now)
			}
			s.said("connector/%s %s: %s", args[0], changedWord(!maps.Equal(labels, now)), orDash(pairs(now)))
			return nil
		})}
	return t.withOutput(cmd)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func (t *tool) rollbackCommand() *cobra.Command {
	var w waiting
	cmd := &cobra.Command{Use: "rollback NAME [REVISION]", Short: "Put an older config into force again", Args: Args(cobra.RangeArgs(1, 2)),
		Long:              "Put an older config into force again, as a new revision; without a number the one before the present one. See gantry get revisions NAME.",
		Example:           "  gantry rollback orders-in 3 --wait",
		ValidArgsFunction: t.asking(1, connectorNames),
		RunE: t.onConnector(func(ctx context.Context, s *session, args []string) error {
			to := int64(0)
			if len(args) > 1 {
				var err error
				if to, err = strconv.ParseInt(args[1], 10, 64); err != nil || to < 1 {
					return usagef("revision %q: must be a number from 1; gantry get revisions %s lists them", args[1], args[0])
				}
			}
			now, err := s.api.Overview(ctx, args[0])
			if err != nil {
				return err
			}
			if to == 0 {
				to = now.Revision - 1
			}
			if to < 1 {
				return failf(ExitConflict, "connector %s has had no other config yet", args[0])
			}
			var old failures
			if w.wait {
				if err := old.note(ctx, s.api, args[0]); err != nil {
					return err
				}
			}
			r, err := s.api.Rollback(ctx, args[0], to, now.Revision)
			if err != nil {
				return err
			}
			switch {
			case s.out.structured():
				err = s.out.encode(r)
			case r.Number == now.Revision:
				s.said("connector/%s unchanged: revision %d has the config in force", args[0], to)
			default:
				s.said("connector/%s has the config of revision %d again, as revision %d", args[0], to, r.Number)
			}
			return together(err, w.after(ctx, s, args[:1], old.over(inForce)))
		})}
	w.add(cmd)
	return t.withOutput(cmd)
}

type deleting struct {
	picking
	files   files
	topics  bool
	keep    bool
	yes     bool
	missing bool
	waiting waiting
}

func (t *tool) deleteCommand() *cobra.Command {
	var d deleting
	cmd := &cobra.Command{Use: "delete NAME… | -f FILE… | -l SELECTOR | --all", Short: "End connectors", Args: cobra.ArbitraryArgs,
		Long: `End connectors. Their positions go with them unless --keep-positions is given, the topics stay unless --topics is given. On a
terminal you are asked first; elsewhere --yes says that it is meant.`,
		Example: `  gantry delete orders-in orders-out
  gantry delete -f connectors/ --yes --wait
  gantry delete -l team=orders --topics`,
		ValidArgsFunction: t.asking(0, connectorNames),
		RunE:              t.run(func(ctx context.Context, s *session, args []string) error { return d.do(ctx, s, args) })}
	d.picking.add(cmd)
	d.files.add(cmd)
	d.waiting.add(cmd)
	cmd.Flags().BoolVar(&d.topics, "topics", false, "also delete the topics that sources have written to")
	cmd.Flags().BoolVar(&d.keep, "keep-positions", false, "keep the positions: a connector that is created under the name later goes on there")
	cmd.Flags().BoolVarP(&d.yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&d.missing, "ignore-not-found", false, "a connector that is gone already is no failure")
	return t.withOutput(cmd)
}

func (d *deleting) do(ctx context.Context, s *session, args []string) error {
	if len(d.files.paths) > 0 {
		all, err := d.files.read(s)
		if err != nil {
			return err
		}
		for _, m := range all {
			args = append(args, m.Name)
		}
	}
	names, err := d.pick(ctx, s, args)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		s.said("no connector matches")
		return nil
	}
	if err := s.confirm(d.question(names), d.yes); err != nil {
		return err
	}
	out := newOutcomes(s, "none")
	var going []string
	for _, name := range names {
		err := s.api.Delete(ctx, name, client.Deletion{Topics: d.topics, KeepPositions: d.keep})
		if d.missing && errors.Is(err, client.ErrNotFound) {
			out.add(name, "gone already", nil)
			continue
		}
		if err == nil {
			going = append(going, name)
		}
		out.add(name, "deleted", err)
	}
	return together(out.end(), d.waiting.after(ctx, s, going, gone))
}

// question tells what goes and what stays.
func (d *deleting) question(names []string) string {
	their, goes, stays := "their", []string{}, ""
	if len(names) == 1 {
		their = "its"
	}
	if d.keep {
		stays = ", but keep " + their + " positions"
	} else {
		goes = append(goes, "positions")
	}
	if d.topics {
		goes = append(goes, "topics")
	}
	what := plural(len(names), "connector")
	if len(goes) > 0 {
		what += " with " + their + " " + strings.Join(goes, " and ")
	}
	return fmt.Sprintf("delete %s%s: %s", what, stays, strings.Join(names, ", "))
}

// picking is which connectors a command is about.
type picking struct {
	selector string
	all      bool
}

func (p *picking) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&p.selector, "selector", "l", "", "connectors with these labels: a=b, a!=b, a in (b,c), a notin (b,c), a, !a, separated by commas")
	cmd.Flags().BoolVar(&p.all, "all", false, "every connector")
}

// pick is the names that are meant, each once. One way of naming them has to be chosen.
func (p *picking) pick(ctx context.Context, s *session, args []string) ([]string, error) {
	ways := 0
	for _, given := range []bool{len(args) > 0, p.selector != "", p.all} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return nil, usagef("say which connectors: by name, by -l SELECTOR, or --all; one of the three")
	}
	if len(args) > 0 {
		names := trimKind(args, "connector/")
		slices.Sort(names)
		return slices.Compact(names), nil
	}
	all, err := s.api.Overviews(ctx, client.Query{Selector: p.selector})
	if err != nil {
		return nil, err
	}
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = c.Name
	}
	return names, nil
}
