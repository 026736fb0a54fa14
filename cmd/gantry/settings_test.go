package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// load reads settings as a server command with these arguments would.
func load(t *testing.T, args ...string) (*loaded, error) {
	t.Helper()
	var l *loaded
	cmd := &cobra.Command{Use: "x", SilenceErrors: true, SilenceUsage: true, RunE: func(cmd *cobra.Command, _ []string) (err error) {
		l, err = loadSettings(cmd)
		return err
	}}
	addSettings(cmd)
	cmd.SetArgs(args)
	return l, cmd.Execute()
}

func settingsFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gantry.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// Not parallel: the environment belongs to the process.
func TestFlagsWinOverEnvironmentOverFileOverDefaults(t *testing.T) {
	path := settingsFile(t, "catalog:\n  url: postgres://file/db\nworker:\n  capacity: 7\n  id: from-file\nlog:\n  level: warn\n")
	t.Setenv("GANTRY_WORKER_CAPACITY", "8")
	t.Setenv("GANTRY_WORKER_ID", "from-environment")
	t.Setenv("GANTRY_UNRELATED", "x")
	l, err := load(t, "--config", path, "--worker-id", "from-flag")
	require.NoError(t, err)
	require.Equal(t, "postgres://file/db", l.get("catalog.url"))
	require.Equal(t, path, l.origins["catalog.url"])
	require.Equal(t, 8, l.number("worker.capacity"))
	require.Equal(t, "environment", l.origins["worker.capacity"])
	require.Equal(t, "from-flag", l.get("worker.id"))
	require.Equal(t, "flag", l.origins["worker.id"])
	require.Equal(t, "127.0.0.1:7233", l.get("temporal.address"))
	require.Equal(t, "default", l.origins["temporal.address"])
}

func TestAWrongSettingIsNamedWithValueAndOrigin(t *testing.T) {
	for _, tt := range []struct{ name, flag, value, says string }{
		{"URL", "--catalog-url", "mysql://x/y", `catalog.url = "mysql://x/y" (from flag): must be a URL such as postgres://`},
		{"address", "--temporal-address", "somewhere", `temporal.address = "somewhere" (from flag): must be host:port`},
		{"list", "--rocketmq-nameservers", "a:1,b", `"b": must be host:port`},
		{"number", "--worker-capacity", "0", "must be a whole number from 1"},
		{"level", "--log-level", "loud", "must be one of debug, error, info, warn"},
		{"empty", "--temporal-namespace", "", "must not be empty"},
		{"authentication", "--api-auth", "tokens,passwords", `"passwords": must be one of htpasswd, oidc, tokens`},
		{"none and something", "--api-auth", "none,tokens", `"none": must be one of htpasswd, oidc, tokens`},
		{"duration", "--api-request-timeout", "30", "must be a duration such as 30s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(t, tt.flag, tt.value)
			require.ErrorContains(t, err, tt.says)
		})
	}
}

func TestAnUnknownKeyInTheFileIsRefused(t *testing.T) {
	path := settingsFile(t, "catalogue:\n  url: x\n")
	_, err := load(t, "--config", path)
	require.ErrorContains(t, err, `unknown setting "catalogue.url"`)
	_, err = load(t, "--config", filepath.Join(t.TempDir(), "none.yaml"))
	require.ErrorContains(t, err, "none.yaml")
}

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Setenv("GANTRY_CATALOG_PASSWORD", "hunter2")
	t.Setenv("GANTRY_ROCKETMQ_SECRETKEY", "hunter3")
	l, err := load(t, "--catalog-url", "postgres://me:hunter4@db/x")
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, l.print(&out))
	require.NotContains(t, out.String(), "hunter")
	require.Contains(t, out.String(), "[hidden]")
	require.Equal(t, "postgres://me:hunter2@db/x", l.catalogURL(), "the password of its own wins")
	l, err = load(t, "--catalog-url", "postgres://db/x?user=me&password=hunter5")
	require.NoError(t, err)
	require.NoError(t, l.print(&out))
	require.Contains(t, out.String(), "postgres://db/x?user=me&password=********")
	require.NotContains(t, out.String(), "hunter")
	for _, wrong := range []string{"mysql://me:hunter6@db/x", "postgres//me:hunter6@db/x", "postgres://me:hun\x7fter6@db/x"} {
		_, err = load(t, "--catalog-url", wrong)
		require.ErrorContains(t, err, "catalog.url")
		require.NotContains(t, err.Error(), "ter6")
	}
}

func TestListeningBeyondLoopbackHasToBeSaid(t *testing.T) {
	for listen, refused := range map[string]bool{"127.0.0.1:1": false, "[::1]:1": false, "localhost:1": false, "0.0.0.0:1": true, ":1": true, "10.0.0.1:1": true,
		"[::]:1": true, "[::ffff:127.0.0.1]:1": false, "[::ffff:0.0.0.0]:1": true, "gantry.example:1": true, "127.0.0.1.nip.io:1": true} {
		l, err := load(t, "--api-listen", listen)
		require.NoError(t, err)
		if refused {
			require.ErrorContains(t, l.checkExposure(), "api.auth is none", listen)
		} else {
			require.NoError(t, l.checkExposure(), listen)
		}
	}
	l, err := load(t, "--api-listen", "localhost:1")
	require.NoError(t, err)
	require.NoError(t, l.checkBound(&net.TCPAddr{IP: net.IPv6loopback, Port: 1}))
	require.ErrorContains(t, l.checkBound(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}), "192.0.2.1:1", "a resolver may say anything of localhost")
	for _, words := range []string{"--api-allow-unauthenticated-remote=true", "--api-auth=tokens"} {
		l, err := load(t, "--api-listen", "0.0.0.0:1", words)
		require.NoError(t, err)
		require.NoError(t, l.checkExposure())
		require.NoError(t, l.checkBound(&net.TCPAddr{IP: net.IPv4zero, Port: 1}))
	}
}

func TestEveryCommandTeaches(t *testing.T) {
	for _, cmd := range newRootCommand().Commands() {
		require.NotEmpty(t, cmd.Short, cmd.Name())
	}
}

func TestThePluginsOfThisBinaryAreWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range plugins {
		require.NotEmpty(t, p.Version, p.Class)
		require.NotEmpty(t, p.Doc, p.Class)
		require.NotEmpty(t, p.Config, p.Class)
		require.False(t, seen[p.Class], p.Class)
		seen[p.Class] = true
	}
}
