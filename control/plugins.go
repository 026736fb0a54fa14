package control

import (
	"fmt"
	"strings"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/converters"
)

// PluginList is the plugins of this installation: connectors, and unless they alone are asked for, what they can be
// combined with.
func (s *Service) PluginList(connectorsOnly bool) []PluginInfo {
	out := make([]PluginInfo, 0, len(s.plugins))
	for _, p := range s.plugins {
		out = append(out, PluginInfo{Class: p.Class, Type: string(p.Kind), Version: p.Version})
	}
	if connectorsOnly {
		return out
	}
	for _, name := range converters.Names() {
		out = append(out, PluginInfo{Class: name, Type: "converter"})
	}
	return append(out, transformPlugins()...)
}

// latest is the version that every plugin answers to: there is only one of each.
const latest = "latest"

// PluginConfig is every key that a config of this plugin may hold. An empty version is the latest.
func (s *Service) PluginConfig(class, version string) ([]KeyInfo, error) {
	defs, has, ok := s.pluginKeys(class)
	if !ok {
		return nil, &NotFoundError{fmt.Sprintf("Unknown plugin %s.", class)}
	}
	if version = strings.TrimSpace(version); version != "" && version != latest && version != has {
		known := latest
		if has != "" {
			known = has + " and " + latest
		}
		return nil, requestError("Plugin %s has no version %s here; it has %s", class, version, known)
	}
	out := make([]KeyInfo, len(defs))
	for i, d := range defs {
		out[i] = keyInfo(d)
	}
	return out, nil
}

func (s *Service) pluginKeys(class string) (defs []connector.Definition, version string, ok bool) {
	if plugin, err := s.plugins.Find(class); err == nil {
		return keysOf(plugin, nil), plugin.Version, true
	}
	if name, ok := converters.Find(class); ok {
		return converters.Options(name), "", true
	}
	return transformKeys(class)
}

func keyInfo(d connector.Definition) KeyInfo {
	k := KeyInfo{Name: d.Name, Type: d.Type, Required: d.Required, DefaultValue: d.Default, Importance: d.Importance,
		Documentation: d.Doc, Group: d.Group, OrderInGroup: d.Order, Order: d.Order, Width: widths[d.Type], DisplayName: d.Name,
		Dependents: d.Dependents}
	if k.Dependents == nil {
		k.Dependents = []string{}
	}
	if k.Width == "" {
		k.Width = "MEDIUM"
	}
	return k
}

// widths are how much room a form gives a value of a type; MEDIUM if it is not named.
var widths = map[string]string{"BOOLEAN": "SHORT", "INT": "SHORT", "SHORT": "SHORT", "LONG": "SHORT", "DOUBLE": "SHORT", "LIST": "LONG"}
