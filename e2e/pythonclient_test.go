//go:build pythonclient

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// pythonClientVariable names the program; `make test-python-client` installs it and sets the variable.
const pythonClientVariable = "KAFKA_CONNECT_PY"

// python is a command line of Kafka Connect's that others wrote.
type python struct {
	*pipe
	program, auth string
	driven        map[string]bool // commands that did something
}

// run makes one call, whose answer is JSON or nothing: whatever else the program says is an error, though it ends with 0.
func (p *python) run(into any, args ...string) error {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), p.program, args...)
	cmd.Env = append(os.Environ(), "KAFKA_CONNECT_URL="+p.client.base, "KAFKA_CONNECT_BASIC_AUTH="+p.auth)
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%v: %w: %s", args, err, out)
	}
	if len(out) > 0 && !json.Valid(out) {
		return fmt.Errorf("%v: %s", args, out)
	}
	p.driven[args[0]] = true
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(out, into); err != nil {
		return fmt.Errorf("%v: %w: %s", args, err, out)
	}
	return nil
}

func (p *python) must(into any, args ...string) {
	p.t.Helper()
	require.NoError(p.t, p.run(into, args...))
}

// refused requires that a call ends with what the HTTP library says of a status.
func (p *python) refused(status string, args ...string) {
	p.t.Helper()
	require.ErrorContains(p.t, p.run(nil, args...), status)
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

// TestAnUnmodifiedPythonClient drives every command of the command line kafka-connect-py, as a user with a token.
func TestAnUnmodifiedPythonClient(t *testing.T) {
	t.Parallel()
	program := os.Getenv(pythonClientVariable)
	require.NotEmpty(t, program, "set %s, as make test-python-client does", pythonClientVariable)
	e := newEnv(t)
	e.migrate()
	token := e.run(e.settings(), "token", "create", "ed", "--role", "editor")
	listen := freeAddress(t)
	e.awaitAPI(listen, startProcess(t, e.dir, "api", e.settings("GANTRY_API_LISTEN="+listen, "GANTRY_API_AUTH=tokens"), "api"))
	e.client.token = token
	e.startWorker()
	p := &python{pipe: newPipe(e), program: program, auth: "ed:" + token, driven: map[string]bool{}}
	p.pipe.out = t.TempDir()

	p.readInstallation()
	p.create()
	p.read()
	p.steer()
	p.remove()
	commands := []string{"info", "list", "create", "update", "get", "config", "status", "restart", "pause", "resume", "delete", "list-tasks",
		"task-status", "restart-task", "list-topics", "reset-topics", "list-plugins"}
	for _, command := range commands {
		require.True(t, p.driven[command], "%s was driven", command)
	}

	p.auth = "ed:wrong"
	p.refused("401 Client Error", "list")
}

func (p *python) readInstallation() {
	p.t.Helper()
	var root map[string]string
	p.must(&root, "info")
	require.Equal(p.t, "4.3.1", root["version"])
	var plugins []map[string]string
	p.must(&plugins, "list-plugins")
	require.True(p.t, slices.ContainsFunc(plugins, func(m map[string]string) bool { return m["class"] == "FileSource" && m["type"] == "source" }), plugins)
	// This command sends the config as one JSON string, which Kafka Connect refuses, too.
	p.refused("400 Client Error", "validate-config", "FileSource", "-d", text(p.t, p.sourceConfig("/x", config{"name": "x"})))
}

// create makes a source and a sink, changes the sink, and sees records through.
func (p *python) create() {
	p.t.Helper()
	input := filepath.Join(p.pipe.out, "input.csv")
	writeInput(p.t, input, 0, 0, 100)
	source := text(p.t, map[string]any{"name": "in", "config": p.sourceConfig(input, following())})
	var made definition
	p.must(&made, "create", "-d", source)
	require.Equal(p.t, "in", made.Name)
	require.Equal(p.t, "source", made.Type)
	p.refused("409 Client Error", "create", "-d", source)

	file := p.path("sink.json")
	require.NoError(p.t, os.WriteFile(file, []byte(text(p.t, map[string]any{"name": "out", "config": p.fileSinkConfig(config{"tasks.max": "1"})})), 0o600))
	p.must(&made, "create", "-f", file)
	p.must(&made, "update", "out", "-d", text(p.t, p.fileSinkConfig(config{"tasks.max": "2"})))
	require.Equal(p.t, "2", made.Config["tasks.max"])
	p.refused("400 Client Error", "update", "out", "-d", text(p.t, p.fileSinkConfig(config{"tasks.max": "many"})))
	p.awaitState("in", "RUNNING", 1)
	p.awaitState("out", "RUNNING", 2)
	await(p.t, "the records are behind the sink", func() error {
		if n := p.lines(); n != 100 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
}

func (p *python) awaitState(name, state string, tasks int) {
	p.t.Helper()
	await(p.t, fmt.Sprintf("%s is %s with %d tasks", name, state, tasks), func() error {
		var s clientStatus
		if err := p.run(&s, "status", name); err != nil {
			return &hopeless{err}
		}
		ok := s.Connector["state"] == state && len(s.Tasks) == tasks
		for _, t := range s.Tasks {
			ok = ok && t.State == state
		}
		if !ok {
			return fmt.Errorf("it is %+v", s)
		}
		return nil
	})
}

func (p *python) read() {
	p.t.Helper()
	var names []string
	p.must(&names, "list")
	require.ElementsMatch(p.t, []string{"in", "out"}, names)
	p.must(&names, "list", "--pattern", "o.*", "--state", "running")
	require.Equal(p.t, []string{"out"}, names)
	var all map[string]struct{ Status clientStatus }
	p.must(&all, "list", "--expand", "status", "--state", "RUNNING")
	require.Len(p.t, all["out"].Status.Tasks, 2)
	var infos map[string]struct{ Info definition }
	p.must(&infos, "list", "--expand", "info")
	require.Equal(p.t, "sink", infos["out"].Info.Type)

	var one definition
	p.must(&one, "get", "out")
	require.Equal(p.t, infos["out"].Info, one)
	var kept map[string]string
	p.must(&kept, "config", "out")
	require.Equal(p.t, one.Config, kept)
	var tasks []any
	p.must(&tasks, "list-tasks", "out")
	require.Len(p.t, tasks, 2)
	var task map[string]any
	p.must(&task, "task-status", "out", "1")
	require.Equal(p.t, "w1", task["worker_id"])
	require.Equal(p.t, []string{p.topic.name}, p.topics("in"))
	p.refused("404 Client Error", "get", "absent")
	p.refused("404 Client Error", "task-status", "out", "7")
}

func (p *python) topics(connector string) []string {
	p.t.Helper()
	var used map[string]struct{ Topics []string }
	p.must(&used, "list-topics", connector)
	return used[connector].Topics
}

func (p *python) steer() {
	p.t.Helper()
	p.must(nil, "pause", "in")
	p.awaitState("in", "PAUSED", 1)
	await(p.t, "the topics are forgotten", func() error { // the queues that a task has open until it has ended count
		p.must(nil, "reset-topics", "in")
		if len(p.topics("in")) > 0 {
			return errors.New("there are some")
		}
		return nil
	})
	p.must(nil, "resume", "--all", "--state", "PAUSED")
	p.awaitState("in", "RUNNING", 1)
	p.must(nil, "restart", "in")
	p.must(nil, "restart", "out", "--include-tasks", "--only-failed")
	p.must(nil, "restart", "--all", "--include-tasks")
	p.must(nil, "restart-task", "out", "1")
	p.awaitState("in", "RUNNING", 1)
	p.awaitState("out", "RUNNING", 2)
}

func (p *python) remove() {
	p.t.Helper()
	p.must(nil, "delete", "in")
	p.must(nil, "delete", "--all", "--pattern", "out")
	var names []string
	p.must(&names, "list")
	require.Empty(p.t, names)
}
