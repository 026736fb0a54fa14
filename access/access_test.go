package access_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/gantry-connect/gantry/access"
)

func TestARoleMayWhatTheOnesBelowItMay(t *testing.T) {
	t.Parallel()
	for needed := access.Viewer; needed <= access.Admin; needed++ {
		for has := access.Role(0); has <= access.Admin; has++ {
			r, _ := access.RequirementOf(access.Needs(needed))
			err := r.Judge(access.Principal{Name: "ann", Role: has}, true)
			if has >= needed {
				require.NoError(t, err, "%s does what needs %s", has, needed)
				continue
			}
			require.ErrorContains(t, err, "ann may not do this: it needs the role "+needed.String())
		}
		parsed, err := access.ParseRole(" " + needed.String())
		require.NoError(t, err)
		require.Equal(t, needed, parsed)
	}
	_, err := access.ParseRole("root")
	require.EqualError(t, err, `role "root": must be one of viewer, operator, editor, admin`)
}

// What nobody has thought about is refused, not allowed.
func TestAnOperationThatNamesNoRoleIsRefused(t *testing.T) {
	t.Parallel()
	none, ok := access.RequirementOf(map[string]any{})
	require.False(t, ok)
	require.Error(t, none.Judge(access.Principal{Role: access.Admin}, true))
}

func TestAScopeIsRefusedWhatConcernsAllConnectors(t *testing.T) {
	t.Parallel()
	scope, err := access.ParseScope("orders-*")
	require.NoError(t, err)
	scoped := access.Principal{Name: "ann", Role: access.Admin, Scope: scope}
	for _, tt := range []struct {
		metadata map[string]any
		named    bool
		allowed  bool
	}{
		{access.Needs(access.Viewer), true, true},
		{access.Needs(access.Viewer), false, false},
		{access.NeedsFiltered(access.Viewer), false, true},
		{access.NeedsOnly(access.Viewer), false, true},
	} {
		r, ok := access.RequirementOf(tt.metadata)
		require.True(t, ok)
		err := r.Judge(scoped, tt.named)
		if tt.allowed {
			require.NoError(t, err)
		} else {
			require.EqualError(t, err, "ann may not do this: it concerns all connectors, and the scope here is orders-*")
		}
		require.NoError(t, r.Judge(access.Principal{Role: access.Viewer}, tt.named), "without a scope everything is covered")
	}
}

func TestAScopeCoversByNameAndLabel(t *testing.T) {
	t.Parallel()
	data := map[string]string{"team": "data", "env": "prod"}
	for _, tt := range []struct {
		scope, name string
		labels      map[string]string
		covers      bool
	}{
		{"", "x", nil, true}, {"*", "x", nil, true}, {" * ", "x", nil, true}, {"a *", "x", nil, true},
		{"orders-*", "orders-in", nil, true}, {"orders-*", "orders", nil, false}, {"orders-*", "my-orders-in", nil, false},
		{"team/*", "team/a/b", nil, true}, {"*-in", "a*-in", nil, true}, {"a*b*c", "aXbYbZc", nil, true}, {"a*b", "abc", nil, false}, {"[a]", "a", nil, false},
		{"a b?", "a", nil, true}, {"a b?", "bc", nil, true}, {"a b?", "b", nil, false},
		{"| team=data", "x", data, true}, {"| team=data", "x", nil, false}, {"|team=data,env!=prod", "x", data, false},
		{"orders-* | team=data", "orders-in", data, true}, {"orders-* | team=data", "x", data, false},
		{"orders-* | team=data", "orders-in", nil, false},
	} {
		s, err := access.ParseScope(tt.scope)
		require.NoError(t, err, tt.scope)
		require.Equal(t, tt.covers, s.Covers(tt.name, tt.labels), "%q covers %s %v", tt.scope, tt.name, tt.labels)
		again, err := access.ParseScope(s.String())
		require.NoError(t, err)
		require.Equal(t, s.String(), again.String())
		require.Equal(t, tt.covers, again.Covers(tt.name, tt.labels), "%q, written and read", tt.scope)
	}
	for _, wrong := range []string{"| team in (", "|=x"} {
		_, err := access.ParseScope(wrong)
		require.ErrorContains(t, err, "scope", wrong)
	}
}

func TestWhatGantryDoesByItselfHasNoBounds(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	require.NoError(t, access.Check(ctx, "x", nil))
	require.Equal(t, "schedule", access.Author(ctx, "schedule"))
	scope, err := access.ParseScope("a*")
	require.NoError(t, err)
	ctx = access.With(ctx, access.Principal{Name: "ann", Role: access.Viewer, Scope: scope})
	require.True(t, access.Sees(ctx, "ab", nil))
	require.EqualError(t, access.Check(ctx, "x", nil), "ann may not do this: connector x is outside of the scope a*")
	require.Equal(t, "ann", access.Author(ctx, "schedule"))
}

func TestTokensAreRandomAndKnownByTheirHash(t *testing.T) {
	t.Parallel()
	text, hash := access.NewToken()
	other, otherHash := access.NewToken()
	require.NotEqual(t, text, other)
	require.NotEqual(t, hash, otherHash)
	require.Len(t, hash, 32)
	require.Regexp(t, `^gty_[A-Za-z0-9_-]{43}$`, text)
}

func htpasswd(t *testing.T, text string) (*access.Htpasswd, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return access.OpenHtpasswd(path)
}

func TestUsersOfAFile(t *testing.T) {
	t.Parallel()
	hash, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	require.NoError(t, err)
	users, err := htpasswd(t, "# users\n\nann:"+string(hash)+"\nbob:"+string(hash)+":editor:orders-*\n")
	require.NoError(t, err)
	send := func(user, password string) (access.Principal, error) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
		return access.Chain{users}.Authenticate(r)
	}
	for range 2 { // the second time from memory
		p, err := send("ann", "right")
		require.NoError(t, err)
		require.Equal(t, access.Principal{Name: "ann", Role: access.Viewer}, p)
		p, err = send("bob", "right")
		require.NoError(t, err)
		require.Equal(t, access.Editor, p.Role)
		require.Equal(t, "orders-*", p.Scope.String())
		for _, wrong := range [][2]string{{"ann", "wrong"}, {"ann", ""}, {"carl", "right"}, {"", ""}} {
			_, err = send(wrong[0], wrong[1])
			var unknown *access.UnauthenticatedError
			require.ErrorAs(t, err, &unknown, wrong)
		}
	}
	_, err = access.Chain{users}.Authenticate(httptest.NewRequest(http.MethodGet, "/", nil))
	var unknown *access.UnauthenticatedError
	require.ErrorAs(t, err, &unknown)
	require.Contains(t, unknown.Reason, "no credentials")
}

func TestAWrongFileOfUsersNamesTheLine(t *testing.T) {
	t.Parallel()
	hash, err := bcrypt.GenerateFromPassword([]byte("x"), bcrypt.MinCost)
	require.NoError(t, err)
	for text, says := range map[string]string{
		"ann":                           "line 1: must be user:hash",
		"# ok\nann:{SHA}x":              "line 2: user ann: the hash is not bcrypt's",
		"ann:" + string(hash) + ":god":  `user ann: role "god"`,
		"ann:" + string(hash) + "::|=x": "user ann: scope",
	} {
		_, err := htpasswd(t, text)
		require.ErrorContains(t, err, says)
	}
	_, err = access.OpenHtpasswd(filepath.Join(t.TempDir(), "none"))
	require.ErrorContains(t, err, "api.htpasswd")
}
