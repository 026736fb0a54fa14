package access

import (
	"fmt"
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
	if len(s.names) == 0 || slices.Contains(s.names, "*") {
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
	fits := func(pattern string) bool { return matches([]rune(pattern), []rune(name)) }
	if len(s.names) > 0 && !slices.ContainsFunc(s.names, fits) {
		return false
	}
	return !s.ByLabel() || s.labels.Matches(labels)
}

// matches reports whether a name fits a pattern in which * is any characters and ? is one; there are no others.
func matches(pattern, name []rune) bool {
	at, star, resume := 0, -1, 0
	for i := 0; i < len(name); {
		switch {
		case at < len(pattern) && pattern[at] == '*':
			star, resume = at, i
			at++
		case at < len(pattern) && (pattern[at] == '?' || pattern[at] == name[i]):
			at++
			i++
		case star >= 0: // the last * takes one more
			resume++
			at, i = star+1, resume
		default:
			return false
		}
	}
	for at < len(pattern) && pattern[at] == '*' {
		at++
	}
	return at == len(pattern)
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
