package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/api"
	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/catalog/catalogtest"
	"github.com/gantry-connect/gantry/control"
)

// guarded is an API whose callers have to say who they are.
type guarded struct {
	*httptest.Server
	catalog *catalog.Catalog
	log     *bytes.Buffer // of the API; read it when no request is under way
}

func startGuarded(t *testing.T, change func(*api.Guard)) *guarded {
	t.Helper()
	g := &guarded{catalog: catalogtest.New(t), log: &bytes.Buffer{}}
	log := slog.New(slog.NewTextHandler(g.log, nil))
	service := control.New(control.Options{Connectors: g.catalog, Progress: g.catalog, Notifier: &told{}, Plugins: plugins,
		Environment: "env-1", Version: "0.1.0", Logger: log})
	t.Cleanup(service.Close)
	guard := api.Guard{Authenticator: access.Chain{access.Tokens{Store: g.catalog}}, Challenges: []string{`Bearer realm="gantry"`, `Basic realm="gantry"`},
		Public: []string{"/health"}, Labels: g.catalog, Trail: control.Trail{Store: g.catalog}}
	if change != nil {
		change(&guard)
	}
	g.Server = httptest.NewServer(api.NewGuarded(service, log, guard))
	t.Cleanup(g.Close)
	return g
}

// token makes a token; a lifetime of 0 is for ever.
func (g *guarded) token(t *testing.T, name, role, scope string, lifetime time.Duration) string {
	t.Helper()
	text, hash := access.NewToken()
	_, err := g.catalog.CreateToken(t.Context(), catalog.Token{Name: name, Role: role, Scope: scope, Author: "test"}, hash, lifetime)
	require.NoError(t, err)
	return text
}

// as makes a call with a token; an empty one is none.
func (g *guarded) as(t *testing.T, token, method, path, body string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, g.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := g.Client().Do(req)
	require.NoError(t, err, "%s %s", method, path)
	defer res.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, res.Header, string(text)
}

// operation is one of the OpenAPI document.
type operation struct {
	ID           string `yaml:"operationId"`
	Role         string `yaml:"x-gantry-role"`
	Scope        string `yaml:"x-gantry-scope"`
	Responses    map[string]any
	method, path string
}

func operations(t *testing.T) []operation {
	t.Helper()
	text, err := api.OpenAPI()
	require.NoError(t, err)
	var doc struct {
		Paths map[string]map[string]operation
	}
	require.NoError(t, yaml.Unmarshal(text, &doc))
	var all []operation
	for path, methods := range doc.Paths {
		for method, op := range methods {
			op.method, op.path = strings.ToUpper(method), path
			all = append(all, op)
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.ID, b.ID) })
	require.Greater(t, len(all), 20)
	return all
}

func TestEveryOperationNamesTheRoleItNeeds(t *testing.T) {
	t.Parallel()
	for _, op := range operations(t) {
		role, err := access.ParseRole(op.Role)
		require.NoError(t, err, "%s has no access.Needs in its metadata", op.ID)
		if op.method != http.MethodGet && op.Scope == "connector" {
			require.GreaterOrEqual(t, role, access.Operator, "%s changes a connector", op.ID)
		}
		if op.method == http.MethodDelete {
			require.GreaterOrEqual(t, role, access.Operator, "%s deletes", op.ID)
		}
		for _, status := range []string{"401", "403", "429"} {
			require.Contains(t, op.Responses, status, op.ID)
		}
	}
}

var parameter = regexp.MustCompile(`\{[a-z]+\}`)

// call is a request for an operation that concerns the connector name, or something that is not there.
func (op operation) call(name string) (method, path, body string) {
	path = strings.Replace(op.path, "{name}", name, 1)
	path = parameter.ReplaceAllString(path, "0")
	if op.method != http.MethodGet && op.method != http.MethodDelete {
		body = `{}`
	}
	return op.method, path, body
}

func TestEveryOperationWithEveryRole(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	tokens := map[string]string{}
	for _, role := range access.Roles() {
		tokens[role] = g.token(t, role, role, "*", time.Hour)
	}
	expired := g.token(t, "expired", "admin", "*", time.Microsecond)
	revoked := g.token(t, "revoked", "admin", "*", 0)
	require.NoError(t, g.catalog.RevokeToken(t.Context(), "revoked"))
	for _, op := range operations(t) {
		method, path, body := op.call("theirs")
		public := op.path == "/health"
		for what, token := range map[string]string{"no token": "", "an expired token": expired, "a revoked token": revoked, "a made-up token": access.TokenPrefix + "x", "nonsense": "x"} {
			status, header, text := g.as(t, token, method, path, body)
			if public {
				require.Equal(t, 200, status, "%s with %s: %s", op.ID, what, text)
				continue
			}
			require.Equal(t, 401, status, "%s with %s: %s", op.ID, what, text)
			require.Equal(t, []string{`Bearer realm="gantry"`, `Basic realm="gantry"`}, header.Values("WWW-Authenticate"))
			requireShape(t, op.path, 401, header, text)
		}
		needed, err := access.ParseRole(op.Role)
		require.NoError(t, err)
		for _, name := range access.Roles() {
			role, _ := access.ParseRole(name)
			status, header, text := g.as(t, tokens[name], method, path, body)
			if role >= needed {
				require.NotContains(t, []int{401, 403, 500}, status, "%s as %s: %s", op.ID, name, text)
				continue
			}
			require.Equal(t, 403, status, "%s as %s: %s", op.ID, name, text)
			require.Contains(t, text, fmt.Sprintf("%s may not do this: it needs the role %s", name, needed))
			requireShape(t, op.path, 403, header, text)
		}
	}
}

// requireShape holds an error against what its path's routes answer.
func requireShape(t *testing.T, path string, status int, header http.Header, text string) {
	t.Helper()
	var e struct {
		ErrorCode int    `json:"error_code"`
		Message   string `json:"message"`
		Status    int    `json:"status"`
		Code      string `json:"code"`
	}
	require.NoError(t, json.Unmarshal([]byte(text), &e), text)
	if strings.HasPrefix(path, "/v1/") {
		require.Equal(t, "application/problem+json", header.Get("Content-Type"), path)
		require.Equal(t, status, e.Status)
		require.NotEmpty(t, e.Code)
		return
	}
	require.Equal(t, "application/json", header.Get("Content-Type"), path)
	require.Equal(t, status, e.ErrorCode)
	require.NotEmpty(t, e.Message)
}

func TestEveryOperationOutsideOfAScope(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	byName := g.token(t, "by-name", "admin", "mine-*", 0)
	byLabel := g.token(t, "by-label", "admin", "| team=mine", 0)
	for _, token := range []string{byName, byLabel} {
		for _, op := range operations(t) {
			method, path, body := op.call("theirs")
			status, _, text := g.as(t, token, method, path, body)
			switch op.Scope {
			case "connector", "all connectors":
				require.Equal(t, 403, status, "%s: %s", op.ID, text)
				require.Contains(t, text, "scope")
			case "filtered", "any":
				require.NotContains(t, []int{401, 500}, status, "%s: %s", op.ID, text)
			default:
				t.Errorf("%s says %q of scopes", op.ID, op.Scope)
			}
		}
	}
	for _, op := range operations(t) {
		if op.Scope == "connector" {
			method, path, body := op.call("mine-1")
			status, _, text := g.as(t, byName, method, path, body)
			require.NotContains(t, []int{401, 403, 500}, status, "%s within the scope: %s", op.ID, text)
		}
	}
}

const aSource = `{"connector.class":"TestSource","topic":"t","file":"/tmp/x"}`

func TestEventsOfAConnectorThatIsGoneAreInNoScopeByLabels(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	admin := g.token(t, "admin", "admin", "*", 0)
	byName := g.token(t, "by-name", "viewer", "secret*", 0)
	byLabel := g.token(t, "by-label", "viewer", "* | env!=prod", 0)
	status, _, text := g.as(t, admin, "POST", "/v1/connectors", `{"name":"secret","labels":{"env":"prod"},"config":`+aSource+`}`)
	require.Equal(t, 201, status, text)
	made, err := g.catalog.Connector(t.Context(), "secret")
	require.NoError(t, err)
	status, _, text = g.as(t, admin, "DELETE", "/connectors/secret", "")
	require.Equal(t, 204, status, text)
	require.NoError(t, g.catalog.Forget(t.Context(), made.UID))
	for _, path := range []string{"/v1/events", "/v1/connectors/secret/events"} {
		_, _, text = g.as(t, byLabel, "GET", path, "")
		require.NotContains(t, text, `"connector":"secret"`, path)
		status, _, text = g.as(t, byName, "GET", path, "")
		require.Equal(t, 200, status, text)
		require.Contains(t, text, `"connector":"secret"`, path)
	}
}

func TestListsShowWhatAScopeCovers(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	admin := g.token(t, "admin", "admin", "*", 0)
	byName := g.token(t, "by-name", "editor", "mine-*", 0)
	byLabel := g.token(t, "by-label", "editor", "| team=mine", 0)
	for name, labels := range map[string]string{"mine-1": `{}`, "theirs": `{"team":"theirs"}`, "labelled": `{"team":"mine"}`} {
		status, _, text := g.as(t, admin, "POST", "/v1/connectors", fmt.Sprintf(`{"name":%q,"labels":%s,"config":%s}`, name, labels, aSource))
		require.Equal(t, 201, status, text)
	}
	for _, path := range []string{"/connectors", "/connectors?expand=info", "/connectors?expand=status", "/v1/connectors", "/v1/events"} {
		for token, want := range map[string][]string{admin: {"labelled", "mine-1", "theirs"}, byName: {"mine-1"}, byLabel: {"labelled"}} {
			status, _, text := g.as(t, token, "GET", path, "")
			require.Equal(t, 200, status, text)
			var seen []string
			for _, name := range []string{"labelled", "mine-1", "theirs"} {
				if strings.Contains(text, `"`+name+`"`) {
					seen = append(seen, name)
				}
			}
			require.Equal(t, want, seen, "%s: %s", path, text)
		}
	}
	status, _, text := g.as(t, byName, "POST", "/v1/connectors/bulk/pause?all=true", "")
	require.Equal(t, 200, status, text)
	require.Contains(t, text, "mine-1")
	require.NotContains(t, text, "theirs")
	theirs, err := g.catalog.Connector(t.Context(), "theirs")
	require.NoError(t, err)
	require.Equal(t, catalog.StateRunning, theirs.Desired, "a bulk operation leaves alone what the scope does not cover")
}

func TestAScopeBoundsWhatCanBeCreated(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	byName := g.token(t, "by-name", "editor", "mine-*", 0)
	byLabel := g.token(t, "by-label", "editor", "| team=mine", 0)
	for _, tt := range []struct {
		token, method, path, body string
		status                    int
	}{
		{byName, "POST", "/connectors", `{"name":"theirs","config":` + aSource + `}`, 403},
		{byName, "POST", "/connectors", `{"name":" mine-1 ","config":` + aSource + `}`, 201},
		{byName, "PUT", "/connectors/theirs/config", aSource, 403},
		{byName, "PUT", "/connectors/mine-2/config", aSource, 201},
		{byName, "POST", "/v1/connectors", `{"name":"theirs","config":` + aSource + `}`, 403},
		{byLabel, "POST", "/connectors", `{"name":"x","config":` + aSource + `}`, 403},
		{byLabel, "PUT", "/connectors/x/config", aSource, 403},
		{byLabel, "POST", "/v1/connectors", `{"name":"x","labels":{"team":"theirs"},"config":` + aSource + `}`, 403},
		{byLabel, "POST", "/v1/connectors", `{"name":"x","labels":{"team":"mine"},"config":` + aSource + `}`, 201},
		{byLabel, "PUT", "/connectors/x/config", aSource, 200},
		{byLabel, "PUT", "/v1/connectors/x/labels", `{"team":"theirs"}`, 403},
		{byLabel, "PUT", "/connectors/x/pause", "", 202},
		{byLabel, "POST", "/v1/check", `{"config":` + aSource + `}`, 403},
		{byName, "PUT", "/connectors/x/pause", "", 403},
	} {
		status, _, text := g.as(t, tt.token, tt.method, tt.path, tt.body)
		require.Equal(t, tt.status, status, "%s %s %s: %s", tt.method, tt.path, tt.body, text)
	}
	made, err := g.catalog.Connector(t.Context(), "x")
	require.NoError(t, err)
	require.Equal(t, "by-label", made.Author, "changes carry the name of who made them")
	events, err := g.catalog.Events(t.Context(), made.UID, 10)
	require.NoError(t, err)
	for _, e := range events {
		require.Equal(t, "by-label", e.Author, "%+v", e)
	}
}

func TestBasicAuthenticationWithAToken(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	token := g.token(t, "old-client", "viewer", "*", 0)
	for _, tt := range []struct {
		user, password string
		status         int
	}{{"old-client", token, 200}, {"somebody", token, 401}, {"old-client", "x", 401}, {"", token, 200}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.URL+"/connectors", nil)
		require.NoError(t, err)
		req.SetBasicAuth(tt.user, tt.password)
		res, err := g.Client().Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, tt.status, res.StatusCode, tt)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.URL+"/connectors", nil)
	require.NoError(t, err)
	req.Header["Authorization"] = []string{"Bearer " + token, "Bearer x"}
	res, err := g.Client().Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 401, res.StatusCode, "of two, who is in front may have looked at the other one")
	tokens, err := g.catalog.Tokens(t.Context())
	require.NoError(t, err)
	require.NotNil(t, tokens[0].Used)
	require.NotContains(t, fmt.Sprintf("%+v", tokens), token)
}

func TestTheAuditTrailHoldsEveryChange(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	admin := g.token(t, "admin", "admin", "*", 0)
	viewer := g.token(t, "viewer", "viewer", "*", 0)
	for _, call := range []struct{ token, method, path, body string }{
		{admin, "PUT", "/connectors/a%20b/config", aSource},
		{admin, "GET", "/connectors/a%20b", ""},
		{admin, "PUT", "/connector-plugins/TestSource/config/validate", aSource},
		{admin, "PUT", "/connectors/none/pause", ""},
		{viewer, "DELETE", "/connectors/a%20b", ""},
		{"", "DELETE", "/connectors/a%20b", ""},
		{admin, "POST", "/connectors", `{"name":"c","config":` + aSource + `}`},
		{admin, "POST", "/v1/connectors", `{"name":" d ","config":{"connector.class":"None"}}`},
		{admin, "POST", "/v1/connectors/bulk/pause?selector=team%3Dx&dry_run=true&access_token=" + admin, ""},
		{admin, "POST", "/v1/connectors/bulk/stop?name=none&name=c", ""},
		{admin, "POST", "/v1/connectors/bulk/stop?name=c&dry_run=true", ""},
	} {
		g.as(t, call.token, call.method, call.path, call.body)
	}
	status, _, text := g.as(t, admin, "GET", "/v1/audit?limit=5", "")
	require.Equal(t, 200, status, text)
	var page struct {
		Items []control.AuditEntry
		Next  int64
	}
	require.NoError(t, json.Unmarshal([]byte(text), &page))
	require.NotZero(t, page.Next)
	all := page.Items
	_, _, text = g.as(t, admin, "GET", fmt.Sprintf("/v1/audit?before=%d", page.Next), "")
	page.Next, page.Items = 0, nil
	require.NoError(t, json.Unmarshal([]byte(text), &page))
	require.Zero(t, page.Next)
	all = append(all, page.Items...)
	var lines []string
	for _, e := range all {
		require.Equal(t, "127.0.0.1", e.Address)
		require.WithinDuration(t, time.Now(), e.At, time.Minute)
		lines = append(lines, fmt.Sprintf("%s %s %s %s %q %d", e.Principal, e.Operation, e.Method, e.Path, e.Connector, e.Status))
	}
	require.Equal(t, []string{
		`admin v1-bulk-stop POST /v1/connectors/bulk/stop?dry_run=true&name=c "" 200`,
		`admin v1-bulk-stop POST /v1/connectors/bulk/stop?name=none&name=c "none" 404`,
		`admin v1-bulk-stop POST /v1/connectors/bulk/stop?name=none&name=c "c" 200`,
		`admin v1-bulk-stop POST /v1/connectors/bulk/stop?name=none&name=c "" 200`,
		`admin v1-bulk-pause POST /v1/connectors/bulk/pause?dry_run=true&selector=team%3Dx "" 200`,
		`admin v1-create-connector POST /v1/connectors "d" 400`,
		`admin create-connector POST /connectors "c" 201`,
		`viewer delete-connector DELETE /connectors/a%20b "a b" 403`,
		`admin pause-connector PUT /connectors/none/pause "none" 404`,
		`admin put-config PUT /connectors/a%20b/config "a b" 201`,
	}, lines, "reading leaves no trace, and neither does nobody")
	for _, filter := range []string{"connector=a%20b", "principal=viewer"} {
		_, _, text = g.as(t, admin, "GET", "/v1/audit?"+filter, "")
		require.Contains(t, text, "delete-connector")
		require.NotContains(t, text, "create-connector")
	}
	g.Close() // no request is under way any more
	for _, says := range []string{"audit principal=admin address=127.0.0.1 operation=put-config", "request without valid credentials"} {
		require.Contains(t, g.log.String(), says)
	}
}

// fainting is a service that panics behind a change.
type fainting struct{ api.Service }

func (fainting) Pause(context.Context, string, string) error { panic("no") }

func TestTheAuditTrailHoldsWhatPanicked(t *testing.T) {
	t.Parallel()
	g := &guarded{catalog: catalogtest.New(t)}
	g.Server = httptest.NewServer(api.NewGuarded(fainting{}, slog.New(slog.DiscardHandler), api.Guard{Trail: control.Trail{Store: g.catalog}}))
	t.Cleanup(g.Close)
	status, _, _ := g.as(t, "", "PUT", "/connectors/a/pause", "")
	require.Equal(t, 500, status)
	entries, err := g.catalog.Audit(t.Context(), catalog.AuditFilter{Limit: 10})
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, "a", entries[0].Connector)
	require.Equal(t, 500, entries[0].Status)
}

func TestCallersAreLimited(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, func(guard *api.Guard) { guard.Rate = 2 })
	status, header, text := 0, http.Header{}, ""
	for n := 0; status != 429; n++ {
		require.Less(t, n, 1000, "somebody who does not stop is not stopped")
		status, header, text = g.as(t, "x", "GET", "/v1/connectors", "")
	}
	require.Equal(t, "1", header.Get("Retry-After"))
	requireShape(t, "/v1/connectors", 429, header, text)
}

func TestOtherOriginsGetNothingUnlessTheyAreAllowed(t *testing.T) {
	t.Parallel()
	origin := func(g *guarded, from string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, g.URL+"/connectors", nil)
		require.NoError(t, err)
		req.Header.Set("Origin", from)
		req.Header.Set("Access-Control-Request-Method", "GET")
		req.Header.Set("Access-Control-Request-Headers", "authorization")
		res, err := g.Client().Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.Header.Get("Access-Control-Allow-Origin")
	}
	require.Empty(t, origin(startGuarded(t, nil), "https://ops.example"))
	g := startGuarded(t, func(guard *api.Guard) { guard.Origins = []string{"https://ops.example"} })
	require.Equal(t, "https://ops.example", origin(g, "https://ops.example"))
	require.Empty(t, origin(g, "https://evil.example"))
}

func TestPublicPathsNeedNoCredentials(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, func(guard *api.Guard) { guard.Public = []string{"/", "/docs"} })
	for path, want := range map[string]int{"/": 200, "/docs/": 200, "/openapi.json": 200, "/openapi.yaml": 200, "/docs/swagger-ui.css": 200,
		"/health": 401, "/connectors": 401, "/v1/connectors": 401, "/docsx": 401, "/nope": 401} {
		status, _, text := g.as(t, "", "GET", path, "")
		require.Equal(t, want, status, "%s: %.200s", path, text)
	}
}
