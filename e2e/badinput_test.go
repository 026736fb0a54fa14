package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBadInputIsToldWithAReason gives connectors what they cannot use, and reads what their status says about it.
func TestBadInputIsToldWithAReason(t *testing.T) {
	t.Parallel()
	p := newPipe(start(t))
	p.startWorker()

	writeInput(t, p.path("input.csv"), 0, 0, 100)
	p.startSource(p.path("input.csv"), nil)
	p.client.put("no-table", p.postgresConfig(config{"table": "nowhere", "auto.create": "false"}))

	require.NoError(t, os.Mkdir(p.path("folder.csv"), 0o755))
	p.client.put("folder", p.sourceConfig(p.path("folder.csv"), nil))
	require.NoError(t, os.WriteFile(p.path("broken.csv.gz"), append([]byte{0x1f, 0x8b}, "no deflate stream"...), 0o644))
	p.client.put("broken", p.sourceConfig(p.path("broken.csv.gz"), nil))

	// One line is longer than the longest that the source may be told to take; the other one fits, but its message does not.
	for name, length := range map[string]int{"long-line": 5 << 20, "long-message": 4<<20 - 16} {
		p.client.put(name, p.longConfig(name, length, nil))
		p.client.put(name+"-tolerant", p.longConfig(name, length, config{"errors.tolerance": "all",
			"errors.deadletterqueue.topic.name": p.topic.name + "-" + name + "-dead"}))
	}

	p.client.awaitStatus("no-table", "has failed, with the statement that makes the table",
		failedOver("nowhere", "auto.create", `create table "nowhere" ("id" bigint, "key" text, "text" text)`))
	p.client.awaitStatus("folder", "has failed, naming the path and what is wrong with it", failedOver(p.path("folder.csv"), "regular file"))
	p.client.awaitStatus("broken", "has failed, naming the file and what is wrong with it", failedOver(p.path("broken.csv.gz"), "gzip"))
	for _, name := range []string{"long-line", "long-message"} {
		p.client.awaitStatus(name, "has failed, naming partition and offset", failedOver(p.path(name+".txt"), "partition", "offset", "errors.tolerance"))
		p.requireDeadLetter(name)
	}
}

// longConfig is of a source of three lines, of which the second has so many bytes.
func (p *pipe) longConfig(name string, length int, more config) config {
	p.t.Helper()
	text := "first\n" + strings.Repeat("x", length-1) + "\nlast\n"
	require.NoError(p.t, os.WriteFile(p.path(name+".txt"), []byte(text), 0o644))
	topic := p.topic.name + "-" + name
	if more != nil {
		topic += "-tolerant"
	}
	return with(config{"connector.class": "FileSource", "file": p.path(name + ".txt"), "topic": topic, "topic.queues": "1",
		"value.converter": "string", "max.line.bytes": fmt.Sprint(4 << 20)}, more)
}

// requireDeadLetter wants the good lines in the topic and one letter about the bad one, which says where it was.
func (p *pipe) requireDeadLetter(name string) {
	p.t.Helper()
	good := newRawTopic(p.t, p.stack, p.topic.name+"-"+name+"-tolerant")
	dead := newRawTopic(p.t, p.stack, p.topic.name+"-"+name+"-dead")
	await(p.t, name+"-tolerant has gone on", func() error {
		if trouble := p.client.trouble(name + "-tolerant"); trouble != "" {
			return &hopeless{fmt.Errorf("it has failed: %s", trouble)}
		}
		if g, d := good.count(), dead.count(); g < 2 || d < 1 {
			return fmt.Errorf("%d records, %d dead letters", g, d)
		}
		return nil
	})
	var bodies []string
	for _, m := range good.read()[0] {
		bodies = append(bodies, string(m.body))
	}
	require.Equal(p.t, []string{"first", "last"}, bodies)
	letter, count := "", 0
	for _, queue := range dead.read() {
		for _, m := range queue {
			count++
			for k, v := range m.properties {
				letter += fmt.Sprintf("%s=%s\n", k, v)
			}
		}
	}
	require.Equal(p.t, 1, count, "letters")
	for _, words := range []string{"__connect.errors.connector.name=" + name + "-tolerant", p.path(name + ".txt"), "__connect.errors.offset=",
		"__connect.errors.exception.message="} {
		require.Contains(p.t, letter, words)
	}
}
