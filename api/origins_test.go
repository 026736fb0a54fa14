package api_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/api"
	"github.com/gantry-connect/gantry/catalog"
)

// from sends what a browser sends for a page that no preflight is needed for, with the credentials that it remembers.
func (g *guarded) from(t *testing.T, token, method, path string, header map[string]string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, g.URL+path, nil)
	require.NoError(t, err)
	if token != "" {
		req.SetBasicAuth("", token)
	}
	for name, value := range header {
		if req.Header.Set(name, value); name == "Host" {
			req.Host = value
		}
	}
	res, err := g.Client().Do(req)
	require.NoError(t, err)
	defer res.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, res.Header, string(text)
}

// A browser sends a POST without a body for any page, and remembers passwords: that pages cannot read the answer does not help.
func TestPagesOfOtherOriginsChangeNothing(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, func(guard *api.Guard) { guard.Origins = []string{"https://ops.example"} })
	admin := g.token(t, "admin", "admin", "*", 0)
	status, _, text := g.as(t, admin, "POST", "/v1/connectors", `{"name":"x","config":`+aSource+`}`)
	require.Equal(t, 201, status, text)
	for _, path := range []string{"/v1/connectors/bulk/delete?all=true", "/connectors/x/restart"} {
		for _, header := range []map[string]string{{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
			{"Sec-Fetch-Site": "same-site"}} {
			status, answer, text := g.from(t, admin, "POST", path, header)
			require.Equal(t, 403, status, "%v: %s", header, text)
			requireShape(t, path, 403, answer, text)
			require.Contains(t, text, "api.cors.origins")
		}
	}
	x, err := g.catalog.Connector(t.Context(), "x")
	require.NoError(t, err)
	require.Equal(t, catalog.StateRunning, x.Desired)
	for _, header := range []map[string]string{{}, {"Origin": g.URL}, {"Origin": g.URL, "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"},
		{"Origin": "https://ops.example", "Sec-Fetch-Site": "cross-site"}} {
		status, _, text := g.from(t, admin, "POST", "/connectors/x/restart", header)
		require.Equal(t, 204, status, "%v: %s", header, text)
	}
}

// A page whose name has been pointed at 127.0.0.1 is of the API's own origin, as far as its browser knows.
func TestWithoutAuthenticationOnlyThisMachinesNamesAreAnswered(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, func(guard *api.Guard) { guard.Authenticator, guard.ThisMachineOnly = nil, true })
	for host, want := range map[string]int{"127.0.0.1:8083": 200, "127.0.0.1": 200, "[::1]:8083": 200, "[::1]": 200, "localhost:1": 200, "gantry.localhost": 200,
		"evil.example:8083": 403, "evil.example": 403, "127.0.0.1.evil.example": 403, "localhost.evil.example": 403} {
		status, header, text := g.from(t, "", "GET", "/v1/connectors", map[string]string{"Host": host})
		require.Equal(t, want, status, "%s: %s", host, text)
		if want == 403 {
			requireShape(t, "/v1/connectors", 403, header, text)
			require.Contains(t, text, "api.allow-unauthenticated-remote")
		}
	}
	g = startGuarded(t, func(guard *api.Guard) { guard.Authenticator = nil })
	status, _, text := g.from(t, "", "GET", "/v1/connectors", map[string]string{"Host": "gantry.example"})
	require.Equal(t, 200, status, text)
}

// slowToKnow finds out who sends a request when it is too late.
type slowToKnow struct{}

func (slowToKnow) Authenticate(r *http.Request) (access.Principal, error) {
	<-r.Context().Done()
	return access.Principal{}, errors.New("too late")
}

func TestOnlyStreamsOfEventsHaveNoDeadline(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, func(guard *api.Guard) { guard.Authenticator, guard.RequestTimeout = slowToKnow{}, 10*time.Millisecond })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, path := range []string{"/connectors", "/v1/connectors", "/v1/connectors/x", "/v1/audit"} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.URL+path, nil)
		require.NoError(t, err)
		req.Header.Set("Accept", "text/event-stream")
		res, err := g.Client().Do(req)
		require.NoError(t, err, "%s waits for as long as its client", path)
		require.NoError(t, res.Body.Close())
		require.Equal(t, 503, res.StatusCode, path)
	}
}

func TestAStreamOfEventsEndsWithItsToken(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, func(guard *api.Guard) { guard.RequestTimeout = time.Second })
	token := g.token(t, "reader", "viewer", "*", 0)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.URL+"/v1/events", nil)
	require.NoError(t, err)
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := g.Client().Do(req)
	require.NoError(t, err)
	defer res.Body.Close() //nolint:errcheck // only read
	stream := bufio.NewReader(res.Body)
	line, err := stream.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, ": events follow\n", line)
	require.NoError(t, g.catalog.RevokeToken(t.Context(), "reader"))
	_, err = io.ReadAll(stream)
	require.NoError(t, err, "it ends once the token has been revoked, before the reader gives up")
}
