package api_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/api"
	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/catalog/catalogtest"
	"github.com/gantry-connect/gantry/control"
	"github.com/gantry-connect/gantry/secrets"
)

// startSealing is an API with a keyset.
func startSealing(t *testing.T) (*server, *secrets.Box) {
	t.Helper()
	keyset, err := secrets.NewKeyset()
	require.NoError(t, err)
	box, err := secrets.OpenBox(keyset, "env-1")
	require.NoError(t, err)
	s := &server{catalog: catalogtest.New(t), told: &told{}}
	service := control.New(control.Options{Connectors: s.catalog, Progress: s.catalog, Notifier: s.told, Plugins: plugins,
		Environment: "env-1", Version: "0.1.0", Secrets: box, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(service.Close)
	s.Server = httptest.NewServer(api.New(service, slog.New(slog.DiscardHandler)))
	t.Cleanup(s.Close)
	return s, box
}

func sourceWith(password string) string {
	return fmt.Sprintf(`{"connector.class":"TestSource","topic":"t","file":"/tmp/x","password":%q}`, password)
}

// stored is a connector's config in the catalog, which must hold none of the secrets.
func (s *server) stored(t *testing.T, name string) map[string]string {
	t.Helper()
	c, err := s.catalog.Connector(t.Context(), name)
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprint(c.Config), "hunter")
	return c.Config
}

// opened is what a stored value stands for.
func opened(t *testing.T, box *secrets.Box, name, key, value string) string {
	t.Helper()
	resolved, problems := secrets.NewResolver(nil, box).Resolve(t.Context(), name, map[string]string{key: value}, func(string) bool { return true })
	require.Empty(t, problems)
	return resolved.Config[key]
}

func TestPasswordsAreSealedShownMaskedAndKeptByTheMask(t *testing.T) {
	t.Parallel()
	s, box := startSealing(t)
	const masked = `{"name":"c","connector.class":"TestSource","topic":"t","file":"/tmp/x","password":"********"}`
	status, _, body := s.call(t, "PUT", "/connectors/c/config", sourceWith("hunter2"))
	require.Equal(t, 201, status, body)
	require.NotContains(t, body, "hunter2")
	s.want(t, "GET", "/connectors/c/config", "", 200, masked)
	first := s.stored(t, "c")
	require.True(t, secrets.IsReference(first["password"]))
	require.Equal(t, "hunter2", opened(t, box, "c", "password", first["password"]))

	for _, same := range []string{masked, sourceWith("hunter2")} {
		status, _, body = s.call(t, "PUT", "/connectors/c/config", same)
		require.Equal(t, 200, status, body)
		require.Equal(t, first, s.stored(t, "c"), "the same config makes no revision")
	}
	for config, revision := range map[string]string{masked: "1", sourceWith("hunter2"): "1", sourceWith("hunter3"): "2"} {
		status, header, body := s.call(t, "PUT", "/v1/connectors/c/config?dry_run=true", config)
		require.Equal(t, 200, status, body)
		require.Equal(t, revision, number(header), "a dry run tells whether the secret is another one")
		require.NotContains(t, body, "hunter")
	}
	require.Equal(t, first, s.stored(t, "c"))
	status, _, body = s.call(t, "PUT", "/connectors/c/config", strings.Replace(masked, "/tmp/x", "/tmp/y", 1))
	require.Equal(t, 200, status, body)
	require.Equal(t, first["password"], s.stored(t, "c")["password"])
	status, _, body = s.call(t, "PATCH", "/connectors/c/config", `{"password":"hunter3"}`)
	require.Equal(t, 200, status, body)
	require.NotContains(t, body, "hunter3")
	require.Equal(t, "hunter3", opened(t, box, "c", "password", s.stored(t, "c")["password"]))
	status, _, body = s.call(t, "PATCH", "/connectors/c/config", `{"file":"/tmp/z","password":"********"}`)
	require.Equal(t, 200, status, body)
	require.Equal(t, "hunter3", opened(t, box, "c", "password", s.stored(t, "c")["password"]))

	for _, path := range []string{"/connectors/c", "/connectors?expand=info", "/v1/connectors/c/config", "/v1/connectors/c/revisions/1", "/v1/connectors/c/revisions/3/diff?against=2"} {
		status, _, body = s.call(t, "GET", path, "")
		require.Equal(t, 200, status, body)
		require.Contains(t, body, "********", path)
		require.NotContains(t, body, "sealed:", path)
	}
	status, _, body = s.call(t, "POST", "/v1/connectors/c/revisions/1/rollback", "")
	require.Equal(t, 200, status, body)
	require.NotContains(t, body, "sealed:")
	require.Equal(t, "hunter2", opened(t, box, "c", "password", s.stored(t, "c")["password"]))

	c, err := s.catalog.Connector(t.Context(), "c")
	require.NoError(t, err)
	_, err = s.catalog.SavePlan(t.Context(), c.UID, c.Revision, []catalog.PlannedTask{{Number: 0, Hash: "h", Config: c.Config}})
	require.NoError(t, err)
	s.want(t, "GET", "/connectors/c/tasks", "", 200, `[{"id":{"connector":"c","task":0},"config":`+masked+`}]`)
}

func TestPasswordsWithinURLsAreSealed(t *testing.T) {
	t.Parallel()
	s, box := startSealing(t)
	const sink = `{"connector.class":"TestSink","topics":"t","url":%q}`
	status, _, body := s.call(t, "PUT", "/connectors/c/config", fmt.Sprintf(sink, "postgres://u:hunter2@h/d?sslpassword=hunter3"))
	require.Equal(t, 201, status, body)
	var info control.Info
	require.NoError(t, json.Unmarshal([]byte(body), &info))
	require.Equal(t, "postgres://u:********@h/d?sslpassword=********", info.Config["url"])
	status, _, body = s.call(t, "PUT", "/connectors/c/config", fmt.Sprintf(sink, strings.Replace(info.Config["url"], "@h/d", "@h2/d", 1)))
	require.Equal(t, 200, status, body)
	require.Equal(t, "postgres://u:hunter2@h2/d?sslpassword=hunter3", opened(t, box, "c", "url", s.stored(t, "c")["url"]))
}

func TestMasksAndSealedValuesThatStandForNothingAreRefused(t *testing.T) {
	t.Parallel()
	s, box := startSealing(t)
	elsewhere, err := box.Seal("other", "password", "hunter2")
	require.NoError(t, err)
	own, err := box.Seal("x", "password", "hunter2")
	require.NoError(t, err)
	for _, tt := range []struct{ name, password, says string }{
		{"a mask", "********", "holds the mask that stands for a stored secret, and there is none"},
		{"another connector's secret", elsewhere, "none of the keys opens the sealed value"},
		{"a secret around a reference", "${env:A}x", "mixes a secret with a reference"},
	} {
		status, _, body := s.call(t, "PUT", "/connectors/x/config", sourceWith(tt.password))
		require.Equal(t, 400, status, tt.name)
		require.Contains(t, body, tt.says, tt.name)
	}
	status, _, body := s.call(t, "PUT", "/connectors/x/config", sourceWith(own))
	require.Equal(t, 201, status, body)
	status, _, body = s.call(t, "PUT", "/connectors/x/config", sourceWith(""))
	require.Equal(t, 200, status, body)
	require.Empty(t, s.stored(t, "x")["password"])
}

// Keys of other systems that change nothing are stored and shown like all others.
func TestSecretsInKeysThatChangeNothing(t *testing.T) {
	t.Parallel()
	const config = `{"connector.class":"TestSource","topic":"t","file":"/tmp/x","producer.override.ssl.key.password":"hunter2",
		"consumer.override.sasl.jaas.config":"org.apache.X.PlainLoginModule required username=u password=hunter3;"}`
	s := start(t)
	status, _, body := s.call(t, "PUT", "/connectors/c/config", config)
	require.Equal(t, 400, status, body)
	require.NotContains(t, body, "hunter")
	require.Contains(t, body, "producer.override.ssl.key.password")
	require.Contains(t, body, "consumer.override.sasl.jaas.config")
	require.Contains(t, body, "gantry key create")
	s, box := startSealing(t)
	status, _, body = s.call(t, "PUT", "/connectors/c/config", config)
	require.Equal(t, 201, status, body)
	require.NotContains(t, body, "hunter")
	require.Equal(t, "hunter2", opened(t, box, "c", "producer.override.ssl.key.password", s.stored(t, "c")["producer.override.ssl.key.password"]))
}

// What is wrong with a config is told without the secrets that stand in it.
func TestValidationRepeatsNoSecrets(t *testing.T) {
	t.Parallel()
	s, _ := startSealing(t)
	config := `{"connector.class":"TestSource","topic":"t","mode":"postgres://u:hunter2@h","password":"hunter3","tasks.max":"many","unknown.token":"hunter4"}`
	for _, call := range [][3]string{{"PUT", "/connector-plugins/TestSource/config/validate", config}, {"PUT", "/connectors/c/config", config},
		{"POST", "/connectors", `{"name":"c","config":` + config + `}`}, {"POST", "/v1/connectors", `{"name":"c","config":` + config + `}`},
		{"POST", "/v1/check", `{"config":` + config + `}`}, {"POST", "/connectors", `{"name":"c","config":{"password":{"nested":"hunter2"}}}`},
		{"POST", "/v1/connectors", `{"name":"c","config":{"password":"hunter2"`}} {
		status, _, body := s.call(t, call[0], call[1], call[2])
		require.Less(t, status, 500, body)
		require.False(t, strings.Contains(body, "hunter"), "%s %s", call[0], call[1])
	}
}
