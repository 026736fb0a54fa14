package access

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// OIDCConfig says whose JSON Web Tokens are taken, and what their claims mean. All fields are needed.
type OIDCConfig struct {
	Issuer    string // URL of the OpenID provider
	Audience  string // that tokens must be made for
	NameClaim string // holds the name, such as sub or email
	RoleClaim string // holds roles or groups: a text or a list of them; dots go into nested claims
	// Roles says what the values of RoleClaim mean here: value=role, or value=role:scope. Of several that fit, the
	// highest role counts.
	Roles []string
}

const (
	providerTimeout = 10 * time.Second // of one request to the provider
	providerRetry   = 5 * time.Second  // after a failed discovery
)

// OIDC authenticates by tokens of an OpenID provider. The provider is asked when the first token comes, so that its outage
// keeps nothing from starting; its keys are cached and read again when a token names one that is not known.
type OIDC struct {
	config OIDCConfig
	roles  map[string]Principal // by value of the role claim; without names
	client *http.Client

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier // nil until discovery has worked
	failure  error                 // of the last discovery
	tried    time.Time
}

// OpenOIDC checks the config.
func OpenOIDC(c OIDCConfig) (*OIDC, error) {
	for setting, value := range map[string]string{"api.oidc.issuer": c.Issuer, "api.oidc.audience": c.Audience, "api.oidc.name-claim": c.NameClaim,
		"api.oidc.role-claim": c.RoleClaim, "api.oidc.roles": strings.Join(c.Roles, ",")} {
		if value == "" {
			return nil, fmt.Errorf("api.auth holds oidc: %s must be set", setting)
		}
	}
	o := &OIDC{config: c, roles: map[string]Principal{}, client: &http.Client{Timeout: providerTimeout}}
	for _, mapping := range c.Roles {
		value, meaning, ok := strings.Cut(mapping, "=")
		if !ok || value == "" {
			return nil, fmt.Errorf("api.oidc.roles: %q must be value=role or value=role:scope", mapping)
		}
		roleName, scopeText, _ := strings.Cut(meaning, ":")
		role, err := ParseRole(roleName)
		if err != nil {
			return nil, fmt.Errorf("api.oidc.roles: %q: %w", mapping, err)
		}
		scope, err := ParseScope(scopeText)
		if err != nil {
			return nil, fmt.Errorf("api.oidc.roles: %q: %w", mapping, err)
		}
		o.roles[strings.TrimSpace(value)] = Principal{Role: role, Scope: scope}
	}
	return o, nil
}

// Authenticate names the sender; see Chain.
func (o *OIDC) Authenticate(r *http.Request) (Principal, error) {
	text := bearer(r)
	if strings.Count(text, ".") != 2 { // no signed JWT
		return Principal{}, errNotMine
	}
	ctx := oidc.ClientContext(r.Context(), o.client)
	verifier, err := o.discover(ctx)
	if err != nil {
		return Principal{}, err
	}
	token, err := verifier.Verify(ctx, text)
	if err != nil {
		return Principal{}, o.judge(r.Context(), err)
	}
	claims := map[string]any{}
	if err := token.Claims(&claims); err != nil {
		return Principal{}, &UnauthenticatedError{"its claims cannot be read: " + err.Error()}
	}
	return o.principal(claims)
}

// judge tells a bad token from a provider that could not be asked for its keys.
func (o *OIDC) judge(ctx context.Context, err error) error {
	if ctx.Err() != nil || strings.Contains(err.Error(), "fetching keys") {
		return fmt.Errorf("verify a token of %s: %w", o.config.Issuer, err)
	}
	return &UnauthenticatedError{err.Error()}
}

// discover reads the provider's configuration once.
func (o *OIDC) discover(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.verifier != nil {
		return o.verifier, nil
	}
	if o.failure != nil && time.Since(o.tried) < providerRetry {
		return nil, o.failure
	}
	// What the provider returns keeps the context for fetching keys later: it must outlive this request.
	provider, err := oidc.NewProvider(context.WithoutCancel(ctx), o.config.Issuer)
	o.tried = time.Now()
	if err != nil {
		o.failure = fmt.Errorf("ask the OpenID provider %s (api.oidc.issuer) for its configuration: %w", o.config.Issuer, err)
		return nil, o.failure
	}
	o.verifier, o.failure = provider.Verifier(&oidc.Config{ClientID: o.config.Audience}), nil
	return o.verifier, nil
}

func (o *OIDC) principal(claims map[string]any) (Principal, error) {
	name, _ := claimOf(claims, o.config.NameClaim).(string)
	if name == "" {
		return Principal{}, &UnauthenticatedError{fmt.Sprintf("it has no claim %s that is a text (api.oidc.name-claim)", o.config.NameClaim)}
	}
	best := Principal{}
	for _, value := range texts(claimOf(claims, o.config.RoleClaim)) {
		if p, ok := o.roles[value]; ok && p.Role > best.Role {
			best = p
		}
	}
	if best.Role == 0 {
		return Principal{}, &UnauthenticatedError{fmt.Sprintf("the claim %s of %s gives no role here (api.oidc.roles)", o.config.RoleClaim, name)}
	}
	best.Name = name
	return best, nil
}

// claimOf finds a claim by its name, or by a path with dots.
func claimOf(claims map[string]any, path string) any {
	if value, ok := claims[path]; ok {
		return value
	}
	first, rest, nested := strings.Cut(path, ".")
	inner, ok := claims[first].(map[string]any)
	if !nested || !ok {
		return nil
	}
	return claimOf(inner, rest)
}

func texts(claim any) []string {
	switch v := claim.(type) {
	case string:
		return strings.Fields(v)
	case []any:
		var out []string
		for _, item := range v {
			if text, ok := item.(string); ok {
				out = append(out, text)
			}
		}
		return out
	}
	return nil
}
