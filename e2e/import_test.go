package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rocketmqConnectFile writes a file of a RocketMQ Connect worker's store.
func rocketmqConnectFile(t *testing.T, path string, entries map[string]any) {
	t.Helper()
	encoded := map[string]string{}
	for key, value := range entries {
		text, err := json.Marshal(value)
		require.NoError(t, err)
		encoded[base64.StdEncoding.EncodeToString([]byte(key))] = base64.StdEncoding.EncodeToString(text)
	}
	text, err := json.Marshal(encoded)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, text, 0o644))
}

// TestConnectorsOfRocketMQConnectAreTakenOver imports a worker's store and lets its source go on where it had come to.
func TestConnectorsOfRocketMQConnectAreTakenOver(t *testing.T) {
	t.Parallel()
	e, o := startOperator(t)
	p := newPipe(e)
	const lines, done = 100, 40
	input := p.path("grüße.txt")
	var text strings.Builder
	characters := 0
	for n := range lines {
		line := fmt.Sprintf("größe %03d\n", n)
		text.WriteString(line)
		if n < done {
			characters += len([]rune(line))
		}
	}
	require.NoError(t, os.WriteFile(input, []byte(text.String()), 0o644))
	dir := t.TempDir()
	properties := func(p map[string]string) any {
		return map[string]any{"epoch": 1, "targetState": "STARTED", "properties": p}
	}
	rocketmqConnectFile(t, filepath.Join(dir, "config", "connectorConfig.json"), map[string]any{
		"in": properties(map[string]string{"connector.class": "org.apache.rocketmq.connect.file.FileSourceConnector", "filename": input,
			"connect.topicname": p.topic.name, "max.tasks": "1", "task.class": "x", "something.else": "y",
			"value.converter": "org.apache.rocketmq.connect.runtime.converter.record.StringConverter"}),
		"out": properties(map[string]string{"connector.class": "FileSink", "connect.topicnames": p.topic.name, "file": p.path("out.jsonl"), "format": "lines",
			"value.converter": "StringConverter"}),
		"alien": properties(map[string]string{"connector.class": "org.example.RedisSourceConnector", "connect.topicname": "t"}),
		"wrong": properties(map[string]string{"connector.class": "FileSourceConnector", "filename": input}),
	})
	rocketmqConnectFile(t, filepath.Join(dir, "config", "position.json"), map[string]any{
		fmt.Sprintf(`{"namespace":"in","partition":{"filename":%q}}`, input):            map[string]any{"offset": map[string]any{"nextPosition": characters}},
		fmt.Sprintf(`{"namespace":"in","partition":{"filename":%q}}`, input+".missing"): map[string]any{"offset": map[string]any{"nextPosition": 7}},
	})

	dry := o.gets(1, "import", "rocketmq-connect", "--dir", dir, "--dry-run")
	require.Contains(t, dry, "would be created")
	require.Empty(t, o.connectors(), "a dry run creates nothing")

	report := o.gets(1, "import", "rocketmq-connect", "--dir", dir) // some were skipped
	for _, says := range []string{"something.else", "known are", "topic: is required", "consumer group connect-out", "in.missing", "created", "skipped"} {
		require.Contains(t, strings.ReplaceAll(report, "grüße.txt.missing", "in.missing"), says)
	}
	all := o.connectors()
	require.Len(t, all, 2)
	require.Equal(t, "STOPPED", all["in"].State)
	again := o.gets(1, "import", "rocketmq-connect", "--dir", dir)
	require.Regexp(t, `(?m)^out .* unchanged +0 `, again)

	p.client.must("DELETE", "/connectors/in/offsets", nil, nil) // as if the import had been cut short before it set them
	again = o.gets(1, "import", "rocketmq-connect", "--dir", dir)
	require.Regexp(t, `(?m)^in .* positions set +1 `, again)

	o.ok("resume", "in", "out")
	p.out = p.dir
	await(t, "the rest of the file", func() error {
		if n := p.lines(); n < lines-done {
			return fmt.Errorf("%d lines; %s", n, p.client.text("/connectors?expand=status"))
		}
		return nil
	})
	require.EqualValues(t, lines-done, p.topic.count(), "what had been copied is not copied again")
	got, err := os.ReadFile(p.path("out.jsonl"))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(got), fmt.Sprintf("größe %03d\n", done)), string(got))
}
