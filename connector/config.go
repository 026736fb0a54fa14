package connector

import (
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Definition describes one config key, in the terms of Kafka Connect's REST API.
type Definition struct {
	Name       string
	Type       string // BOOLEAN, STRING, INT, LONG, DOUBLE, LIST or PASSWORD
	Required   bool
	Default    *string // nil if there is none
	Importance string  // HIGH, MEDIUM or LOW
	Doc        string
	Group      string
	Order      int // within the group, from 1
	Enum       []string
	Min, Max   *float64
	Internal   bool     // set by the planner for a task; refused from users and not shown
	Dependents []string // keys whose meaning depends on this one's value
}

// Secret is the type of config fields that hold passwords and the like; it never prints itself.
type Secret string

const hidden = "[hidden]"

func (Secret) String() string   { return hidden }
func (Secret) GoString() string { return hidden }

// Format hides the secret from every verb: fmt asks String for some of them only.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText keeps secrets out of JSON and logs.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

var (
	durationType = reflect.TypeFor[time.Duration]()
	secretType   = reflect.TypeFor[Secret]()
)

// Definitions reads the config keys off a struct's tags, in field order:
//
//	config:"batch.size"   the key; fields without it are not config
//	default:"100"         absent: the zero value, shown as no default
//	doc:"…"               for users; required
//	required:"true"       the key must be given and not be empty
//	enum:"a,b"            the allowed values
//	min:"1" max:"10"      bounds of a number, of a duration in milliseconds
//	importance:"high"     low without the tag, high where required
//	group:"Connection"    for display
//	internal:"true"       see Definition.Internal
//	dependents:"a,b"      see Definition.Dependents
//
// Field types: bool, int, int64, float64, string, Secret, []string (comma-separated) and time.Duration (whole
// milliseconds; the key should end in ".ms"). Embedded structs contribute their fields. It panics on a struct that is
// wrong, which the first test of a plugin meets.
func Definitions(t reflect.Type) []Definition {
	var defs []Definition
	orders := map[string]int{}
	seen := map[string]bool{}
	walk(t, func(f reflect.StructField, _ []int) {
		d := definition(f)
		if seen[d.Name] {
			panic(fmt.Sprintf("config key %s is there twice", d.Name))
		}
		seen[d.Name] = true
		if d.Default != nil {
			if reason := set(reflect.New(f.Type).Elem(), d, *d.Default); reason != "" {
				panic(fmt.Sprintf("config field %s: default %q %s", f.Name, *d.Default, reason))
			}
		}
		orders[d.Group]++
		d.Order = orders[d.Group]
		defs = append(defs, d)
	})
	return defs
}

func walk(t reflect.Type, visit func(f reflect.StructField, index []int)) {
	for _, f := range reflect.VisibleFields(t) {
		if f.Tag.Get("config") != "" {
			visit(f, f.Index)
		}
	}
}

func definition(f reflect.StructField) Definition {
	tag := f.Tag
	d := Definition{Name: tag.Get("config"), Doc: tag.Get("doc"), Group: tag.Get("group"), Importance: "LOW",
		Required: tag.Get("required") == "true", Internal: tag.Get("internal") == "true"}
	if d.Doc == "" {
		panic(fmt.Sprintf("config field %s has no doc", f.Name))
	}
	if d.Group == "" {
		d.Group = "Common"
	}
	if d.Required {
		d.Importance = "HIGH"
	}
	if i := tag.Get("importance"); i != "" {
		d.Importance = strings.ToUpper(i)
	}
	if text, ok := tag.Lookup("default"); ok {
		d.Default = &text
	}
	if e := tag.Get("enum"); e != "" {
		d.Enum = strings.Split(e, ",")
	}
	if e := tag.Get("dependents"); e != "" {
		d.Dependents = strings.Split(e, ",")
	}
	d.Min, d.Max = bound(f, "min"), bound(f, "max")
	switch {
	case f.Type == durationType || f.Type.Kind() == reflect.Int64:
		d.Type = "LONG"
	case f.Type == secretType:
		d.Type = "PASSWORD"
	case f.Type.Kind() == reflect.Bool:
		d.Type = "BOOLEAN"
	case f.Type.Kind() == reflect.Int:
		d.Type = "INT"
	case f.Type.Kind() == reflect.Float64:
		d.Type = "DOUBLE"
	case f.Type.Kind() == reflect.String:
		d.Type = "STRING"
	case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.String:
		d.Type = "LIST"
	default:
		panic(fmt.Sprintf("config field %s has type %v", f.Name, f.Type))
	}
	if d.Type == "LIST" && f.Type.Elem() == secretType {
		panic(fmt.Sprintf("config field %s is a list of secrets: lists are shown", f.Name))
	}
	if !f.IsExported() {
		panic(fmt.Sprintf("config field %s is not exported", f.Name))
	}
	return d
}

func bound(f reflect.StructField, tag string) *float64 {
	text, ok := f.Tag.Lookup(tag)
	if !ok {
		return nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(fmt.Sprintf("config field %s: %s:%q is no number", f.Name, tag, text))
	}
	return &n
}

// Decode fills the config struct that target points to from a flat map, by the tags of Definitions, and checks every
// field. Keys that the struct does not have are left alone. The error is a ConfigErrors with every problem.
func Decode(config map[string]string, target any) error {
	v := reflect.ValueOf(target).Elem()
	var errs ConfigErrors
	walk(v.Type(), func(f reflect.StructField, index []int) {
		d := definition(f)
		text, given := config[d.Name]
		if !given || (text == "" && d.Type != "STRING" && d.Type != "PASSWORD") {
			if d.Required {
				errs = append(errs, &ConfigError{Field: d.Name, Reason: "is required and has no default"})
				return
			}
			if d.Default == nil {
				return
			}
			text = *d.Default
		} else if d.Required && text == "" {
			errs = append(errs, &ConfigError{Field: d.Name, Reason: "must not be empty"})
			return
		}
		if reason := set(v.FieldByIndex(index), d, text); reason != "" {
			shown := text
			if d.Type == "PASSWORD" {
				shown = ""
			}
			errs = append(errs, &ConfigError{Field: d.Name, Value: shown, Reason: reason})
		}
	})
	if len(errs) > 0 {
		return errs
	}
	return nil
}

// set parses text into field; it returns what is wrong, or nothing.
func set(field reflect.Value, d Definition, text string) string {
	number := math.NaN()
	switch d.Type {
	case "BOOLEAN":
		switch strings.ToLower(strings.TrimSpace(text)) {
		case "true":
			field.SetBool(true)
		case "false":
			field.SetBool(false)
		default:
			return "must be true or false"
		}
	case "INT", "LONG":
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil || (d.Type == "INT" && int64(int32(n)) != n) {
			return "must be a whole number"
		}
		number = float64(n)
		if field.Type() == durationType {
			if n > math.MaxInt64/int64(time.Millisecond) || n < math.MinInt64/int64(time.Millisecond) {
				return "is out of range"
			}
			n *= int64(time.Millisecond)
		}
		field.SetInt(n)
	case "DOUBLE":
		n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) { // NaN would pass any bounds
			return "must be a number"
		}
		number = n
		field.SetFloat(n)
	case "LIST":
		items := strings.Split(text, ",")
		out := reflect.MakeSlice(field.Type(), 0, len(items))
		for _, item := range items {
			if item = strings.TrimSpace(item); item != "" {
				out = reflect.Append(out, reflect.ValueOf(item).Convert(field.Type().Elem()))
			}
		}
		if d.Required && out.Len() == 0 {
			return "must not be empty"
		}
		field.Set(out)
	default:
		field.SetString(text)
		if len(d.Enum) > 0 && !slices.Contains(d.Enum, text) {
			return "must be one of " + strings.Join(d.Enum, ", ")
		}
	}
	switch {
	case d.Min != nil && number < *d.Min:
		return fmt.Sprintf("must be at least %v", *d.Min)
	case d.Max != nil && number > *d.Max:
		return fmt.Sprintf("must be at most %v", *d.Max)
	}
	return ""
}
