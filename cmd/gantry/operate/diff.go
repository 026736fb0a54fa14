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
	"go.yaml.in/yaml/v3"

	"github.com/gantry-connect/gantry/client"
)

func (t *tool) diffCommand() *cobra.Command {
	var f files
	var revision, against int64
	cmd := &cobra.Command{Use: "diff -f FILE… | diff NAME", Short: "Show what apply would change, or what a config revision changed", Args: Args(cobra.MaximumNArgs(1)),
		Long: `Show what apply would change, or what a config revision changed.

With files: lines with - are what the server has, lines with + what the files say. Of a secret that the server hides it says
whether it is another one; whoever may not change the connector cannot learn that, and is told so.

With a name: what a revision changed compared with the one before, or with --against.

Exit code 0: no difference; 1: differences; more: an error, so that scripts can tell.`,
		Example: `  gantry diff -f connectors/
  gantry diff orders-in                               # what the newest revision changed
  gantry diff orders-in --revision 5 --against 2`,
		ValidArgsFunction: t.asking(1, connectorNames),
		RunE: t.onConnector(func(ctx context.Context, s *session, args []string) error {
			differs, err := false, error(nil)
			switch {
			case len(args) == 1 && len(f.paths) > 0:
				return usagef("give either a connector's name or files, not both")
			case len(args) == 1:
				differs, err = diffRevisions(ctx, s, args[0], revision, against)
			default:
				differs, err = diffFiles(ctx, s, &f)
			}
			if err != nil && ExitCode(err) == ExitFailed {
				err = &codedError{ExitServer, err} // 1 stands for differences here
			}
			if err == nil && differs {
				err = quiet(ExitFailed)
			}
			return err
		})}
	f.add(cmd)
	cmd.Flags().Int64Var(&revision, "revision", 0, "revision to show; 0 is the newest")
	cmd.Flags().Int64Var(&against, "against", -1, "revision to compare it with; -1 is the one before it, 0 the empty config")
	return cmd
}

func diffRevisions(ctx context.Context, s *session, name string, revision, against int64) (bool, error) {
	if revision == 0 {
		newest, err := s.api.Overview(ctx, name)
		if err != nil {
			return false, err
		}
		revision = newest.Revision
	}
	d, err := s.api.DiffRevisions(ctx, name, against, revision)
	if err != nil {
		return false, err
	}
	old, now := map[string]string{}, map[string]string{}
	for _, c := range d.Changes {
		if c.Old != nil {
			old[c.Key] = *c.Old
		}
		if c.New != nil {
			now[c.Key] = *c.New
		}
	}
	var p patchText
	p.head(fmt.Sprintf("%s, revision %d", name, d.From), fmt.Sprintf("%s, revision %d", name, d.To))
	p.section("config", old, now)
	return p.write(s.out), nil
}

func diffFiles(ctx context.Context, s *session, f *files) (bool, error) {
	all, err := f.read(s)
	if err != nil {
		return false, err
	}
	look, err := lookUp(ctx, s.api, len(all))
	if err != nil {
		return false, err
	}
	differs := false
	for _, m := range all {
		now, err := look(ctx, m.Name)
		if err != nil && !errors.Is(err, client.ErrNotFound) {
			return false, wrapSource(m, err)
		}
		others, err := otherSecrets(ctx, s, now, m)
		if err != nil {
			return false, wrapSource(m, err)
		}
		p := diffManifest(now, m, others)
		differs = p.write(s.out) || differs
	}
	return differs, nil
}

// otherSecrets are the keys whose secrets the server hides and that are others in the file. The server, which can open them,
// checks what one key would change. What it does not answer is noted, and does not count as a difference.
func otherSecrets(ctx context.Context, s *session, now kept, m manifest) ([]string, error) {
	var others []string
	shown := m.shown(now.Config)
	for _, key := range slices.Sorted(maps.Keys(m.Config)) {
		if hidden := now.Config[key]; m.Config[key] == hidden || shown[key] != hidden {
			continue
		}
		config := maps.Clone(now.Config)
		config[key] = m.Config[key]
		revision, _, err := s.api.ReplaceConfig(ctx, m.Name, config, client.Replacement{IfRevision: now.revision, DryRun: true})
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			s.note("%s: %s cannot be compared with what the server hides: %v", m.Name, key, err)
		case revision != now.revision:
			others = append(others, key)
		}
	}
	return others, nil
}

// diffManifest compares what the server has, which is nothing where the revision is 0, with what a file says. others are the
// keys that look the same because the server hides them, and are not.
func diffManifest(now kept, m manifest, others []string) patchText {
	var p patchText
	if now.revision == 0 {
		p.head("nothing", m.source)
	} else {
		p.head(fmt.Sprintf("%s, revision %d", m.Name, now.revision), m.source)
	}
	p.section("config", now.Config, m.shown(now.Config), others...)
	if m.labelled || now.revision == 0 {
		p.section("labels", now.Labels, m.Labels)
	}
	return p
}

// patchText is a difference as lines that begin with " ", "+" or "-".
type patchText struct {
	lines   []string
	differs bool
}

func (p *patchText) head(from, to string) { p.lines = append(p.lines, "--- "+from, "+++ "+to) }

// section compares two maps key by key. What is equal is shown around what differs; others differ though they look equal.
func (p *patchText) section(title string, old, now map[string]string, others ...string) {
	if len(old)+len(now) == 0 {
		return
	}
	p.lines = append(p.lines, " "+title+":")
	all := maps.Clone(now)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, old)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		a, had := old[key]
		b, has := now[key]
		if slices.Contains(others, key) {
			p.differs = true
			p.lines = append(p.lines, "-  "+yamlLine(key, a), "+  "+yamlLine(key, b)+" # another one")
			continue
		}
		if had && has && a == b {
			p.lines = append(p.lines, "   "+yamlLine(key, a))
			continue
		}
		p.differs = true
		if had {
			p.lines = append(p.lines, "-  "+yamlLine(key, a))
		}
		if has {
			p.lines = append(p.lines, "+  "+yamlLine(key, b))
		}
	}
}

// write prints the difference if there is one.
func (p *patchText) write(o *output) bool {
	if !p.differs {
		return false
	}
	for _, line := range p.lines {
		switch {
		case strings.HasPrefix(line, "---"), strings.HasPrefix(line, "+++"):
			line = o.paint(bold, line)
		case strings.HasPrefix(line, "-"):
			line = o.paint(red, line)
		case strings.HasPrefix(line, "+"):
			line = o.paint(green, line)
		}
		o.printf("%s\n", line)
	}
	return true
}

// yamlLine is a pair as YAML has it on one line.
func yamlLine(key, value string) string {
	if strings.ContainsAny(value, "\n\r") {
		return key + ": " + strconv.Quote(value)
	}
	text, err := yaml.Marshal(map[string]string{key: value})
	if err != nil || strings.Count(string(text), "\n") != 1 {
		return key + ": " + strconv.Quote(value)
	}
	return strings.TrimSuffix(string(text), "\n")
}
