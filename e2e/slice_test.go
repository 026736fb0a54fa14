package e2e

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/internal/devstack/devstacktest"
)

// TestLinesTravelUnchanged copies the lines of a file through a topic with one queue into another file, which must be the
// same to the byte. Worker and API are one process.
func TestLinesTravelUnchanged(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.migrate()
	e.startServer()
	topic := devstacktest.Topic(t, "lines")
	const text = "first\n\n  a line, with \"quotes\" and, commas\nübermäßig 漢字 \t\n{\"json\": [1, 2]}\nNA\nnull\nlast\n"
	require.NoError(t, os.WriteFile(e.path("in.txt"), []byte(text), 0o644))
	e.client.put("lines-in", config{"connector.class": "FileSource", "file": e.path("in.txt"), "topic": topic,
		"topic.queues": "1", "value.converter": "string"})
	e.client.put("lines-out", config{"connector.class": "FileSink", "topics": topic, "value.converter": "string",
		"file": e.path("out"), "format": "lines"})
	await(t, "the file is copied", func() error { return sameText(e.path("out"), text) })
	e.stopWorkers()
	require.NoError(t, sameText(e.path("out"), text), "after the end of the workers")
}

func sameText(path, want string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if string(b) != want {
		return fmt.Errorf("it holds %q", b)
	}
	return nil
}
