package pipeline

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gantry-connect/gantry/connector"
)

// aliases are keys of RocketMQ Connect and Kafka Connect that have another name here. What they hold means the same.
var aliases = map[string]string{
	"connector-class": "connector.class",
	"max.tasks":       "tasks.max", "max-tasks": "tasks.max", "max.task": "tasks.max", "max-task": "tasks.max",
	"connect.topicname": "topic", "connect-topicname": "topic",
	"connect.topicnames": "topics", "connect-topicnames": "topics",
	"source-record-converter":           "value.converter",
	"consume.from.where":                "start.offset",
	"exactly.once.support":              "exactly.once",
	"topic.creation.default.partitions": "topic.queues",
	"filename":                          "file",
	"table.name.format":                 "table",
}

// values are what the aliases' values become, for those whose values differ too. A value that is not listed is refused.
var values = map[string]map[string]string{
	"consume.from.where":   {"CONSUME_FROM_LAST_OFFSET": "latest", "CONSUME_FROM_FIRST_OFFSET": "earliest"},
	"exactly.once.support": {"requested": "preferred", "required": "required"},
}

// idle are keys of RocketMQ Connect and Kafka Connect that are taken and change nothing: what they choose is always so here,
// or there is nothing of the kind.
var idle = []string{
	"connector.plugin.version", "key.converter.plugin.version", "value.converter.plugin.version",
	"header.converter", "header.converter.plugin.version",
	"tasks.max.enforce", "config.action.reload", "offsets.storage.topic",
	"transaction.boundary", "transaction.boundary.interval.ms",
	"topic.creation.groups", "topic.creation.default.replication.factor",
	"errors.deadletterqueue.topic.replication.factor", "errors.deadletterqueue.context.headers.enable",
	"errors.deadletterqueue.context.properties.enable",
	"errors.deadletterqueue.read.queue.nums", "errors.deadletterqueue.write.queue.nums",
	"task.group.id", "ordering.msg.enable",
}

// idlePrefixes begin keys that are taken and change nothing: there are no Kafka clients here to be told.
var idlePrefixes = []string{"producer.override.", "consumer.override.", "admin.override.", "header.converter."}

// ResolveAliases gives a config as the framework and its connectors read it. The config that a user gave may hold keys under
// the names that RocketMQ Connect and Kafka Connect have for them, which is how it is kept and shown; whoever reads a config
// for use resolves it first, here and nowhere else. from names the alias that gave a key its value. The error is a
// ConfigErrors: an alias beside the key it stands for with another value, or with a value that has no meaning here.
func ResolveAliases(given map[string]string) (config, from map[string]string, err error) {
	config, from = make(map[string]string, len(given)), map[string]string{}
	var problems connector.ConfigErrors
	for _, key := range slices.Sorted(maps.Keys(given)) {
		name, isAlias := canonicalKey(key)
		if name == "" {
			continue
		}
		if !isAlias {
			name = key
		}
		value, reason := canonicalValue(key, given[key])
		if reason != "" {
			problems = append(problems, &connector.ConfigError{Field: key, Value: given[key], Reason: reason})
			continue
		}
		if other, ok := given[name]; isAlias && ok {
			if other != value {
				problems = append(problems, &connector.ConfigError{Field: key, Value: given[key],
					Reason: fmt.Sprintf("is another name of %s, which is given too and says otherwise: keep one of them", name)})
			}
			continue
		}
		if first, ok := from[name]; ok && config[name] != value {
			problems = append(problems, &connector.ConfigError{Field: key, Value: given[key],
				Reason: fmt.Sprintf("and %s are both names of %s and say different things: keep one of them", first, name)})
			continue
		}
		config[name] = value
		if isAlias {
			from[name] = key
		}
	}
	envelopesByClass(config)
	if len(problems) > 0 {
		return config, from, problems
	}
	return config, from, nil
}

// envelopesByClass has a JSON converter that is named by its class write and read envelopes where nothing else is said, as the
// class does in Kafka Connect and RocketMQ Connect. Named json it has Gantry's default.
func envelopesByClass(config map[string]string) {
	for _, key := range []string{"key.converter", "value.converter"} {
		option := key + ".schemas.enable"
		_, given := config[option]
		if class := config[key]; !given && strings.Contains(class, ".") && strings.HasSuffix(class, "JsonConverter") {
			config[option] = "true"
		}
	}
}

// canonicalKey is what a key is called here; "" if it changes nothing.
func canonicalKey(key string) (name string, isAlias bool) {
	if name, ok := aliases[key]; ok {
		return name, true
	}
	if slices.Contains(idle, key) {
		return "", true
	}
	for _, prefix := range idlePrefixes {
		if strings.HasPrefix(key, prefix) {
			return "", true
		}
	}
	if rest, ok := strings.CutPrefix(key, "transforms."); ok {
		// transforms.<alias>.class is RocketMQ Connect's transforms.<alias>.type.
		if alias, ok := strings.CutSuffix(rest, ".class"); ok && alias != "" && !strings.Contains(alias, ".") {
			return "transforms." + alias + ".type", true
		}
	}
	return key, false
}

func canonicalValue(key, value string) (canonical, problem string) {
	known := values[key]
	if known == nil || value == "" {
		return value, ""
	}
	if canonical, ok := known[value]; ok {
		return canonical, ""
	}
	return "", "must be one of " + strings.Join(slices.Sorted(maps.Keys(known)), ", ")
}
