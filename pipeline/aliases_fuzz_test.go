package pipeline

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// FuzzResolveAliases holds that any config can be resolved, that the given one stays as it is, that errors name keys that
// were given, and that what is resolved resolves to itself.
func FuzzResolveAliases(f *testing.F) {
	for _, text := range []string{
		"", "topic=t\nconnect.topicname=t", "topic=t\nconnect-topicname=u", "max.tasks=2\nmax-task=3\ntasks.max=2", "consume.from.where=\nexactly.once.support=requested",
		"transforms=a\ntransforms.a.class=X\ntransforms.a.type=Y", "transforms.class=x\ntransforms..class=y\ntransforms.a.b.class=z", "producer.override.=x\nheader.converter=y\n=z",
		"exactly.once.support=perhaps\nexactly.once=required",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		given := map[string]string{}
		for _, line := range strings.Split(text, "\n") {
			if key, value, ok := strings.Cut(line, "="); ok {
				given[key] = value
			}
		}
		kept := maps.Clone(given)
		config, from, err := ResolveAliases(given)
		require.Equal(t, kept, given)
		for key, alias := range from {
			require.Contains(t, given, alias)
			require.Contains(t, config, key)
		}
		if err != nil {
			var all connector.ConfigErrors
			require.True(t, errors.As(err, &all))
			for _, e := range all {
				require.Contains(t, given, e.Field)
			}
		}
		again, none, err := ResolveAliases(config)
		require.NoError(t, err)
		require.Equal(t, config, again)
		require.Empty(t, none)
	})
}
