package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/catalog/catalogtest"
	"github.com/gantry-connect/gantry/cmd/gantry/operate"
	"github.com/gantry-connect/gantry/secrets"
)

// gantry runs one command line and returns what it printed.
func gantry(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := newRootCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return strings.TrimSpace(out.String()), err
}

func TestTokensOnTheCommandLine(t *testing.T) {
	t.Parallel()
	url := catalogtest.URL(t)
	text, err := gantry(t, "token", "create", "ci", "--role", "Editor", "--scope", "b a | team=x", "--expires", "1h", "--catalog-url", url)
	require.NoError(t, err)
	require.Regexp(t, regexp.MustCompile(`^gty_[\w-]{43}$`), text, "the token alone, for scripts")
	_, err = gantry(t, "token", "create", "ci", "--catalog-url", url)
	require.ErrorContains(t, err, "there is a token ci already")
	require.Equal(t, operate.ExitConflict, operate.ExitCode(err))
	for _, wrong := range [][]string{{"--role", "god"}, {"--scope", "|="}, {"--expires", "-1h"}} {
		_, err = gantry(t, append([]string{"token", "create", "x", "--catalog-url", url}, wrong...)...)
		require.ErrorContains(t, err, strings.TrimLeft(wrong[0], "-"))
		require.Equal(t, operate.ExitUsage, operate.ExitCode(err))
	}
	for _, name := range []string{"", "a:b", "a\nb", "anonymous", strings.Repeat("x", 256)} {
		_, err = gantry(t, "token", "create", name, "--catalog-url", url)
		require.ErrorContains(t, err, "NAME is")
	}
	_, err = gantry(t, "token", "list", "--catalog-url", "postgres://db/x?user=me&password=hunter2&sslmode=bogus")
	require.ErrorContains(t, err, "sslmode is invalid")
	require.NotContains(t, err.Error(), "postgres://")
	list, err := gantry(t, "token", "list", "--catalog-url", url)
	require.NoError(t, err)
	require.Regexp(t, `ci +editor +b a \| team=x +\S+ \S+ +.+ never`, list)
	require.NotContains(t, list, text)
	out, err := gantry(t, "token", "revoke", "ci", "--catalog-url", url)
	require.NoError(t, err)
	require.Equal(t, "token ci is revoked", out)
	_, err = gantry(t, "token", "revoke", "ci", "--catalog-url", url)
	require.ErrorContains(t, err, "there is no token ci")
	require.Equal(t, operate.ExitNotFound, operate.ExitCode(err))

	require.NoError(t, catalogtest.Open(t, url).RecordAudit(t.Context(), catalog.AuditEntry{Principal: "ann", Operation: "v1-bulk-delete",
		Path: "/v1/connectors/bulk/delete?selector=team%3Dx", Status: 200}))
	trail, err := gantry(t, "audit", "--catalog-url", url)
	require.NoError(t, err)
	require.Contains(t, trail, "bulk/delete?selector=team%3Dx")
	require.Contains(t, trail, "create-token ci")
	require.Contains(t, trail, "revoke-token ci")
	require.NotContains(t, trail, text)
	out, err = gantry(t, "audit", "prune", "--older-than", "1h", "--catalog-url", url)
	require.NoError(t, err)
	require.Equal(t, "0 entries are removed", out)
	trail, err = gantry(t, "audit", "--json", "--limit", "1", "--catalog-url", url)
	require.NoError(t, err)
	require.Contains(t, trail, `"operation":"prune-audit 1h0m0s"`)
}

func TestKeysAreRotatedOnTheCommandLine(t *testing.T) {
	t.Parallel()
	url := catalogtest.URL(t)
	c := catalogtest.Open(t, url)
	environment, err := c.BindEnvironment(t.Context(), "ns")
	require.NoError(t, err)
	keyset, err := gantry(t, "key", "create")
	require.NoError(t, err)
	box, err := secrets.OpenBox(keyset, environment)
	require.NoError(t, err)
	sealed, err := box.Seal("c", "password", "hunter2")
	require.NoError(t, err)
	_, err = c.CreateConnector(t.Context(), catalog.NewConnector{Name: "c", Class: "X", Kind: "sink", Author: "ada",
		Config: map[string]string{"password": sealed, "url": "u"}})
	require.NoError(t, err)

	rotated, err := gantry(t, "key", "rotate", "--secrets-keyset", keyset)
	require.NoError(t, err)
	out, err := gantry(t, "key", "rewrap", "--secrets-keyset", rotated, "--catalog-url", url, "--temporal-namespace", "ns")
	require.NoError(t, err)
	require.Equal(t, "1 configs were sealed anew", out)
	trimmed, err := gantry(t, "key", "trim", "--secrets-keyset", rotated)
	require.NoError(t, err)

	box, err = secrets.OpenBox(trimmed, environment)
	require.NoError(t, err)
	stored, err := c.Connector(t.Context(), "c")
	require.NoError(t, err)
	require.Equal(t, "u", stored.Config["url"])
	require.NoError(t, box.Opens("c", "password", stored.Config["password"]), "the new key alone opens it")
	_, err = gantry(t, "key", "rewrap", "--secrets-keyset", keyset, "--catalog-url", url, "--temporal-namespace", "ns")
	require.ErrorContains(t, err, "none of the keys opens the sealed value of password")
	for _, needs := range []string{"rotate", "trim", "rewrap"} {
		_, err = gantry(t, "key", needs, "--catalog-url", url)
		require.ErrorContains(t, err, "GANTRY_SECRETS_KEYSET", needs)
	}
}

func TestTheGuardIsBuiltFromSettings(t *testing.T) {
	t.Parallel()
	users := filepath.Join(t.TempDir(), "users")
	require.NoError(t, os.WriteFile(users, []byte("# nobody yet\n"), 0o600))
	guard := func(args ...string) (int, error) {
		l, err := load(t, args...)
		require.NoError(t, err)
		g, err := newGuard(&parts{settings: l})
		return len(g.Challenges), err
	}
	for setting, only := range map[string]bool{"--api-auth=none": true, "--api-auth=tokens": false, "--api-allow-unauthenticated-remote=true": false} {
		l, err := load(t, setting)
		require.NoError(t, err)
		g, err := newGuard(&parts{settings: l})
		require.NoError(t, err)
		require.Equal(t, only, g.ThisMachineOnly, setting)
	}
	challenges, err := guard()
	require.NoError(t, err)
	require.Zero(t, challenges)
	challenges, err = guard("--api-auth", "tokens, htpasswd", "--api-htpasswd", users)
	require.NoError(t, err)
	require.Equal(t, 2, challenges)
	_, err = guard("--api-auth", "htpasswd")
	require.ErrorContains(t, err, "api.htpasswd")
	_, err = guard("--api-auth", "oidc")
	require.ErrorContains(t, err, "api.oidc.")
}
