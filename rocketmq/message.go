package rocketmq

import (
	"cmp"
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Queue names one queue: a log of its own on one broker. It is comparable.
type Queue struct {
	Topic  string
	Broker string // the broker's name, which outlives its address
	ID     int
}

// String returns "topic/broker/id".
func (q Queue) String() string {
	return q.Topic + "/" + q.Broker + "/" + strconv.Itoa(q.ID)
}

func compareQueues(a, b Queue) int {
	return cmp.Or(cmp.Compare(a.Broker, b.Broker), cmp.Compare(a.ID, b.ID))
}

// Property is a named text that travels with a message. Any bytes are allowed except 0x01 and 0x02, which RocketMQ uses as
// separators; name and value must not be empty, because RocketMQ does not store an empty value.
type Property = struct{ Name, Value string }

// Message is one message to send.
type Message struct {
	// Key becomes the KEYS property, by which RocketMQ's tools find messages. Empty: none. It does not choose the queue: see QueueFor.
	Key string
	// Tag becomes the TAGS property. Empty: none.
	Tag string
	// Body must not be empty: RocketMQ refuses empty bodies, so a tombstone needs an encoding of its own.
	Body []byte
	// Properties together with key and tag must stay below 32,000 bytes. Names that RocketMQ gives a meaning are refused.
	Properties []Property
}

// Received is one message as it lies in its queue. Body and the strings alias the response of one pull: keeping any of them
// keeps the whole response, so clone what is to live long.
type Received struct {
	Queue  Queue
	Offset int64
	Key    string
	Tag    string
	// Body is inflated if the producer had compressed it.
	Body       []byte
	Properties Properties
	// Born is the producer's clock, Stored the broker's, both in whole milliseconds.
	Born, Stored time.Time
	// Err says why the body could not be inflated; Body then holds the bytes as stored. Nil for every readable message.
	Err error
}

// Property returns the value of a property, or "" if the message has none of that name.
func (m *Received) Property(name string) string { return m.Properties.Get(name) }

// Pull is the answer to one pull.
type Pull struct {
	// Messages are consecutive in queue order; their offsets can have gaps where the broker removed messages.
	Messages []Received
	// Next is the offset to pull at next. It can be beyond the last message's.
	Next int64
	// Min and Max bound the offsets that the queue holds, as Client.Bounds does. Lag is Max - Next.
	Min, Max int64

	memory *[]Received // of Messages; nil if there is none to give back
}

// Release lets later pulls have the memory of p.Messages. Whoever has copied them calls it, and then uses neither the slice nor
// pointers into it; bodies and strings stay as they are. Calling it is not necessary.
func (p *Pull) Release() {
	if p.memory == nil {
		return
	}
	clear(*p.memory)
	released.Put(p.memory)
	p.Messages, p.memory = nil, nil
}

// released is memory of messages: a reader may go through a million of them in a second.
var released sync.Pool

// receivedSlice is memory for count messages, all zero.
func receivedSlice(count int) *[]Received {
	if kept, ok := released.Get().(*[]Received); ok && cap(*kept) >= count {
		*kept = (*kept)[:count]
		return kept
	}
	fresh := make([]Received, count)
	return &fresh
}

const (
	nameEnd  = '\x01' // between a property's name and its value
	valueEnd = '\x02' // after each property

	keysProperty = "KEYS"
	tagsProperty = "TAGS"
)

// Properties are a message's properties in RocketMQ's own text form, name \x01 value \x02, repeated. Looking one up scans the
// text and allocates nothing.
type Properties string

// EncodeProperties writes properties in RocketMQ's text form. It does not check them; Client.Send does.
func EncodeProperties(props ...Property) Properties {
	var b []byte
	for _, p := range props {
		b = appendProperty(b, p.Name, p.Value)
	}
	return Properties(b)
}

// Get returns the value of the first property of that name, or "" if there is none.
func (p Properties) Get(name string) string {
	for n, v := range p.All() {
		if n == name {
			return v
		}
	}
	return ""
}

// All ranges over names and values in stored order, RocketMQ's own properties included.
func (p Properties) All() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for rest := string(p); rest != ""; {
			var item string
			item, rest, _ = strings.Cut(rest, string(valueEnd))
			name, value, ok := strings.Cut(item, string(nameEnd))
			if ok && !yield(name, value) {
				return
			}
		}
	}
}

func appendProperty(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, nameEnd)
	b = append(b, value...)
	return append(b, valueEnd)
}
