package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/api"
	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/control"
	"github.com/gantry-connect/gantry/probe"
)

// What the catalog cannot hold is the sender's mistake, not an outage, and no part of a query is left out silently.
func TestV1RefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	s := startV1(t)
	s.make(t, "x", `{"team":"a"}`)
	for _, path := range []string{"/v1/connectors/x%00", "/v1/connectors/x%ff/config", "/v1/connectors?cursor=%00", "/v1/connectors?cursor=%ff",
		"/v1/events?kind=%00", "/v1/audit?connector=%00", "/v1/connectors?selector=a%zz", "/v1/connectors?limit=1;cursor=x", "/v1/topics/a%20b/preview"} {
		s.problem(t, "GET", path, "", 400, "invalid-request")
	}
	s.problem(t, "POST", "/v1/workers/%00/drain", "", 400, "invalid-request")
	s.problem(t, "POST", "/v1/connectors/bulk/delete?all=true&selector=team%zz", "", 400, "invalid-request")
	status, _, body := s.request(t, "GET", "/connectors/x%00", "")
	require.Equal(t, 400, status)
	require.JSONEq(t, `{"error_code":400,"message":"The path must be UTF-8 without NUL"}`, body)
	p := s.problem(t, "POST", "/v1/connectors", `{"name":"y","config":{"connector.class":"TestSource","topic":"t","file":"a\u0000b"}}`, 400, "invalid-config")
	require.Equal(t, "file", p.Field)
	ask[control.Overview](t, s, "GET", "/v1/connectors/x", "", 200)
}

// A problem names what is at fault, what was given, what to do and what was asked for.
func TestV1ProblemsAreComplete(t *testing.T) {
	t.Parallel()
	s := startV1(t)
	s.make(t, "x", `{}`)
	for _, tt := range []struct{ method, path, body, header, field, value string }{
		{"GET", "/v1/connectors?selector=a+of+b", "", "", "selector", "a of b"},
		{"GET", "/v1/connectors/x/revisions?cursor=z", "", "", "cursor", "z"},
		{"POST", "/v1/connectors", `{"name":"y","initial_state":"odd","config":` + source + `}`, "", "initial_state", "odd"},
		{"POST", "/v1/connectors", `{"name":"x","config":` + source + `}`, "", "name", "x"},
		{"PUT", "/v1/connectors/x/config", source, `"1"`, "If-None-Match", `"1"`},
	} {
		status, _, body := s.request(t, tt.method, tt.path, tt.body, "If-None-Match", tt.header)
		require.GreaterOrEqual(t, status, 400)
		var p api.Problem
		require.NoError(t, json.Unmarshal([]byte(body), &p))
		require.Equal(t, []string{tt.field, tt.value}, []string{p.Field, p.Value}, body)
		require.NotEmpty(t, p.Remedy, body)
		require.NotEmpty(t, p.Instance, body)
	}
	p := s.problem(t, "GET", "/v1/connectors?limit=5000", "", 400, "invalid-request")
	require.Equal(t, "5000", p.Value)
	p = s.problem(t, "GET", "/v1/connectors/none", "", 404, "not-found")
	require.Equal(t, "/v1/connectors/none", p.Instance)
}

// Of several who put a config where there is none, one creates the connector; the others change it or, if they asked for that, do not.
func TestV1ConfigsThatCreateAtOnce(t *testing.T) {
	t.Parallel()
	s := startV1(t)
	at := func(path string, header ...string) []int {
		statuses := make([]int, 8)
		var g sync.WaitGroup
		for i := range statuses {
			g.Go(func() { statuses[i], _, _ = s.request(t, "PUT", path, source, header...) })
		}
		g.Wait()
		slices.Sort(statuses)
		return statuses
	}
	for i := range 4 {
		require.Equal(t, []int{200, 200, 200, 200, 200, 200, 200, 201}, at(fmt.Sprintf("/v1/connectors/a%d/config", i)))
		require.Equal(t, []int{201, 412, 412, 412, 412, 412, 412, 412}, at(fmt.Sprintf("/v1/connectors/b%d/config", i), "If-None-Match", "*"))
	}
	_, header := ask[map[string]string](t, s, "PUT", "/v1/connectors/%20c%20/config?dry_run=true", source, 201)
	require.Equal(t, "1", number(header), "the revision that would be in force")
	_, header = ask[map[string]string](t, s, "PUT", "/v1/connectors/%20c%20/config", source, 201)
	require.Equal(t, "/v1/connectors/c", header.Get("Location"))
	ask[map[string]string](t, s, "PUT", "/v1/connectors/%20c%20/config", source, 200)
}

func TestV1AConnectorThatChangesWhileItIsDeletedStays(t *testing.T) {
	t.Parallel()
	s := startV1(t)
	s.make(t, "x", `{}`)
	ask[map[string]string](t, s, "PUT", "/v1/connectors/x/config", `{"connector.class":"TestSource","topic":"t2","file":"f"}`, 200)
	s.failing.Store(true)
	s.problem(t, "DELETE", "/v1/connectors/x", "", 412, "changed", "If-Match", `"1"`)
	s.failing.Store(false)
	ask[control.Overview](t, s, "GET", "/v1/connectors/x", "", 200)
}

// What was read of somebody's records is kept nowhere: a check or preview with a key is carried out again.
func TestV1NoAnswerOfAPreviewIsKept(t *testing.T) {
	t.Parallel()
	s := startV1(t)
	require.NoError(t, s.catalog.UpsertWorker(t.Context(), catalog.Worker{ID: "w1", Host: "h", Capacity: 1}))
	for range 2 {
		_, header := ask[probe.Preview](t, s, "POST", "/v1/preview", `{"config":`+source+`}`, 200, "Idempotency-Key", "k")
		require.Empty(t, header.Get("Idempotency-Replayed"))
		_, header = ask[probe.CheckResult](t, s, "POST", "/v1/check", `{"config":`+source+`}`, 200, "Idempotency-Key", "k")
		require.Empty(t, header.Get("Idempotency-Replayed"))
	}
}

// Temporal may be away: what is wanted is written down for all, and the request does not wait for it with each of them.
func TestV1BulkDoesNotWaitForTemporalWithEachConnector(t *testing.T) {
	t.Parallel()
	s := startV1(t)
	for i := range 12 {
		s.make(t, fmt.Sprintf("c%d", i), `{}`)
	}
	s.told.down = make(chan struct{})
	t.Cleanup(func() { close(s.told.down) })
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second) // with each: 24 s
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "POST", s.URL+"/v1/connectors/bulk/pause?all=true", nil)
	require.NoError(t, err)
	res, err := s.Client().Do(req)
	require.NoError(t, err)
	defer res.Body.Close() //nolint:errcheck // only read
	var r control.BulkResult
	require.NoError(t, json.NewDecoder(res.Body).Decode(&r))
	require.Equal(t, []int{12, 0}, []int{r.Matched, r.Failed})
}

// Only streams of events have no deadline; asking for a stream elsewhere does not get rid of it.
func TestV1OnlyStreamsHaveNoDeadline(t *testing.T) {
	t.Parallel()
	s := startV1Guarded(t, api.Guard{RequestTimeout: time.Nanosecond})
	p := s.problem(t, "GET", "/v1/connectors", "", 503, "unavailable", "Accept", "text/event-stream")
	require.Contains(t, p.Detail, "api.request-timeout")
	s.follow(t, "/v1/events", "")
	s.follow(t, "/v1/events/", "")
}

// A stream has no end of its own: it ends with the server, which would wait for it in vain.
func TestV1StreamsEndWithTheServer(t *testing.T) {
	t.Parallel()
	stopping := make(chan struct{})
	s := startV1Guarded(t, api.Guard{Stopping: stopping})
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/v1/events", nil)
	require.NoError(t, err)
	req.Header.Set("Accept", "text/event-stream")
	res, err := s.Client().Do(req)
	require.NoError(t, err)
	defer res.Body.Close() //nolint:errcheck // only read
	close(stopping)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, s.Config.Shutdown(ctx))
}

func TestV1EventsOfAConnectorThatIsGone(t *testing.T) {
	t.Parallel()
	s := startV1(t)
	s.make(t, "x", `{}`)
	c, err := s.catalog.Connector(t.Context(), "x")
	require.NoError(t, err)
	ask[struct{}](t, s, "DELETE", "/v1/connectors/x", "", 204)
	require.NoError(t, s.catalog.Forget(t.Context(), c.UID))
	all, _ := ask[control.Events](t, s, "GET", "/v1/connectors/x/events", "", 200)
	require.NotEmpty(t, all.Items)
	all, _ = ask[control.Events](t, s, "GET", "/v1/connectors/x/events?kind=failed", "", 200)
	require.Empty(t, all.Items, "it has had none of this kind")
	s.problem(t, "GET", "/v1/connectors/nope/events?kind=failed", "", 404, "not-found")
}

// The progress of a connector that holds still says so, and has the tasks of the present plan.
func TestV1ProgressOfPausedAndStoppedConnectors(t *testing.T) {
	t.Parallel()
	s := startV1(t)
	s.make(t, "x", `{}`)
	c, err := s.catalog.Connector(t.Context(), "x")
	require.NoError(t, err)
	plan := []catalog.PlannedTask{{Number: 0, Hash: "a"}, {Number: 1, Hash: "b"}}
	_, err = s.catalog.SavePlan(t.Context(), c.UID, c.Revision, plan)
	require.NoError(t, err)
	require.NoError(t, s.catalog.ReportStatus(t.Context(), []catalog.TaskStatus{
		{UID: c.UID, Task: 0, State: "UNASSIGNED"}, {UID: c.UID, Task: 1, State: "UNASSIGNED"}, {UID: c.UID, Task: 2, State: "UNASSIGNED"}}))
	for verb, want := range map[string]struct {
		state  control.State
		health control.Health
	}{"pause": {control.Paused, control.HealthPaused}, "stop": {control.Stopped, control.HealthStopped}} {
		status, _, _ := s.request(t, "PUT", "/connectors/x/"+verb, "")
		require.Less(t, status, 300)
		progress, _ := ask[[]control.TaskProgress](t, s, "GET", "/v1/connectors/x/progress", "", 200)
		require.Len(t, progress, 2, "task 2 is of an older plan")
		for _, p := range progress {
			require.Equal(t, want.state, p.State)
			require.Equal(t, want.health, p.Health)
		}
	}
	require.NoError(t, s.catalog.ReportStatus(t.Context(), []catalog.TaskStatus{{UID: c.UID, Task: 1, State: "RUNNING"}}))
	progress, _ := ask[[]control.TaskProgress](t, s, "GET", "/v1/connectors/x/progress", "", 200)
	require.Equal(t, control.Running, progress[1].State, "it is still ending, and whoever waits for that can tell")
}

// A server that starts says so in the shape of the route that was asked for.
func TestAClosedGateAnswersV1WithAProblem(t *testing.T) {
	t.Parallel()
	var gate api.Gate
	w := httptest.NewRecorder()
	gate.ServeHTTP(w, httptest.NewRequest("GET", "/v1/connectors", nil))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	require.Contains(t, w.Body.String(), `"code":"unavailable"`)
}

// deadlines notes what becomes of the deadline for reading from a request's connection.
type deadlines struct {
	http.ResponseWriter
	set []time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.set = append(d.set, at)
	return nil
}

// Once a request's body has been read, or where there is none, the end of a deadline would look as if the client had gone, in this
// request and in all that follow on its connection: an operation that waits for long, for tasks that end say, would be broken off.
func TestV1NoRequestIsBrokenOffForReadingTooSlowly(t *testing.T) {
	t.Parallel()
	s := startV1(t)
	for _, tt := range []struct{ name, path, body, key string }{
		{"a key and a body", "/v1/connectors", `{"name":"x","config":` + source + `}`, "k1"},
		{"a key and no body", "/v1/connectors/x/offsets/undo", "", "k2"},
		{"neither", "/v1/connectors/x/offsets/undo", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := httptest.NewRequest("POST", tt.path, strings.NewReader(tt.body))
			req.Header.Set("Content-Type", "application/json")
			if tt.key != "" {
				req.Header.Set("Idempotency-Key", tt.key)
			}
			w := &deadlines{ResponseWriter: httptest.NewRecorder()}
			s.Config.Handler.ServeHTTP(w, req)
			require.Empty(t, w.set)
		})
	}
}
