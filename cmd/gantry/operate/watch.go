package operate

import (
	"context"
	"errors"
	"time"

	"github.com/gantry-connect/gantry/client"
)

// watch prints the list, and then each thing whose line has changed, until ctx ends; things that go are not told of. It
// sits out a server that is away for a moment.
func watch[T any](ctx context.Context, s *session, every time.Duration, list sheet[T], items []T, fetch func(context.Context) ([]T, error)) error {
	if every <= 0 {
		return usagef("interval %s: must be longer than 0", every)
	}
	shown := map[string]string{}
	first, away := true, false
	s.out.steady = true
	for {
		var changed []T
		for _, item := range items {
			line, name := list.line(item), list.name(item)
			if old, known := shown[name]; !known || old != line {
				shown[name] = line
				changed = append(changed, item)
			}
		}
		if err := list.more(s.out, changed, first); err != nil {
			return err
		}
		first = false
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
		now, err := fetch(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, client.ErrUnreachable), errors.Is(err, client.ErrUnavailable):
			if !away {
				s.note("%v; still trying", err)
			}
			away = true
		case err != nil:
			return err
		default:
			items, away = now, false
		}
	}
}

// line is what the table shows of a thing, to see whether it has changed.
func (s sheet[T]) line(item T) string {
	text := ""
	for _, c := range s.columns {
		if !c.wide && c.title != "AGE" && c.title != "LAST-RECORD" {
			text += c.text(item) + "\x00"
		}
	}
	return text
}

// more prints things after others were printed: lines of the same table, or one document each.
func (s sheet[T]) more(o *output, items []T, first bool) error {
	if o.structured() {
		for _, item := range items {
			if o.format == asYAML {
				o.printf("---\n")
			}
			if err := o.encode(item); err != nil {
				return err
			}
		}
		return nil
	}
	if o.format == asName {
		return s.print(o, items)
	}
	if len(items) > 0 {
		s.table(o, items, first && !o.bare)
	}
	return nil
}
