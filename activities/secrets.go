package activities

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/pipeline"
	"github.com/gantry-connect/gantry/secrets"
	"github.com/gantry-connect/gantry/transforms"
)

// Secrets puts values in the place of a config's references; *secrets.Resolver does.
type Secrets interface {
	Resolve(ctx context.Context, connector string, config map[string]string, isSecret func(key string) bool) (secrets.Resolved, []secrets.Problem)
}

// resolve puts the values in the place of the references in a connector's config. They are read on this worker and at this
// moment, and live nowhere else. The error is a ConfigErrors; it names references, never values.
func (a *Activities) resolve(ctx context.Context, name string, plugin connector.Plugin, raw map[string]string) (secrets.Resolved, error) {
	defs := slices.Concat(pipeline.Definitions(plugin.Kind), plugin.Config, transforms.Definitions(raw))
	resolved, problems := a.Secrets.Resolve(ctx, name, raw, secrets.Keys(defs))
	if len(problems) == 0 {
		return resolved, nil
	}
	var errs connector.ConfigErrors
	for _, p := range problems {
		if errors.Is(p, secrets.ErrUnavailable) {
			return secrets.Resolved{}, fmt.Errorf("%s %w", p.Key, p) // no fault of the config: tried again
		}
		errs = append(errs, &connector.ConfigError{Field: p.Key, Reason: p.Error()})
	}
	return secrets.Resolved{}, errs
}

// storable is a task's config as the catalog may keep it: with the references that its connector's config has, and without
// any secret. A connector that puts one elsewhere is refused.
func storable(task, raw map[string]string, resolved secrets.Resolved) (map[string]string, error) {
	config := unresolve(task, raw, resolved.Config)
	for _, key := range slices.Sorted(maps.Keys(config)) {
		if value := config[key]; value != raw[key] && resolved.Scrub.Text(value) != value {
			return nil, connector.Permanent(fmt.Errorf("the connector puts a secret of its config into %s of its tasks' configs, where it would be stored in the clear", key))
		}
	}
	return config, nil
}

// unresolve puts the references back: only what the plugin added is new.
func unresolve(task, raw, resolved map[string]string) map[string]string {
	config := make(map[string]string, len(task))
	for key, value := range task {
		if original, ok := raw[key]; ok && value == resolved[key] {
			value = original
		}
		config[key] = value
	}
	return config
}
