package connector

import (
	"fmt"
	"strings"
)

// Plugins is the set of connector classes of one binary.
type Plugins []Plugin

// Find is the plugin for a connector.class, which may be written as the class ("FileSource"), in any case, with
// "Connector" behind it, or as a full Java-like name of which the last part counts.
func (p Plugins) Find(class string) (Plugin, error) {
	want := normalClass(class)
	for _, plugin := range p {
		if normalClass(plugin.Class) == want {
			return plugin, nil
		}
	}
	names := make([]string, len(p))
	for i := range p {
		names[i] = p[i].Class
	}
	return Plugin{}, &ConfigError{Field: "connector.class", Value: class,
		Reason: fmt.Sprintf("there is no such connector class here; known are %s", strings.Join(names, ", "))}
}

func normalClass(class string) string {
	class = class[strings.LastIndexByte(class, '.')+1:]
	return strings.TrimSuffix(strings.ToLower(class), "connector")
}
