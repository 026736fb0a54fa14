package control

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"runtime/debug"
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/converters"
	"github.com/gantry-connect/gantry/pipeline"
	"github.com/gantry-connect/gantry/secrets"
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
	case name != strings.TrimSpace(name):
		problem = "must not begin or end with a blank: clients drop them"
	case len(name) > maxNameBytes:
		problem = fmt.Sprintf("has %d bytes: at most %d are possible", len(name), maxNameBytes)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		problem = "must be valid UTF-8 without control characters"
	case name == "." || name == "..":
		problem = "cannot be a part of a URL: clients take it for a place in the path"
	default:
		return nil
	}
	return &InvalidConfigError{Problems: connector.ConfigErrors{{Field: "name", Value: name, Reason: problem}}}
}

// What a config may hold is far beyond any that is in use: keys are compared with each other, and whoever may ask for a check
// shall not keep the server busy.
const (
	maxKeys  = 1000
	maxSteps = 100 // transforms; and predicates
)

// tooLarge is an *InvalidConfigError if a config of so many keys, nulls among them, holds more than can be checked in a moment.
func tooLarge(keys int, config map[string]string) error {
	var problems connector.ConfigErrors
	if keys > maxKeys {
		problems = append(problems, &connector.ConfigError{Field: "config", Reason: fmt.Sprintf("has %d keys: at most %d are possible", keys, maxKeys)})
	}
	for _, list := range []string{"transforms", "predicates"} {
		if n := strings.Count(config[list], ",") + 1; n > maxSteps {
			problems = append(problems, &connector.ConfigError{Field: list, Reason: fmt.Sprintf("lists %d names: at most %d are possible", n, maxSteps)})
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return &InvalidConfigError{Problems: problems}
}

// check validates a whole config and finds its plugin. The error is an *InvalidConfigError.
func (s *Service) check(config map[string]string) (connector.Plugin, error) {
	if err := tooLarge(len(config), config); err != nil {
		return connector.Plugin{}, err
	}
	found := s.inspect(config)
	if len(found.problems) == 0 {
		return found.plugin, nil
	}
	for i, p := range found.problems {
		if alias, ok := found.from[p.Field]; ok { // the user knows the key by that name
			found.problems[i] = &connector.ConfigError{Field: alias, Value: p.Value, Reason: p.Reason}
		}
	}
	return found.plugin, &InvalidConfigError{Kind: found.plugin.Kind, Problems: found.problems}
}

// inspection is what was found in a config.
type inspection struct {
	config   map[string]string // as it is read for use
	from     map[string]string // the aliases by which keys were given
	plugin   connector.Plugin  // none if the class is unknown
	problems connector.ConfigErrors
}

// inspect finds everything wrong with a config.
func (s *Service) inspect(given map[string]string) inspection {
	config, from, err := pipeline.ResolveAliases(given)
	found := inspection{config: config, from: from}
	var problems connector.ConfigErrors
	found.plugin, problems = s.problems(config)
	if found.plugin.Class != "" {
		// What is stored is the config as it was given, keys that change nothing included.
		problems = append(s.openSecrets(found.plugin, given), problems...)
	}
	found.problems = scrubbed(append(asProblems(err), inOrder(problems, keysOf(found.plugin, config))...), found.plugin, given)
	return found
}

// inOrder sorts problems as their keys are defined.
func inOrder(problems connector.ConfigErrors, defs []connector.Definition) connector.ConfigErrors {
	order := make(map[string]int, len(defs))
	for i, d := range defs {
		order[d.Name] = i
	}
	sort.SliceStable(problems, func(i, j int) bool { return order[problems[i].Field] < order[problems[j].Field] })
	return problems
}

// problems is what is wrong with a config without aliases, apart from its secrets.
func (s *Service) problems(config map[string]string) (connector.Plugin, connector.ConfigErrors) {
	class := config["connector.class"]
	if class == "" {
		return connector.Plugin{}, connector.ConfigErrors{{Field: "connector.class", Reason: "is required and has no default"}}
	}
	plugin, err := s.plugins.Find(class)
	if err != nil {
		return connector.Plugin{}, asProblems(err)
	}
	defs := keysOf(plugin, config)
	wrong := transformProblems(plugin, config)
	problems := withoutUndefined(unknownKeys(config, defs), wrong)
	problems = append(problems, unstorable(config)...)
	found := append(asProblems(checkFramework(plugin.Kind, config)), asProblems(s.checkedBy(plugin, config))...)
	found = append(append(found, converterProblems(config)...), wrong...)
	for _, p := range found {
		// A reference has its value only on the worker: what it stands for is checked when a task starts.
		if !reference.MatchString(config[p.Field]) && !hasProblem(problems, p) {
			problems = append(problems, p)
		}
	}
	return plugin, problems
}

// checkedBy is what the connector's own code says of a config. That it panics is told like anything else that is wrong with the
// config, where secrets are scrubbed from what it says; so the log has the stack only.
func (s *Service) checkedBy(plugin connector.Plugin, config map[string]string) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.log.Error("the check of a connector's config panicked", "class", plugin.Class, "stack", string(debug.Stack()))
			err = &connector.ConfigError{Field: "connector.class", Value: plugin.Class, Reason: fmt.Sprintf("the connector's check of its config panicked: %v", v)}
		}
	}()
	return plugin.Check(config)
}

// unstorable are the keys and values that the catalog cannot hold.
func unstorable(config map[string]string) (problems connector.ConfigErrors) {
	for _, key := range slices.Sorted(maps.Keys(config)) {
		if strings.ContainsRune(key, 0) || strings.ContainsRune(config[key], 0) {
			problems = append(problems, &connector.ConfigError{Field: key, Reason: "must not hold the character NUL (\\u0000): remove it"})
		}
	}
	return problems
}

// converterKeys are the keys that name converters.
var converterKeys = []string{"key.converter", "value.converter"}

// converterProblems tries to make the converters that the config names.
func converterProblems(config map[string]string) connector.ConfigErrors {
	var problems connector.ConfigErrors
	for _, which := range converterKeys {
		options := map[string]string{}
		for k, v := range config {
			if option, ok := strings.CutPrefix(k, which+"."); ok {
				options[option] = v
			}
		}
		_, err := converters.New(cmp.Or(config[which], converters.JSON), options, which == "key.converter")
		problems = append(problems, asProblems(err)...)
	}
	return problems
}

// hasProblem reports whether somebody else has found p, too: a converter's options are read by the framework and by the converter.
func hasProblem(problems connector.ConfigErrors, p *connector.ConfigError) bool {
	return slices.ContainsFunc(problems, func(q *connector.ConfigError) bool { return *q == *p })
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
			if abs(len(key)-len(d.Name)) >= distance {
				continue // the lengths alone differ by more; a key of a megabyte would take seconds to compare
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
		} else if list := unlistedAlias(key, defs); list != "" {
			reason = fmt.Sprintf("belongs to an alias that %s does not list; add it there, or remove the key", list)
		}
		problems = append(problems, &connector.ConfigError{Field: key, Reason: reason})
	}
	return problems
}

// unlistedAlias is the key whose list lacks the alias that another key belongs to; empty if none does.
func unlistedAlias(key string, defs []connector.Definition) string {
	list, _, found := strings.Cut(key, ".")
	if !found || list != "transforms" && list != "predicates" {
		return ""
	}
	for _, d := range defs {
		if i := strings.LastIndexByte(d.Name, '.'); i > len(list) && strings.HasPrefix(key, d.Name[:i+1]) {
			return "" // what is wrong is not the alias
		}
	}
	return list
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

func abs(n int) int { return max(n, -n) }

// Validate tells for every key what is wrong with it; a nil value is wrong. class is the plugin named in the URL.
func (s *Service) Validate(class string, values map[string]*string) (Validation, error) {
	config := make(map[string]string, len(values))
	var nulls connector.ConfigErrors
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if value := values[key]; value != nil {
			config[key] = *value
		} else {
			nulls = append(nulls, &connector.ConfigError{Field: key, Reason: "Null value can not be supplied as the configuration value."})
		}
	}
	if err := tooLarge(len(values), config); err != nil {
		return Validation{}, err
	}
	found := s.inspect(config)
	found.problems = append(found.problems, nulls...)
	given := found.config["connector.class"]
	if given == "" {
		return Validation{}, &RequestError{Reason: "connector.class is missing from the config"}
	}
	plugin, err := s.plugins.Find(given)
	if err != nil {
		return Validation{}, &RequestError{Reason: err.Error()}
	}
	if named, err := s.plugins.Find(class); err != nil || named.Class != plugin.Class {
		return Validation{}, requestError("Included connector type %s does not match request type %s", given, class)
	}
	byKey := map[string][]string{}
	for _, p := range found.problems {
		byKey[p.Field] = append(byKey[p.Field], p.Error())
	}
	v := Validation{Name: given, ErrorCount: len(found.problems), Groups: []string{}, Configs: []KeyResult{}}
	for _, d := range append(keysOf(plugin, found.config), converterDefinitions(plugin, found.config)...) {
		if !slices.Contains(v.Groups, d.Group) {
			v.Groups = append(v.Groups, d.Group)
		}
		info := keyInfo(d)
		v.Configs = append(v.Configs, KeyResult{Definition: &info, Value: keyValue(d, found.config, byKey[d.Name])})
		delete(byKey, d.Name)
	}
	// Keys without a definition that have errors come last.
	for _, p := range found.problems {
		if errs := byKey[p.Field]; errs != nil {
			d := connector.Definition{Name: p.Field, Type: "PASSWORD"} // nobody knows whether it is a secret
			v.Configs = append(v.Configs, KeyResult{Value: keyValue(d, config, errs)})
			delete(byKey, p.Field)
		}
	}
	return v, nil
}

// converterDefinitions are the options of the converters that a config names, under the keys by which it gives them.
func converterDefinitions(plugin connector.Plugin, config map[string]string) []connector.Definition {
	known := map[string]bool{}
	for _, d := range definitions(plugin) {
		known[d.Name] = true
	}
	var defs []connector.Definition
	for _, which := range converterKeys {
		for _, d := range converters.Options(cmp.Or(config[which], converters.JSON)) {
			if d.Name = which + "." + d.Name; !known[d.Name] {
				d.Group = "Converters"
				d.Order += len(known) // behind those that are always there
				defs = append(defs, d)
			}
		}
	}
	return defs
}

func keyValue(d connector.Definition, config map[string]string, errs []string) KeyValue {
	kv := KeyValue{Name: d.Name, Value: d.Default, RecommendedValues: d.Enum, Errors: errs, Visible: true}
	if slices.Contains(converterKeys, d.Name) {
		kv.RecommendedValues = converters.Names()
	}
	if text, ok := config[d.Name]; ok {
		kv.Value = &text
	}
	if kv.Value != nil {
		shown := secrets.Shown(*kv.Value, d.Type == "PASSWORD")
		kv.Value = &shown
	}
	if kv.RecommendedValues == nil {
		kv.RecommendedValues = []string{}
	}
	if kv.Errors == nil {
		kv.Errors = []string{}
	}
	return kv
}
