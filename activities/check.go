package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/pipeline"
	"github.com/gantry-connect/gantry/probe"
	"github.com/gantry-connect/gantry/secrets"
	"github.com/gantry-connect/gantry/transforms"
)

// What the parts of a check may take.
const (
	brokerWithin = 5 * time.Second // to look a topic up
	systemWithin = 12 * time.Second
)

// checkup collects what a check finds.
type checkup struct {
	findings []probe.Finding
	scrub    *secrets.Scrubber
}

func (c *checkup) add(severity, code, subject, message, remedy string) {
	c.findings = append(c.findings, probe.Finding{Severity: severity, Code: code, Subject: c.scrub.Text(subject),
		Message: c.scrub.Text(message), Remedy: c.scrub.Text(remedy)})
}

func (c *checkup) failed() bool {
	return slices.ContainsFunc(c.findings, func(f probe.Finding) bool { return f.Severity == probe.SeverityError })
}

// problems adds what is wrong with the config itself.
func (c *checkup) problems(err error) {
	var all connector.ConfigErrors
	var one *connector.ConfigError
	switch {
	case err == nil:
		return
	case errors.As(err, &all):
	case errors.As(err, &one):
		all = connector.ConfigErrors{one}
	default:
		c.add(probe.SeverityError, "invalid-config", "config", err.Error(), "")
	}
	for _, p := range all {
		c.add(probe.SeverityError, "invalid-config", p.Field, p.Error(), "")
	}
}

// severities in the order in which findings are shown.
var severities = []string{probe.SeverityError, probe.SeverityWarning, probe.SeverityInfo, probe.SeverityOK}

// check finds out whether a config would work.
func (a *Activities) check(ctx context.Context, given map[string]string) probe.CheckResult {
	c := &checkup{}
	a.examine(ctx, given, c)
	slices.SortStableFunc(c.findings, func(x, y probe.Finding) int {
		return cmp.Compare(slices.Index(severities, x.Severity), slices.Index(severities, y.Severity))
	})
	if c.findings == nil {
		c.findings = []probe.Finding{}
	}
	return probe.CheckResult{OK: !c.failed(), Findings: c.findings, WorkerID: a.config.Worker, CheckedAt: time.Now().UTC()}
}

func (a *Activities) examine(ctx context.Context, given map[string]string, c *checkup) {
	used, err := a.open(ctx, given)
	c.scrub = used.scrub
	if err != nil {
		c.problems(err)
		return
	}
	topics := used.topics()
	for _, t := range topics {
		if !a.checkTopic(ctx, t, c) {
			break // the broker is out of reach for the others, too
		}
	}
	s := connector.Surroundings{}
	for _, t := range topics {
		if !t.deadLetters {
			s.Topics = append(s.Topics, t.name)
		}
	}
	a.checkSystem(ctx, used, s, c)
}

// checkSystem has the connector look at its own system, and plans the work of a source.
func (a *Activities) checkSystem(ctx context.Context, used usable, s connector.Surroundings, c *checkup) {
	ctx, cancel := context.WithTimeout(ctx, systemWithin)
	defer cancel()
	err := guarded("the connector's check", func() error {
		found, err := used.plugin.Probe(ctx, used.config, s)
		for _, f := range found {
			c.add(string(f.Severity), f.Code, f.Subject, f.Message, f.Remedy)
		}
		return err
	})
	if err != nil {
		c.add(probe.SeverityError, "check-failed", used.plugin.Class, err.Error(), "")
		return
	}
	if used.plugin.Kind != connector.KindSource || c.failed() {
		return
	}
	var tasks []map[string]string
	err = guarded("planning", func() (err error) {
		tasks, err = used.plugin.TaskConfigs(ctx, used.config, used.tasksMax)
		return err
	})
	if err != nil {
		c.add(probe.SeverityError, "plan-failed", used.plugin.Class, "The work cannot be divided into tasks: "+err.Error(), "")
		return
	}
	plan := fmt.Sprintf("The work would be divided into %d tasks.", len(tasks))
	if len(tasks) == 1 {
		plan = "One task would do all the work."
	}
	c.add(probe.SeverityInfo, "plan", used.plugin.Class, plan, "")
}

// usable is a config with everything that it names in place.
type usable struct {
	plugin   connector.Plugin
	config   map[string]string // with secrets: it stays in this process
	scrub    *secrets.Scrubber
	tasksMax int
	source   *pipeline.SourceConfig // of sources
	sink     *pipeline.SinkConfig   // of sinks
	chain    *transforms.Chain
	common   pipeline.CommonConfig
}

// open reads a config for use. The error is a *connector.ConfigError or ConfigErrors.
func (a *Activities) open(ctx context.Context, given map[string]string) (usable, error) {
	var u usable
	raw, _, err := pipeline.ResolveAliases(given)
	if err != nil {
		return u, err
	}
	if u.plugin, err = a.Plugins.Find(raw["connector.class"]); err != nil {
		return u, err
	}
	resolved, err := a.resolve(ctx, raw["name"], u.plugin, raw)
	if err != nil {
		return u, err
	}
	u.config, u.scrub = resolved.Config, resolved.Scrub
	if err := guarded("the connector's check of its config", func() error { return u.plugin.Check(u.config) }); err != nil {
		return u, err
	}
	if u.plugin.Kind == connector.KindSource {
		c, err := pipeline.ParseSourceConfig(u.config)
		if err != nil {
			return u, err
		}
		u.source, u.common = &c, c.CommonConfig
	} else {
		c, err := pipeline.ParseSinkConfig(u.config)
		if err != nil {
			return u, err
		}
		u.sink, u.common = &c, c.CommonConfig
	}
	u.tasksMax = u.common.TasksMax
	if _, _, err := newConverters(u.common, u.config); err != nil {
		return u, err
	}
	u.chain, err = transforms.New(u.config, u.plugin.Kind)
	return u, err
}

// wantedTopic is a topic that a connector would use.
type wantedTopic struct {
	name        string
	creates     bool // the connector makes it if it is missing
	queues      int
	reads       bool
	deadLetters bool
}

func (u *usable) topics() []wantedTopic {
	var topics []wantedTopic
	dead := wantedTopic{name: u.common.DeadLetterTopic, creates: true, queues: deadLetterQueues, deadLetters: true}
	if u.source != nil {
		topics = append(topics, wantedTopic{name: u.source.Topic, creates: u.source.TopicCreate, queues: u.source.TopicQueues})
		dead.creates, dead.queues = u.source.TopicCreate, u.source.TopicQueues
	} else {
		for _, name := range u.sink.TopicNames() {
			topics = append(topics, wantedTopic{name: name, reads: true})
		}
	}
	if dead.name != "" {
		topics = append(topics, dead)
	}
	return topics
}

// checkTopic looks a topic up and asks the master of its first queue; false if the broker is out of reach.
func (a *Activities) checkTopic(ctx context.Context, t wantedTopic, c *checkup) bool {
	ctx, cancel := context.WithTimeout(ctx, brokerWithin)
	defer cancel()
	subject := "topic " + t.name
	queues, err := a.Topics.Queues(ctx, t.name)
	switch {
	case errors.Is(err, ErrNoTopic) && t.creates:
		c.add(probe.SeverityInfo, "topic-missing", subject, fmt.Sprintf("It does not exist and will be created with %d queues on each broker.", t.queues), "")
		return true
	case errors.Is(err, ErrNoTopic) && t.reads:
		c.add(probe.SeverityWarning, "topic-missing", subject, "It does not exist. The connector waits for it.",
			"start the source that writes it, or correct topics")
		return true
	case errors.Is(err, ErrNoTopic):
		c.add(probe.SeverityError, "topic-missing", subject, "It does not exist, and topic.create is false.",
			fmt.Sprintf("mqadmin updateTopic -c CLUSTER -t %s -r %d -w %d, or set topic.create = true", t.name, t.queues, t.queues))
		return true
	case err != nil:
		c.add(probe.SeverityError, "broker-unreachable", "RocketMQ", fmt.Sprintf("The topic %s cannot be looked up: %v", t.name, err),
			"check rocketmq.nameservers of the workers, and whether name servers and brokers run")
		return false
	}
	for _, q := range firstOfEachBroker(queues) {
		if _, _, err := a.Broker.Bounds(ctx, q); err != nil {
			c.add(probe.SeverityError, "broker-unreachable", "broker "+q.Broker, fmt.Sprintf("Its master does not answer for %s: %v", subject, err),
				"start the broker, or see why it refuses")
			return false
		}
	}
	c.add(probe.SeverityOK, "topic", subject, fmt.Sprintf("It has %d queues.", len(queues)), "")
	return true
}
