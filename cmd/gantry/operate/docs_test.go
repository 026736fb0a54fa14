package operate

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// What docs/cli.md tells and what the commands are go together.
func TestTheDocsNameEveryCommandResourceAndExitCode(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/cli.md")
	require.NoError(t, err)
	page := string(text)
	tree := New("test")
	for _, cmd := range tree.Commands {
		require.Contains(t, page, "gantry "+cmd.Name())
	}
	for _, parent := range []struct {
		name     string
		commands []*cobra.Command
	}{{"worker", tree.Workers}, {"offsets", child(t, tree, "offsets").Commands()}, {"context", child(t, tree, "context").Commands()}} {
		for _, cmd := range parent.commands {
			line := false
			for l := range strings.Lines(page) {
				line = line || strings.Contains(l, "gantry "+parent.name) && strings.Contains(l, cmd.Name())
			}
			require.True(t, line, "%s %s", parent.name, cmd.Name())
		}
	}
	for _, r := range resources {
		require.Contains(t, page, "gantry get "+r.name)
	}
	for _, code := range []int{ExitOK, ExitFailed, ExitUsage, ExitNotFound, ExitConflict, ExitUnreachable, ExitNotAllowed, ExitInvalid, ExitTimeout, ExitServer, ExitInterrupted} {
		require.Contains(t, page, fmt.Sprintf("\n| %d | ", code))
		require.Contains(t, tree.Topics[0].Long, fmt.Sprintf("\n  %-4d ", code))
	}
}

func child(t *testing.T, tree Tree, name string) *cobra.Command {
	t.Helper()
	for _, cmd := range tree.Commands {
		if cmd.Name() == name {
			return cmd
		}
	}
	t.Fatalf("there is no command %s", name)
	return nil
}
