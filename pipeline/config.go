package pipeline

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/gantry-connect/gantry/connector"
)

// CommonConfig is what every connector's config has beside the connector's own keys.
type CommonConfig struct {
	Name           string `config:"name" required:"true" group:"Connector" doc:"The connector's name: unique, kept for life."`
	Class          string `config:"connector.class" required:"true" group:"Connector" doc:"Which connector this is, as GET /connector-plugins lists them."`
	TasksMax       int    `config:"tasks.max" default:"1" min:"1" max:"10000" importance:"high" group:"Connector" doc:"How many tasks may share the work."`
	WorkerGroup    string `config:"worker.group" default:"" group:"Connector" doc:"Run this connector on workers of this group only (their setting worker.group). Empty: on workers without a group."`
	KeyConverter   string `config:"key.converter" default:"json" dependents:"key.converter.schemas.enable" group:"Converters" doc:"How keys become bytes: json, string or bytes."`
	ValueConverter string `config:"value.converter" default:"json" dependents:"value.converter.schemas.enable" group:"Converters" doc:"How values become bytes: json, string or bytes."`
	KeySchemas     bool   `config:"key.converter.schemas.enable" default:"false" group:"Converters" doc:"Put each key's schema into the key (json)."`
	ValueSchemas   bool   `config:"value.converter.schemas.enable" default:"false" group:"Converters" doc:"Put each value's schema into the message (json) instead of its fingerprint."`

	CheckpointInterval time.Duration `config:"checkpoint.interval.ms" default:"1000" min:"10" max:"60000" group:"Limits" doc:"How often the position is committed, at least, while records flow."`

	Tolerance       string        `config:"errors.tolerance" default:"none" enum:"none,all" dependents:"errors.deadletterqueue.topic.name" group:"Errors" doc:"What a bad record does: none stops the task, all gives the record up, counted and logged or sent to the dead letters."`
	RetryTimeout    time.Duration `config:"errors.retry.timeout" default:"-1" min:"-1" group:"Errors" doc:"How long a failing task is tried again, in milliseconds; -1 is for ever."`
	RetryDelayMax   time.Duration `config:"errors.retry.delay.max.ms" default:"60000" min:"100" max:"3600000" group:"Errors" doc:"The longest pause between two tries of a failing task."`
	LogErrors       bool          `config:"errors.log.enable" default:"true" group:"Errors" doc:"Log each record that is given up."`
	LogMessages     bool          `config:"errors.log.include.messages" default:"false" group:"Errors" doc:"Log keys of such records too. They may be confidential."`
	DeadLetterTopic string        `config:"errors.deadletterqueue.topic.name" default:"" group:"Errors" doc:"Where records go that are given up. Empty: nowhere."`
}

// SourceConfig is the framework's part of a source connector's config.
type SourceConfig struct {
	CommonConfig
	Topic           string `config:"topic" required:"true" group:"Topic" doc:"Where records go that name no topic themselves."`
	TopicQueues     int    `config:"topic.queues" default:"8" min:"1" max:"1024" group:"Topic" doc:"How many queues a topic gets when it is created."`
	TopicCreate     bool   `config:"topic.create" default:"true" group:"Topic" doc:"Create topics that do not exist."`
	Unkeyed         string `config:"queue.unkeyed" default:"partition" enum:"partition,spread" group:"Topic" doc:"Where records without a key go: partition keeps each source partition in one queue and so in order, spread uses all queues in turn."`
	Fences          bool   `config:"fences" default:"true" group:"Guarantee" doc:"Write fence messages into the topic after unclean stops. Turn off where others read the topic and cannot ignore them; failures then take longer to heal, and exactly once rests on clocks."`
	ExactlyOnce     string `config:"exactly.once" default:"preferred" enum:"preferred,required,off" group:"Guarantee" doc:"required refuses to run, and stops, where doubles cannot be ruled out; preferred goes on and reports it; off does not look for what had arrived."`
	BatchMaxRecords int    `config:"batch.max.records" default:"1000" min:"1" max:"10000" group:"Limits" doc:"Most records in one send."`
	BatchMaxBytes   int    `config:"batch.max.bytes" default:"1048576" min:"1024" max:"3145728" group:"Limits" doc:"Most bytes in one send; a larger record goes alone."`
}

// SinkConfig is the framework's part of a sink connector's config.
type SinkConfig struct {
	CommonConfig
	Topics          string        `config:"topics" required:"true" group:"Topic" doc:"What to read: topics separated by commas or semicolons."`
	StartOffset     string        `config:"start.offset" default:"earliest" enum:"earliest,latest" group:"Topic" doc:"Where to begin in a queue that has no position yet. latest concerns the queues that are there when the connector is first planned; later ones are read from their beginning."`
	BatchMaxRecords int           `config:"batch.max.records" default:"5000" min:"1" max:"100000" group:"Limits" doc:"Most records handed to the target at once."`
	BatchMaxBytes   int           `config:"batch.max.bytes" default:"4194304" min:"1024" max:"67108864" group:"Limits" doc:"About how many bytes are handed to the target at once, at most."`
	Linger          time.Duration `config:"linger.ms" default:"5" min:"0" max:"1000" group:"Limits" doc:"How long to wait for a batch to fill."`
}

// StartLatest is the value of SinkConfig.StartOffset that begins at a queue's end.
const StartLatest = "latest"

// TopicNames is the topics, in the order given.
func (c *SinkConfig) TopicNames() []string {
	return strings.FieldsFunc(c.Topics, func(r rune) bool { return r == ',' || r == ';' || r == ' ' })
}

// Definitions returns the framework's config keys for a kind of connector.
func Definitions(kind connector.Kind) []connector.Definition {
	if kind == connector.KindSource {
		return connector.Definitions(reflect.TypeFor[SourceConfig]())
	}
	return connector.Definitions(reflect.TypeFor[SinkConfig]())
}

// ParseSourceConfig reads the framework's keys of a source; the error is a ConfigErrors.
func ParseSourceConfig(config map[string]string) (SourceConfig, error) {
	var c SourceConfig
	if err := connector.Decode(config, &c); err != nil {
		return SourceConfig{}, err
	}
	return c, c.check()
}

// ParseSinkConfig reads the framework's keys of a sink; the error is a ConfigErrors.
func ParseSinkConfig(config map[string]string) (SinkConfig, error) {
	var c SinkConfig
	if err := connector.Decode(config, &c); err != nil {
		return SinkConfig{}, err
	}
	var errs connector.ConfigErrors
	if len(c.TopicNames()) == 0 {
		errs = append(errs, &connector.ConfigError{Field: "topics", Value: c.Topics, Reason: "names no topic"})
	}
	if c.DeadLetterTopic != "" && slices.Contains(c.TopicNames(), c.DeadLetterTopic) {
		errs = append(errs, &connector.ConfigError{Field: "errors.deadletterqueue.topic.name", Value: c.DeadLetterTopic,
			Reason: "is one of topics: the connector would read its own dead letters, and give them up again, without end; name another topic"})
	}
	return c, join(errs, c.CommonConfig.check())
}

func (c *SourceConfig) check() error { return join(nil, c.CommonConfig.check()) }

func (c *CommonConfig) check() connector.ConfigErrors {
	if c.DeadLetterTopic != "" && c.Tolerance != "all" {
		return connector.ConfigErrors{{Field: "errors.deadletterqueue.topic.name", Value: c.DeadLetterTopic,
			Reason: "needs errors.tolerance = all; with none the first bad record stops the task"}}
	}
	return nil
}

func join(a, b connector.ConfigErrors) error {
	if all := append(a, b...); len(all) > 0 {
		return all
	}
	return nil
}

// structured reports whether a converter's name is one whose bytes can hold a struct.
func structured(name string) bool {
	return strings.HasSuffix(strings.ToLower(name), "json") || strings.Contains(name, "JsonConverter")
}
