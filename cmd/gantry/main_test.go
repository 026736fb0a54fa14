package main

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/cmd/gantry/operate"
)

// A script must not take a mistake in a name for a success, as it would if the help were shown instead.
func TestAnUnknownNameIsAMistakeEverywhere(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"tokens", "token lst", "key make", "dev start", "completion tcsh", "help nothing", "help offsets gets", "offsets gets", "worker lst", "openapi x"} {
		root := newRootCommand()
		root.SetOut(io.Discard)
		root.SetErr(io.Discard)
		root.SetArgs(strings.Fields(line))
		require.Error(t, root.ExecuteContext(t.Context()), line)
	}
	for _, line := range []string{"token", "key", "dev", "completion", "help", "help token", "help offsets get", "help exit-codes", "completion bash", "--help"} {
		root := newRootCommand()
		root.SetOut(io.Discard)
		root.SetArgs(strings.Fields(line))
		require.NoError(t, root.ExecuteContext(t.Context()), line)
	}
	root := newRootCommand()
	root.SetArgs([]string{"token", "lst"})
	require.Equal(t, operate.ExitUsage, operate.ExitCode(root.ExecuteContext(t.Context())))
}
