package control

import (
	"strings"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/transforms"
)

// keysOf is every key that config may hold: the framework's, the plugin's own, and those of the transforms and predicates
// that config lists.
func keysOf(plugin connector.Plugin, config map[string]string) []connector.Definition {
	return append(definitions(plugin), transforms.Definitions(config)...)
}

// transformProblems is what is wrong with the transforms.
func transformProblems(plugin connector.Plugin, config map[string]string) connector.ConfigErrors {
	_, err := transforms.New(config, plugin.Kind)
	return asProblems(err)
}

// withoutUndefined drops from unknown the keys of transforms and predicates whose class is not known: nobody can say which
// keys they have.
func withoutUndefined(unknown, wrong connector.ConfigErrors) connector.ConfigErrors {
	var kept connector.ConfigErrors
next:
	for _, u := range unknown {
		for _, w := range wrong {
			if prefix, ok := strings.CutSuffix(w.Field, "type"); ok && strings.HasPrefix(u.Field, prefix) {
				continue next
			}
		}
		kept = append(kept, u)
	}
	return kept
}

// transformPlugins are the transforms and predicates.
func transformPlugins() []PluginInfo {
	var out []PluginInfo
	for _, p := range transforms.Plugins() {
		out = append(out, PluginInfo{Class: p.Class, Type: p.Type, Version: p.Version})
	}
	return out
}

// transformKeys are the keys of a transform or predicate, and its version; class may lack its package.
func transformKeys(class string) (defs []connector.Definition, version string, ok bool) {
	for _, p := range transforms.Plugins() {
		if p.Class == class || strings.HasSuffix(p.Class, "."+class) {
			return p.Config, p.Version, true
		}
	}
	return nil, "", false
}
