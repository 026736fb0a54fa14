package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Queue names one queue of a topic: a log of its own on one broker.
type Queue struct {
	Topic, Broker string
	ID            int
}

// String returns "topic/broker/id".
func (q Queue) String() string { return fmt.Sprintf("%s/%s/%d", q.Topic, q.Broker, q.ID) }

// Property is a named text that travels with a message.
type Property = struct{ Name, Value string }

// Message is one message to send. Its memory may be reused once Broker.Send has returned.
type Message struct {
	Key, Tag   string
	Body       []byte
	Properties []Property
}

// Properties are a message's properties in RocketMQ's own text form: name, byte 1, value, byte 2, repeated.
type Properties string

// next splits the first property off; name is empty at the end.
func (p Properties) next() (name, value string, rest Properties) {
	for p != "" {
		item, tail, _ := strings.Cut(string(p), "\x02")
		p = Properties(tail)
		if n, v, ok := strings.Cut(item, "\x01"); ok && n != "" {
			return n, v, p
		}
	}
	return "", "", ""
}

// Get returns the value of the first property called name, or "".
func (p Properties) Get(name string) string {
	for n, v, rest := p.next(); n != ""; n, v, rest = rest.next() {
		if n == name {
			return v
		}
	}
	return ""
}

// Received is one message as it lies in its queue. Body and the strings may share the memory of one pull.
type Received struct {
	Queue
	Offset     int64
	Key, Tag   string
	Body       []byte
	Born       time.Time
	Properties Properties
	Err        error // why the body cannot be read; nil for every readable message
}

// Property returns the value of a property, or "".
func (m *Received) Property(name string) string { return m.Properties.Get(name) }

// Pulled is the answer to one pull.
type Pulled struct {
	Messages []Received // in queue order
	Next     int64      // where to pull next; may lie beyond the last message
	Min, Max int64      // what the queue holds: Min to Max-1
}

// Broker sends and pulls. Both are called with at most one call in flight per queue and task.
type Broker interface {
	// Send stores all of msgs in q, in order and next to each other, or none, and returns the offset of the first. An error
	// is ErrNotStored (send again), ErrUnsure (stored or not, now or in a moment) or connector.Permanent; anything else counts
	// as unsure.
	Send(ctx context.Context, q Queue, msgs []Message) (base int64, err error)
	// Pull returns messages from offset on, at most limit, and waits some seconds for the first. ErrOffsetOutOfRange says
	// that the queue does not hold the offset. It asks the master only, so that it sees every message acknowledged before.
	Pull(ctx context.Context, q Queue, offset int64, limit int) (Pulled, error)
	// Bounds returns what the queue holds: minimum to maximum-1, on the master. No message acknowledged before the call lies at
	// or behind maximum: one that the owner before has covered would be read back as if it were new.
	Bounds(ctx context.Context, q Queue) (minimum, maximum int64, err error)
}

// The states of a call to a Broker, which wraps its errors with them.
var (
	ErrUnsure           = errors.New("the messages may have been stored")
	ErrNotStored        = errors.New("the messages were not stored")
	ErrOffsetOutOfRange = errors.New("the queue does not hold the offset")
)

// QueueMap gives the frozen list of a topic's queues: a key's hash modulo its length is the index of the key's queue.
type QueueMap interface {
	Queues(ctx context.Context, topic string) ([]Queue, error)
}
