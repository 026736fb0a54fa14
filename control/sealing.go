package control

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/pipeline"
	"github.com/gantry-connect/gantry/secrets"
)

// admit checks a config that is to be stored for the connector name, and seals the secrets that stand in it in the clear.
// Where it holds the mask that configs are shown with, what is stored stays. The error is an *InvalidConfigError unless the
// catalog could not be read.
func (s *Service) admit(ctx context.Context, name string, config map[string]string) (connector.Plugin, map[string]string, error) {
	c, err := s.connectors.Connector(ctx, name)
	if err != nil && !errors.Is(err, catalog.ErrNotFound) {
		return connector.Plugin{}, nil, translate(err, name)
	}
	if c.Desired == catalog.StateDeleted {
		c.Config = nil
	}
	return s.admitOver(name, config, c.Config)
}

// admitOver is admit where what is stored is known; nil: nothing is.
func (s *Service) admitOver(name string, given, stored map[string]string) (connector.Plugin, map[string]string, error) {
	config := maps.Clone(given)
	var problems connector.ConfigErrors
	for _, key := range slices.Sorted(maps.Keys(config)) {
		if value, reason := s.restore(name, key, config[key], stored[key]); reason != "" {
			problems = append(problems, &connector.ConfigError{Field: key, Reason: reason})
		} else {
			config[key] = value
		}
	}
	if len(problems) > 0 {
		return connector.Plugin{}, nil, &InvalidConfigError{Problems: problems}
	}
	plugin, err := s.check(config)
	if err != nil {
		return connector.Plugin{}, nil, err
	}
	isSecret := secretKeys(plugin, config)
	for _, key := range slices.Sorted(maps.Keys(config)) {
		value := config[key]
		if secrets.HoldsMask(value, isSecret(key)) {
			problems = append(problems, &connector.ConfigError{Field: key, Reason: "holds the mask that stands for a stored secret, and there is none: give the secret, or a reference"})
			continue
		}
		if s.secrets == nil {
			continue // check has refused what would have to be sealed
		}
		if config[key], err = s.secrets.SealValue(name, key, value, stored[key], isSecret(key)); err != nil {
			return connector.Plugin{}, nil, err
		}
	}
	if len(problems) > 0 {
		return connector.Plugin{}, nil, &InvalidConfigError{Kind: plugin.Kind, Problems: problems}
	}
	return plugin, config, nil
}

// restore puts what is stored in the place of masks, and says what is wrong with a value that comes sealed.
func (s *Service) restore(name, key, value, stored string) (restored, reason string) {
	if secrets.IsSealed(stored) {
		back, ok := secrets.Unmask(value, stored)
		if !ok {
			return "", "holds the mask of a stored secret in another place than before: give the secret, or a reference"
		}
		value = back
	}
	if value != stored && secrets.IsSealed(value) {
		if err := s.secrets.Opens(name, key, value); err != nil {
			return "", err.Error()
		}
	}
	return value, ""
}

// secretKeys tells which keys of a config hold secrets.
func secretKeys(plugin connector.Plugin, config map[string]string) func(key string) bool {
	resolved, _, err := pipeline.ResolveAliases(config)
	if err != nil {
		resolved = config
	}
	return secrets.Keys(keysOf(plugin, resolved))
}

// openSecrets refuses secrets in the clear where there is no key to seal them with: what is in a config is stored and kept
// in revisions. With a key it refuses only what cannot be both a secret and a reference.
func (s *Service) openSecrets(plugin connector.Plugin, config map[string]string) connector.ConfigErrors {
	isSecret := secretKeys(plugin, config)
	var problems connector.ConfigErrors
	for _, key := range slices.Sorted(maps.Keys(config)) {
		found := secrets.InClear(config[key], isSecret(key))
		switch {
		case len(found) == 0:
		case slices.ContainsFunc(found, secrets.HasReference):
			problems = append(problems, &connector.ConfigError{Field: key, Reason: "mixes a secret with a reference: let the reference stand for all of it"})
		case s.secrets != nil:
		case isSecret(key):
			problems = append(problems, &connector.ConfigError{Field: key,
				Reason: "holds a secret in clear: refer to it, as ${env:NAME}, ${file:/path:key} or ${dir:/path:file}, and set it where the workers run; or give API and workers a key (gantry key create, GANTRY_SECRETS_KEYSET), and it is sealed"})
		default:
			problems = append(problems, &connector.ConfigError{Field: key,
				Reason: "holds a password in clear: refer to it, as in postgres://user:${env:NAME}@host/db; or give API and workers a key (gantry key create, GANTRY_SECRETS_KEYSET), and it is sealed"})
		}
	}
	return problems
}

// scrubbed are problems whose texts hold none of the config's secrets.
func scrubbed(problems connector.ConfigErrors, plugin connector.Plugin, config map[string]string) connector.ConfigErrors {
	isSecret := secretKeys(plugin, config)
	var hidden []string
	for key, value := range config {
		hidden = append(hidden, secrets.InClear(value, isSecret(key))...)
	}
	scrub := secrets.NewScrubber(hidden)
	clean := make(connector.ConfigErrors, len(problems))
	for i, p := range problems {
		value := p.Value
		if value != "" {
			value = secrets.Shown(value, isSecret(p.Field))
		}
		clean[i] = &connector.ConfigError{Field: p.Field, Value: scrub.Text(value), Reason: scrub.Text(p.Reason)}
	}
	return clean
}
