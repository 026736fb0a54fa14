package control

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/converters"
	"github.com/gantry-connect/gantry/pipeline"
)

// maxNameBytes leaves room for the name in a workflow id and in search attributes, which hold 255 bytes.
const maxNameBytes = 200

// reference is a value taken from elsewhere when a task starts; see activities, which resolves it.
var reference = regexp.MustCompile(`\$\{[a-z]+:[^}]*\}`)

// checkName keeps out names that could not be read or deleted again over REST.
func checkName(name string) error {
	problem := ""
	switch {
	case name == "":
		problem = "is required: give the connector a name"
	case len(name) > maxNameBytes:
		problem = fmt.Sprintf("has %d bytes: at most %d are possible", len(name), maxNameBytes)
	case strings.ContainsAny(name, "/\\%") || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		problem = `must not contain "/", "\", "%" or control characters`
	case name == "." || name == "..":
		problem = "is no usable path segment"
	default:
		return nil
	}
	return &InvalidConfigError{Problems: connector.ConfigErrors{{Field: "name", Value: name, Reason: problem}}}
}

// check validates a whole config and finds its plugin. The error is an *InvalidConfigError.
func (s *Service) check(config map[string]string) (connector.Plugin, error) {
	plugin, problems := s.problems(config)
	if len(problems) > 0 {
		return plugin, &InvalidConfigError{Kind: plugin.Kind, Problems: problems}
	}
	return plugin, nil
}

// problems is everything wrong with config, in the order of the keys' definitions.
func (s *Service) problems(config map[string]string) (connector.Plugin, connector.ConfigErrors) {
	class := config["connector.class"]
	if class == "" {
		return connector.Plugin{}, connector.ConfigErrors{{Field: "connector.class", Reason: "is required and has no default"}}
	}
	plugin, err := s.plugins.Find(class)
	if err != nil {
		return connector.Plugin{}, asProblems(err)
	}
	defs := definitions(plugin)
	problems := append(unknownKeys(config, defs), openSecrets(config, defs)...)
	found := append(asProblems(checkFramework(plugin.Kind, config)), asProblems(plugin.Check(config))...)
	found = append(found, converterProblems(config)...)
	for _, p := range found {
		// A reference has its value only on the worker: what it stands for is checked when a task starts.
		if !reference.MatchString(config[p.Field]) {
			problems = append(problems, p)
		}
	}
	order := make(map[string]int, len(defs))
	for i, d := range defs {
		order[d.Name] = i
	}
	sort.SliceStable(problems, func(i, j int) bool { return order[problems[i].Field] < order[problems[j].Field] })
	return plugin, problems
}

// converterProblems tries to make the converters that the config names.
func converterProblems(config map[string]string) connector.ConfigErrors {
	var problems connector.ConfigErrors
	for _, which := range []string{"key.converter", "value.converter"} {
		name := config[which]
		if name == "" {
			name = converters.JSON
		}
		options := map[string]string{}
		for k, v := range config {
			if option, ok := strings.CutPrefix(k, which+"."); ok {
				options[option] = v
			}
		}
		_, err := converters.New(name, options, which == "key.converter")
		problems = append(problems, asProblems(err)...)
	}
	return problems
}

func asProblems(err error) connector.ConfigErrors {
	if err == nil {
		return nil
	}
	var all connector.ConfigErrors
	if errors.As(err, &all) {
		return all
	}
	var one *connector.ConfigError
	if errors.As(err, &one) {
		return connector.ConfigErrors{one}
	}
	return connector.ConfigErrors{{Field: "connector.class", Reason: err.Error()}}
}

func checkFramework(kind connector.Kind, config map[string]string) error {
	if kind == connector.KindSource {
		_, err := pipeline.ParseSourceConfig(config)
		return err
	}
	_, err := pipeline.ParseSinkConfig(config)
	return err
}

// definitions is every key a config of this plugin may hold: the framework's, then the plugin's own.
func definitions(plugin connector.Plugin) []connector.Definition {
	var defs []connector.Definition
	for _, d := range append(pipeline.Definitions(plugin.Kind), plugin.Config...) {
		if !d.Internal {
			defs = append(defs, d)
		}
	}
	return defs
}

// openPrefixes are families of keys that are passed on without being listed one by one.
var openPrefixes = []string{"key.converter.", "value.converter."}

func unknownKeys(config map[string]string, defs []connector.Definition) connector.ConfigErrors {
	var problems connector.ConfigErrors
	keys := make([]string, 0, len(config))
	for k := range config {
		keys = append(keys, k)
	}
	sort.Strings(keys)
next:
	for _, key := range keys {
		best, distance := "", len(key)/3+1
		for _, d := range defs {
			if d.Name == key {
				continue next
			}
			if n := editDistance(key, d.Name); n < distance {
				best, distance = d.Name, n
			}
		}
		for _, prefix := range openPrefixes {
			if strings.HasPrefix(key, prefix) {
				continue next
			}
		}
		reason := "is not a key of this connector; remove it"
		if best != "" {
			reason = fmt.Sprintf("is not a key of this connector; did you mean %q?", best)
		}
		problems = append(problems, &connector.ConfigError{Field: key, Reason: reason})
	}
	return problems
}

// openSecrets refuses secrets in clear: what is in a config is stored, shown and kept in revisions.
func openSecrets(config map[string]string, defs []connector.Definition) connector.ConfigErrors {
	var problems connector.ConfigErrors
	for _, d := range defs {
		value := config[d.Name]
		if value == "" {
			continue
		}
		if d.Type == "PASSWORD" && reference.FindString(value) != value {
			problems = append(problems, &connector.ConfigError{Field: d.Name,
				Reason: "holds a secret in clear: refer to it, as ${env:NAME} or ${file:/path:key}, and set it where the workers run"})
		} else if u, err := url.Parse(value); err == nil && u.User != nil {
			if password, ok := u.User.Password(); ok && !reference.MatchString(password) {
				problems = append(problems, &connector.ConfigError{Field: d.Name,
					Reason: "holds a password in clear: refer to it in the URL, as in postgres://user:${env:NAME}@host/db"})
			}
		}
	}
	return problems
}

// editDistance is Levenshtein's, with two rows.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost = 1 + min(diagonal, row[j], row[j-1])
			}
			diagonal, row[j] = row[j], cost
		}
	}
	return row[len(b)]
}

// Validate tells for every key what is wrong with it. class is the plugin named in the URL.
func (s *Service) Validate(class string, config map[string]string) (Validation, error) {
	given := config["connector.class"]
	if given == "" {
		return Validation{}, &RequestError{"connector.class is missing from the config"}
	}
	plugin, err := s.plugins.Find(given)
	if err != nil {
		return Validation{}, &RequestError{err.Error()}
	}
	if named, err := s.plugins.Find(class); err != nil || named.Class != plugin.Class {
		return Validation{}, &RequestError{fmt.Sprintf("Included connector type %s does not match request type %s", given, class)}
	}
	_, problems := s.problems(config)
	byKey := map[string][]string{}
	for _, p := range problems {
		byKey[p.Field] = append(byKey[p.Field], p.Error())
	}
	v := Validation{Name: plugin.Class, ErrorCount: len(problems), Groups: []string{}, Configs: []KeyResult{}}
	for _, d := range definitions(plugin) {
		if !slices.Contains(v.Groups, d.Group) {
			v.Groups = append(v.Groups, d.Group)
		}
		v.Configs = append(v.Configs, KeyResult{Definition: keyInfo(d), Value: keyValue(d, config, byKey[d.Name])})
		delete(byKey, d.Name)
	}
	// Keys without a definition that have errors come last.
	for _, p := range problems {
		if errs := byKey[p.Field]; errs != nil {
			d := connector.Definition{Name: p.Field, Type: "STRING", Importance: "LOW"}
			v.Configs = append(v.Configs, KeyResult{Definition: keyInfo(d), Value: keyValue(d, config, errs)})
			delete(byKey, p.Field)
		}
	}
	return v, nil
}

func keyValue(d connector.Definition, config map[string]string, errs []string) KeyValue {
	kv := KeyValue{Name: d.Name, Value: d.Default, RecommendedValues: d.Enum, Errors: errs, Visible: true}
	if text, ok := config[d.Name]; ok {
		kv.Value = &text
	}
	if d.Type == "PASSWORD" && kv.Value != nil && reference.FindString(*kv.Value) != *kv.Value {
		hidden := connector.Secret("").String()
		kv.Value = &hidden
	}
	if kv.RecommendedValues == nil {
		kv.RecommendedValues = []string{}
	}
	if kv.Errors == nil {
		kv.Errors = []string{}
	}
	return kv
}

// PluginList is the connector classes of this installation.
func (s *Service) PluginList() []PluginInfo {
	out := make([]PluginInfo, len(s.plugins))
	for i, p := range s.plugins {
		out[i] = PluginInfo{Class: p.Class, Type: p.Kind, Version: p.Version}
	}
	return out
}

// PluginConfig is every key that a config of this class may hold.
func (s *Service) PluginConfig(class string) ([]KeyInfo, error) {
	plugin, err := s.plugins.Find(class)
	if err != nil {
		return nil, &NotFoundError{fmt.Sprintf("Unknown plugin %s.", class)}
	}
	defs := definitions(plugin)
	out := make([]KeyInfo, len(defs))
	for i, d := range defs {
		out[i] = keyInfo(d)
	}
	return out, nil
}

func keyInfo(d connector.Definition) KeyInfo {
	return KeyInfo{Name: d.Name, Type: d.Type, Required: d.Required, DefaultValue: d.Default, Importance: d.Importance,
		Documentation: d.Doc, Group: d.Group, OrderInGroup: d.Order, Order: d.Order, Width: "MEDIUM", DisplayName: d.Name,
		Dependents: []string{}}
}
