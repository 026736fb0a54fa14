package access_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/access"
)

// provider is an OpenID provider: its configuration and its keys, over HTTP.
type provider struct {
	*httptest.Server
	down atomic.Bool
	key  atomic.Pointer[jose.JSONWebKey]
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{}
	p.rotate(t, "first")
	answer := func(w http.ResponseWriter, body any) {
		if p.down.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(body) // who went away reads nothing
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"issuer": p.URL, "jwks_uri": p.URL + "/keys", "id_token_signing_alg_values_supported": []string{"ES256", "HS256", "none"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{p.key.Load().Public()}})
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *provider) rotate(t *testing.T, id string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p.key.Store(&jose.JSONWebKey{Key: key, KeyID: id, Algorithm: "ES256", Use: "sig"})
}

// sign makes a token with these claims on top of good ones; nil removes one.
func (p *provider) sign(t *testing.T, claims map[string]any) string {
	t.Helper()
	return p.signWith(t, jose.SigningKey{Algorithm: jose.ES256, Key: *p.key.Load()}, claims)
}

func (p *provider) signWith(t *testing.T, key jose.SigningKey, claims map[string]any) string {
	t.Helper()
	all := map[string]any{"iss": p.URL, "aud": "gantry", "sub": "ann", "exp": time.Now().Add(time.Hour).Unix(), "realm": map[string]any{"roles": []string{"ops", "x"}}}
	for name, value := range claims {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	body, err := json.Marshal(all)
	require.NoError(t, err)
	signer, err := jose.NewSigner(key, nil)
	require.NoError(t, err)
	signed, err := signer.Sign(body)
	require.NoError(t, err)
	text, err := signed.CompactSerialize()
	require.NoError(t, err)
	return text
}

func (p *provider) config() access.OIDCConfig {
	return access.OIDCConfig{Issuer: p.URL, Audience: "gantry", NameClaim: "sub", RoleClaim: "realm.roles",
		Roles: []string{"ops=operator", "devs=editor:orders-* billing", "x=viewer"}}
}

func present(chain access.Chain, token string) (access.Principal, error) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return chain.Authenticate(r)
}

func TestTokensOfAnOpenIDProvider(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	o, err := access.OpenOIDC(p.config())
	require.NoError(t, err)
	chain := access.Chain{o}

	who, err := present(chain, p.sign(t, nil))
	require.NoError(t, err)
	require.Equal(t, access.Principal{Name: "ann", Role: access.Operator}, who, "of several roles the highest counts")
	who, err = present(chain, p.sign(t, map[string]any{"realm": map[string]any{"roles": "x devs"}}))
	require.NoError(t, err)
	require.Equal(t, access.Editor, who.Role)
	require.Equal(t, "orders-* billing", who.Scope.String())

	forged := p.sign(t, nil)
	public, err := x509.MarshalPKIXPublicKey(p.key.Load().Public().Key)
	require.NoError(t, err)
	shared := jose.JSONWebKey{Key: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), KeyID: "first"}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	for what, token := range map[string]string{
		"expired":            p.sign(t, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}),
		"without an end":     p.sign(t, map[string]any{"exp": nil}),
		"not yet good":       p.sign(t, map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}),
		"by the public key":  p.signWith(t, jose.SigningKey{Algorithm: jose.HS256, Key: shared}, nil),
		"by another key":     p.signWith(t, jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: stranger, KeyID: "first"}}, nil),
		"by an unknown key":  p.signWith(t, jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: stranger, KeyID: "third"}}, nil),
		"for somebody else":  p.sign(t, map[string]any{"aud": "other"}),
		"of another issuer":  p.sign(t, map[string]any{"iss": "https://evil.example"}),
		"without a name":     p.sign(t, map[string]any{"sub": nil}),
		"without a role":     p.sign(t, map[string]any{"realm": nil}),
		"with unknown roles": p.sign(t, map[string]any{"realm": map[string]any{"roles": []string{"admin"}}}),
		"unsigned":           "eyJhbGciOiJub25lIn0." + strings.Split(forged, ".")[1] + ".",
		"changed":            forged[:len(forged)-4] + "AAAA",
		"no JWT":             "a.b.c",
	} {
		_, err := present(chain, token)
		var unknown *access.UnauthenticatedError
		require.ErrorAs(t, err, &unknown, what)
	}

	p.rotate(t, "second")
	_, err = present(chain, p.sign(t, nil))
	require.NoError(t, err, "new keys are fetched")
}

func TestAnOutageOfTheProviderIsNoWrongToken(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	p.down.Store(true)
	o, err := access.OpenOIDC(p.config())
	require.NoError(t, err, "it keeps nothing from starting")
	_, err = present(access.Chain{o}, p.sign(t, nil))
	require.ErrorContains(t, err, "api.oidc.issuer")
	var unknown *access.UnauthenticatedError
	require.NotErrorAs(t, err, &unknown)

	p.down.Store(false)
	require.Eventually(t, func() bool {
		_, err := present(access.Chain{o}, p.sign(t, nil))
		return err == nil
	}, time.Minute, 50*time.Millisecond, "it is asked again")
	p.rotate(t, "second")
	p.down.Store(true)
	_, err = present(access.Chain{o}, p.sign(t, nil))
	require.Error(t, err)
	require.NotErrorAs(t, err, &unknown, "its keys could not be fetched")
}

func TestOIDCSettingsAreChecked(t *testing.T) {
	t.Parallel()
	good := access.OIDCConfig{Issuer: "https://id.example", Audience: "a", NameClaim: "sub", RoleClaim: "roles", Roles: []string{"a=admin"}}
	_, err := access.OpenOIDC(good)
	require.NoError(t, err)
	for says, change := range map[string]func(c *access.OIDCConfig){
		"api.oidc.issuer":                                      func(c *access.OIDCConfig) { c.Issuer = "" },
		"api.oidc.audience":                                    func(c *access.OIDCConfig) { c.Audience = "" },
		`api.oidc.roles: "x" must be value=role`:               func(c *access.OIDCConfig) { c.Roles = []string{"x"} },
		`api.oidc.roles: "x=god": role "god"`:                  func(c *access.OIDCConfig) { c.Roles = []string{"x=god"} },
		`api.oidc.roles: "x=admin:|=": scope`:                  func(c *access.OIDCConfig) { c.Roles = []string{"x=admin:|="} },
		"api.auth holds oidc: api.oidc.roles must be set":      func(c *access.OIDCConfig) { c.Roles = nil },
		"api.auth holds oidc: api.oidc.name-claim must be set": func(c *access.OIDCConfig) { c.NameClaim = "" },
	} {
		c := good
		change(&c)
		_, err := access.OpenOIDC(c)
		require.ErrorContains(t, err, says)
	}
}
