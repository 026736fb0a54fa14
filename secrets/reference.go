package secrets

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// Mask stands for a stored secret wherever a config is shown. A config that comes back with it keeps the secret.
const Mask = "********"

// reference is ${kind:text}; see Provider.
var reference = regexp.MustCompile(`\$\{([a-z]+):([^}]*)\}`)

// IsReference reports whether a value is one reference and nothing else.
func IsReference(value string) bool { return value != "" && reference.FindString(value) == value }

// HasReference reports whether a value holds a reference.
func HasReference(value string) bool { return reference.MatchString(value) }

// ErrUnavailable is wrapped by providers that cannot be asked for now: what needs them is tried again, and does not fail.
var ErrUnavailable = errors.New("the provider cannot be asked now")

// Provider finds the values that references of one kind stand for.
type Provider interface {
	// Look returns the value behind a reference's text, which is what stands between "${kind:" and "}". It is called each
	// time a connector is opened or planned. Errors say what to mend, and never hold a value.
	Look(ctx context.Context, text string) (string, error)
}

// Resolver puts values in the place of references. Its methods may be called from any goroutine.
type Resolver struct {
	providers map[string]Provider
	box       *Box
}

// NewResolver makes a resolver with providers by kind. box opens sealed values; nil: there is no key.
func NewResolver(providers map[string]Provider, box *Box) *Resolver {
	return &Resolver{providers: maps.Clone(providers), box: box}
}

// Problem is a reference that has no value.
type Problem struct {
	Key       string // of the config
	Reference string // as written; a sealed value is left out
	Reason    error
}

// Unwrap is the reason.
func (p Problem) Unwrap() error { return p.Reason }

func (p Problem) Error() string { return fmt.Sprintf("refers to %s: %v", p.Reference, p.Reason) }

// Resolved is a config with values in it, for a connector's eyes only.
type Resolved struct {
	Config map[string]string
	Scrub  *Scrubber // keeps the secrets among the values out of texts
}

// Resolve looks up every reference of a connector's config. isSecret tells which keys hold secrets: their values, sealed
// values and passwords within URLs are scrubbed from texts. Problems are those of all references.
func (r *Resolver) Resolve(ctx context.Context, connector string, config map[string]string, isSecret func(key string) bool) (Resolved, []Problem) {
	out := make(map[string]string, len(config))
	var hidden []string
	var problems []Problem
	for _, key := range slices.Sorted(maps.Keys(config)) {
		raw := config[key]
		spans := embedded(raw)
		var value []byte
		last := 0
		for _, at := range reference.FindAllStringSubmatchIndex(raw, -1) {
			kind, text := raw[at[2]:at[3]], raw[at[4]:at[5]]
			found, err := r.look(ctx, connector, key, kind, text)
			if err != nil {
				shown := raw[at[0]:at[1]]
				if kind == sealedKind {
					shown = Mask
				}
				problems = append(problems, Problem{Key: key, Reference: shown, Reason: err})
			}
			if kind == sealedKind || isSecret(key) || slices.ContainsFunc(spans, func(s Span) bool { return s.Start <= at[0] && at[1] <= s.End }) {
				hidden = append(hidden, found)
			}
			value = append(append(value, raw[last:at[0]]...), found...)
			last = at[1]
		}
		out[key] = string(append(value, raw[last:]...))
		hidden = append(hidden, InClear(out[key], isSecret(key))...)
	}
	return Resolved{Config: out, Scrub: NewScrubber(hidden)}, problems
}

func (r *Resolver) look(ctx context.Context, connector, key, kind, text string) (string, error) {
	if kind == sealedKind {
		return r.box.Open(connector, key, text)
	}
	provider, ok := r.providers[kind]
	if !ok {
		return "", fmt.Errorf("there is no kind of reference %q; this worker knows %v", kind, slices.Sorted(maps.Keys(r.providers)))
	}
	return provider.Look(ctx, text)
}
