package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/api"
	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/catalog/catalogtest"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/control"
)

// plugins are connectors that only need to be asked for: their config is what the API works with.
var plugins = connector.Plugins{
	connector.NewSource(connector.SourceSpec[struct {
		File     string           `config:"file" required:"true" doc:"What to read."`
		Mode     string           `config:"mode" default:"fast" enum:"fast,slow" doc:"How."`
		Password connector.Secret `config:"password" doc:"For the file."`
	}]{Class: "TestSource", Version: "1.2.3", Doc: "Reads.", CheckOffset: func(p connector.Partition, _ connector.Offset) error {
		if strings.Contains(string(p), `"bad"`) {
			return errors.New("this source has no bad partitions")
		}
		return nil
	}}),
	connector.NewSink(connector.SinkSpec[struct {
		URL string `config:"url" required:"true" doc:"Where to write."`
	}]{Class: "TestSink", Version: "1.2.3", Doc: "Writes."}),
}

// told counts what the workflows were told.
type told struct {
	mu    sync.Mutex
	names []string
	down  chan struct{} // nil: up; else nobody answers until it is closed
}

func (n *told) Reconcile(ctx context.Context, name string) error {
	if n.down != nil {
		select {
		case <-n.down:
			return errors.New("temporal was down")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.names = append(n.names, name)
	return nil
}

func (n *told) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.names...)
}

type server struct {
	*httptest.Server
	catalog *catalog.Catalog
	told    *told
	failing atomic.Bool // see moody
}

func start(t *testing.T) *server {
	t.Helper()
	s := &server{catalog: catalogtest.New(t), told: &told{}}
	service := control.New(control.Options{Connectors: s.catalog, Progress: s.catalog, Notifier: s.told, Plugins: plugins,
		Environment: "env-1", Version: "0.1.0", Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(service.Close)
	s.Server = httptest.NewServer(api.New(service, slog.New(slog.DiscardHandler)))
	t.Cleanup(s.Close)
	s.judged(t)
	return s
}

// call returns status, headers and body of one request.
func (s *server) call(t *testing.T, method, path, body string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	res, err := s.Client().Do(req)
	require.NoError(t, err)
	defer res.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, res.Header, string(text)
}

// want makes a call and compares status and JSON body; an empty want is no body.
func (s *server) want(t *testing.T, method, path, body string, status int, want string) {
	t.Helper()
	got, _, text := s.call(t, method, path, body)
	require.Equal(t, status, got, "%s %s: %s", method, path, text)
	if want == "" {
		require.Empty(t, text, "%s %s", method, path)
		return
	}
	require.JSONEq(t, want, text, "%s %s", method, path)
}

const source = `{"connector.class":"TestSource","topic":"t","file":"/tmp/x"}`

func TestAConnectorsLife(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.want(t, "GET", "/connectors", "", 200, `[]`)
	status, header, body := s.call(t, "POST", "/connectors", `{"name":" a b ","config":{"connector.class":"TestSource","topic":"t","file":"/tmp/x","tasks.max":2}}`)
	require.Equal(t, 201, status, body)
	require.Equal(t, "/connectors/a%20b", header.Get("Location"))
	info := `{"name":"a b","type":"source","tasks":[],"config":{"name":"a b","connector.class":"TestSource","topic":"t","file":"/tmp/x","tasks.max":"2"}}`
	require.JSONEq(t, info, body)
	s.want(t, "GET", "/connectors/a%20b", "", 200, info)
	s.want(t, "GET", "/connectors/a%20b/", "", 200, info)
	s.want(t, "GET", "/connectors/", "", 200, `["a b"]`)
	s.want(t, "GET", "/connectors?expand=info", "", 200, `{"a b":{"info":`+info+`}}`)
	s.want(t, "GET", "/connectors?expand=nonsense", "", 200, `{"a b":{}}`)
	s.want(t, "GET", "/connectors?expand=status&expand=nonsense", "", 200,
		`{"a b":{"status":{"name":"a b","type":"source","tasks":[],"connector":{"state":"UNASSIGNED","worker_id":"","version":"1.2.3"}}}}`)
	s.want(t, "POST", "/connectors", `{"name":"a b","config":`+source+`}`, 409, `{"error_code":409,"message":"Connector a b already exists"}`)
	s.want(t, "PUT", "/connectors/a%20b/pause", "", 202, "")
	s.want(t, "GET", "/connectors/a%20b/status", "", 200,
		`{"name":"a b","type":"source","tasks":[],"connector":{"state":"PAUSED","worker_id":"","version":"1.2.3"}}`)
	s.want(t, "PUT", "/connectors/a%20b/resume", "", 202, "")
	s.want(t, "PUT", "/connectors/a%20b/stop", "", 204, "")
	s.want(t, "GET", "/connectors/a%20b/tasks", "", 200, `[]`)
	s.want(t, "GET", "/connectors/a%20b/offsets", "", 200, `{"offsets":[]}`)
	s.want(t, "POST", "/connectors/a%20b/restart", "", 204, "")
	status, _, body = s.call(t, "POST", "/connectors/a%20b/restart?includeTasks=true", "")
	require.Equal(t, 202, status, body)
	s.want(t, "DELETE", "/connectors/a%20b", "", 204, "")
	s.want(t, "GET", "/connectors/a%20b", "", 404, `{"error_code":404,"message":"Connector a b not found"}`)
	s.want(t, "GET", "/connectors/a%20b/status", "", 404, `{"error_code":404,"message":"No status found for connector a b"}`)
	s.want(t, "GET", "/connectors", "", 200, `[]`)
	require.Equal(t, []string{"a b", "a b", "a b", "a b", "a b", "a b", "a b"}, s.told.all(), "every change is told to the workflow")
}

func TestPutConfigCreatesAndChanges(t *testing.T) {
	t.Parallel()
	s := start(t)
	status, header, body := s.call(t, "PUT", "/connectors/c/config", source)
	require.Equal(t, 201, status, body)
	require.Equal(t, "/connectors/c", header.Get("Location"))
	status, header, body = s.call(t, "PUT", "/connectors/c/config", `{"connector.class":"TestSource","topic":"t2","file":"/tmp/x"}`)
	require.Equal(t, 200, status, body)
	require.Empty(t, header.Get("Location"))
	s.want(t, "GET", "/connectors/c/config", "", 200, `{"name":"c","connector.class":"TestSource","topic":"t2","file":"/tmp/x"}`)
	s.want(t, "PUT", "/connectors/c/config", `{"connector.class":"TestSource","topic":"t","file":"/tmp/x","name":"d"}`, 400,
		`{"error_code":400,"message":"Connector name configuration (d) doesn't match connector name in the URL (c)"}`)
	status, _, body = s.call(t, "PUT", "/connectors/c/config", `{"connector.class":"TestSink","topics":"t","url":"u"}`)
	require.Equal(t, 400, status, body)
	require.Contains(t, body, "delete it and create it again")
}

// A request that cannot work is answered with the key, the value and what to do; nothing is created.
func TestBadRequestsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, tt := range []struct{ name, body, says string }{
		{"not JSON", `{"name":`, "unexpected end of JSON"},
		{"null value", `{"name":"x","config":{"file":null}}`, "Null value can not be supplied as the configuration value."},
		{"a converter's option", `{"name":"x","config":{"connector.class":"TestSource","topic":"t","file":"f","value.converter.schemas.enable":"perhaps"}}`, "following 1 error(s)"},
		{"nested value", `{"name":"x","config":{"file":{}}}`, `config key \"file\"`},
		{"no name", `{"config":` + source + `}`, "name: is required"},
		{"blank name", `{"name":"  ","config":` + source + `}`, "name: is required"},
		{"a name that could not be read again", `{"name":"..","config":` + source + `}`, "cannot be a part of a URL"},
		{"a name with a control character", `{"name":"a\u0007b","config":` + source + `}`, "without control characters"},
		{"no class", `{"name":"x","config":{}}`, "connector.class: is required"},
		{"unknown class", `{"name":"x","config":{"connector.class":"Nope"}}`, "known are TestSource, TestSink"},
		{"missing keys", `{"name":"x","config":{"connector.class":"TestSource"}}`, "2 error(s):\\ntopic: is required and has no default\\nfile: is required"},
		{"wrong enum", `{"name":"x","config":{"connector.class":"TestSource","topic":"t","file":"f","mode":"medium"}}`, `mode = \"medium\": must be one of fast, slow`},
		{"wrong number", `{"name":"x","config":{"connector.class":"TestSource","topic":"t","file":"f","tasks.max":"many"}}`, `tasks.max = \"many\": must be a whole number`},
		{"misspelt key", `{"name":"x","config":{"connector.class":"TestSource","topic":"t","file":"f","task.max":"1"}}`, `did you mean \"tasks.max\"?`},
		{"open password", `{"name":"x","config":{"connector.class":"TestSource","topic":"t","file":"f","password":"hunter2"}}`, "holds a secret in clear"},
		{"password in URL", `{"name":"x","config":{"connector.class":"TestSink","topics":"t","url":"postgres://u:hunter2@h/d"}}`, "holds a password in clear"},
		{"unknown converter", `{"name":"x","config":{"connector.class":"TestSink","topics":"t","url":"u","value.converter":"avro"}}`, `value.converter = \"avro\"`},
		{"unknown converter option", `{"name":"x","config":{"connector.class":"TestSink","topics":"t","url":"u","value.converter.schema.enable":"true"}}`, "value.converter.schema.enable"},
		{"initial state", `{"name":"x","initial_state":"asleep","config":` + source + `}`, "must be RUNNING, PAUSED or STOPPED"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, _, body := s.call(t, "POST", "/connectors", tt.body)
			require.Equal(t, 400, status, body)
			require.Contains(t, body, tt.says)
			require.NotContains(t, body, "hunter2", "secrets are never repeated")
			var e api.Error
			require.NoError(t, json.Unmarshal([]byte(body), &e))
			require.Equal(t, 400, e.Code)
		})
	}
	s.want(t, "GET", "/connectors", "", 200, `[]`)
	require.Empty(t, s.told.all())
}

func TestAReferenceIsAcceptedForASecret(t *testing.T) {
	t.Parallel()
	s := start(t)
	config := `{"name":"x","connector.class":"TestSource","topic":"t","file":"${file:/etc/x:path}","password":"${env:PASSWORD}"}`
	status, _, body := s.call(t, "PUT", "/connectors/x/config", config)
	require.Equal(t, 201, status, body)
	s.want(t, "GET", "/connectors/x/config", "", 200, config)
}

func TestOfConcurrentCreatesOneWins(t *testing.T) {
	t.Parallel()
	s := start(t)
	const n = 10
	codes := make(chan int, n)
	for range n {
		go func() {
			res, err := http.Post(s.URL+"/connectors", "application/json", strings.NewReader(`{"name":"x","config":`+source+`}`))
			if err != nil {
				codes <- -1
				return
			}
			codes <- res.StatusCode
			_ = res.Body.Close()
		}()
	}
	count := map[int]int{}
	for range n {
		count[<-codes]++
	}
	require.Equal(t, map[int]int{201: 1, 409: n - 1}, count)
}

func TestAChangeIsTakenWhileTemporalIsDown(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.told.down = make(chan struct{})
	t.Cleanup(func() { close(s.told.down) }) // before the service's Close, which waits
	status, _, body := s.call(t, "PUT", "/connectors/x/config", source)
	require.Equal(t, 201, status, body)
	s.want(t, "PUT", "/connectors/x/stop", "", 204, "")
	s.want(t, "GET", "/connectors/x/status", "", 200,
		`{"name":"x","type":"source","tasks":[],"connector":{"state":"STOPPED","worker_id":"","version":"1.2.3"}}`)
}

func TestTasksAndTheirStatus(t *testing.T) {
	t.Parallel()
	s := start(t)
	status, _, body := s.call(t, "PUT", "/connectors/x/config", source)
	require.Equal(t, 201, status, body)
	c, err := s.catalog.Connector(t.Context(), "x")
	require.NoError(t, err)
	_, err = s.catalog.SavePlan(t.Context(), c.UID, c.Revision, []catalog.PlannedTask{{Number: 0, Hash: "h", Config: map[string]string{"file": "f"}}, {Number: 1, Hash: "i", Config: map[string]string{}}})
	require.NoError(t, err)
	require.NoError(t, s.catalog.ReportStatus(t.Context(), []catalog.TaskStatus{{UID: c.UID, Task: 0, State: "FAILED", Worker: "w1", Trace: "no such file", LagRecords: -1, LagBytes: -1}}))
	require.NoError(t, s.catalog.SetConnectorStatus(t.Context(), c.UID, catalog.ConnectorStatus{State: "RUNNING", Worker: "w1"}))
	s.want(t, "GET", "/connectors/x/tasks", "", 200, `[{"id":{"connector":"x","task":0},"config":{"file":"f"}},{"id":{"connector":"x","task":1},"config":{}}]`)
	s.want(t, "GET", "/connectors/x/status", "", 200, `{"name":"x","type":"source","connector":{"state":"RUNNING","worker_id":"w1","version":"1.2.3"},
		"tasks":[{"id":0,"state":"FAILED","worker_id":"w1","trace":"no such file","version":"1.2.3"},{"id":1,"state":"UNASSIGNED","worker_id":"","version":"1.2.3"}]}`)
	s.want(t, "GET", "/connectors/x/tasks/1/status", "", 200, `{"id":1,"state":"UNASSIGNED","worker_id":"","version":"1.2.3"}`)
	s.want(t, "GET", "/connectors/x/tasks/7/status", "", 404, `{"error_code":404,"message":"No status found for task x-7"}`)
	s.want(t, "POST", "/connectors/x/tasks/0/restart", "", 204, "")
	s.want(t, "POST", "/connectors/x/tasks/7/restart", "", 404, `{"error_code":404,"message":"Unknown task: x-7"}`)
	s.want(t, "POST", "/connectors/nope/tasks/0/restart", "", 404, `{"error_code":404,"message":"Unknown connector: nope"}`)
	status, _, body = s.call(t, "POST", "/connectors/x/restart?includeTasks=true&onlyFailed=true", "")
	require.Equal(t, 202, status)
	require.Contains(t, body, `"state":"RESTARTING"`)
	s.want(t, "PUT", "/connectors/x/stop", "", 204, "")
	s.want(t, "GET", "/connectors/x/tasks", "", 200, `[]`)
}

func TestPluginsAndValidation(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.want(t, "GET", "/connector-plugins", "", 200, `[{"class":"TestSource","type":"source","version":"1.2.3"},{"class":"TestSink","type":"sink","version":"1.2.3"}]`)
	status, _, body := s.call(t, "GET", "/connector-plugins/TestSource/config", "")
	require.Equal(t, 200, status)
	require.Contains(t, body, `"name":"mode","type":"STRING","required":false,"default_value":"fast","importance":"LOW"`)
	s.want(t, "GET", "/connector-plugins/Nope/config", "", 404, `{"error_code":404,"message":"Unknown plugin Nope."}`)
	status, _, body = s.call(t, "PUT", "/connector-plugins/TestSourceConnector/config/validate", `{"connector.class":"org.example.TestSource","mode":"medium","what":"1"}`)
	require.Equal(t, 200, status, body)
	var v control.Validation
	require.NoError(t, json.Unmarshal([]byte(body), &v))
	errs := map[string][]string{}
	for _, c := range v.Configs {
		if len(c.Value.Errors) > 0 {
			errs[c.Value.Name] = c.Value.Errors
		}
	}
	require.Equal(t, map[string][]string{
		"name": {"name: is required and has no default"}, "topic": {"topic: is required and has no default"},
		"file": {"file: is required and has no default"}, "mode": {`mode = "medium": must be one of fast, slow`},
		"what": {"what: is not a key of this connector; remove it"}}, errs)
	require.Equal(t, 5, v.ErrorCount)
	s.want(t, "PUT", "/connector-plugins/TestSink/config/validate", `{"connector.class":"TestSource"}`, 400,
		`{"error_code":400,"message":"Included connector type TestSource does not match request type TestSink"}`)
	s.want(t, "PUT", "/connector-plugins/TestSink/config/validate", `{}`, 400, `{"error_code":400,"message":"connector.class is missing from the config"}`)
}

func TestWhatIsNotThereAndWhatIsNotAllowed(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.want(t, "GET", "/nope", "", 404, `{"error_code":404,"message":"HTTP 404 Not Found"}`)
	s.want(t, "PATCH", "/connectors", "", 405, `{"error_code":405,"message":"HTTP 405 Method Not Allowed"}`)
	s.want(t, "GET", "/", "", 200, `{"version":"4.3.1","commit":"0.1.0","kafka_cluster_id":"env-1"}`)
	s.want(t, "GET", "/health", "", 200, `{"status":"healthy","message":"Gantry is up and its catalog answers."}`)
	s.want(t, "GET", "/schemas/none", "", 404, `{"error_code":404,"message":"Schema none not found"}`)
	require.NoError(t, s.catalog.PutSchema(t.Context(), "abc", []byte(`{"type":"int32"}`)))
	s.want(t, "GET", "/schemas/abc", "", 200, `{"type":"int32"}`)
	for _, path := range []string{"/docs/", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/openapi.json", "/openapi.yaml"} {
		status, _, body := s.call(t, "GET", path, "")
		require.Equal(t, 200, status, path)
		require.NotContains(t, body[:min(len(body), 2000)], "https://unpkg.com", "works without internet")
	}
}

func TestAnUnreachableCatalogIsNotTheUsersFault(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.catalog.Close()
	status, _, body := s.call(t, "GET", "/connectors", "")
	require.Equal(t, 503, status, body)
	require.Contains(t, body, "nothing was lost")
	status, _, _ = s.call(t, "GET", "/health", "")
	require.Equal(t, 500, status)
}
