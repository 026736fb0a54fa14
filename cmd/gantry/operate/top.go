package operate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gantry-connect/gantry/client"
)

type topping struct {
	getting
	sort  string
	times int
	tasks bool
}

// orders are what top sorts by, the largest first; name is from a to z.
var orders = map[string]func(a, b client.Overview) bool{
	"rate":    func(a, b client.Overview) bool { return a.Rate > b.Rate },
	"lag":     func(a, b client.Overview) bool { return a.LagRecords > b.LagRecords },
	"records": func(a, b client.Overview) bool { return a.Records > b.Records },
	"name":    func(a, b client.Overview) bool { return a.Name < b.Name },
}

func (t *tool) topCommand() *cobra.Command {
	var top topping
	cmd := &cobra.Command{Use: "top", Short: "Watch rates, lags and workers live", Args: Args(cobra.NoArgs),
		Long: `Watch rates, lags and workers live. On a terminal the view is drawn again and again in place, until Ctrl-C; elsewhere the tables are
printed one after the other.`,
		Example: `  gantry top
  gantry top -l team=orders --sort lag --interval 5s
  gantry top --times 1 --color never`,
		RunE: t.run(func(ctx context.Context, s *session, _ []string) error { return top.do(ctx, s) })}
	f := cmd.Flags()
	f.StringVarP(&top.selector, "selector", "l", "", "connectors with these labels")
	f.StringVar(&top.sort, "sort", "rate", "rate, lag, records or name")
	f.DurationVar(&top.interval, "interval", 2*time.Second, "how often to look")
	f.IntVarP(&top.times, "times", "n", 0, "how many times to look; 0 is until interrupted")
	f.BoolVar(&top.tasks, "tasks", false, "tasks instead of connectors")
	t.completeFlag(cmd, "sort", fixed("rate", "lag", "records", "name"))
	return cmd
}

func (t *topping) do(ctx context.Context, s *session) error {
	if orders[t.sort] == nil {
		return usagef("sort %q: must be rate, lag, records or name", t.sort)
	}
	if t.interval <= 0 {
		return usagef("interval %s: must be longer than 0", t.interval)
	}
	live := isTerminal(s.out.w) && t.times != 1
	if live {
		io.WriteString(s.out.w, "\x1b[?1049h\x1b[?25l")       //nolint:errcheck // the other screen, without a cursor
		defer io.WriteString(s.out.w, "\x1b[?25h\x1b[?1049l") //nolint:errcheck // back
	}
	for n := 1; ; n++ {
		text, err := t.page(ctx, s)
		switch {
		case ctx.Err() != nil:
			return nil
		case live && (errors.Is(err, client.ErrUnreachable) || errors.Is(err, client.ErrUnavailable)):
			text = fmt.Sprintf("%v; still trying\n", err)
		case err != nil:
			return err
		}
		if live {
			text = fit(text, s.out.w)
		} else if n > 1 {
			text = "\n" + text
		}
		if _, err := io.WriteString(s.out.w, text); err != nil {
			return err
		}
		if n == t.times {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(t.interval):
		}
	}
}

// page is one look at everything.
func (t *topping) page(ctx context.Context, s *session) (string, error) {
	all, err := s.api.Overviews(ctx, client.Query{Selector: t.selector})
	if err != nil {
		return "", err
	}
	workers, err := s.api.Workers(ctx)
	if err != nil {
		return "", err
	}
	sort.SliceStable(all, func(i, j int) bool { return orders[t.sort](all[i], all[j]) })
	var b bytes.Buffer
	o := &output{w: &b, format: asTable, color: s.out.color}
	t.summary(o, s, all, workers)
	if !t.tasks {
		rows := make([]listedConnector, len(all))
		for i, c := range all {
			rows[i].Overview = c
		}
		connectorSheet(s.now).table(o, rows, true)
		return b.String(), nil
	}
	var rows []listedTask
	for _, c := range all {
		tasks, err := tasksOf(ctx, s, c.Name)
		if errors.Is(err, client.ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return "", err
		}
		rows = append(rows, tasks...)
	}
	taskSheet(s.now).table(o, rows, true)
	return b.String(), nil
}

// summary is what stands above the table.
func (t *topping) summary(o *output, s *session, all []client.Overview, workers []client.Worker) {
	states := map[client.State]int{}
	sum, lag := 0.0, int64(0)
	for _, c := range all {
		states[c.State]++
		sum += c.Rate
		lag += max(c.LagRecords, 0)
	}
	var parts []string
	for _, state := range []client.State{client.Running, client.Failed, client.Unassigned, client.Restarting, client.Paused, client.Stopped} {
		if states[state] > 0 {
			parts = append(parts, o.paint(statePaint(state), fmt.Sprintf("%d %s", states[state], strings.ToLower(string(state)))))
		}
	}
	o.printf("%s  %s  %s records/s, lag %d\n", s.now().Format(time.TimeOnly), plural(len(all), "connector"), rate(sum), lag)
	if len(parts) > 0 {
		o.printf("  %s\n", strings.Join(parts, ", "))
	}
	alive := slices.DeleteFunc(slices.Clone(workers), func(w client.Worker) bool { return !w.Alive })
	o.printf("%s\n", plural(len(alive), "worker"))
	for _, w := range alive {
		o.printf("  %s  %s  %s tasks  %s records/s\n", oneLine(w.ID), workerState(w), fraction(w.Running, w.Capacity), rate(w.Rate))
	}
	o.printf("\n")
}

// fit cuts a page to the terminal and clears what was there.
func fit(text string, w io.Writer) string {
	width, height := 80, 24
	if f, ok := w.(interface{ Fd() uintptr }); ok {
		if a, b, err := term.GetSize(int(f.Fd())); err == nil && a > 0 && b > 1 {
			width, height = a, b
		}
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) > height-1 {
		lines = append(lines[:height-2], fmt.Sprintf("… %d more", len(lines)-(height-2)))
	}
	var b strings.Builder
	b.WriteString("\x1b[H")
	for _, line := range lines {
		b.WriteString(cut(line, width) + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	return b.String()
}

// cut keeps the first width characters of a line and every colour.
func cut(line string, width int) string {
	var b strings.Builder
	seen := 0
	for i := 0; i < len(line); {
		if line[i] == '\x1b' {
			end := strings.IndexByte(line[i:], 'm')
			if end < 0 {
				break
			}
			b.WriteString(line[i : i+end+1])
			i += end + 1
			continue
		}
		r, size := utf8.DecodeRuneInString(line[i:])
		if seen += cellsOf(r); seen <= width {
			b.WriteRune(r)
		}
		i += size
	}
	return b.String()
}
