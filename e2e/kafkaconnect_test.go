package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// code is the HTTP status of a call.
func (c *client) code(method, path string, in any) int {
	err := c.call(method, path, in, nil)
	var a *answered
	if errors.As(err, &a) {
		return a.status
	}
	require.NoError(c.t, err)
	return http.StatusOK
}

// TestTransitionsBetweenStates goes through all six transitions that Kafka Connect has, with tasks that run.
func TestTransitionsBetweenStates(t *testing.T) {
	t.Parallel()
	p := newPipe(start(t))
	p.startWorker()
	writeInput(t, p.path("input.csv"), 0, 0, 100)
	p.startSource(p.path("input.csv"), following())
	p.awaitTasks(source, "RUNNING", 1)
	for _, step := range []struct {
		verb, state string
		tasks       int
	}{
		{"pause", "PAUSED", 1}, {"resume", "RUNNING", 1}, {"stop", "STOPPED", 0}, {"resume", "RUNNING", 1},
		{"pause", "PAUSED", 1}, {"stop", "STOPPED", 0}, {"pause", "PAUSED", 0}, {"resume", "RUNNING", 1},
	} {
		p.client.verb(source, step.verb)
		if step.state != "RUNNING" {
			s, err := p.client.status(source)
			require.NoError(t, err)
			require.Equal(t, step.state, s.Connector.State, "what was asked for shows at once")
			require.Len(t, s.Tasks, step.tasks)
		}
		p.awaitTasks(source, step.state, step.tasks)
	}
	p.client.restart(source)
	p.awaitTasks(source, "RUNNING", 1)

	// A connector that has failed can be stopped, mended and resumed.
	broken := p.sourceConfig(p.path("input.csv"), config{"topic": p.topic.name + "-absent", "topic.create": "false"})
	p.client.put("broken", broken)
	p.client.awaitState("broken", "FAILED")
	p.client.verb("broken", "stop")
	p.client.awaitState("broken", "STOPPED")
	p.client.put("broken", p.sourceConfig(p.path("input.csv"), nil))
	p.client.verb("broken", "resume")
	p.awaitTasks("broken", "RUNNING", 1)
}

func (p *pipe) awaitTasks(name, state string, tasks int) {
	p.t.Helper()
	p.client.awaitStatus(name, fmt.Sprintf("is %s with %d tasks", state, tasks), func(s status) error {
		if s.Connector.State != state || len(s.Tasks) != tasks {
			return errors.New("it is not")
		}
		for _, t := range s.Tasks {
			if t.State != state {
				return fmt.Errorf("task %d is not", t.ID)
			}
		}
		return nil
	})
}

type editableOffsets struct {
	Offsets []struct {
		Partition map[string]any `json:"partition"`
		Offset    map[string]any `json:"offset"`
	} `json:"offsets"`
}

// TestEditedOffsetsTakeEffect lets a sink that keeps its position in the target and one that does not copy everything once
// more, and a source begin afresh.
func TestEditedOffsetsTakeEffect(t *testing.T) {
	t.Parallel()
	const records = 500
	p := newPipe(start(t))
	p.startWorker()
	writeInput(t, p.path("input.csv"), 0, 0, records)
	p.startSource(p.path("input.csv"), following())
	p.startPostgresSink(nil)
	p.startFileSink(nil)
	p.awaitCopies(records)
	before := p.awaitOffsets(postgresSink)
	require.Equal(t, http.StatusBadRequest, p.client.code("DELETE", connectorPath(postgresSink, "/offsets"), nil), "it runs")

	p.client.verb(postgresSink, "stop") // an edit waits for the tasks that are ending
	p.client.must("DELETE", connectorPath(postgresSink, "/offsets"), nil, nil)
	p.client.verb(fileSink, "stop")
	var edits []any
	for _, o := range before.Offsets {
		edits = append(edits, map[string]any{
			"partition": map[string]any{"kafka_topic": o.Partition["rocketmq_topic"], "kafka_partition": o.Partition["rocketmq_queue"]},
			"offset":    map[string]any{"kafka_offset": 0}})
	}
	p.client.must("PATCH", connectorPath(fileSink, "/offsets"), map[string]any{"offsets": edits}, nil)
	p.client.verb(postgresSink, "resume")
	p.client.verb(fileSink, "resume")
	p.awaitCopies(2 * records)
	require.Equal(t, before, p.awaitOffsets(postgresSink), "they stand where they stood")

	p.client.verb(source, "stop")
	p.client.must("DELETE", connectorPath(source, "/offsets"), nil, nil)
	p.client.verb(source, "resume")
	p.awaitCopies(3 * records)

	var topics map[string]struct{ Topics []string }
	for _, name := range []string{source, postgresSink, fileSink} {
		p.client.must("GET", connectorPath(name, "/topics"), nil, &topics)
		require.Equal(t, []string{p.topic.name}, topics[name].Topics)
	}
}

// awaitOffsets waits until a position of each of the topic's queues is committed.
// awaitOffsets waits until the offsets of a sink cover all that is in the topic: they follow what it has written.
func (p *pipe) awaitOffsets(name string) (o editableOffsets) {
	p.t.Helper()
	await(p.t, "offsets that cover the topic", func() error {
		o = editableOffsets{}
		p.client.must("GET", connectorPath(name, "/offsets"), nil, &o)
		sum := 0.0
		for _, q := range o.Offsets {
			offset, _ := q.Offset["rocketmq_offset"].(float64)
			sum += offset
		}
		if count := p.topic.count(); int64(sum) != count {
			return fmt.Errorf("they cover %v of %d messages", sum, count)
		}
		return nil
	})
	return o
}

func (p *pipe) awaitCopies(want int64) {
	p.t.Helper()
	await(p.t, fmt.Sprintf("%d copies in both targets", want), func() error {
		if rows, lines := p.rows(), p.lines(); rows != want || lines != want {
			return fmt.Errorf("%d rows, %d lines; %s", rows, lines, p.client.trouble(source)+p.client.trouble(postgresSink)+p.client.trouble(fileSink))
		}
		return nil
	})
}

// TestConfigsOfOtherSystemsRun copies by configs that have the keys of RocketMQ Connect, under a name that has to be escaped.
func TestConfigsOfOtherSystemsRun(t *testing.T) {
	t.Parallel()
	p := newPipe(start(t))
	p.startWorker()
	writeInput(t, p.path("input.csv"), 0, 0, 50)
	in := config{"connector.class": "org.apache.rocketmq.connect.file.FileSourceConnector", "filename": p.path("input.csv"),
		"connect.topicname": p.topic.name, "max.tasks": "2", "value.converter": "org.apache.rocketmq.connect.runtime.converter.record.StringConverter",
		"transforms": "cut", "transforms.cut.class": "RegexRouter", "transforms.cut.regex": "nothing", "transforms.cut.replacement": "nothing"}
	const name = "in/50% {of} it: größe 日本"
	p.client.must("POST", "/connectors", map[string]any{"name": name, "config": in}, nil)
	p.out = p.path("out")
	p.client.put("out", config{"connector.class": "FileSink", "connect.topicnames": p.topic.name, "max.tasks": "1", "consume.from.where": "CONSUME_FROM_FIRST_OFFSET",
		"task.group.id": "g", "value.converter": "StringConverter", "file": p.path("out.jsonl"), "format": "lines"})
	p.out = p.dir
	await(t, "the copy", func() error {
		if n := p.lines(); n != 50 {
			return fmt.Errorf("%d lines; %s", n, p.client.text("/connectors?expand=status"))
		}
		return nil
	})
	var got map[string]string
	p.client.must("GET", connectorPath(name, "/config"), nil, &got)
	in["name"] = name
	require.Equal(t, map[string]string(in), got, "it is shown as it was given")
	p.client.restart(name)
	p.client.awaitState(name, "RUNNING")
	p.client.delete(name)
	require.Equal(t, http.StatusOK, p.client.code("POST", "/connectors", map[string]any{"name": name, "config": in, "initial_state": "paused"}),
		"a name is free at once, as far as its user can see")
	p.client.awaitState(name, "PAUSED")
}

// TestLogLevelsReachEveryProcess makes a worker talkative through the API of another process.
func TestLogLevelsReachEveryProcess(t *testing.T) {
	t.Parallel()
	p := newPipe(start(t))
	w := p.startWorker()
	w.awaitStarted()
	require.False(t, w.says("level=DEBUG"))
	p.client.must("PUT", "/admin/loggers/root?scope=cluster", map[string]string{"level": "DEBUG"}, nil)
	writeInput(t, p.path("input.csv"), 0, 0, 10)
	p.startSource(p.path("input.csv"), following())
	await(t, "the worker logs what it did not", func() error {
		p.client.restart(source)
		if !w.says("level=DEBUG") {
			return errors.New("not yet")
		}
		return nil
	})
	require.True(t, strings.Contains(p.client.text("/admin/loggers/root"), `"DEBUG"`))
}
