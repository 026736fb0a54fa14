package selector

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// The bounds of labels, which are those of Kubernetes, so that labels can be taken over from there.
const (
	MaxLabels      = 64
	maxNameBytes   = 63
	maxPrefixBytes = 253
)

var (
	namePattern   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)
	prefixPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)
)

// Check reports the first thing wrong with labels, in the order of their keys, and what is allowed.
func Check(labels map[string]string) error {
	if len(labels) > MaxLabels {
		return fmt.Errorf("%d labels: at most %d are possible", len(labels), MaxLabels)
	}
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if err := checkKey(key); err != nil {
			return err
		}
		if err := checkValue(key, labels[key]); err != nil {
			return err
		}
	}
	return nil
}

func checkKey(key string) error {
	name := key
	if prefix, rest, ok := strings.Cut(key, "/"); ok {
		if len(prefix) > maxPrefixBytes || !prefixPattern.MatchString(prefix) {
			return fmt.Errorf("label key %q: before the slash stands a domain name in lower case, of at most %d bytes", key, maxPrefixBytes)
		}
		name = rest
	}
	if len(name) > maxNameBytes || !namePattern.MatchString(name) {
		return fmt.Errorf("label key %q: use 1 to %d letters, digits, \"-\", \"_\" and \".\", with a letter or digit at both ends", key, maxNameBytes)
	}
	return nil
}

func checkValue(key, value string) error {
	if value != "" && (len(value) > maxNameBytes || !namePattern.MatchString(value)) {
		return fmt.Errorf("label %s = %q: a value has at most %d letters, digits, \"-\", \"_\" and \".\", with a letter or digit at both ends", key, value, maxNameBytes)
	}
	return nil
}
