package main

import (
	"context"

	"github.com/gantry-connect/gantry/secrets"
)

// box seals and opens secrets of this environment; nil where there is no keyset.
func (p *parts) box(ctx context.Context) (*secrets.Box, error) {
	keyset := p.settings.get("secrets.keyset")
	if keyset == "" {
		return nil, nil
	}
	environment, err := p.catalog.BindEnvironment(ctx, p.settings.get("temporal.namespace"))
	if err != nil {
		return nil, err
	}
	return secrets.OpenBox(keyset, environment)
}

// resolver looks up what configs refer to, as far as this worker's settings allow.
func (p *parts) resolver(ctx context.Context) (*secrets.Resolver, error) {
	box, err := p.box(ctx)
	if err != nil {
		return nil, err
	}
	allowed := secrets.Allowed{Env: p.settings.list("secrets.env"), Folders: p.settings.list("secrets.folders")}
	return secrets.NewResolver(secrets.Providers(allowed), box), nil
}
