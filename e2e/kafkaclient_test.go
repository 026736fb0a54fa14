package e2e

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// fetchClients returns the folder with the jars of tools/clients/pom.xml, which are fetched once for each state of that file.
func fetchClients(t *testing.T) string {
	t.Helper()
	pins, err := os.ReadFile("../tools/clients/pom.xml")
	require.NoError(t, err)
	cache, err := filepath.Abs("../.cache/clients")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(cache, 0o755))
	lock, err := os.Create(filepath.Join(cache, "lock"))
	require.NoError(t, err)
	defer lock.Close() //nolint:errcheck // closing gives the lock back
	require.NoError(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	dir := filepath.Join(cache, fmt.Sprintf("%x", sha256.Sum256(pins))[:12])
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	making := dir + ".new"
	require.NoError(t, os.RemoveAll(making))
	out, err := exec.CommandContext(t.Context(), "mvn", "-B", "-ntp", "-f", "../tools/clients/pom.xml", "process-resources", "-Dout="+making).CombinedOutput()
	require.NoError(t, err, "fetch the clients from Maven Central: %s", out)
	require.NoError(t, os.Rename(making, dir))
	return dir
}

// java is the process that has org.sourcelab's KafkaConnectClient, and does with it what it is told.
type java struct {
	t       *testing.T
	in      *json.Encoder
	answers *bufio.Reader
}

func startJava(t *testing.T) *java {
	t.Helper()
	program := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		program = filepath.Join(home, "bin", program)
	}
	cmd := exec.CommandContext(t.Context(), program, "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", fetchClients(t)+"/*", "testdata/DriveKafkaConnectClient.java")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	complaints, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	require.NoError(t, err)
	defer complaints.Close() //nolint:errcheck // the child has its own descriptor
	cmd.Stderr = complaints
	require.NoError(t, cmd.Start())
	guard.tell("+", cmd.Process.Pid)
	t.Cleanup(func() {
		_ = in.Close() // the program ends with its input, or has been killed with the test's context
		err := cmd.Wait()
		guard.tell("-", cmd.Process.Pid)
		if t.Failed() {
			t.Logf("the client's process ended with %v: %s", err, tail(complaints.Name(), 30))
		}
	})
	return &java{t: t, in: json.NewEncoder(in), answers: bufio.NewReader(out)}
}

// javaClient is one KafkaConnectClient in that process.
type javaClient struct {
	*java
	name string
}

// open makes a client of a URL and, optionally, a user and a password.
func (j *java) open(name string, args ...any) *javaClient {
	j.t.Helper()
	c := &javaClient{j, name}
	c.must(nil, "open", args...)
	return c
}

// thrown is an exception of a client.
type thrown struct {
	Exception string `json:"error"`
	Code      int    `json:"code"`
	Message   string `json:"message"`
}

func (e *thrown) Error() string { return fmt.Sprintf("%s (%d): %s", e.Exception, e.Code, e.Message) }

// call returns a *thrown if the method threw.
func (c *javaClient) call(into any, method string, args ...any) error {
	c.t.Helper()
	if args == nil {
		args = []any{}
	}
	require.NoError(c.t, c.in.Encode(map[string]any{"client": c.name, "call": method, "args": args}))
	line, err := c.answers.ReadBytes('\n')
	require.NoError(c.t, err, "the client's process gave no answer to %s %v", method, args)
	var answer struct {
		thrown
		Value json.RawMessage `json:"value"`
	}
	require.NoError(c.t, json.Unmarshal(line, &answer), "%s", line)
	if answer.Exception != "" {
		return fmt.Errorf("%s %v: %w", method, args, &answer.thrown)
	}
	if into != nil {
		require.NoError(c.t, json.Unmarshal(answer.Value, into), "%s", line)
	}
	return nil
}

func (c *javaClient) must(into any, method string, args ...any) {
	c.t.Helper()
	require.NoError(c.t, c.call(into, method, args...))
}

// does is must for the methods whose result is whether it was done.
func (c *javaClient) does(method string, args ...any) {
	c.t.Helper()
	var done bool
	c.must(&done, method, args...)
	require.True(c.t, done, method)
}

// refused requires the exception that the client has for a status, with a message that holds a text.
func (c *javaClient) refused(exception string, code int, text, method string, args ...any) {
	c.t.Helper()
	err := c.call(nil, method, args...)
	var e *thrown
	require.ErrorAs(c.t, err, &e)
	require.Equal(c.t, exception, e.Exception, err)
	require.Equal(c.t, code, e.Code, err)
	require.Contains(c.t, e.Message, text)
}

// TestAClientOfKafkaConnectWorksUnchanged drives every method of a client that others wrote for Kafka Connect, without and with basic
// authentication, on connectors that copy.
func TestAClientOfKafkaConnectWorksUnchanged(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.migrate()
	editor, viewer := e.run(e.settings(), "token", "create", "ed", "--role", "editor"), e.run(e.settings(), "token", "create", "vi")
	guarded := freeAddress(t)
	e.awaitAPI(guarded, startProcess(t, e.dir, "guarded", e.settings("GANTRY_API_LISTEN="+guarded, "GANTRY_API_AUTH=tokens"), "api"))
	e.startAPI() // from here on e.client speaks to the one that asks for no name
	e.startWorker()
	j := startJava(t)

	plain := &clientDrive{newPipe(e), j.open("plain", e.client.base), "in", "out"}
	plain.driveAll()
	basic := &clientDrive{newPipe(e), j.open("basic", "http://"+guarded, "ed", editor), "in/50% {of} it+?#", "out;a=b&c"}
	basic.driveAll()

	const unauthorized = "UnauthorizedRequestException"
	j.open("nobody", "http://"+guarded).refused(unauthorized, 401, "", "getConnectors")
	j.open("wrong", "http://"+guarded, "ed", viewer).refused(unauthorized, 401, "", "getConnectors")
	reader := j.open("viewer", "http://"+guarded, "vi", viewer)
	reader.must(nil, "getConnectors")
	reader.refused("InvalidRequestException", 403, "", "deleteConnector", "in")
}

// clientDrive drives one client through a source and a sink of its own.
type clientDrive struct {
	*pipe
	c       *javaClient
	in, out string // names of the connectors
}

func (d *clientDrive) driveAll() {
	d.t.Helper()
	d.pipe.out = d.t.TempDir()
	d.readInstallation()
	d.create()
	d.read()
	d.steer()
	d.missing()
	d.remove()
	var undriven []string
	d.c.must(&undriven, "undriven")
	require.Empty(d.t, undriven, "methods of the client that never succeeded")
}

func (d *clientDrive) definition(name string, c config) map[string]any {
	return map[string]any{"name": name, "config": c}
}

func (d *clientDrive) readInstallation() {
	d.t.Helper()
	var root struct{ Version, Commit, KafkaClusterId string }
	d.c.must(&root, "getConnectServerVersion")
	require.Equal(d.t, "4.3.1", root.Version)
	require.NotEmpty(d.t, root.Commit)
	require.NotEmpty(d.t, root.KafkaClusterId)
	var plugins []struct{ ClassName, Type, Version string }
	d.c.must(&plugins, "getConnectorPlugins")
	types := map[string]string{}
	for _, p := range plugins {
		require.NotEmpty(d.t, p.Version, p.ClassName)
		types[p.ClassName] = p.Type
	}
	require.Equal(d.t, "source", types["FileSource"])
	require.Equal(d.t, "sink", types["FileSink"])

	var result struct {
		Name       string
		ErrorCount int
		Groups     []string
		Configs    []struct {
			Definition struct {
				Name, Type, Importance, Documentation, DisplayName string
				Required                                           bool
			}
			Value struct {
				Name, Value string
				Errors      []string
			}
		}
	}
	d.c.must(&result, "validateConnectorPluginConfig", d.definition("FileSource", d.sourceConfig(d.path("x"), config{"name": "x"})))
	require.Equal(d.t, "FileSource", result.Name)
	require.Zero(d.t, result.ErrorCount, result)
	require.NotEmpty(d.t, result.Groups)
	d.c.must(&result, "validateConnectorPluginConfig", d.definition("FileSource", d.sourceConfig(d.path("x"), config{"name": "x", "tasks.max": "many"})))
	require.Equal(d.t, 1, result.ErrorCount)
	for _, c := range result.Configs {
		require.NotEmpty(d.t, c.Definition.Type, c.Definition.Name)
		require.Equal(d.t, c.Definition.Name == "tasks.max", len(c.Value.Errors) > 0, c)
	}
	d.c.refused("InvalidRequestException", 400, "Nonsense", "validateConnectorPluginConfig", d.definition("Nonsense", config{"connector.class": "Nonsense"}))
}

type definition struct {
	Name, Type string
	Config     map[string]string
	Tasks      []struct {
		Connector string
		Task      int
	}
}

type clientStatus struct {
	Name, Type string
	Connector  map[string]string
	Tasks      []struct {
		ID              int
		State, WorkerID string
	}
}

// create makes the source by POST and the sink by PUT, and sees records through.
func (d *clientDrive) create() {
	d.t.Helper()
	writeInput(d.t, d.input(0), 0, 0, 100)
	want := d.sourceConfig(d.input(0), following())
	var made definition
	d.c.must(&made, "addConnector", d.definition(d.in, want))
	want["name"] = d.in
	require.Equal(d.t, definition{Name: d.in, Type: "source", Config: want, Tasks: made.Tasks}, made)
	d.c.refused("ConcurrentConfigModificationException", 409, d.in+" already exists", "addConnector", d.definition(d.in, want))
	d.c.refused("InvalidRequestException", 400, "tasks.max", "addConnector", d.definition("bad", with(d.fileSinkConfig(nil), config{"tasks.max": "many"})))
	d.c.refused("InvalidRequestException", 400, "tasks.max", "updateConnectorConfig", d.in, with(d.sourceConfig(d.input(0), nil), config{"tasks.max": "many"}))

	d.c.must(&made, "updateConnectorConfig", d.out, d.fileSinkConfig(config{"tasks.max": "1"}))
	require.Equal(d.t, "sink", made.Type)
	d.awaitTasksOf(d.out, "RUNNING", 1)
	d.c.must(&made, "updateConnectorConfig", d.out, d.fileSinkConfig(config{"tasks.max": "2"}))
	require.Equal(d.t, "2", made.Config["tasks.max"])
	d.awaitTasksOf(d.out, "RUNNING", 2)
	d.awaitTasksOf(d.in, "RUNNING", 1)
	d.awaitLines(100)
}

func (d *clientDrive) input(n int) string {
	return filepath.Join(d.pipe.out, fmt.Sprintf("input-%d.csv", n))
}

func (d *clientDrive) awaitLines(want int64) {
	d.t.Helper()
	await(d.t, fmt.Sprintf("%d lines behind the sink", want), func() error {
		if n := d.lines(); n != want {
			return fmt.Errorf("there are %d; %s%s", n, d.client.trouble(d.in), d.client.trouble(d.out))
		}
		return nil
	})
}

// awaitTasksOf waits, by the client, until a connector and as many tasks are in a state.
func (d *clientDrive) awaitTasksOf(name, state string, tasks int) {
	d.t.Helper()
	await(d.t, fmt.Sprintf("%s is %s with %d tasks", name, state, tasks), func() error {
		var s clientStatus
		d.c.must(&s, "getConnectorStatus", name)
		ok := s.Name == name && s.Connector["state"] == state && len(s.Tasks) == tasks
		for _, t := range s.Tasks {
			ok = ok && t.State == state
		}
		if !ok {
			return fmt.Errorf("it is %+v", s)
		}
		return nil
	})
}

func (d *clientDrive) read() {
	d.t.Helper()
	both := []string{d.in, d.out}
	slices.Sort(both)
	var names []string
	d.c.must(&names, "getConnectors")
	slices.Sort(names)
	require.Equal(d.t, both, names)
	var statuses struct{ MappedStatuses map[string]clientStatus }
	d.c.must(&statuses, "getConnectorsWithExpandedStatus")
	require.Equal(d.t, "RUNNING", statuses.MappedStatuses[d.in].Connector["state"])
	var infos struct{ MappedDefinitions map[string]definition }
	d.c.must(&infos, "getConnectorsWithExpandedInfo")
	require.Equal(d.t, "sink", infos.MappedDefinitions[d.out].Type)
	var all struct {
		ConnectorNames    []string
		MappedStatuses    map[string]clientStatus
		MappedDefinitions map[string]definition
	}
	d.c.must(&all, "getConnectorsWithAllExpandedMetadata")
	require.ElementsMatch(d.t, both, all.ConnectorNames)
	require.Equal(d.t, infos.MappedDefinitions, all.MappedDefinitions)
	require.Len(d.t, all.MappedStatuses[d.out].Tasks, 2)

	want := with(d.sourceConfig(d.input(0), following()), config{"name": d.in})
	var one definition
	d.c.must(&one, "getConnector", d.in)
	require.Equal(d.t, infos.MappedDefinitions[d.in], one)
	require.Equal(d.t, map[string]string(want), one.Config)
	require.Len(d.t, one.Tasks, 1)
	require.Equal(d.t, d.in, one.Tasks[0].Connector)
	var kept config
	d.c.must(&kept, "getConnectorConfig", d.in)
	require.Equal(d.t, want, kept)
	var tasks []struct {
		ID struct {
			Connector string
			Task      int
		}
		Config map[string]string
	}
	d.c.must(&tasks, "getConnectorTasks", d.out)
	require.Len(d.t, tasks, 2)
	require.Equal(d.t, d.out, tasks[1].ID.Connector)
	require.Equal(d.t, 1, tasks[1].ID.Task)
	require.NotEmpty(d.t, tasks[1].Config)
	var task struct {
		ID              int
		State, WorkerID string
	}
	d.c.must(&task, "getConnectorTaskStatus", d.out, 1)
	require.Equal(d.t, 1, task.ID)
	require.Equal(d.t, "RUNNING", task.State)
	require.Equal(d.t, "w1", task.WorkerID)
	require.Equal(d.t, []string{d.topic.name}, d.topics(d.in))
	require.Equal(d.t, []string{d.topic.name}, d.topics(d.out))
}

func (d *clientDrive) topics(connector string) []string {
	d.t.Helper()
	var used struct {
		Name   string
		Topics []string
	}
	d.c.must(&used, "getConnectorTopics", connector)
	require.Equal(d.t, connector, used.Name)
	return used.Topics
}

// steer pauses, resumes and restarts, and sees records through again.
func (d *clientDrive) steer() {
	d.t.Helper()
	d.c.does("pauseConnector", d.in)
	d.awaitTasksOf(d.in, "PAUSED", 1)
	await(d.t, "the topics are forgotten", func() error { // the queues that a task has open until it has ended count
		d.c.does("resetConnectorTopics", d.in)
		if len(d.topics(d.in)) > 0 {
			return errors.New("there are some")
		}
		return nil
	})
	d.c.does("resumeConnector", d.in)
	d.awaitTasksOf(d.in, "RUNNING", 1)
	d.c.does("restartConnector", d.in)
	d.c.does("restartConnector", map[string]any{"name": d.out, "includeTasks": true, "onlyFailed": false})
	d.c.does("restartConnector", map[string]any{"name": d.out, "includeTasks": true, "onlyFailed": true}) // nothing has failed
	d.c.does("restartConnectorTask", d.in, 0)
	d.awaitTasksOf(d.in, "RUNNING", 1)
	d.awaitTasksOf(d.out, "RUNNING", 2)

	f, err := os.OpenFile(d.input(0), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(d.t, err)
	for id := range int64(100) {
		_, err := io.WriteString(f, line(0, 100+id))
		require.NoError(d.t, err)
	}
	require.NoError(d.t, f.Close())
	d.awaitLines(200)
	await(d.t, "the topic is back", func() error {
		if !slices.Equal(d.topics(d.in), []string{d.topic.name}) {
			return errors.New("it is not")
		}
		return nil
	})
}

// missing asks all that there is to ask of a connector for one that there is not.
func (d *clientDrive) missing() {
	d.t.Helper()
	const absent = "absent/50%"
	for _, method := range []string{"getConnector", "getConnectorConfig", "getConnectorStatus", "getConnectorTasks", "restartConnector", "pauseConnector",
		"resumeConnector", "deleteConnector"} {
		d.c.refused("ResourceNotFoundException", 404, absent, method, absent)
	}
	d.c.does("resetConnectorTopics", absent) // these two ask for no connector in Kafka Connect either
	require.Empty(d.t, d.topics(absent))
	d.c.refused("ResourceNotFoundException", 404, absent, "restartConnector", map[string]any{"name": absent, "includeTasks": true, "onlyFailed": false})
	for _, method := range []string{"getConnectorTaskStatus", "restartConnectorTask"} {
		d.c.refused("ResourceNotFoundException", 404, absent, method, absent, 0)
		d.c.refused("ResourceNotFoundException", 404, "7", method, d.in, 7)
	}
}

func (d *clientDrive) remove() {
	d.t.Helper()
	for _, name := range []string{d.in, d.out} {
		d.c.does("deleteConnector", name)
		d.c.refused("ResourceNotFoundException", 404, name, "getConnectorConfig", name)
	}
	var names []string
	d.c.must(&names, "getConnectors")
	require.Empty(d.t, names)
}
