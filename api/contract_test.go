package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/api"
	"github.com/gantry-connect/gantry/catalog"
)

// golden compares an answer with a kept file, so that a change of a shape shows in a diff.
func (s *server) golden(t *testing.T, method, path, body string, status int, name string) {
	t.Helper()
	got, header, text := s.call(t, method, path, body)
	require.Equal(t, status, got, "%s %s: %s", method, path, text)
	require.Equal(t, "application/json", header.Get("Content-Type"))
	var doc any
	require.NoError(t, json.Unmarshal([]byte(text), &doc))
	pretty, err := json.MarshalIndent(doc, "", "  ")
	require.NoError(t, err)
	file := filepath.Join("testdata", "rest", name+".json")
	if *update {
		require.NoError(t, os.WriteFile(file, append(pretty, '\n'), 0o644))
	}
	kept, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(kept), string(pretty)+"\n", "%s has changed: go test ./api -update", file)
}

// refused expects an error in Kafka Connect's shape.
func (s *server) refused(t *testing.T, method, path, body string, status int, message string) {
	t.Helper()
	want, err := json.Marshal(map[string]any{"error_code": status, "message": message})
	require.NoError(t, err)
	s.want(t, method, path, body, status, string(want))
}

func (s *server) create(t *testing.T, name, config string) catalog.Connector {
	t.Helper()
	body, err := json.Marshal(map[string]any{"name": name, "config": json.RawMessage(config)})
	require.NoError(t, err)
	status, _, text := s.call(t, "POST", "/connectors", string(body))
	require.Equal(t, 201, status, text)
	c, err := s.catalog.Connector(t.Context(), name)
	require.NoError(t, err)
	return c
}

// run makes a connector look as if its workflow had planned it.
func (s *server) run(t *testing.T, c catalog.Connector, tasks ...catalog.PlannedTask) {
	t.Helper()
	_, err := s.catalog.SavePlan(t.Context(), c.UID, c.Revision, tasks)
	require.NoError(t, err)
	require.NoError(t, s.catalog.SetConnectorStatus(t.Context(), c.UID, catalog.ConnectorStatus{State: "RUNNING", Worker: "w1"}))
	for _, task := range tasks {
		require.NoError(t, s.catalog.ReportStatus(t.Context(), []catalog.TaskStatus{{UID: c.UID, Task: task.Number, State: "RUNNING", Worker: "w1", LagRecords: -1, LagBytes: -1}}))
	}
}

const sink = `{"connector.class":"TestSink","topics":"t","url":"u"}`

// Every shape of the routes that Kafka Connect has, as its clients parse it.
func TestShapes(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.create(t, "in", source)
	s.run(t, c, catalog.PlannedTask{Number: 0, Hash: "h", Config: map[string]string{"file": "/tmp/x"}}, catalog.PlannedTask{Number: 1, Hash: "i", Config: map[string]string{}})
	require.NoError(t, s.catalog.ReportStatus(t.Context(), []catalog.TaskStatus{{UID: c.UID, Task: 1, State: "FAILED", Worker: "w2", Trace: "no such file", LagRecords: -1, LagBytes: -1}}))
	require.NoError(t, s.catalog.NoteTopics(t.Context(), c.UID, []string{"t", "a"}))
	s.golden(t, "GET", "/", "", 200, "root")
	s.golden(t, "GET", "/health", "", 200, "health")
	s.golden(t, "GET", "/connectors", "", 200, "connectors")
	s.golden(t, "GET", "/connectors?expand=status&expand=info", "", 200, "connectors-expanded")
	s.golden(t, "GET", "/connectors/in", "", 200, "connector")
	s.golden(t, "GET", "/connectors/in/config", "", 200, "config")
	s.golden(t, "GET", "/connectors/in/status", "", 200, "status")
	s.golden(t, "GET", "/connectors/in/tasks", "", 200, "tasks")
	s.golden(t, "GET", "/connectors/in/tasks/1/status", "", 200, "task-status")
	s.golden(t, "GET", "/connectors/in/topics", "", 200, "topics")
	s.golden(t, "GET", "/connectors/in/offsets", "", 200, "offsets-none")
	s.golden(t, "POST", "/connectors/in/restart?includeTasks=true&onlyFailed=true", "", 202, "restart-failed")
	s.golden(t, "POST", "/connectors/in/restart?includeTasks=true", "", 202, "restart-all")
	s.golden(t, "POST", "/connectors/in/restart?onlyFailed=true", "", 202, "restart-connector-if-failed")
	s.golden(t, "GET", "/connector-plugins", "", 200, "plugins-connectors")
	s.golden(t, "GET", "/connector-plugins?connectorsOnly=false", "", 200, "plugins-all")
	s.golden(t, "GET", "/connector-plugins/TestSource/config", "", 200, "plugin-source")
	s.golden(t, "GET", "/connector-plugins/TestSink/config?version=1.2.3", "", 200, "plugin-sink")
	s.golden(t, "GET", "/connector-plugins/org.apache.kafka.connect.json.JsonConverter/config?version=latest", "", 200, "plugin-converter")
	s.golden(t, "PUT", "/connector-plugins/TestSource/config/validate", `{"name":"x","connector.class":"TestSource","topic":"t","file":"f"}`, 200, "validate-right")
	s.golden(t, "PUT", "/connector-plugins/TestSource/config/validate",
		`{"connector.class":"TestSource","topic":"t","mode":"medium","what":"1","tasks.max":0,"file":null}`, 200, "validate-wrong")
	s.golden(t, "GET", "/admin/loggers", "", 200, "loggers")
	s.golden(t, "GET", "/admin/loggers/root", "", 200, "logger")
	s.golden(t, "GET", "/nope", "", 404, "error")
}

// A server that starts says so, and answers everything else in a way that clients repeat.
func TestAServerThatStarts(t *testing.T) {
	t.Parallel()
	var gate api.Gate
	s := &server{Server: httptest.NewServer(&gate)}
	t.Cleanup(s.Close)
	s.want(t, "GET", "/health", "", 503, `{"status":"starting","message":"Gantry is starting."}`)
	s.refused(t, "GET", "/connectors", "", 503, "The server is starting; try again in a moment.")
	gate.Open(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	s.want(t, "GET", "/health", "", 204, "")
}

func TestASlashBehindAPathChangesNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.create(t, "c", source)
	s.run(t, c, catalog.PlannedTask{Number: 0, Hash: "h"})
	for _, path := range []string{"/connectors", "/connectors/c", "/connectors/c/config", "/connectors/c/status", "/connectors/c/tasks",
		"/connectors/c/tasks/0/status", "/connectors/c/topics", "/connectors/c/offsets", "/connector-plugins", "/connector-plugins/TestSource/config",
		"/admin/loggers", "/admin/loggers/root", "/health"} {
		status, _, with := s.call(t, "GET", path+"/", "")
		require.Equal(t, 200, status, path)
		_, _, without := s.call(t, "GET", path, "")
		require.JSONEq(t, without, with, path)
	}
}

// Whatever name can be created can be read, changed and deleted again under the Location that the creation answered.
func TestEveryNameThatCanBeCreatedCanBeReadAndDeleted(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, name := range []string{"a/b", `a\b`, "50%", "%2F", "a/", "/a", "a//b", "{y}", "a b", "naïve", "日本", "a?b#c", "a+b", "a;b", "a&b=c", "..a", "a:b", "*", "a,b", `"`, "v1"} {
		t.Run(name, func(t *testing.T) {
			body, err := json.Marshal(map[string]any{"name": name, "config": json.RawMessage(source)})
			require.NoError(t, err)
			status, header, text := s.call(t, "POST", "/connectors", string(body))
			require.Equal(t, 201, status, text)
			location := header.Get("Location")
			require.Equal(t, "/connectors/"+url.PathEscape(name), location)
			var info struct{ Name string }
			status, _, text = s.call(t, "GET", location, "")
			require.Equal(t, 200, status, text)
			require.NoError(t, json.Unmarshal([]byte(text), &info))
			require.Equal(t, name, info.Name)
			status, _, text = s.call(t, "GET", location+"/status/", "")
			require.Equal(t, 200, status, text)
			status, _, text = s.call(t, "PUT", location+"/config", source)
			require.Equal(t, 200, status, text)
			status, _, text = s.call(t, "PUT", location+"/pause", "")
			require.Equal(t, 202, status, text)
			status, _, text = s.call(t, "DELETE", location, "")
			require.Equal(t, 204, status, text)
			status, _, _ = s.call(t, "GET", location, "")
			require.Equal(t, 404, status)
		})
	}
}

func TestPatchConfigChangesSingleKeys(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.create(t, "c", `{"connector.class":"TestSource","topic":"t","file":"f","mode":"slow"}`)
	s.want(t, "PATCH", "/connectors/c/config", `{"mode":null,"tasks.max":3}`, 200,
		`{"name":"c","type":"source","tasks":[],"config":{"name":"c","connector.class":"TestSource","topic":"t","file":"f","tasks.max":"3"}}`)
	s.want(t, "PATCH", "/connectors/c/config", `{"name":"c"}`, 200,
		`{"name":"c","type":"source","tasks":[],"config":{"name":"c","connector.class":"TestSource","topic":"t","file":"f","tasks.max":"3"}}`)
	s.refused(t, "PATCH", "/connectors/c/config", `{"name":"d"}`, 400, "Connector name configuration (d) doesn't match connector name in the URL (c)")
	status, _, text := s.call(t, "PATCH", "/connectors/c/config", `{"file":null}`)
	require.Equal(t, 400, status, "what comes out is checked as a whole")
	require.Contains(t, text, "file: is required")
	s.refused(t, "PATCH", "/connectors/d/config", `{"mode":"slow"}`, 404, "Connector d not found")
	s.want(t, "GET", "/connectors/c/config", "", 200, `{"name":"c","connector.class":"TestSource","topic":"t","file":"f","tasks.max":"3"}`)

	// Patches at the same time all take effect.
	keys := []string{"topic.queues", "batch.max.records", "checkpoint.interval.ms", "errors.retry.delay.max.ms", "batch.max.bytes"}
	done := make(chan error, len(keys))
	for _, key := range keys {
		go func() {
			req, err := http.NewRequest("PATCH", s.URL+"/connectors/c/config", strings.NewReader(`{"`+key+`":"1024"}`))
			if err == nil {
				req.Header.Set("Content-Type", "application/json")
				var res *http.Response
				if res, err = s.Client().Do(req); err == nil {
					err = res.Body.Close()
				}
			}
			done <- err
		}()
	}
	for range keys {
		require.NoError(t, <-done)
	}
	c, err := s.catalog.Connector(t.Context(), "c")
	require.NoError(t, err)
	for _, key := range keys {
		require.Equal(t, "1024", c.Config[key], key)
	}
}

func TestInitialStates(t *testing.T) {
	t.Parallel()
	s := start(t)
	for given, state := range map[string]string{"RUNNING": "UNASSIGNED", "paused": "PAUSED", "Stopped": "STOPPED"} {
		status, _, text := s.call(t, "POST", "/connectors", `{"name":"`+given+`","initial_state":"`+given+`","config":`+source+`}`)
		require.Equal(t, 201, status, text)
		_, _, text = s.call(t, "GET", "/connectors/"+given+"/status", "")
		require.Contains(t, text, `"state":"`+state+`"`)
		_, _, text = s.call(t, "PUT", "/connectors/"+given+"/config", `{"connector.class":"TestSource","topic":"t2","file":"f"}`)
		require.Contains(t, text, "t2")
		_, _, text = s.call(t, "GET", "/connectors/"+given+"/status", "")
		require.Contains(t, text, `"state":"`+state+`"`, "a new config changes no state")
	}
}

// Clients differ in what they send beside what is asked for.
func TestClientsAreTakenAsTheyCome(t *testing.T) {
	t.Parallel()
	s := start(t)
	send := func(method, path, body string, header ...string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
		require.NoError(t, err)
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		res, err := s.Client().Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode
	}
	const js = "application/json"
	body := func(name string) string {
		return `{"name":"` + name + `","config":` + source + `,"initial_state":null}`
	}
	require.Equal(t, 201, send("POST", "/connectors", body("a"), "Content-Type", js, "Accept", js), "nulls stand for what is not given")
	require.Equal(t, 201, send("POST", "/connectors/?forward=false", body("b"), "Content-Type", js+"; charset=utf-8", "Accept", "text/html, */*"))
	require.Equal(t, 201, send("POST", "/connectors", `{"name":null,"config":{"name":"c","connector.class":"TestSource","topic":"t","file":"f","tasks.max":1}}`, "Content-Type", js))
	require.Equal(t, 201, send("POST", "/connectors", body("d")), "a body without a type is taken for JSON")
	require.Equal(t, 202, send("PUT", "/connectors/a/pause", "{}", "Content-Type", js), "a body that is not asked for is ignored")
	require.Equal(t, 202, send("PUT", "/connectors/a/resume", "", "Content-Type", "application/x-www-form-urlencoded"))
	require.Equal(t, 200, send("GET", "/connectors?expand=info&expand=status&expand=x&what=ever", "", "Accept", "application/vnd.other"))
	require.Equal(t, 200, send("HEAD", "/connectors", ""))
	require.Equal(t, 200, send("PUT", "/connectors/a/config", source, "Content-Type", "Application/JSON; charset=UTF-8"), "media types have no case")
	require.Equal(t, 200, send("PUT", "/connectors/a/config", "\uFEFF"+source, "Content-Type", js), "editors put a byte order mark before UTF-8")
	require.Equal(t, 415, send("PUT", "/connectors/a/config", source, "Content-Type", "application/x-www-form-urlencoded"), "as Kafka Connect says")
}

// curl says application/x-www-form-urlencoded by itself, so the refusal says what to say instead.
func TestABodyThatDoesNotSayItIsJSON(t *testing.T) {
	t.Parallel()
	s := start(t)
	for path, want := range map[string]string{
		"/connectors/c/config":    `{"error_code":415,"message":"The body must be JSON and say so: send the header Content-Type: application/json"}`,
		"/v1/connectors/c/config": `"detail":"The body must be JSON and say so: send the header Content-Type: application/json"`,
	} {
		req, err := http.NewRequestWithContext(t.Context(), "PUT", s.URL+path, strings.NewReader(source))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := s.Client().Do(req)
		require.NoError(t, err)
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, 415, res.StatusCode)
		require.Contains(t, string(text), want)
	}
}

// A stopped connector has no tasks, and a paused one that was stopped before has none either until it runs again.
func TestTasksOfConnectorsThatRest(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.create(t, "c", source)
	s.run(t, c, catalog.PlannedTask{Number: 0, Hash: "h"})
	tasks := func(want int) {
		t.Helper()
		_, _, text := s.call(t, "GET", "/connectors/c/status", "")
		var st struct{ Tasks []struct{ State string } }
		require.NoError(t, json.Unmarshal([]byte(text), &st))
		require.Len(t, st.Tasks, want, text)
	}
	for _, step := range []struct {
		verb  string
		code  int
		tasks int
	}{{"pause", 202, 1}, {"resume", 202, 1}, {"stop", 204, 0}, {"pause", 202, 0}, {"pause", 202, 0}, {"stop", 204, 0}, {"resume", 202, 1}, {"pause", 202, 1}, {"stop", 204, 0}, {"resume", 202, 1}} {
		s.want(t, "PUT", "/connectors/c/"+step.verb, "", step.code, "")
		tasks(step.tasks)
	}
}

func TestWhatIsUnknownIsSaidInKafkaConnectsWords(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.create(t, "c", source)
	for _, tt := range []struct{ method, path, body, message string }{
		{"GET", "/connectors/x", "", "Connector x not found"},
		{"GET", "/connectors/x/config", "", "Connector x not found"},
		{"GET", "/connectors/x/status", "", "No status found for connector x"},
		{"GET", "/connectors/x/tasks", "", "Connector x not found"},
		{"GET", "/connectors/x/tasks/0/status", "", "No status found for task x-0"},
		{"GET", "/connectors/c/tasks/7/status", "", "No status found for task c-7"},
		{"GET", "/connectors/x/offsets", "", "Connector x not found"},
		{"PATCH", "/connectors/x/offsets", `{"offsets":[{"partition":{"a":1},"offset":null}]}`, "Connector x not found"},
		{"DELETE", "/connectors/x/offsets", "", "Connector x not found"},
		{"DELETE", "/connectors/x", "", "Connector x not found"},
		{"PUT", "/connectors/x/pause", "", "Unknown connector x"},
		{"PUT", "/connectors/x/resume", "", "Unknown connector x"},
		{"PUT", "/connectors/x/stop", "", "Unknown connector x"},
		{"POST", "/connectors/x/restart", "", "Unknown connector: x"},
		{"POST", "/connectors/x/restart?includeTasks=true", "", "Unknown connector: x"},
		{"POST", "/connectors/x/tasks/0/restart", "", "Unknown connector: x"},
		{"POST", "/connectors/c/tasks/7/restart", "", "Unknown task: c-7"},
		{"GET", "/connector-plugins/Nope/config", "", "Unknown plugin Nope."},
		{"GET", "/admin/loggers/nobody", "", "Logger nobody not found."},
		{"PUT", "/admin/loggers/root", `{"level":"LOUD"}`, "invalid log level 'LOUD'."},
		{"GET", "/nope", "", "HTTP 404 Not Found"},
		{"GET", "/connectors/c/nope", "", "HTTP 404 Not Found"},
		{"PUT", "/connectors/c/fence", "", "HTTP 404 Not Found"},
	} {
		s.refused(t, tt.method, tt.path, tt.body, 404, tt.message)
	}
	for _, tt := range []struct{ method, path string }{{"PATCH", "/connectors"}, {"DELETE", "/connectors"}, {"POST", "/connectors/c/pause"}, {"POST", "/connectors/c/tasks"}, {"PUT", "/"}, {"POST", "/health"}} {
		s.refused(t, tt.method, tt.path, "", 405, "HTTP 405 Method Not Allowed")
	}
}

func TestBodiesThatAreNotWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.create(t, "c", source)
	for _, tt := range []struct{ name, method, path, body, says string }{
		{"not JSON", "PUT", "/connectors/c/config", `{"a"`, "unexpected end of JSON"},
		{"not UTF-8", "POST", "/connectors", "{\"name\":\"\xfc\"}", "not UTF-8"},
		{"no object", "PUT", "/connectors/c/config", `[1]`, "expected object"},
		{"nothing", "PUT", "/connectors/c/config", ``, "request body is required"},
		{"nested", "PATCH", "/connectors/c/config", `{"a":{}}`, `config key "a"`},
		{"unknown field", "POST", "/connectors", `{"name":"x","configs":{}}`, "unexpected property"},
		{"offsets without a list", "PATCH", "/connectors/c/offsets", `{}`, "Partitions / offsets need to be provided for an alter offsets request"},
		{"offsets with an empty list", "PATCH", "/connectors/c/offsets", `{"offsets":[]}`, "Partitions / offsets need to be provided for an alter offsets request"},
		{"offsets with null", "PATCH", "/connectors/c/offsets", `{"offsets":null}`, "Partitions / offsets need to be provided for an alter offsets request"},
		{"offsets with an unknown field", "PATCH", "/connectors/c/offsets", `{"offset":[]}`, "unexpected property"},
		{"partition that is no object", "PATCH", "/connectors/c/offsets", `{"offsets":[{"partition":1}]}`, "expected object"},
		{"no class", "PUT", "/connector-plugins/TestSource/config/validate", `{"file":"f"}`, "connector.class is missing from the config"},
		{"unknown class", "PUT", "/connector-plugins/Nope/config/validate", `{"connector.class":"Nope"}`, "known are TestSource, TestSink"},
		{"another class", "PUT", "/connector-plugins/TestSink/config/validate", `{"connector.class":"TestSource"}`, "Included connector type TestSource does not match request type TestSink"},
		{"version", "GET", "/connector-plugins/TestSink/config?version=9", ``, "has no version 9 here; it has 1.2.3 and latest"},
		{"no level", "PUT", "/admin/loggers/root", `{}`, "Desired 'level' parameter was not specified in request."},
		{"a bool that is none", "POST", "/connectors/c/restart?onlyFailed=perhaps", ``, "onlyFailed"},
		{"a task that is no number", "GET", "/connectors/c/tasks/x/status", ``, "task"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, header, text := s.call(t, tt.method, tt.path, tt.body)
			require.Equal(t, 400, status, text)
			require.Equal(t, "application/json", header.Get("Content-Type"))
			var e struct {
				Code    int    `json:"error_code"`
				Message string `json:"message"`
			}
			require.NoError(t, json.Unmarshal([]byte(text), &e))
			require.Equal(t, 400, e.Code)
			require.Contains(t, e.Message, tt.says)
		})
	}
}
