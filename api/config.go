package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sort"

	"github.com/danielgtaylor/huma/v2"
)

// Config is a connector's config as clients send it: a flat object whose values are strings. Numbers and bools are
// taken as the text they were written in.
type Config map[string]string

// Schema describes Config for OpenAPI. What values may be is left to UnmarshalJSON, whose errors name the key.
func (Config) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true,
		Description: "A flat map of config keys to strings; numbers and bools are taken as text, null and nested values refused."}
}

// UnmarshalJSON accepts scalars and keeps the digits of numbers.
func (c *Config) UnmarshalJSON(data []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return fmt.Errorf("the config must be a JSON object: %w", err)
	}
	keys := make([]string, 0, len(raw))
	for key := range raw {
		keys = append(keys, key)
	}
	sort.Strings(keys) // the same error for the same body, each time
	out := make(Config, len(raw))
	for _, key := range keys {
		if isNull(raw[key]) {
			//lint:ignore ST1005 these are Kafka Connect's words, which clients match
			return fmt.Errorf("config key %q: Null value can not be supplied as the configuration value.", key)
		}
		text, err := scalar(raw[key])
		if err != nil {
			return fmt.Errorf("config key %q: %w", key, err)
		}
		out[key] = text
	}
	*c = out
	return nil
}

// ConfigPatch is a Config in which null is a value of its own, as nil.
type ConfigPatch map[string]*string

// Schema describes ConfigPatch for OpenAPI.
func (ConfigPatch) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true,
		Description: "A flat map of config keys to strings or null; numbers and bools are taken as text, nested values refused."}
}

// UnmarshalJSON is Config's, with nulls.
func (c *ConfigPatch) UnmarshalJSON(data []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return fmt.Errorf("the config must be a JSON object: %w", err)
	}
	out, values := make(ConfigPatch, len(raw)), make(map[string]json.RawMessage, len(raw))
	for key, value := range raw {
		if isNull(value) {
			out[key] = nil
		} else {
			values[key] = value
		}
	}
	rest, err := json.Marshal(values)
	if err != nil {
		return err
	}
	var config Config
	if err := config.UnmarshalJSON(rest); err != nil {
		return err
	}
	for key, value := range config {
		out[key] = &value
	}
	*c = out
	return nil
}

func isNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }

func scalar(raw json.RawMessage) (string, error) {
	raw = bytes.TrimSpace(raw)
	switch raw[0] {
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	case '{', '[':
		return "", errors.New("must be a string, number or bool, not an object or a list") // it is not repeated: it may hold a secret
	}
	return string(raw), nil
}
