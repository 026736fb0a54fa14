package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
)

// Plugin is a class that configs may name.
type Plugin struct {
	Class   string `json:"class"`
	Type    string `json:"type"` // source, sink, converter, header_converter, transformation or predicate
	Version string `json:"version,omitempty"`
}

// Key describes one config key.
type Key struct {
	Name          string   `json:"name"`
	Type          string   `json:"type"` // BOOLEAN, STRING, INT, SHORT, LONG, DOUBLE, LIST, CLASS or PASSWORD
	Required      bool     `json:"required"`
	DefaultValue  *string  `json:"default_value"`
	Importance    string   `json:"importance"`
	Documentation string   `json:"documentation"`
	Group         string   `json:"group"`
	OrderInGroup  int      `json:"order_in_group"`
	Order         int      `json:"order"`
	Width         string   `json:"width"`
	DisplayName   string   `json:"display_name"`
	Dependents    []string `json:"dependents"`
}

// KeyValue is the value given for a key and what is wrong with it.
type KeyValue struct {
	Name              string   `json:"name"`
	Value             *string  `json:"value"`
	RecommendedValues []string `json:"recommended_values"`
	Errors            []string `json:"errors"`
	Visible           bool     `json:"visible"`
}

// KeyResult is a key with its value. Definition is nil for a key that nothing defines.
type KeyResult struct {
	Definition *Key     `json:"definition"`
	Value      KeyValue `json:"value"`
}

// Validation is what is right and wrong with a config.
type Validation struct {
	Name       string      `json:"name"` // the class
	ErrorCount int         `json:"error_count"`
	Groups     []string    `json:"groups"`
	Configs    []KeyResult `json:"configs"`
}

// Plugins lists the connector classes, or with all also the converters, transforms and predicates.
func (c *Client) Plugins(ctx context.Context, all bool) (plugins []Plugin, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: "/connector-plugins",
		query: url.Values{"connectorsOnly": {strconv.FormatBool(!all)}}, out: &plugins})
	return plugins, err
}

// PluginConfig are the keys of a class.
func (c *Client) PluginConfig(ctx context.Context, class string) (keys []Key, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: path("connector-plugins", class, "config"), out: &keys})
	return keys, err
}

// Validate says what is right and wrong with a config, without reaching anything.
func (c *Client) Validate(ctx context.Context, class string, config map[string]string) (v Validation, err error) {
	_, err = c.do(ctx, call{method: http.MethodPut, path: path("connector-plugins", class, "config", "validate"), in: config, out: &v})
	return v, err
}

// Logger is a logger's level.
type Logger struct {
	Level        string `json:"level"`
	LastModified *int64 `json:"last_modified"` // milliseconds since 1970; nil if it was never set
}

// Loggers are the levels by logger name.
func (c *Client) Loggers(ctx context.Context) (loggers map[string]Logger, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: "/admin/loggers", out: &loggers})
	return loggers, err
}

// Logger is one logger's level.
func (c *Client) Logger(ctx context.Context, name string) (l Logger, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: path("admin", "loggers", name), out: &l})
	return l, err
}

// SetLogger sets the level of a logger and those below it: in the process that answers, or in the whole cluster. It
// returns the loggers that changed, which for the cluster is not known.
func (c *Client) SetLogger(ctx context.Context, name, level string, cluster bool) (changed []string, err error) {
	scope := "worker"
	if cluster {
		scope = "cluster"
	}
	_, err = c.do(ctx, call{method: http.MethodPut, path: path("admin", "loggers", name), query: url.Values{"scope": {scope}},
		in: map[string]string{"level": level}, out: &changed})
	return changed, err
}

// Schema is the JSON of a schema that messages refer to by its fingerprint.
func (c *Client) Schema(ctx context.Context, fingerprint string) (schema json.RawMessage, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: path("schemas", fingerprint), out: &schema})
	return schema, err
}
