package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/api"
	"github.com/gantry-connect/gantry/control"
)

// Ways to prove a name; see the setting api.auth.
const (
	authNone     = "none"
	authTokens   = "tokens"
	authHtpasswd = "htpasswd"
	authOIDC     = "oidc"
)

func checkAuth(v string) error {
	if v == authNone {
		return nil
	}
	for _, way := range strings.Split(v, ",") {
		if err := oneOf(strings.TrimSpace(way), authTokens, authHtpasswd, authOIDC); err != nil {
			return fmt.Errorf("%q: %w; or none alone", strings.TrimSpace(way), err)
		}
	}
	return nil
}

// newGuard is what stands before the API, as the settings say.
func newGuard(p *parts) (api.Guard, error) {
	s := p.settings
	timeout, _ := time.ParseDuration(s.get("api.request-timeout")) // check has seen it
	guard := api.Guard{Public: s.list("api.public"), Trail: control.Trail{Store: p.catalog}, Labels: p.catalog,
		Rate: float64(s.number("api.rate-limit")), RequestTimeout: timeout, Origins: s.list("api.cors.origins")}
	if s.get("api.auth") == authNone {
		guard.ThisMachineOnly = !s.openToAll()
		return guard, nil
	}
	var chain access.Chain
	for _, way := range s.list("api.auth") {
		one, err := authenticator(p, way)
		if err != nil {
			return api.Guard{}, err
		}
		chain = append(chain, one)
	}
	guard.Authenticator = chain
	guard.Challenges = []string{`Bearer realm="gantry"`, `Basic realm="gantry", charset="UTF-8"`}
	return guard, nil
}

func authenticator(p *parts, way string) (access.Authenticator, error) {
	s := p.settings
	switch way {
	case authTokens:
		return access.Tokens{Store: p.catalog}, nil
	case authHtpasswd:
		return access.OpenHtpasswd(s.get("api.htpasswd"))
	}
	return access.OpenOIDC(access.OIDCConfig{Issuer: s.get("api.oidc.issuer"), Audience: s.get("api.oidc.audience"),
		NameClaim: s.get("api.oidc.name-claim"), RoleClaim: s.get("api.oidc.role-claim"), Roles: s.list("api.oidc.roles")})
}
