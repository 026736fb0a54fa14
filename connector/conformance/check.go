package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// badConfigs takes away each required key and gives each key with fixed values, and each number, a value that it cannot
// have. Check and open must both refuse and name the key.
func badConfigs(t *testing.T, p connector.Plugin, good map[string]string, open func(context.Context, map[string]string) error) {
	require.NoError(t, p.Check(good), "the harness's own config")
	refuse := func(key, value string, given bool) {
		t.Run(fmt.Sprintf("bad config: %s=%s", key, value), func(t *testing.T) {
			config := maps.Clone(good)
			delete(config, key)
			if given {
				config[key] = value
			}
			for name, err := range map[string]error{"Check": p.Check(config), "open": open(t.Context(), config)} {
				require.Error(t, err, name)
				require.True(t, names(err, key), "%s must return a ConfigError that names %s: %v", name, key, err)
				require.True(t, connector.IsPermanent(err), "%s: a config error is permanent", name)
			}
		})
	}
	for _, d := range p.Config {
		if d.Internal {
			continue
		}
		if d.Required {
			refuse(d.Name, "", false)
			refuse(d.Name, "", true)
		}
		if len(d.Enum) > 0 {
			refuse(d.Name, "no-such-value", true)
		}
		if d.Min != nil {
			refuse(d.Name, strconv.FormatFloat(*d.Min-1, 'f', -1, 64), true)
		}
		switch d.Type {
		case "INT", "LONG", "DOUBLE", "BOOLEAN":
			refuse(d.Name, "neither number nor truth", true)
		}
	}
}

// names reports whether err holds a ConfigError about key.
func names(err error, key string) bool {
	var one *connector.ConfigError
	if errors.As(err, &one) && one.Field == key {
		return true
	}
	var all connector.ConfigErrors
	if errors.As(err, &all) {
		for _, e := range all {
			if e.Field == key {
				return true
			}
		}
	}
	return false
}

const (
	labelName = "conformance"
	settle    = 5 * time.Millisecond
)

// labelled runs f under a profiler label of its own, which every goroutine that f starts inherits, so that they can be
// counted apart from those of other tests.
func labelled(t *testing.T, f func(ctx context.Context, label string)) {
	label := t.Name()
	pprof.Do(t.Context(), pprof.Labels(labelName, label), func(ctx context.Context) { f(ctx, label) })
}

// countLabelled is the number of goroutines with the label that do not end soon.
func countLabelled(label string) int {
	least := count(label)
	for range 100 { // a goroutine may take a moment to end after the one who waits for it was told
		if least <= 1 {
			break
		}
		wait(context.Background(), settle)
		least = min(least, count(label))
	}
	return least
}

func count(label string) int {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		panic(err) // cannot happen: a bytes.Buffer takes everything
	}
	// Entries look like "2 @ 0x… 0x…" followed by "# labels: {"conformance":"TestX"}" where there are labels.
	total, entry := 0, 0
	for line := range strings.Lines(profile.String()) {
		if n, _, ok := strings.Cut(line, " @ "); ok {
			entry, _ = strconv.Atoi(n)
		}
		if strings.HasPrefix(line, "# labels:") && strings.Contains(line, strconv.Quote(label)) {
			total += entry
		}
	}
	return total
}
