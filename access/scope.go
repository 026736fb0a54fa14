package access

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Scope is a set of connectors: those whose name fits one of the patterns and whose labels fit all conditions. The zero
// value is all connectors. Its text, as ParseScope reads it, is what tokens and role mappings hold.
type Scope struct {
	names  []string    // globs; empty: any name
	labels []condition // all must hold
}

// condition is one label that must (or must not) have a value.
type condition struct {
	key, value string
	not        bool
}

// ParseScope reads a scope. Parts are separated by blanks: a part with "=" is a condition on a label (team=data, env!=prod),
// any other is a pattern for names, with * and ? ("orders-*"). "" and "*" are all connectors.
func ParseScope(text string) (Scope, error) {
	var s Scope
	for _, part := range strings.Fields(text) {
		key, value, isLabel := strings.Cut(part, "=")
		if isLabel {
			key, not := strings.CutSuffix(key, "!")
			if key == "" || value == "" {
				return Scope{}, fmt.Errorf("scope %q: %q must be label=value or label!=value", text, part)
			}
			s.labels = append(s.labels, condition{key: key, value: value, not: not})
			continue
		}
		if _, err := path.Match(part, ""); err != nil {
			return Scope{}, fmt.Errorf("scope %q: %q is no pattern: use * and ? for any characters", text, part)
		}
		s.names = append(s.names, part)
	}
	if slices.Contains(s.names, "*") {
		s.names = nil
	}
	return s, nil
}

// IsAll reports whether the scope covers every connector, also ones to come.
func (s Scope) IsAll() bool { return len(s.names) == 0 && len(s.labels) == 0 }

// ByLabel reports whether a connector's labels matter.
func (s Scope) ByLabel() bool { return len(s.labels) > 0 }

// Covers reports whether a connector is within the scope.
func (s Scope) Covers(name string, labels map[string]string) bool {
	fits := func(pattern string) bool {
		ok, err := path.Match(pattern, name) // names hold no slash, so * is any characters
		return err == nil && ok
	}
	if len(s.names) > 0 && !slices.ContainsFunc(s.names, fits) {
		return false
	}
	for _, c := range s.labels {
		if value, has := labels[c.key]; (has && value == c.value) == c.not {
			return false
		}
	}
	return true
}

// String is the scope as ParseScope reads it.
func (s Scope) String() string {
	if s.IsAll() {
		return "*"
	}
	parts := slices.Clone(s.names)
	for _, c := range s.labels {
		operator := "="
		if c.not {
			operator = "!="
		}
		parts = append(parts, c.key+operator+c.value)
	}
	return strings.Join(parts, " ")
}
