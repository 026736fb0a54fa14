package secrets

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// shortest is the length, in bytes, from which a secret is scrubbed: a shorter one would mask parts of ordinary words.
const shortest = 4

// Scrubber masks secrets in texts. A nil Scrubber knows none.
type Scrubber struct{ replacer *strings.Replacer }

// NewScrubber masks these secrets, also as they look in URLs and in quotes.
func NewScrubber(hidden []string) *Scrubber {
	var forms []string
	for _, secret := range hidden {
		if len(secret) < shortest {
			continue
		}
		quoted := strconv.Quote(secret)
		forms = append(forms, secret, url.QueryEscape(secret), url.PathEscape(secret), url.UserPassword("", secret).String()[1:], quoted[1:len(quoted)-1])
		for _, line := range strings.Split(secret, "\n") { // keys in PEM are often quoted line by line
			if len(line) >= 4*shortest {
				forms = append(forms, line)
			}
		}
	}
	if len(forms) == 0 {
		return nil
	}
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) }) // the longest first: none is cut in two
	var pairs []string
	for _, form := range slices.Compact(forms) {
		pairs = append(pairs, form, Mask)
	}
	return &Scrubber{strings.NewReplacer(pairs...)}
}

// Text is s without secrets.
func (s *Scrubber) Text(text string) string {
	if s == nil {
		return text
	}
	return s.replacer.Replace(text)
}

// Error is err with a text without secrets; errors.Is and errors.As see through it.
func (s *Scrubber) Error(err error) error {
	if s == nil || err == nil {
		return err
	}
	text := err.Error()
	if clean := s.Text(text); clean != text {
		return &scrubbedError{text: clean, err: err}
	}
	return err
}

type scrubbedError struct {
	text string
	err  error
}

func (e *scrubbedError) Error() string { return e.text }
func (e *scrubbedError) Unwrap() error { return e.err }

// Logger is a logger whose lines hold no secrets.
func (s *Scrubber) Logger(log *slog.Logger) *slog.Logger {
	if s == nil {
		return log
	}
	return slog.New(scrubbing{log.Handler(), s})
}

// scrubbing masks secrets in messages and attributes on their way to a handler.
type scrubbing struct {
	slog.Handler
	scrub *Scrubber
}

func (h scrubbing) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, h.scrub.Text(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(h.attr(a))
		return true
	})
	return h.Handler.Handle(ctx, clean)
}

func (h scrubbing) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = h.attr(a)
	}
	return scrubbing{h.Handler.WithAttrs(clean), h.scrub}
}

func (h scrubbing) WithGroup(name string) slog.Handler {
	return scrubbing{h.Handler.WithGroup(name), h.scrub}
}

func (h scrubbing) attr(a slog.Attr) slog.Attr {
	switch v := a.Value.Resolve(); v.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(h.scrub.Text(v.String()))
	case slog.KindGroup:
		group := v.Group()
		clean := make([]slog.Attr, len(group))
		for i, inner := range group {
			clean[i] = h.attr(inner)
		}
		a.Value = slog.GroupValue(clean...)
	case slog.KindAny:
		// What it is made of is not known: only its text is let through where that holds a secret.
		text := fmt.Sprintf("%+v", v.Any())
		if clean := h.scrub.Text(text); clean != text {
			a.Value = slog.StringValue(clean)
		}
	}
	return a
}
