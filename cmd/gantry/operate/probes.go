package operate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gantry-connect/gantry/client"
)

// checked is what was found out about one connector.
type checked struct {
	Name string `json:"name"`
	client.CheckResult
}

func (t *tool) checkCommand() *cobra.Command {
	var f files
	var p picking
	cmd := &cobra.Command{Use: "check NAME… | -f FILE… | -l SELECTOR | --all", Short: "Try configs on the real systems, and tell what is missing", Args: cobra.ArbitraryArgs,
		Long: `Try configs on the real systems, and tell what is missing: privileges, tables, settings, topics, each with the command that mends
it. A worker does it, with the real credentials; nothing is written. Exit code 1 if an error was found, so that a pipeline can stop
before apply.`,
		Example: `  gantry check orders-in
  gantry check -f connectors/ && gantry apply -f connectors/`,
		ValidArgsFunction: t.asking(0, connectorNames),
		RunE: t.run(func(ctx context.Context, s *session, args []string) error {
			all, err := checkAll(ctx, s, &f, &p, args)
			if err != nil && len(all) == 0 {
				return err
			}
			if err := together(printChecks(s, all), err); err != nil {
				return err
			}
			if slices.ContainsFunc(all, func(c checked) bool { return !c.OK }) {
				return quiet(ExitFailed)
			}
			return nil
		})}
	f.add(cmd)
	p.add(cmd)
	return t.withOutput(cmd)
}

func checkAll(ctx context.Context, s *session, f *files, p *picking, args []string) ([]checked, error) {
	all := []checked{}
	if len(f.paths) > 0 {
		if len(args) > 0 || p.selector != "" || p.all {
			return nil, usagef("give either files or connectors, not both")
		}
		declared, err := f.read(s)
		if err != nil {
			return nil, err
		}
		for _, m := range declared {
			config := withoutName(m.Config)
			config["name"] = m.Name
			r, err := s.api.Check(ctx, config)
			if err != nil {
				return nil, wrapSource(m, err)
			}
			all = append(all, checked{m.Name, r})
		}
		return all, nil
	}
	names, err := p.pick(ctx, s, args)
	if err != nil {
		return nil, err
	}
	var missing []error
	for _, name := range names {
		r, err := s.api.CheckConnector(ctx, name)
		switch {
		case errors.Is(err, client.ErrNotFound):
			missing = append(missing, err)
		case err != nil:
			return nil, err
		default:
			all = append(all, checked{name, r})
		}
	}
	return all, together(missing...)
}

func printChecks(s *session, all []checked) error {
	if s.out.structured() {
		return s.out.encode(map[string]any{"items": all})
	}
	for _, c := range all {
		counts := map[string]int{}
		for _, f := range c.Findings {
			counts[f.Severity]++
		}
		verdict := s.out.paint(green, "ok")
		if !c.OK {
			verdict = s.out.paint(red, plural(counts["error"], "error"))
		}
		if counts["warning"] > 0 {
			verdict += ", " + s.out.paint(yellow, plural(counts["warning"], "warning"))
		}
		s.out.printf("connector/%s: %s\n", c.Name, verdict)
		for _, f := range c.Findings {
			if f.Severity == "ok" && s.out.format != asWide {
				continue
			}
			s.out.printf("  %s %s: %s (%s)\n", s.out.paint(severityPaint(f.Severity), f.Severity), oneLine(f.Subject), oneLine(strings.TrimPrefix(f.Message, f.Subject+": ")), f.Code)
			if f.Remedy != "" {
				s.out.printf("%s\n", indent(f.Remedy, "      "))
			}
		}
	}
	return nil
}

func severityPaint(severity string) paint {
	switch severity {
	case "error":
		return red
	case "warning":
		return yellow
	case "ok":
		return green
	}
	return cyan
}

type previewing struct {
	files files
	topic client.TopicPreview
	name  string // of a topic
}

func (t *tool) previewCommand() *cobra.Command {
	var p previewing
	cmd := &cobra.Command{Use: "preview NAME | -f FILE | --topic TOPIC", Short: "Show the first records, before and after each transform", Args: Args(cobra.MaximumNArgs(1)),
		Long: `Show the first records that a connector or a file's config would copy, or those of a topic, before and after each transform. A worker
reads them; nothing is written and no position moves.`,
		Example: `  gantry preview orders-in --limit 3
  gantry preview -f orders.yaml
  gantry preview --topic orders --from latest -o json`,
		ValidArgsFunction: t.asking(1, connectorNames),
		RunE: t.onConnector(func(ctx context.Context, s *session, args []string) error {
			got, err := p.read(ctx, s, args)
			if err != nil {
				return err
			}
			if s.out.structured() {
				return s.out.encode(got)
			}
			printPreview(s, got)
			return nil
		})}
	p.files.add(cmd)
	f := cmd.Flags()
	f.StringVar(&p.name, "topic", "", "records of this topic")
	f.IntVarP(&p.topic.Limit, "limit", "n", 10, "how many records, 1 to 100")
	f.StringVar(&p.topic.From, "from", "", "with --topic: earliest (the default) or latest")
	f.StringVar(&p.topic.Converter, "converter", "", "with --topic: how the values became bytes: json (the default), string or bytes")
	t.completeFlag(cmd, "from", fixed("earliest", "latest"))
	t.completeFlag(cmd, "converter", fixed("json", "string", "bytes"))
	return t.withOutput(cmd)
}

func (p *previewing) read(ctx context.Context, s *session, args []string) (client.Preview, error) {
	ways := len(args) + min(len(p.files.paths), 1)
	if p.name != "" {
		ways++
	}
	if ways != 1 {
		return client.Preview{}, usagef("say what to preview: a connector, -f FILE or --topic TOPIC; one of the three")
	}
	if p.name != "" {
		return s.api.PreviewTopic(ctx, p.name, p.topic)
	}
	if len(args) == 1 {
		config, _, err := s.api.Config(ctx, args[0])
		if err != nil {
			return client.Preview{}, err
		}
		return s.api.Preview(ctx, config, p.topic.Limit)
	}
	all, err := p.files.read(s)
	if err != nil {
		return client.Preview{}, err
	}
	if len(all) != 1 {
		return client.Preview{}, usagef("the files declare %d connectors: one can be previewed at a time", len(all))
	}
	config := withoutName(all[0].Config)
	config["name"] = all[0].Name
	got, err := s.api.Preview(ctx, config, p.topic.Limit)
	return got, wrapSource(all[0], err)
}

func printPreview(s *session, p client.Preview) {
	for i, item := range p.Items {
		at := ""
		if len(item.Partition) > 0 {
			at = "  " + s.out.paint(faint, oneLine(fmt.Sprintf("%s at %d", compact(item.Partition), item.Offset)))
		}
		s.out.printf("%s%s\n", s.out.paint(bold, fmt.Sprintf("record %d", i+1)), at)
		if item.Error != "" {
			s.out.printf("  %s %s\n", s.out.paint(red, "error"), oneLine(item.Error))
		}
		printRecord(s, "read", item.Record)
		for _, step := range item.Steps {
			switch {
			case step.Error != "":
				s.out.printf("  %s: %s %s\n", step.Transform, s.out.paint(red, "error"), oneLine(step.Error))
			case !step.Kept:
				s.out.printf("  %s: %s\n", step.Transform, s.out.paint(yellow, "dropped"))
			default:
				printRecord(s, step.Transform, step.Record)
			}
		}
	}
	if len(p.Items) == 0 {
		s.note("no records")
	}
	if p.Truncated {
		s.note("there was more than one answer has room for")
	}
	if p.Note != "" {
		s.note("%s", oneLine(p.Note))
	}
}

func printRecord(s *session, step string, r *client.PreviewRecord) {
	if r == nil {
		return
	}
	head := []string{r.Operation}
	if r.Topic != "" {
		head = append(head, "topic "+r.Topic)
	}
	s.out.printf("  %s: %s\n", s.out.paint(cyan, step), oneLine(strings.Join(head, ", ")))
	part := func(name string, value json.RawMessage) {
		if len(value) > 0 {
			s.out.printf("    %-7s %s\n", name, oneLine(compact(value)))
		}
	}
	part("key", r.Key)
	part("before", r.Before)
	part("after", r.After)
	for _, h := range r.Headers {
		part("header", json.RawMessage(h.Name+"="+compact(h.Value)))
	}
}

// compact is JSON on one line; what is no JSON stays as it is.
func compact(value json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, value) != nil {
		return string(value)
	}
	return b.String()
}
