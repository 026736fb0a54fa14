package converters

import (
	"errors"
	"reflect"
	"strings"

	"github.com/gantry-connect/gantry/connector"
)

// Converter turns datums into bytes and back. An instance is used by one goroutine at a time: it caches schemas.
type Converter interface {
	// Encode appends the form of d to dst, without allocating once it has met d's schema. An absent datum appends nothing.
	// It refuses a value that does not fit the schema, naming the field, and then returns dst as it was.
	Encode(dst []byte, d connector.Datum) ([]byte, error)
	// Decode reads all of data. The datum shares data's memory, which nobody may change afterwards. s is the schema that
	// travelled with the message, and the datum has that pointer; with nil the converter says itself what schema the value
	// has, giving equal pointers for equal schemas as long as its bounded cache holds them.
	// No bytes are an absent datum to a json key, which never writes none; string and bytes take them as an empty value.
	Decode(data []byte, s *connector.Schema) (connector.Datum, error)
	// ByReference reports whether the schema must travel beside the bytes, as a fingerprint.
	ByReference() bool
}

// The names of the converters, as in key.converter and value.converter.
const (
	JSON   = "json"
	String = "string"
	Bytes  = "bytes"
)

// classes maps the endings of the class names that Kafka Connect's and RocketMQ Connect's configs have.
var classes = []struct{ suffix, name string }{
	{"JsonConverter", JSON}, {"StringConverter", String}, {"ByteArrayConverter", Bytes},
}

// jsonOptions are the keys behind "key.converter." or "value.converter." that the json converter knows.
type jsonOptions struct {
	Enable  bool   `config:"schemas.enable" default:"false" doc:"Whether each message carries its schema, in an envelope {\"schema\":…,\"payload\":…} that RocketMQ Connect and Kafka Connect read. Without it the schema travels as a fingerprint. Where the converter is named by a class of Kafka Connect or RocketMQ Connect the default is true, as theirs is."`
	Cache   int    `config:"schemas.cache.size" default:"1000" min:"1" max:"1000000" doc:"How many schemas each instance keeps prepared."`
	Decimal string `config:"decimal.format" default:"BASE64" enum:"BASE64,NUMERIC" doc:"How decimals are written in the envelope: as bytes in base64, or as numbers. Both are read."`
	Names   string `config:"schemas.names" default:"rocketmq" enum:"rocketmq,kafka" doc:"Whose names for date, time, timestamp and decimal are written in the envelope. Both are read."`
}

// Options are the keys behind "key.converter." or "value.converter." that the named converter takes.
func Options(name string) []connector.Definition {
	if canonical(name) == JSON {
		return connector.Definitions(reflect.TypeFor[jsonOptions]())
	}
	return nil
}

// New makes a converter. Its name is one of the constants or a class name ending in JsonConverter, StringConverter or
// ByteArrayConverter; options are the user's keys behind "key.converter." or "value.converter.". The error is a
// ConfigErrors with every problem.
func New(name string, options map[string]string, isKey bool) (Converter, error) {
	key := "value.converter"
	if isKey {
		key = "key.converter"
	}
	switch canonical(name) {
	case JSON:
		var o jsonOptions
		if err := decodeOptions(options, &o, key); err != nil {
			return nil, err
		}
		return newJSON(o, isKey), nil
	case String:
		if err := schemaless(options, key); err != nil {
			return nil, err
		}
		return newText(), nil
	case Bytes:
		if err := schemaless(options, key); err != nil {
			return nil, err
		}
		return newRaw(), nil
	}
	return nil, connector.ConfigErrors{{Field: key, Value: name, Reason: "must be json, string or bytes"}}
}

func canonical(name string) string {
	for _, c := range classes {
		if strings.HasSuffix(name, c.suffix) {
			return c.name
		}
	}
	return name
}

// decodeOptions fills o and refuses keys that o does not have: a mistyped option must not be ignored.
func decodeOptions(options map[string]string, o any, key string) error {
	var problems connector.ConfigErrors
	if err := connector.Decode(options, o); err != nil && !errors.As(err, &problems) {
		return err
	}
	for _, p := range problems {
		p.Field = key + "." + p.Field
	}
	known := map[string]bool{}
	for _, d := range connector.Definitions(reflect.TypeOf(o).Elem()) {
		known[d.Name] = true
	}
	problems = append(problems, unknown(options, key, func(k string) bool { return known[k] })...)
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// schemaless checks the options of a converter that has none. schemas.enable is let through, as users and the
// framework set it for every converter and it says nothing about one that carries no schema.
func schemaless(options map[string]string, key string) error {
	if problems := unknown(options, key, func(k string) bool { return k == "schemas.enable" }); len(problems) > 0 {
		return problems
	}
	return nil
}

func unknown(options map[string]string, key string, known func(string) bool) (problems connector.ConfigErrors) {
	for k, v := range options {
		if !known(k) {
			problems = append(problems, &connector.ConfigError{Field: key + "." + k, Value: v, Reason: "this converter has no such option"})
		}
	}
	return problems
}
