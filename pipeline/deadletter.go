package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"

	"github.com/gantry-connect/gantry/connector"
)

// The values of CommonConfig.Tolerance.
const (
	tolerateNone = "none"
	tolerateAll  = "all"
)

// tolerance decides what a bad record does.
type tolerance struct {
	config   CommonConfig
	task     int
	progress *Progress
	logger   *slog.Logger
	scrub    func(text string) string // nil: texts hold no secrets
}

// badRecord is a record that cannot go on, with where it came from.
type badRecord struct {
	stage             string
	err               error
	topic             string // where it was to go (source), or came from (sink)
	partition, offset string
	record            *connector.Record // of a source; nil if it could not be read
	message           *Received         // of a sink
}

// check returns an error if bad records are not tolerated; else the record is counted, and logged if so configured.
func (t *tolerance) check(c *badRecord) error {
	if t.config.Tolerance != tolerateAll {
		return connector.Permanent(fmt.Errorf("bad record: partition %s, offset %s, topic %s, stage %s: %w (errors.tolerance = all would give it up and go on)",
			c.partition, c.offset, c.topic, c.stage, c.err))
	}
	t.progress.bad.Add(1)
	if t.config.LogErrors {
		args := []any{"partition", c.partition, "offset", c.offset, "topic", c.topic, "stage", c.stage, "error", c.err}
		if t.config.LogMessages {
			args = append(args, "key", c.key())
		}
		t.logger.Warn("record given up", args...)
	}
	return nil
}

func (c *badRecord) key() string {
	switch {
	case c.message != nil:
		return c.message.Key
	case c.record != nil && c.record.Key.Present():
		return c.record.Key.Value.String()
	}
	return ""
}

// maxLetterValue bounds what a source's dead letter shows of a value that has no bytes yet.
const maxLetterValue = 64 << 10

// letter is the dead letter of a bad record. Its first property has room for a stamp. A sink's holds the message as it was; a
// source's the value as text, because it could not be converted or is too large.
func (t *tolerance) letter(c *badRecord, p *parcel) Message {
	first := len(p.props)
	p.add(stampProperty, "")
	m := Message{}
	if c.message != nil {
		m.Key, m.Tag, m.Body = c.message.Key, c.message.Tag, c.message.Body
		for n, v, rest := c.message.Properties.next(); n != ""; n, v, rest = rest.next() {
			if n != stampProperty && len(n) > 7 && n[:7] == "gantry-" && v != "" {
				p.add(n, v)
			}
		}
	} else {
		start := len(p.body)
		p.body = append(p.body, c.text()...)
		m.Body = p.body[start:len(p.body):len(p.body)]
	}
	if len(m.Body) == 0 {
		m.Body = placeholder
	}
	for _, note := range []Property{
		{"topic", c.topic}, {"partition", c.partition}, {"offset", c.offset}, {"connector.name", t.config.Name},
		{"task.id", strconv.Itoa(t.task)}, {"stage", c.stage}, {"class.name", t.config.Class},
		{"exception.class.name", reflect.TypeOf(root(c.err)).String()}, {"exception.message", shorten(t.scrubbed(c.err.Error()), 4<<10)},
	} {
		if note.Value != "" {
			p.add("__connect.errors."+note.Name, string(appendEscaped(nil, note.Value)))
		}
	}
	m.Properties = p.props[first:len(p.props):len(p.props)]
	return m
}

func (t *tolerance) scrubbed(text string) string {
	if t.scrub == nil {
		return text
	}
	return t.scrub(text)
}

// text is a source's record as a person reads it; texts and JSON documents are as they were.
func (c *badRecord) text() string {
	if c.record == nil {
		return string(placeholder)
	}
	d := c.record.After
	if !d.Present() {
		d = c.record.Before
	}
	if d.Value.Is(connector.String) {
		return shorten(d.Value.Text(), maxLetterValue)
	}
	return shorten(d.Value.String(), maxLetterValue)
}

func root(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}

func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return text[:limit] + "…"
}

// retryingSchemas repeats calls until they succeed: an outage of the catalog is no reason to end a task.
type retryingSchemas struct {
	schemas Schemas
	retry   *retrier
}

func (r retryingSchemas) Put(ctx context.Context, s *connector.Schema) error {
	return r.retry.do(ctx, "store a schema", func() error { return r.schemas.Put(ctx, s) })
}

func (r retryingSchemas) Get(ctx context.Context, fingerprint string) (s *connector.Schema, err error) {
	err = r.retry.do(ctx, "read schema "+fingerprint, func() error {
		s, err = r.schemas.Get(ctx, fingerprint)
		return err
	})
	return s, err
}
