package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/gantry-connect/gantry/catalog"
)

// How long a creation waits for the name of a connector that was deleted a moment ago, and how often it looks.
const (
	namePatience = 45 * time.Second // less than api.request-timeout
	nameLook     = 50 * time.Millisecond
)

// createFree creates a connector. While another of its name is on its way out it waits, though not for long, so that
// whoever deletes and creates need not ask when the name is free.
func (s *Service) createFree(ctx context.Context, n catalog.NewConnector) (catalog.Connector, error) {
	patience := time.NewTimer(namePatience)
	defer patience.Stop()
	look := time.NewTicker(nameLook)
	defer look.Stop()
	for {
		made, err := s.connectors.CreateConnector(ctx, n)
		if !errors.Is(err, catalog.ErrExists) {
			return made, err
		}
		there, ferr := s.connectors.Connector(ctx, n.Name)
		switch {
		case ferr != nil && !errors.Is(ferr, catalog.ErrNotFound):
			return catalog.Connector{}, ferr
		case ferr == nil && there.Desired != catalog.StateDeleted:
			return catalog.Connector{}, err
		}
		select {
		case <-look.C:
		case <-patience.C:
			return catalog.Connector{}, catalog.ErrDeleting
		case <-ctx.Done():
			return catalog.Connector{}, ctx.Err()
		}
	}
}

// PatchConfig changes single keys of a connector's config: a key whose value is nil is removed. What comes out is checked
// as a whole. Several patches at once all take effect.
func (s *Service) PatchConfig(ctx context.Context, name string, patch map[string]*string, author string) (Info, error) {
	if given, ok := patch["name"]; ok && (given == nil || *given != name) {
		text := "null"
		if given != nil {
			text = *given
		}
		return Info{}, nameMismatch(text, name)
	}
	var refused error
	changed, err := s.connectors.ChangeConfig(ctx, name, author, func(now catalog.Connector) (catalog.NextConfig, error) {
		config := maps.Clone(now.Config)
		for key, value := range patch {
			if value == nil {
				delete(config, key)
			} else {
				config[key] = *value
			}
		}
		plugin, admitted, err := s.admitOver(name, config, now.Config)
		refused = err
		return catalog.NextConfig{Class: plugin.Class, Kind: string(plugin.Kind), Config: admitted}, err
	})
	switch {
	case refused != nil:
		return Info{}, refused
	case errors.Is(err, catalog.ErrDeleting):
		return Info{}, translate(catalog.ErrNotFound, name)
	case err != nil:
		return Info{}, translate(err, name)
	}
	s.tell(ctx, name)
	return s.info(ctx, changed)
}

func nameMismatch(given, name string) error {
	return &RequestError{Reason: fmt.Sprintf("Connector name configuration (%s) doesn't match connector name in the URL (%s)", given, name),
		Field: "name", Value: given, Remedy: "Leave name out of the config, or give the same one."}
}
