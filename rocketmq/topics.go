package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Topic describes a topic to create.
type Topic struct {
	// Name has 1 to 127 letters, digits, "_", "-", "%" or "|". No dots.
	Name string
	// Queues is how many queues the topic has on each master.
	Queues int
	// MessageType is "NORMAL", "FIFO", "DELAY", "TRANSACTION" or "MIXED"; empty leaves it to the broker. Brokers and proxies that
	// check it refuse other messages.
	MessageType string
}

const (
	maxTopicName = 127
	maxGroupName = 255
	maxQueues    = 16384
)

var messageTypes = []string{"", "NORMAL", "FIFO", "DELAY", "TRANSACTION", "MIXED"}

// checkName applies RocketMQ's rule for topic and group names.
func checkName(what, name string, limit int) error {
	if name == "" {
		return fmt.Errorf("%s name is empty", what)
	}
	if len(name) > limit {
		return fmt.Errorf("%s name %q has %d characters; RocketMQ allows %d", what, name[:32]+"…", len(name), limit)
	}
	for _, r := range name {
		ok := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '%' || r == '|'
		if !ok {
			return fmt.Errorf("%s name %q contains %q; RocketMQ allows only letters, digits, '_', '-', '%%' and '|'", what, name, r)
		}
	}
	return nil
}

func (t Topic) validate() error {
	if err := checkName("topic", t.Name, maxTopicName); err != nil {
		return err
	}
	if t.Queues < 1 || t.Queues > maxQueues {
		return fmt.Errorf("topic %s: %d queues; a topic has 1 to %d on each broker", t.Name, t.Queues, maxQueues)
	}
	if !slices.Contains(messageTypes, t.MessageType) {
		return fmt.Errorf("topic %s: message type %q is none of NORMAL, FIFO, DELAY, TRANSACTION, MIXED", t.Name, t.MessageType)
	}
	return nil
}

// Queues returns the readable queues of a topic, sorted by broker name and id, as a name server knows them now. A broker that is
// down is not among them. ErrNoTopic if the topic does not exist.
func (c *Client) Queues(ctx context.Context, topic string) ([]Queue, error) {
	const op = "look up the queues of"
	if err := checkName("topic", topic, maxTopicName); err != nil {
		return nil, newError(op, Queue{Topic: topic}, Permanent, err)
	}
	r, err := c.routes.fetch(ctx, topic)
	if err != nil {
		return nil, newError(op, Queue{Topic: topic}, NotStored, err)
	}
	var queues []Queue
	for _, d := range r.Queues {
		if d.Perm&permRead == 0 {
			continue
		}
		for id := range d.Read {
			queues = append(queues, Queue{Topic: topic, Broker: d.Broker, ID: id})
		}
	}
	slices.SortFunc(queues, compareQueues)
	return queues, nil
}

// CreateTopic creates the topic on every master of the cluster and returns once name servers route to all of it. On masters that
// have it already, it adds queues if they have fewer, and otherwise changes nothing: it never takes queues away.
func (c *Client) CreateTopic(ctx context.Context, t Topic) error {
	const op = "create topic"
	q := Queue{Topic: t.Name}
	if err := t.validate(); err != nil {
		return newError(op, q, Permanent, err)
	}
	masters, err := c.routes.masters(ctx)
	if err != nil {
		return newError(op, q, NotStored, err)
	}
	have, err := c.queueCounts(ctx, t.Name)
	if err != nil {
		return newError(op, q, NotStored, err)
	}
	for _, m := range masters {
		if have[m.broker] >= t.Queues {
			continue
		}
		if _, err := c.links.ask(ctx, m.addr, createTopicRequest(t)); err != nil {
			return newError(op, q, kindOfAnswer(err), fmt.Errorf("on broker %s: %w", m.broker, err))
		}
	}
	c.routes.forget(t.Name)
	if err := c.awaitRoute(ctx, t, masters); err != nil {
		return newError(op, q, NotStored, err)
	}
	return nil
}

func createTopicRequest(t Topic) request {
	n := strconv.Itoa(t.Queues)
	fields := []field{
		{"topic", t.Name}, {"defaultTopic", "TBW102"}, {"readQueueNums", n}, {"writeQueueNums", n}, {"perm", "6"},
		{"topicFilterType", "SINGLE_TAG"}, {"topicSysFlag", "0"}, {"order", "false"},
	}
	if t.MessageType != "" {
		fields = append(fields, field{"attributes", "+message.type=" + t.MessageType})
	}
	return request{code: reqCreateTopic, fields: fields}
}

// queueCounts returns how many queues of the topic can be both read and written on each broker; empty if there is no such topic.
func (c *Client) queueCounts(ctx context.Context, topic string) (map[string]int, error) {
	r, err := c.routes.fetch(ctx, topic)
	if errors.Is(err, ErrNoTopic) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, d := range r.Queues {
		counts[d.Broker] = min(d.Read, d.Write)
	}
	return counts, nil
}

// awaitRoute waits until the route shows what was created: brokers register new topics with name servers after they answered.
func (c *Client) awaitRoute(ctx context.Context, t Topic, masters []broker) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		counts, err := c.queueCounts(ctx, t.Name)
		missing := ""
		for _, m := range masters {
			if counts[m.broker] < t.Queues {
				missing = m.broker
			}
		}
		if err == nil && missing == "" {
			return nil
		}
		if sleep(ctx, pause) != nil {
			return joinFailures(err, fmt.Errorf("the brokers accepted it, but name servers show fewer than %d queues on broker %s", t.Queues, missing))
		}
	}
}

// DeleteTopic deletes the topic with all its messages from every broker and name server. A topic that does not exist is no error.
func (c *Client) DeleteTopic(ctx context.Context, name string) error {
	const op = "delete topic"
	q := Queue{Topic: name}
	if err := checkName("topic", name, maxTopicName); err != nil {
		return newError(op, q, Permanent, err)
	}
	masters, err := c.routes.masters(ctx)
	if err != nil {
		return newError(op, q, NotStored, err)
	}
	fields := []field{{"topic", name}}
	for _, m := range masters {
		for _, addr := range append([]string{m.addr}, m.slaves...) {
			if err := c.deleteOn(ctx, addr, fields); err != nil {
				return newError(op, q, kindOfAnswer(err), fmt.Errorf("on broker %s: %w", m.broker, err))
			}
		}
	}
	c.routes.forget(name)
	for _, addr := range c.cfg.NameServers {
		if _, err := c.links.ask(ctx, addr, request{code: reqDeleteInNamesv, fields: fields}); err != nil {
			return newError(op, q, kindOfAnswer(err), fmt.Errorf("on name server: %w", err))
		}
	}
	return nil
}

// deleteOn deletes a topic from one broker. After a refusal it looks whether the topic is gone nevertheless: it may never have been
// there, and brokers without a timer wheel (timerWheelEnable=false) fail at the very end, when all is deleted.
func (c *Client) deleteOn(ctx context.Context, addr string, fields []field) error {
	_, err := c.links.ask(ctx, addr, request{code: reqDeleteInBroker, fields: fields})
	if codeOf(err) == codeSystemError {
		if _, now := c.links.ask(ctx, addr, request{code: reqTopicConfig, fields: fields}); errors.Is(now, ErrNoTopic) {
			return nil
		}
	}
	if errors.Is(err, ErrNoTopic) {
		return nil
	}
	return err
}

// sleep waits for d, or returns ctx.Err() once ctx has ended.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
