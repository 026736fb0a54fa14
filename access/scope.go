package access

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gantry-connect/gantry/selector"
)

// labelMark begins the part of a scope's text that goes by labels.
const labelMark = "|"

// Scope is a set of connectors: those whose name fits one of the patterns and whose labels the selector takes. The zero
// value is all connectors. Its text, as ParseScope reads it, is what tokens and role mappings hold.
type Scope struct {
	names  []string // globs; empty: any name
	labels selector.Selector
	text   string // of labels; empty: any labels
}

// ParseScope reads a scope: patterns for names, separated by blanks, with * and ? for any characters, and behind "|" a
// selector of labels. "orders-* billing", "| team=data,env!=prod", "orders-* | team=data". "" and "*" are all connectors.
func ParseScope(text string) (Scope, error) {
	names, labels, _ := strings.Cut(text, labelMark)
	s := Scope{names: strings.Fields(names), text: strings.TrimSpace(labels)}
	for _, pattern := range s.names {
		if _, err := path.Match(pattern, ""); err != nil {
			return Scope{}, fmt.Errorf("scope %q: %q is no pattern: use * and ? for any characters", text, pattern)
		}
	}
	if slices.Contains(s.names, "*") {
		s.names = nil
	}
	var err error
	if s.labels, err = selector.Parse(s.text); err != nil {
		return Scope{}, fmt.Errorf("scope %q: %w", text, err)
	}
	return s, nil
}

// IsAll reports whether the scope covers every connector, also ones to come.
func (s Scope) IsAll() bool { return len(s.names) == 0 && !s.ByLabel() }

// ByLabel reports whether a connector's labels matter.
func (s Scope) ByLabel() bool { return s.text != "" }

// Covers reports whether a connector is within the scope.
func (s Scope) Covers(name string, labels map[string]string) bool {
	fits := func(pattern string) bool {
		ok, err := path.Match(pattern, name) // names hold no slash, so * is any characters
		return err == nil && ok
	}
	if len(s.names) > 0 && !slices.ContainsFunc(s.names, fits) {
		return false
	}
	return !s.ByLabel() || s.labels.Matches(labels)
}

// String is the scope as ParseScope reads it.
func (s Scope) String() string {
	parts := slices.Clone(s.names)
	if len(parts) == 0 {
		parts = append(parts, "*")
	}
	if s.ByLabel() {
		parts = append(parts, labelMark, s.text)
	}
	return strings.Join(parts, " ")
}
