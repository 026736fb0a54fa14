package transforms

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-connect/gantry/connector"
)

const (
	transformsKey    = "transforms"
	predicatesKey    = "predicates"
	typeOption       = "type"
	classOption      = "class" // RocketMQ Connect's name for type
	predicateOption  = "predicate"
	negateOption     = "negate"
	transformsPrefix = transformsKey + "."
	predicatesPrefix = predicatesKey + "."
)

// New makes the chain that a connector's config describes; one without transforms has an empty chain. kind says which way
// the connector copies. The error is a connector.ConfigErrors with everything that is wrong, by the keys of config. Keys
// that neither the grammar nor a transform knows are not looked at.
func New(config map[string]string, kind connector.Kind) (*Chain, error) {
	b := builderOf{config: config, kind: kind, predicates: map[string]func() (predicate, error){}}
	for _, alias := range b.aliases(predicatesKey) {
		b.addPredicate(alias)
	}
	c := &Chain{}
	for _, alias := range b.aliases(transformsKey) {
		c.steps = append(c.steps, b.step(alias))
	}
	if len(b.errs) > 0 {
		return nil, b.errs
	}
	return c, nil
}

// builderOf gathers the parts of a chain and what is wrong with them.
type builderOf struct {
	config     map[string]string
	kind       connector.Kind
	predicates map[string]func() (predicate, error) // by alias; each use has its own
	errs       connector.ConfigErrors
}

// list is the items of a key's value, as ConfigDef takes a LIST apart.
func list(value string) []string {
	var items []string
	for _, item := range strings.Split(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// aliases are the aliases that a key lists, each once.
func (b *builderOf) aliases(key string) []string {
	var out []string
	for _, alias := range list(b.config[key]) {
		if slices.Contains(out, alias) {
			b.fail(key, b.config[key], fmt.Sprintf("lists the alias %s twice; each stands for one step", alias))
			continue
		}
		out = append(out, alias)
	}
	return out
}

func (b *builderOf) fail(field, value, reason string) {
	b.errs = append(b.errs, &connector.ConfigError{Field: field, Value: value, Reason: reason})
}

// include adds errors of an alias's keys.
func (b *builderOf) include(prefix, typeKey string, err error) {
	var all connector.ConfigErrors
	var one *connector.ConfigError
	switch {
	case errors.As(err, &all):
	case errors.As(err, &one):
		all = connector.ConfigErrors{one}
	default:
		all = connector.ConfigErrors{{Field: typeOption, Reason: err.Error()}}
	}
	for _, e := range all {
		key := prefix + e.Field
		if e.Field == typeOption {
			key = typeKey
		}
		b.errs = append(b.errs, &connector.ConfigError{Field: key, Value: e.Value, Reason: e.Reason})
	}
}

// options are the keys behind a prefix, without blanks around their values, as ConfigDef takes them.
func options(config map[string]string, prefix string) map[string]string {
	out := map[string]string{}
	for key, v := range config {
		if name, ok := strings.CutPrefix(key, prefix); ok {
			out[name] = strings.TrimSpace(v)
		}
	}
	return out
}

// typeKey is the key that names the class of an alias: .type, or .class where only that is given.
func typeKey(config map[string]string, prefix string) string {
	if _, given := config[prefix+typeOption]; !given {
		if _, given := config[prefix+classOption]; given {
			return prefix + classOption
		}
	}
	return prefix + typeOption
}

func (b *builderOf) addPredicate(alias string) {
	prefix := predicatesPrefix + alias + "."
	key := typeKey(b.config, prefix)
	given := strings.TrimSpace(b.config[key])
	c, _, err := find(predicateClasses, given)
	if err != nil {
		b.fail(key, given, err.Error())
		b.predicates[alias] = nil // known, so that nobody is told that it is not
		return
	}
	opts := options(b.config, prefix)
	if _, err := c.open(opts, onValue, b.kind); err != nil {
		b.include(prefix, key, err)
		b.predicates[alias] = nil
		return
	}
	b.predicates[alias] = func() (predicate, error) { return c.open(opts, onValue, b.kind) }
}

func (b *builderOf) step(alias string) step {
	prefix := transformsPrefix + alias + "."
	key := typeKey(b.config, prefix)
	given := strings.TrimSpace(b.config[key])
	s := step{alias: alias, class: given[strings.LastIndexByte(given, '.')+1:]}
	b.condition(&s, prefix, key)
	c, on, err := find(transformClasses, given)
	if err != nil {
		b.fail(key, given, err.Error())
		return s
	}
	if s.transform, err = c.open(options(b.config, prefix), on, b.kind); err != nil {
		b.include(prefix, key, err)
	}
	return s
}

// condition reads predicate and negate.
func (b *builderOf) condition(s *step, prefix, typeKey string) {
	name, given := b.config[prefix+predicateOption]
	name = strings.TrimSpace(name)
	if negate, ok := b.config[prefix+negateOption]; ok {
		if !given || name == "" && strings.EqualFold(strings.TrimSpace(negate), "true") {
			b.fail(typeKey, "", fmt.Sprintf("%s is there without %s, which would say what to negate", prefix+negateOption, prefix+predicateOption))
		}
		switch strings.ToLower(strings.TrimSpace(negate)) {
		case "true":
			s.negate = true
		case "false", "":
		default:
			b.fail(prefix+negateOption, negate, "must be true or false")
		}
	}
	if name == "" {
		return
	}
	open, known := b.predicates[name]
	if !known {
		b.fail(prefix+predicateOption, name, fmt.Sprintf("names no predicate: list it in %s and give it %s", predicatesKey, predicatesPrefix+name+"."+typeOption))
		return
	}
	if open == nil {
		return // said already
	}
	var err error
	if s.when, err = open(); err != nil {
		b.fail(prefix+predicateOption, name, err.Error())
	}
}

// Definitions is the config keys of the transform stage: transforms and predicates, and for each alias that config lists
// its type, predicate and negate, and the keys of its class, in a group of its own ("Transforms: alias", "Predicates:
// alias"). A type that is not known leaves its alias with the first ones.
func Definitions(config map[string]string) []connector.Definition {
	empty := ""
	defs := []connector.Definition{
		{Name: transformsKey, Type: "LIST", Default: &empty, Importance: "LOW", Group: "Transforms", Order: 1,
			Doc: "Aliases of the transforms that each record goes through, in order."},
	}
	for _, alias := range uniqueAliases(config[transformsKey]) {
		defs = append(defs, transformDefinitions(config, alias)...)
	}
	defs = append(defs, connector.Definition{Name: predicatesKey, Type: "LIST", Default: &empty, Importance: "LOW", Group: "Predicates", Order: 1,
		Doc: "Aliases of the predicates that transforms may name."})
	for _, alias := range uniqueAliases(config[predicatesKey]) {
		defs = append(defs, aliasDefinitions(config, predicatesPrefix+alias+".", "Predicates: "+alias, predicateClasses, nil)...)
	}
	return defs
}

func uniqueAliases(value string) []string {
	var out []string
	for _, alias := range list(value) {
		if !slices.Contains(out, alias) {
			out = append(out, alias)
		}
	}
	return out
}

func transformDefinitions(config map[string]string, alias string) []connector.Definition {
	no := "false"
	return aliasDefinitions(config, transformsPrefix+alias+".", "Transforms: "+alias, transformClasses, []connector.Definition{
		{Name: predicateOption, Type: "STRING", Importance: "MEDIUM", Doc: "Alias of the predicate that decides which records this transform sees; empty: all."},
		{Name: negateOption, Type: "BOOLEAN", Default: &no, Importance: "MEDIUM", Doc: "Whether it sees the records for which the predicate does not hold instead."},
	})
}

// aliasDefinitions is the keys of one alias: its type, then common ones, then its class's own.
func aliasDefinitions[T any](config map[string]string, prefix, group string, classes []class[T], common []connector.Definition) []connector.Definition {
	defs := []connector.Definition{{Name: typeOption, Type: "CLASS", Required: true, Importance: "HIGH", Enum: names(classes), Doc: "The class."}}
	key := typeKey(config, prefix)
	defs[0].Name = strings.TrimPrefix(key, prefix)
	defs = append(append(defs, common...), connector.Definition{Name: "plugin.version", Type: "STRING", Importance: "MEDIUM",
		Doc: "Accepted for compatibility: there is one version of each class."})
	if c, _, err := find(classes, strings.TrimSpace(config[key])); err == nil {
		defs = append(defs, c.keys...)
	}
	for i := range defs {
		defs[i].Name, defs[i].Group, defs[i].Order = prefix+defs[i].Name, group, i+1
	}
	return defs
}
