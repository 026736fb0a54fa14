package secrets

import (
	"slices"
	"strings"

	"github.com/gantry-connect/gantry/connector"
)

// Keys tells which keys of a config hold secrets: those that are defined as passwords, and those without a definition
// that read as such.
func Keys(defs []connector.Definition) func(key string) bool {
	defined := make(map[string]bool, len(defs))
	for _, d := range defs {
		defined[d.Name] = d.Type == "PASSWORD"
	}
	return func(key string) bool {
		secret, known := defined[key]
		return secret || (!known && NamesSecret(key))
	}
}

// HoldsMask reports whether the mask stands where a secret should, in a value that is a secret as a whole or holds some.
func HoldsMask(value string, secret bool) bool {
	if secret {
		return value == Mask
	}
	return slices.ContainsFunc(embedded(value), func(s Span) bool { return value[s.Start:s.End] == Mask })
}

// InClear are the secrets that stand in the clear in a value, which is one as a whole or holds some.
func InClear(value string, secret bool) (found []string) {
	if secret {
		if value == "" || value == Mask || IsReference(value) {
			return nil
		}
		return []string{value}
	}
	for _, s := range Embedded(value) {
		found = append(found, value[s.Start:s.End])
	}
	return found
}

// Shown is one value of a config as it may be shown: sealed parts and passwords in the clear are masked, a secret as a
// whole; references stand as they were given.
func Shown(value string, secret bool) string {
	if secret && value != "" && !IsReference(value) {
		return Mask
	}
	value, _ = replaceSpans(value, Embedded(value), func(string) (string, error) { return Mask, nil }) // cannot fail
	if !IsSealed(value) {
		return value
	}
	return reference.ReplaceAllStringFunc(value, func(ref string) string {
		if IsSealed(ref) {
			return Mask
		}
		return ref
	})
}

// ShownConfig is a stored config as it may be shown: what is sealed is masked.
func ShownConfig(config map[string]string) map[string]string {
	out := make(map[string]string, len(config))
	for key, value := range config {
		out[key] = Shown(value, false)
	}
	return out
}

// Unmask puts what is stored in the place of masks in a value that has come back; false if there is nothing that they
// could stand for.
func Unmask(value, stored string) (string, bool) {
	if !strings.Contains(value, Mask) {
		return value, true
	}
	var sealed []string
	for _, ref := range reference.FindAllString(stored, -1) {
		if IsSealed(ref) {
			sealed = append(sealed, ref)
		}
	}
	if strings.Count(value, Mask) != len(sealed) {
		return value, false
	}
	for _, ref := range sealed {
		value = strings.Replace(value, Mask, ref, 1)
	}
	return value, true
}

// SealValue seals what stands in the clear in a value: all of it if it is a secret as a whole, else the passwords within it.
// Parts that stored holds sealed with the same content are taken from there, so that the same value stays the same.
func (b *Box) SealValue(connector, key, value, stored string, secret bool) (string, error) {
	if secret {
		if value == "" || IsReference(value) {
			return value, nil
		}
		return b.reseal(connector, key, value, stored)
	}
	return replaceSpans(value, Embedded(value), func(text string) (string, error) { return b.reseal(connector, key, text, stored) })
}

func (b *Box) reseal(connector, key, value, stored string) (string, error) {
	for _, m := range reference.FindAllStringSubmatch(stored, -1) {
		if m[1] != sealedKind {
			continue
		}
		if old, err := b.Open(connector, key, m[2]); err == nil && old == value {
			return m[0], nil
		}
	}
	return b.Seal(connector, key, value)
}

// Rewrap seals anew, under the first key, what is sealed in a value.
func (b *Box) Rewrap(connector, key, value string) (string, error) {
	var failed error
	out := reference.ReplaceAllStringFunc(value, func(ref string) string {
		m := reference.FindStringSubmatch(ref)
		if m[1] != sealedKind || failed != nil {
			return ref
		}
		plain, err := b.Open(connector, key, m[2])
		if err == nil {
			ref, err = b.Seal(connector, key, plain)
		}
		failed = err
		return ref
	})
	return out, failed
}

// Opens reports why a sealed part of a value does not open here; nil if all do.
func (b *Box) Opens(connector, key, value string) error {
	for _, m := range reference.FindAllStringSubmatch(value, -1) {
		if m[1] != sealedKind {
			continue
		}
		if _, err := b.Open(connector, key, m[2]); err != nil {
			return err
		}
	}
	return nil
}
