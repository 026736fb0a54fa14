package transforms

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/gantry-connect/gantry/connector"
)

// Plugin describes one class of transform or predicate.
type Plugin struct {
	Class   string // as Kafka Connect names it, e.g. "org.apache.kafka.connect.transforms.Cast$Key"
	Type    string // "transformation" or "predicate"
	Version string
	Config  []connector.Definition // its own keys, without the alias's prefix
}

// The values of Plugin.Type.
const (
	TypeTransformation = "transformation"
	TypePredicate      = "predicate"
)

const (
	version          = "0.1.0"
	transformPackage = "org.apache.kafka.connect.transforms."
	predicatePackage = transformPackage + "predicates."
	keySuffix        = "$Key"
	valueSuffix      = "$Value"
)

// class is one entry of the tables below; T is what it makes.
type class[T any] struct {
	name  string // without package and suffix
	sides bool   // there is one for keys and one for values
	keys  []connector.Definition
	open  func(options map[string]string, on side, kind connector.Kind) (T, error)
}

// transformClasses is every transform there is.
var transformClasses = []class[transform]{
	transformClass("Cast", true, newCast),
	transformClass("ExtractField", true, newExtractField),
	transformClass("Filter", false, newFilter),
	transformClass("HeaderFrom", true, newHeaderFrom),
	transformClass("InsertField", true, newInsertField),
	transformClass("MaskField", true, newMaskField),
	transformClass("RegexRouter", false, newRegexRouter),
	transformClass("ReplaceField", true, newReplaceField),
	transformClass("TimestampConverter", true, newTimestampConverter),
	transformClass("TimestampRouter", false, newTimestampRouter),
	transformClass("ValueToKey", false, newValueToKey),
}

// predicateClasses is every predicate there is.
var predicateClasses = []class[predicate]{
	predicateClass("HasHeaderKey", newHasHeaderKey),
	predicateClass("RecordIsTombstone", newRecordIsTombstone),
	predicateClass("TopicNameMatches", newTopicNameMatches),
}

func transformClass[C any](name string, sides bool, open func(c *C, on side, kind connector.Kind) (transform, error)) class[transform] {
	return class[transform]{name, sides, definitionsOf[C](), func(options map[string]string, on side, kind connector.Kind) (transform, error) {
		if v, given := options[syntaxOption]; given {
			options[syntaxOption] = strings.ToUpper(v)
		}
		c := new(C)
		if err := connector.Decode(options, c); err != nil {
			return nil, err
		}
		return open(c, on, kind)
	}}
}

func predicateClass[C any](name string, open func(c *C) (predicate, error)) class[predicate] {
	return class[predicate]{name, false, definitionsOf[C](), func(options map[string]string, _ side, _ connector.Kind) (predicate, error) {
		c := new(C)
		if err := connector.Decode(options, c); err != nil {
			return nil, err
		}
		return open(c)
	}}
}

func definitionsOf[C any]() []connector.Definition {
	return connector.Definitions(reflect.TypeFor[C]())
}

// variants are the suffixes that the class comes with.
func (c *class[T]) variants() []string {
	if c.sides {
		return []string{keySuffix, valueSuffix}
	}
	return []string{""}
}

// Plugins is every transform and predicate, transforms first, sorted by class.
func Plugins() []Plugin {
	return append(pluginsOf(transformClasses, transformPackage, TypeTransformation), pluginsOf(predicateClasses, predicatePackage, TypePredicate)...)
}

func pluginsOf[T any](classes []class[T], path, kind string) []Plugin {
	var all []Plugin
	for i := range classes {
		for _, suffix := range classes[i].variants() {
			all = append(all, Plugin{path + classes[i].name + suffix, kind, version, slices.Clone(classes[i].keys)})
		}
	}
	return all
}

// names are the classes without their packages, for messages and recommendations.
func names[T any](classes []class[T]) []string {
	var all []string
	for _, p := range pluginsOf(classes, "", "") {
		all = append(all, p.Class)
	}
	return all
}

// find looks a class up by what the user calls it: with any package or none, in any case; without $Value it is the one for
// values.
func find[T any](classes []class[T], given string) (c *class[T], on side, err error) {
	name := given[strings.LastIndexByte(given, '.')+1:]
	name, suffix, marked := strings.Cut(name, "$")
	for i := range classes {
		c := &classes[i]
		if !strings.EqualFold(c.name, name) {
			continue
		}
		switch {
		case !marked, c.sides && strings.EqualFold(suffix, valueSuffix[1:]):
			return c, onValue, nil
		case c.sides && strings.EqualFold(suffix, keySuffix[1:]):
			return c, onKey, nil
		}
		return nil, 0, fmt.Errorf("there is no such class; did you mean %s?", strings.Join(prefixed(c), " or "))
	}
	if given == "" {
		return nil, 0, errors.New("is required and has no default")
	}
	return nil, 0, fmt.Errorf("there is no such class; known are %s", strings.Join(names(classes), ", "))
}

func prefixed[T any](c *class[T]) []string {
	var all []string
	for _, suffix := range c.variants() {
		all = append(all, c.name+suffix)
	}
	return all
}
