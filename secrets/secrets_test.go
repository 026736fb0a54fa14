package secrets_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/secrets"
)

func never(string) bool { return false }

func box(t *testing.T, keyset, environment string) *secrets.Box {
	t.Helper()
	b, err := secrets.OpenBox(keyset, environment)
	require.NoError(t, err)
	return b
}

func keyset(t *testing.T) string {
	t.Helper()
	k, err := secrets.NewKeyset()
	require.NoError(t, err)
	return k
}

// openWith resolves one value, or says what is wrong with it.
func openWith(b *secrets.Box, connector, key, value string) (string, error) {
	resolved, problems := secrets.NewResolver(nil, b).Resolve(context.Background(), connector, map[string]string{key: value}, never)
	if len(problems) > 0 {
		return "", problems[0]
	}
	return resolved.Config[key], nil
}

func TestASealedValueOpensOnlyInItsPlace(t *testing.T) {
	t.Parallel()
	keys := keyset(t)
	b := box(t, keys, "env-1")
	sealed, err := b.Seal("orders", "password", "hunter2")
	require.NoError(t, err)
	require.True(t, secrets.IsReference(sealed))
	require.NotContains(t, sealed, "hunter2")
	again, err := b.Seal("orders", "password", "hunter2")
	require.NoError(t, err)
	require.NotEqual(t, sealed, again, "equal secrets do not show")

	value, err := openWith(b, "orders", "password", sealed)
	require.NoError(t, err)
	require.Equal(t, "hunter2", value)
	for _, other := range []struct {
		name, connector, key, value string
		box                         *secrets.Box
	}{
		{"environment", "orders", "password", sealed, box(t, keys, "env-2")},
		{"connector", "orders2", "password", sealed, b},
		{"key", "orders", "password2", sealed, b},
		{"place that only looks alike", "order", "spassword", sealed, b},
		{"keyset", "orders", "password", sealed, box(t, keyset(t), "env-1")},
		{"content", "orders", "password", strings.Replace(sealed, sealed[20:22], "AA", 1), b},
		{"form", "orders", "password", "${sealed:%}", b},
		{"no keyset", "orders", "password", sealed, nil},
	} {
		_, err := openWith(other.box, other.connector, other.key, other.value)
		require.Error(t, err, other.name)
		require.NotContains(t, err.Error(), "hunter2")
		require.NotContains(t, err.Error(), other.value)
	}
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	first := keyset(t)
	second, err := secrets.RotateKeyset(first)
	require.NoError(t, err)
	only, err := secrets.TrimKeyset(second)
	require.NoError(t, err)
	old, both, latest := box(t, first, "e"), box(t, second, "e"), box(t, only, "e")

	before, err := old.Seal("c", "k", "before")
	require.NoError(t, err)
	after, err := both.Seal("c", "k", "after")
	require.NoError(t, err)
	value, err := openWith(both, "c", "k", before)
	require.NoError(t, err)
	require.Equal(t, "before", value)
	_, err = openWith(old, "c", "k", after)
	require.Error(t, err, "the new key seals")
	_, err = openWith(latest, "c", "k", before)
	require.Error(t, err)

	wrapped, err := both.Rewrap("c", "k", "postgres://u:"+before+"@h/${env:DB}")
	require.NoError(t, err)
	require.NotContains(t, wrapped, before)
	value, err = openWith(latest, "c", "k", strings.TrimSuffix(wrapped, "/${env:DB}"))
	require.NoError(t, err)
	require.Equal(t, "postgres://u:before@h", value)
	_, err = latest.Rewrap("c", "k", before)
	require.Error(t, err)

	for _, wrong := range []string{"no base64!", "AAAA", "Cg=="} {
		_, err := secrets.OpenBox(wrong, "e")
		require.ErrorContains(t, err, "secrets.keyset", wrong)
		require.NotContains(t, err.Error(), wrong)
	}
}

func TestPasswordsAreFoundWhereTheyHide(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"postgres://u:hunter2@h/d":                          "postgres://u:********@h/d",
		"jdbc:postgresql://u:hunter2@h/d":                   "jdbc:postgresql://u:********@h/d",
		"postgres://u:12345@h/d":                            "postgres://u:********@h/d",
		"postgres://u:p@ss@h/d":                             "postgres://u:********@h/d",
		"postgres://u:hun{ter2@h/d":                         "postgres://u:********@h/d",
		"postgres://u:${env:P}@h/d":                         "postgres://u:${env:P}@h/d",
		"postgres://u:${env:P}x@h/d":                        "postgres://u:********@h/d",
		"a://u:one1@h,b://u:two2@h":                         "a://u:********@h,b://u:********@h",
		"postgres://u@h:5432/d@x":                           "postgres://u@h:5432/d@x",
		"http://h:8080/a@b":                                 "http://h:8080/a@b",
		"postgres://h/d?user=u&password=hunter2&x=y":        "postgres://h/d?user=u&password=********&x=y",
		"host=h user=u password=hunter2 dbname=d":           "host=h user=u password=******** dbname=d",
		"host=h user=u password = 'hun ter2' dbname=d":      "host=h user=u password = '********' dbname=d",
		"host=h sslpassword=hunter2":                        "host=h sslpassword=********",
		"X.PlainLoginModule required password=\"hunter2\";": "X.PlainLoginModule required password=\"********\";",
		"host=h password=${env:P}":                          "host=h password=${env:P}",
		"select * from t where password = 'x'":              "select * from t where password = 'x'",
		"plain":                                             "plain", "a=b": "a=b", "me@example.org": "me@example.org", "": "",
	} {
		require.Equal(t, want, secrets.Shown(value, false), value)
	}
	require.Equal(t, secrets.Mask, secrets.Shown("x", true))
	require.Equal(t, "${env:X}", secrets.Shown("${env:X}", true))
	require.Empty(t, secrets.Shown("", true))
	for key, is := range map[string]bool{"password": true, "a.b.password": true, "basic.auth.user.info": true, "client_secret": true,
		"API.KEY": true, "passwords": false, "tokens.max": false, "key.converter": false} {
		require.Equal(t, is, secrets.NamesSecret(key), key)
	}
}

// What was shown masked comes back as it was stored.
func TestSealingMaskingAndUnmasking(t *testing.T) {
	t.Parallel()
	b := box(t, keyset(t), "e")
	for _, tt := range []struct {
		name, value, shown string
		secret             bool
	}{
		{"a password", "hunter2", secrets.Mask, true},
		{"a reference", "${env:P}", "${env:P}", true},
		{"nothing", "", "", true},
		{"a URL", "postgres://u:hunter2@h/d?password=hunter3", "postgres://u:********@h/d?password=********", false},
		{"a URL with a reference", "postgres://u:${env:P}@h/d", "postgres://u:${env:P}@h/d", false},
		{"something else", "a,b", "a,b", false},
	} {
		stored, err := b.SealValue("c", "k", tt.value, "", tt.secret)
		require.NoError(t, err, tt.name)
		require.NotContains(t, stored, "hunter", tt.name)
		require.Equal(t, tt.shown, secrets.Shown(stored, tt.secret), tt.name)
		require.Equal(t, tt.shown, secrets.Shown(stored, false), "%s, where the key is not known", tt.name)
		back, ok := secrets.Unmask(secrets.Shown(stored, tt.secret), stored)
		require.True(t, ok, tt.name)
		require.Equal(t, stored, back, tt.name)
		require.NoError(t, b.Opens("c", "k", stored))
		again, err := b.SealValue("c", "k", tt.value, stored, tt.secret)
		require.NoError(t, err)
		require.Equal(t, stored, again, "%s: the same value stays the same", tt.name)
	}
	_, ok := secrets.Unmask(secrets.Mask, "plain")
	require.False(t, ok, "there is nothing that the mask could stand for")
	_, err := (*secrets.Box)(nil).SealValue("c", "k", "v", "", true)
	require.ErrorIs(t, err, secrets.ErrNoKey)
}

// Not parallel: the environment belongs to the process.
func TestReferencesReachOnlyWhatIsAllowed(t *testing.T) {
	t.Setenv("S_TEST_ONE", "one1")
	t.Setenv("S_OTHER", "other")
	t.Setenv("GANTRY_S_TEST", "gantry's own")
	allowed, outside := t.TempDir(), t.TempDir()
	write := func(dir, name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	props := write(allowed, "db.properties", "# user=no\n! user=no\nuser = ann\npassword=a=b\ncolon: c\\:d\nuni=\\u00e9\\\\\nempty=\n")
	write(allowed, "pem", "line1\nline2\n")
	secret := write(outside, "secret", "password=hunter2\n")
	require.NoError(t, os.Symlink(secret, filepath.Join(allowed, "link")))
	require.NoError(t, os.Symlink("pem", filepath.Join(allowed, "inner")))
	require.NoError(t, os.Symlink(allowed, filepath.Join(outside, "way-in")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(allowed, "pipe"), 0o600))
	r := secrets.NewResolver(secrets.Providers(secrets.Allowed{Env: []string{"S_TEST_*"}, Folders: []string{filepath.Join(allowed, "absent"), allowed}}), nil)

	for ref, want := range map[string]string{
		"${env:S_TEST_ONE}": "one1", "${file:" + props + ":user}": "ann", "${file:" + props + ":password}": "a=b",
		"${file:" + props + ":colon}": "c:d", "${file:" + props + ":uni}": `é\`, "${file:" + props + ":empty}": "",
		"${dir:" + allowed + ":pem}": "line1\nline2", "${dir:" + allowed + ":inner}": "line1\nline2",
		"${file:" + outside + "/way-in/db.properties:user}": "ann",
		"u:${file:" + props + ":user}:${env:S_TEST_ONE}@h":  "u:ann:one1@h", "$HOME ${not one": "$HOME ${not one",
	} {
		got, problems := r.Resolve(t.Context(), "c", map[string]string{"k": ref}, never)
		require.Empty(t, problems, ref)
		require.Equal(t, want, got.Config["k"], ref)
	}
	for ref, says := range map[string]string{
		"${env:S_OTHER}": "secrets.env does not allow", "${env:GANTRY_S_TEST}": "secrets.env does not allow", "${env:S_TEST_ABSENT}": "no such environment variable",
		"${vault:x}": `no kind of reference "vault"; this worker knows [dir env file]`, "${file:nokey}": "a file reference is",
		"${file:" + secret + ":password}": "in none of the folders", "${file:" + allowed + "/link:password}": "in none of the folders",
		"${dir:" + allowed + ":link}": "in none of the folders", "${file:" + allowed + "/../x:y}": "cannot read the file",
		"${dir:" + allowed + ":../" + filepath.Base(outside) + "/secret}": "a folder reference is", "${file:db.properties:user}": "must be absolute",
		"${file:" + props + ":absent}": "no such key", "${file:/no/such:key}": "cannot read the file: no such file", "${dir:" + allowed + ":}": "a folder reference is",
		"${dir:" + allowed + ":pipe}": "it is no file", "${file:" + allowed + ":x}": "it is no file",
	} {
		_, problems := r.Resolve(t.Context(), "c", map[string]string{"k": ref, "ok": "${env:S_TEST_ONE}"}, never)
		require.Len(t, problems, 1, ref)
		require.Equal(t, "k", problems[0].Key)
		require.ErrorContains(t, problems[0], says, ref)
		for _, value := range []string{"hunter2", "gantry's own", "other"} {
			require.NotContains(t, strings.ReplaceAll(problems[0].Error(), ref, ""), value)
		}
	}
	none := secrets.NewResolver(secrets.Providers(secrets.Allowed{}), nil)
	for _, ref := range []string{"${env:S_TEST_ONE}", "${file:" + props + ":user}", "${dir:" + allowed + ":pem}"} {
		_, problems := none.Resolve(t.Context(), "c", map[string]string{"k": ref}, never)
		require.Len(t, problems, 1, "without a setting nothing is allowed")
	}
	own := secrets.NewResolver(secrets.Providers(secrets.Allowed{Env: []string{"GANTRY_S_*"}}), nil)
	got, problems := own.Resolve(t.Context(), "c", map[string]string{"k": "${env:GANTRY_S_TEST}"}, never)
	require.Empty(t, problems)
	require.Equal(t, "gantry's own", got.Config["k"])
}

// vault is a provider of somebody else's.
type vault struct{}

func (vault) Look(_ context.Context, text string) (string, error) {
	if text == "down" {
		return "", errors.New("the vault is sealed")
	}
	return "value of " + text, nil
}

func TestProvidersArePluggable(t *testing.T) {
	t.Parallel()
	r := secrets.NewResolver(map[string]secrets.Provider{"vault": vault{}}, nil)
	got, problems := r.Resolve(t.Context(), "c", map[string]string{"k": "${vault:db/password}"}, never)
	require.Empty(t, problems)
	require.Equal(t, "value of db/password", got.Config["k"])
	_, problems = r.Resolve(t.Context(), "c", map[string]string{"k": "${vault:down}"}, never)
	require.Len(t, problems, 1)
	require.EqualError(t, problems[0], "refers to ${vault:down}: the vault is sealed")
}

func TestSecretsAreScrubbed(t *testing.T) {
	t.Parallel()
	b := box(t, keyset(t), "e")
	sealed, err := b.Seal("c", "other", `se"al&ed`)
	require.NoError(t, err)
	r := secrets.NewResolver(map[string]secrets.Provider{"vault": vault{}}, b)
	got, problems := r.Resolve(t.Context(), "c", map[string]string{"password": "${vault:p}", "url": "x://user:${vault:u}@h", "other": sealed,
		"name": "${vault:n}", "short": "abc"}, func(key string) bool { return key == "password" || key == "short" })
	require.Empty(t, problems)
	require.Equal(t, `se"al&ed`, got.Config["other"])
	text := `value of p, value of u, value+of+u, value of n, se"al&ed, se\"al&ed, se%22al%26ed, abc`
	const clean = `********, ********, ********, value of n, ********, ********, ********, abc`
	require.Equal(t, clean, got.Scrub.Text(text), "references in plain places are no secrets; what is too short is left")

	cause := errors.New("cause value of p")
	scrubbed := got.Scrub.Error(fmt.Errorf("outer: %w", cause))
	require.EqualError(t, scrubbed, "outer: cause ********")
	require.ErrorIs(t, scrubbed, cause)
	require.Same(t, context.Canceled, got.Scrub.Error(context.Canceled), "what holds none is left alone")
	require.NoError(t, got.Scrub.Error(nil))

	var out bytes.Buffer
	log := got.Scrub.Logger(slog.New(slog.NewTextHandler(&out, nil))).With("with", "value of p").WithGroup("g")
	log.Info("value of p", "text", "value of u", "error", cause, "any", struct{ P string }{"value of p"}, slog.Group("in", "x", "value of p"), "n", 4)
	require.NotContains(t, out.String(), "value of p")
	require.NotContains(t, out.String(), "value of u")
	require.Contains(t, out.String(), "g.n=4")
	require.Equal(t, 6, strings.Count(out.String(), secrets.Mask), out.String())

	var nobody *secrets.Scrubber
	require.Equal(t, "x", nobody.Text("x"))
	require.Same(t, cause, nobody.Error(cause))
}

func FuzzShown(f *testing.F) {
	f.Add("postgres://u:hunter2@h/d", true)
	f.Add("host=h password='x' ${env:Y}", false)
	f.Fuzz(func(t *testing.T, value string, secret bool) {
		shown := secrets.Shown(value, secret)
		require.Equal(t, shown, secrets.Shown(shown, false), "what is shown stays as it is")
		b, err := secrets.OpenBox("", "e")
		require.NoError(t, err)
		if stored, err := b.SealValue("c", "k", value, "", secret); err == nil {
			require.Equal(t, value, stored, "without a key nothing is sealed")
		}
	})
}
