package api_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/api"
	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/catalog/catalogtest"
	"github.com/gantry-connect/gantry/control"
	"github.com/gantry-connect/gantry/probe"
)

// startV1 starts the API with every answer held against the OpenAPI document.
func startV1(t *testing.T) *server {
	t.Helper()
	return startV1Guarded(t, api.Guard{})
}

func startV1Guarded(t *testing.T, guard api.Guard) *server {
	t.Helper()
	s := &server{catalog: catalogtest.New(t), told: &told{}}
	service := control.New(control.Options{Connectors: moody{s.catalog, &s.failing}, Progress: s.catalog, Notifier: s.told, Plugins: plugins,
		Prober: replier{s.catalog}, Environment: "env-1", Version: "0.1.0", Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(service.Close)
	s.Server = httptest.NewServer(api.NewGuarded(service, slog.New(slog.DiscardHandler), guard))
	t.Cleanup(s.Close)
	s.judged(t)
	return s
}

// moody is a catalog of which a call fails on request.
type moody struct {
	*catalog.Catalog
	failing *atomic.Bool
}

func (m moody) Rebalance(ctx context.Context) (int, error) {
	if m.failing.Load() {
		return 0, errors.New("the catalog is away")
	}
	return m.Catalog.Rebalance(ctx)
}

// Connector is what it was a revision ago, on request, as if somebody changed it right after it was read.
func (m moody) Connector(ctx context.Context, name string) (catalog.Connector, error) {
	c, err := m.Catalog.Connector(ctx, name)
	if m.failing.Load() {
		c.Revision--
	}
	return c, err
}

// replier answers questions as a worker would, without looking anywhere.
type replier struct{ catalog *catalog.Catalog }

func (r replier) Probe(ctx context.Context, id, _, _ string) error {
	text, err := r.catalog.Question(ctx, id)
	if err != nil {
		return err
	}
	var q probe.Question
	if err := json.Unmarshal(text, &q); err != nil {
		return err
	}
	var a probe.Answer
	switch {
	case q.Kind == probe.KindCheck:
		a.Check = &probe.CheckResult{OK: true, WorkerID: "w1", CheckedAt: time.Now(), Findings: []probe.Finding{
			{Severity: probe.SeverityOK, Code: "file", Subject: q.Config["file"], Message: "It is there."}}}
	case q.Topic == "missing":
		a = probe.Answer{Missing: true, Problem: "no such topic"}
	default:
		a.Preview = &probe.Preview{WorkerID: "w1", Items: []probe.PreviewItem{{Partition: json.RawMessage(`{"file":"x"}`), Offset: 7,
			Record: &probe.PreviewRecord{Operation: "insert", Topic: q.Topic, After: json.RawMessage(`{"a":1}`)},
			Steps:  []probe.PreviewStep{{Transform: "drop", Kept: false}}}}}
	}
	reply, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return r.catalog.Reply(ctx, id, reply)
}

// request is one call with headers of its own.
func (s *server) request(t *testing.T, method, path, body string, header ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := s.Client().Do(req)
	require.NoError(t, err)
	defer res.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, res.Header, string(text)
}

// ask makes a call that must be answered with status, and reads the body.
func ask[T any](t *testing.T, s *server, method, path, body string, status int, header ...string) (T, http.Header) {
	t.Helper()
	var out T
	got, h, text := s.request(t, method, path, body, header...)
	require.Equal(t, status, got, "%s %s: %s", method, path, text)
	if text != "" {
		require.NoError(t, json.Unmarshal([]byte(text), &out), text)
	}
	return out, h
}

// refused makes a call that must be answered with a problem.
func (s *server) problem(t *testing.T, method, path, body string, status int, code string, header ...string) api.Problem {
	t.Helper()
	p, h := ask[api.Problem](t, s, method, path, body, status, header...)
	require.Equal(t, "application/problem+json", h.Get("Content-Type"), "%s %s", method, path)
	require.Equal(t, code, p.Code, "%s %s: %+v", method, path, p)
	require.Equal(t, status, p.Status)
	require.NotEmpty(t, p.Detail)
	return p
}

func (s *server) make(t *testing.T, name, labels string) {
	t.Helper()
	ask[control.Overview](t, s, "POST", "/v1/connectors", `{"name":"`+name+`","labels":`+labels+`,"config":`+source+`}`, 201)
}

func TestV1AConnectorsLife(t *testing.T) {
	t.Parallel()
	s := startV1(t)
	wish := `{"name":"a b","labels":{"team":"ops"},"initial_state":"paused","config":` + source + `}`
	dry, _ := ask[control.Overview](t, s, "POST", "/v1/connectors?dry_run=true", wish, 200)
	require.Equal(t, "PAUSED", dry.Desired)
	s.problem(t, "GET", "/v1/connectors/a%20b", "", 404, "not-found")
	made, header := ask[control.Overview](t, s, "POST", "/v1/connectors", wish, 201)
	require.Equal(t, "/v1/connectors/a%20b", header.Get("Location"))
	require.Equal(t, "1", number(header))
	require.Equal(t, control.HealthPaused, made.Health)
	s.problem(t, "POST", "/v1/connectors", wish, 409, "exists")
	s.problem(t, "POST", "/v1/connectors?dry_run=true", wish, 409, "exists")
	got, _ := ask[control.Overview](t, s, "GET", "/v1/connectors/a%20b", "", 200)
	require.Equal(t, made, got)
	require.Equal(t, map[string]string{"team": "ops"}, got.Labels)
	_, header = ask[control.Overview](t, s, "GET", "/v1/connectors/a%20b", "", 200, "If-None-Match", `"1"`)
	require.Equal(t, "1", number(header), "of the config: state and progress change without it")
	s.problem(t, "DELETE", "/v1/connectors/a%20b", "", 412, "changed", "If-Match", `"2"`)
	ask[struct{}](t, s, "DELETE", "/v1/connectors/a%20b?topics=true&positions=false", "", 204, "If-Match", `"1"`)
	s.problem(t, "GET", "/v1/connectors/a%20b", "", 404, "not-found")
	require.Equal(t, []string{"a b", "a b"}, s.told.all())
}

func TestV1ProblemsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := startV1(t)
	p := s.problem(t, "POST", "/v1/connectors", `{"name":"x","config":{"connector.class":"TestSource","topic":"t","file":"f","tasks.max":"many"}}`, 400, "invalid-config")
	require.Equal(t, "tasks.max", p.Field)
	require.Equal(t, "many", p.Value)
	p = s.problem(t, "POST", "/v1/connectors", `{"name":"x","config":{"connector.class":"TestSource"}}`, 400, "invalid-config")
	require.Len(t, p.Errors, 2)
	p = s.problem(t, "GET", "/v1/connectors?limit=0", "", 400, "invalid-request")
	require.Equal(t, "query.limit", p.Field)
	s.problem(t, "POST", "/v1/connectors", `{"name":`, 400, "invalid-request")
	s.problem(t, "GET", "/v1/connectors?selector=a+of+b", "", 400, "invalid-request")
	s.problem(t, "GET", "/v1/nope", "", 404, "not-found")
	s.problem(t, "PATCH", "/v1/connectors", "", 405, "method-not-allowed")
	s.problem(t, "PUT", "/v1/connectors/x/labels", `{"a":"b"}`, 404, "not-found")
	s.problem(t, "POST", "/v1/connectors", `{"name":"x","labels":{"-":"b"},"config":`+source+`}`, 400, "invalid-request")
	s.catalog.Close()
	s.problem(t, "GET", "/v1/connectors", "", 503, "unavailable")
}

func TestV1ListsArePickedAndPaged(t *testing.T) {
	t.Parallel()
	s := startV1(t)
	for i := range 5 {
		s.make(t, fmt.Sprintf("c%d", i), fmt.Sprintf(`{"n":"%d","even":"%t"}`, i, i%2 == 0))
	}
	names := func(query string) (names []string, next string) {
		page, _ := ask[control.Overviews](t, s, "GET", "/v1/connectors"+query, "", 200)
		for _, o := range page.Items {
			names = append(names, o.Name)
		}
		return names, page.Next
	}
	all, next := names("?limit=3")
	require.Equal(t, []string{"c0", "c1", "c2"}, all)
	all, next = names("?limit=3&cursor=" + next)
	require.Equal(t, []string{"c3", "c4"}, all)
	require.Empty(t, next)
	all, _ = names("?selector=even%3Dtrue,n+notin+(4)")
	require.Equal(t, []string{"c0", "c2"}, all)
	all, _ = names("?kind=sink")
	require.Empty(t, all)
	ask[struct{}](t, s, "PUT", "/connectors/c3/pause", "", 202)
	all, _ = names("?state=PAUSED&state=STOPPED")
	require.Equal(t, []string{"c3"}, all)
	labels, _ := ask[map[string]string](t, s, "PUT", "/v1/connectors/c3/labels", `{"new":"x"}`, 200)
	require.Equal(t, map[string]string{"new": "x"}, labels)
	labels, _ = ask[map[string]string](t, s, "GET", "/v1/connectors/c3/labels", "", 200)
	require.Equal(t, map[string]string{"new": "x"}, labels)
}

// What tasks say of themselves adds up, and the worst of them is how the connector is.
func TestV1OverviewAddsTasksUp(t *testing.T) {
	t.Parallel()
	s := startV1(t)
	s.make(t, "x", `{}`)
	c, err := s.catalog.Connector(t.Context(), "x")
	require.NoError(t, err)
	_, err = s.catalog.SavePlan(t.Context(), c.UID, c.Revision, []catalog.PlannedTask{{Number: 0, Hash: "a"}, {Number: 1, Hash: "b"}, {Number: 2, Hash: "c"}})
	require.NoError(t, err)
	require.NoError(t, s.catalog.SetConnectorStatus(t.Context(), c.UID, catalog.ConnectorStatus{State: "RUNNING"}))
	now := time.Now()
	say := func(task catalog.TaskStatus) {
		task.UID = c.UID
		require.NoError(t, s.catalog.ReportStatus(t.Context(), []catalog.TaskStatus{task}))
	}
	say(catalog.TaskStatus{Task: 0, State: "RUNNING", RatePerSecond: 10, LagRecords: 100, LagBytes: 1000, LastRecordAt: &now, Filtered: 3})
	say(catalog.TaskStatus{Task: 1, State: "RUNNING", LagRecords: 0, LagBytes: 0})
	overview := func() control.Overview {
		o, _ := ask[control.Overview](t, s, "GET", "/v1/connectors/x", "", 200)
		return o
	}
	o := overview()
	require.Equal(t, control.HealthUnassigned, o.Health, "task 2 has said nothing")
	require.Equal(t, control.TaskCounts{Total: 3, Running: 2, Unassigned: 1}, o.Tasks)
	require.Equal(t, int64(-1), o.LagRecords, "not known of task 2")
	progress, _ := ask[[]control.TaskProgress](t, s, "GET", "/v1/connectors/x/progress", "", 200)
	require.Len(t, progress, 3)
	require.Equal(t, control.Unassigned, progress[2].State)
	require.Equal(t, control.HealthUnassigned, progress[2].Health)
	require.InDelta(t, -1, progress[2].LagSeconds, 0)
	say(catalog.TaskStatus{Task: 2, State: "RUNNING", LagRecords: 5, LagBytes: 5, LastRecordAt: &now})
	o = overview()
	require.Equal(t, control.HealthRunning, o.Health)
	require.Equal(t, int64(105), o.LagRecords)
	require.InDelta(t, 10, o.LagSeconds, 0.01, "100 records at 10 a second")
	since := now.Add(-time.Minute)
	say(catalog.TaskStatus{Task: 1, State: "RUNNING", LagRecords: 0, LagBytes: 0, Retrying: "send: broker away", RetryingSince: &since})
	o = overview()
	require.Equal(t, control.HealthStalled, o.Health)
	require.Contains(t, o.Reason, "broker away")
	say(catalog.TaskStatus{Task: 1, State: "FAILED", LagRecords: -1, LagBytes: -1, Trace: "no such table"})
	o = overview()
	require.Equal(t, control.HealthFailed, o.Health)
	require.Equal(t, "task 1: no such table", o.Reason)
	progress, _ = ask[[]control.TaskProgress](t, s, "GET", "/v1/connectors/x/progress", "", 200)
	require.Len(t, progress, 3)
	require.Equal(t, int64(3), progress[0].Filtered)
	require.InDelta(t, 10, progress[0].LagSeconds, 0.01)
	require.Equal(t, control.HealthFailed, progress[1].Health)
	ask[struct{}](t, s, "PUT", "/connectors/x/stop", "", 204)
	o = overview()
	require.Equal(t, control.HealthStopped, o.Health)
	require.Zero(t, o.Tasks.Total)
}

func TestV1BulkDoesOneVerbToMany(t *testing.T) {
	t.Parallel()
	s := startV1(t)
	for _, name := range []string{"a", "b", "c"} {
		s.make(t, name, `{"team":"`+map[bool]string{true: "x", false: "y"}[name == "c"]+`"}`)
	}
	s.problem(t, "POST", "/v1/connectors/bulk/pause", "", 400, "invalid-request")
	outcomes := func(path string) string {
		r, _ := ask[control.BulkResult](t, s, "POST", "/v1/connectors/bulk/"+path, "", 200)
		var all []string
		for _, i := range r.Items {
			all = append(all, i.Name+" "+i.Outcome)
		}
		require.Equal(t, len(r.Items), r.Matched)
		return strings.Join(all, ", ")
	}
	require.Equal(t, "a would change, b would change", outcomes("pause?selector=team%3Dy&dry_run=true"))
	require.Equal(t, "a accepted, b accepted", outcomes("pause?selector=team%3Dy"))
	require.Equal(t, "a unchanged, b unchanged, c accepted", outcomes("pause?all=true"))
	require.Equal(t, "a accepted, nope failed", outcomes("resume?name=a&name=nope"))
	require.Equal(t, "c accepted", outcomes("restart?selector=team%3Dx"))
	require.Equal(t, "a accepted, b accepted", outcomes("delete?selector=team%3Dy"))
	require.Equal(t, "c accepted", outcomes("stop?all=true"))
}

func TestV1ChecksAndPreviews(t *testing.T) {
	t.Parallel()
	s := startV1(t)
	config := `{"config":` + source + `}`
	s.problem(t, "POST", "/v1/check", config, 503, "no-worker")
	require.NoError(t, s.catalog.UpsertWorker(t.Context(), catalog.Worker{ID: "w1", Host: "h", Capacity: 1}))
	r, _ := ask[probe.CheckResult](t, s, "POST", "/v1/check", config, 200)
	require.True(t, r.OK)
	require.Equal(t, "/tmp/x", r.Findings[0].Subject)
	r, _ = ask[probe.CheckResult](t, s, "POST", "/v1/check", `{"config":{"connector.class":"TestSource"}}`, 200)
	require.False(t, r.OK)
	require.Equal(t, "invalid-config", r.Findings[0].Code)
	require.Empty(t, r.WorkerID)
	s.problem(t, "POST", "/v1/connectors/x/check", "", 404, "not-found")
	s.make(t, "x", `{}`)
	r, _ = ask[probe.CheckResult](t, s, "POST", "/v1/connectors/x/check", "", 200)
	require.True(t, r.OK)
	p, _ := ask[probe.Preview](t, s, "POST", "/v1/preview", `{"limit":3,"config":`+source+`}`, 200)
	require.Equal(t, uint64(7), p.Items[0].Offset)
	p, _ = ask[probe.Preview](t, s, "GET", "/v1/topics/t/preview?limit=1&from=latest", "", 200)
	require.Equal(t, "t", p.Items[0].Record.Topic)
	s.problem(t, "GET", "/v1/topics/missing/preview", "", 404, "not-found")
	s.problem(t, "POST", "/v1/preview", `{"config":{"connector.class":"TestSource"}}`, 400, "invalid-config")
}

func TestV1WorkersAreDrainedAndRebalanced(t *testing.T) {
	t.Parallel()
	s := startV1(t)
	w := catalog.Worker{ID: "w/1", Host: "h", Capacity: 10, Running: 5, Version: "0.1.0"}
	require.NoError(t, s.catalog.UpsertWorker(t.Context(), w))
	all, _ := ask[control.Workers](t, s, "GET", "/v1/workers", "", 200)
	require.Equal(t, 0.5, all.Items[0].Load)
	one, _ := ask[control.Worker](t, s, "POST", "/v1/workers/w%2F1/drain", "", 202)
	require.True(t, one.Cordoned)
	require.NoError(t, s.catalog.UpsertWorker(t.Context(), w))
	one, _ = ask[control.Worker](t, s, "GET", "/v1/workers/w%2F1", "", 200)
	require.True(t, one.Cordoned, "its own signs of life change nothing about that")
	require.Equal(t, "0.1.0", one.Version)
	one, _ = ask[control.Worker](t, s, "POST", "/v1/workers/w%2F1/undrain", "", 202)
	require.False(t, one.Cordoned)
	s.problem(t, "POST", "/v1/workers/none/drain", "", 404, "not-found")
	for name, group := range map[string]string{"x": "", "y": "elsewhere"} {
		s.make(t, name, `{}`)
		c, err := s.catalog.Connector(t.Context(), name)
		require.NoError(t, err)
		config := map[string]string{"worker.group": group}
		_, err = s.catalog.SavePlan(t.Context(), c.UID, c.Revision, []catalog.PlannedTask{{Number: 0, Hash: "a", Config: config}, {Number: 1, Hash: "b", Config: config}})
		require.NoError(t, err)
	}
	r, _ := ask[control.Rebalance](t, s, "POST", "/v1/workers/rebalance", "", 202)
	require.Equal(t, control.Rebalance{Workers: 1, Tasks: 2}, r, "tasks of a group without workers are not shared")
	live, err := s.catalog.Workers(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(1), live[0].RebalanceSeq)
}

func TestV1EventsArePagedAndStreamed(t *testing.T) {
	t.Parallel()
	s := startV1(t)
	s.make(t, "x", `{}`)
	s.make(t, "y", `{}`)
	ask[struct{}](t, s, "PUT", "/connectors/x/pause", "", 202)
	all, _ := ask[control.Events](t, s, "GET", "/v1/events?limit=2", "", 200)
	require.Equal(t, []string{"desired", "created"}, []string{all.Items[0].Kind, all.Items[1].Kind})
	all, _ = ask[control.Events](t, s, "GET", "/v1/events?cursor="+all.Next, "", 200)
	require.Equal(t, "x", all.Items[0].Connector)
	all, _ = ask[control.Events](t, s, "GET", "/v1/connectors/x/events?kind=desired", "", 200)
	require.Equal(t, "PAUSED, was RUNNING", all.Items[0].Detail)
	s.problem(t, "GET", "/v1/connectors/nope/events", "", 404, "not-found")
	s.problem(t, "GET", "/v1/events", "", 400, "invalid-request", "Accept", "text/event-stream", "Last-Event-ID", "x")

	first := s.follow(t, "/v1/connectors/x/events", "0")
	require.Equal(t, "created", first().Kind)
	paused := first()
	require.Equal(t, "desired", paused.Kind)
	live := s.follow(t, "/v1/events", "")
	ask[struct{}](t, s, "PUT", "/connectors/x/resume", "", 202)
	require.Equal(t, "RUNNING, was PAUSED", live().Detail, "only what happens from now on")
	require.Equal(t, "RUNNING, was PAUSED", first().Detail)
	resumed := s.follow(t, "/v1/connectors/x/events", fmt.Sprint(paused.ID))
	require.Equal(t, "RUNNING, was PAUSED", resumed().Detail, "what was missed in between")
}

// follow opens a stream and returns a function that waits for the next event.
func (s *server) follow(t *testing.T, path, last string) func() control.Event {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", s.URL+path, nil)
	require.NoError(t, err)
	req.Header.Set("Accept", "text/event-stream")
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	res, err := s.Client().Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { _ = res.Body.Close() }) // before the server's Close, which waits
	require.Equal(t, 200, res.StatusCode)
	require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
	lines := bufio.NewScanner(res.Body)
	require.True(t, lines.Scan(), "the stream says at once that it is there")
	return func() control.Event {
		t.Helper()
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				var e control.Event
				require.NoError(t, json.Unmarshal([]byte(data), &e))
				return e
			}
		}
		require.NoError(t, lines.Err())
		require.Fail(t, "the stream has ended")
		return control.Event{}
	}
}

// The same request with the same key is carried out once, and every answer is the first one's.
func TestV1AKeyMakesARequestSafeToRepeat(t *testing.T) {
	t.Parallel()
	s := startV1(t)
	wish := `{"name":"x","config":` + source + `}`
	first, header := ask[control.Overview](t, s, "POST", "/v1/connectors", wish, 201, "Idempotency-Key", "k1")
	require.Empty(t, header.Get("Idempotency-Replayed"))
	again, header := ask[control.Overview](t, s, "POST", "/v1/connectors", wish, 201, "Idempotency-Key", "k1")
	require.Equal(t, first, again)
	require.Equal(t, "true", header.Get("Idempotency-Replayed"))
	require.Equal(t, "/v1/connectors/x", header.Get("Location"))
	require.Equal(t, "1", number(header))
	s.problem(t, "POST", "/v1/connectors", `{"name":"y","config":`+source+`}`, 422, "idempotency-key-reused", "Idempotency-Key", "k1")
	s.problem(t, "POST", "/v1/connectors/bulk/pause?all=true", "", 422, "idempotency-key-reused", "Idempotency-Key", "k1")
	s.problem(t, "POST", "/v1/connectors", wish, 409, "exists")
	s.problem(t, "POST", "/v1/connectors", wish, 400, "invalid-request", "Idempotency-Key", strings.Repeat("k", 300))

	s.failing.Store(true)
	s.problem(t, "POST", "/v1/workers/rebalance", "", 503, "unavailable", "Idempotency-Key", "k2")
	s.failing.Store(false)
	ask[control.Rebalance](t, s, "POST", "/v1/workers/rebalance", "", 202, "Idempotency-Key", "k2")

	kept := func(key, fingerprint string) string {
		sum := sha256.Sum256([]byte("answer kept under\n" + key))
		a, _, err := s.catalog.TakeAnswer(t.Context(), "anonymous", base64.RawURLEncoding.EncodeToString(sum[:]), fingerprint)
		require.NoError(t, err)
		return a.Fingerprint
	}
	ask[control.Rebalance](t, s, "POST", "/v1/workers/rebalance", "", 202, "Idempotency-Key", "k4")
	require.Len(t, kept("k2", ""), 43)
	require.NotEqual(t, kept("k2", ""), kept("k4", ""), "without the key, which is not kept, nobody can try what a body may have held")
	_, answered, err := s.catalog.TakeAnswer(t.Context(), "anonymous", "k2", "")
	require.NoError(t, err)
	require.False(t, answered)
	kept("k3", "another request")
	s.problem(t, "POST", "/v1/connectors", wish, 422, "idempotency-key-reused", "Idempotency-Key", "k3")
}
