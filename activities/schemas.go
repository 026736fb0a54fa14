package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/pipeline"
)

const (
	// publishEvery is after how long a schema in use is written to the schema topic again: brokers delete messages after days.
	publishEvery = 6 * time.Hour
	// schemaTag marks the messages of the schema topic.
	schemaTag = "gantry-schema"
	// shelfBytes bounds what is kept in memory of the schema topic.
	shelfBytes = 16 << 20
	// schemaPull is how many messages of the schema topic are pulled at once.
	schemaPull = 256
)

// schemas keeps schemas in the catalog, as JSON, and writes them to the schema topic, so that other installations and a catalog
// that was restored can read the messages that refer to them. It is shared by all tasks of the worker.
type schemas struct {
	pages  pages
	broker pipeline.Broker
	topics Topics
	topic  string // empty: there is none

	shelf chan *shelf // has it while nobody reads the topic
}

// shelf is what was read of the schema topic.
type shelf struct {
	next   map[pipeline.Queue]int64
	bodies map[string][]byte // by fingerprint
	bytes  int
}

func newSchemas(topic string, d Deps) *schemas {
	s := &schemas{pages: d.Catalog, broker: d.Broker, topics: d.Topics, topic: topic, shelf: make(chan *shelf, 1)}
	s.shelf <- &shelf{}
	return s
}

// Put implements pipeline.Schemas. The schema is in the catalog and in the topic when it returns.
func (s *schemas) Put(ctx context.Context, schema *connector.Schema) error {
	body, err := json.Marshal(schema)
	if err != nil {
		return connector.Permanent(fmt.Errorf("write schema %s as JSON: %w", schema.Name, err))
	}
	print := schema.Fingerprint()
	if err := s.pages.PutSchema(ctx, print, body); err != nil || s.topic == "" {
		return err
	}
	due, err := s.pages.SchemaDue(ctx, print, publishEvery)
	if err != nil || !due {
		return err
	}
	if err := s.publish(ctx, print, body); err != nil {
		return fmt.Errorf("write schema %s to topic %s: %w", print, s.topic, err)
	}
	return s.pages.NoteSchemaPublished(ctx, print)
}

// publish stores the schema in any queue of the topic: nothing depends on order, and two copies do no harm.
func (s *schemas) publish(ctx context.Context, print string, body []byte) error {
	queues, err := s.queues(ctx, true)
	if err != nil {
		return err
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(print)) // never fails
	first := int(h.Sum32() % uint32(len(queues)))
	for i := range queues {
		q := queues[(first+i)%len(queues)]
		_, err = s.broker.Send(ctx, q, []pipeline.Message{{Key: print, Tag: schemaTag, Body: body}})
		if err == nil || connector.IsPermanent(err) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// queues are the topic's queues; none if it does not exist and is not to be created.
func (s *schemas) queues(ctx context.Context, create bool) ([]pipeline.Queue, error) {
	found, err := s.topics.Queues(ctx, s.topic)
	if errors.Is(err, ErrNoTopic) {
		if !create {
			return nil, nil
		}
		if err := s.topics.CreateTopic(ctx, s.topic, 1); err != nil {
			return nil, fmt.Errorf("create the topic: %w", err)
		}
		found, err = s.topics.Queues(ctx, s.topic)
	}
	if err != nil {
		return nil, fmt.Errorf("look up its queues: %w", err)
	}
	if len(found) == 0 && create {
		return nil, errors.New("it has no queue")
	}
	queues := make([]pipeline.Queue, len(found))
	for i, q := range found {
		queues[i] = pipeline.Queue(q)
	}
	return queues, nil
}

// Get implements pipeline.Schemas: from the catalog, or else from the topic, and then the catalog gets it too.
func (s *schemas) Get(ctx context.Context, fingerprint string) (*connector.Schema, error) {
	body, err := s.pages.Schema(ctx, fingerprint)
	if err == nil {
		return parseSchema(fingerprint, body)
	}
	if !errors.Is(err, catalog.ErrNotFound) {
		return nil, err
	}
	if s.topic == "" {
		return nil, fmt.Errorf("%w in the catalog, and there is no schema topic to look into: set rocketmq.schema-topic", pipeline.ErrNoSchema)
	}
	if body, err = s.lookUp(ctx, fingerprint); err != nil {
		return nil, fmt.Errorf("look for schema %s in topic %s: %w", fingerprint, s.topic, err)
	}
	if body == nil {
		return nil, fmt.Errorf("%w in the catalog and in topic %s: if the messages come from another installation, its schema topic "+
			"must be the same", pipeline.ErrNoSchema, s.topic)
	}
	schema, err := parseSchema(fingerprint, body)
	if err != nil {
		return nil, err
	}
	return schema, s.pages.PutSchema(ctx, fingerprint, body)
}

func parseSchema(fingerprint string, body []byte) (*connector.Schema, error) {
	schema := new(connector.Schema)
	if err := json.Unmarshal(body, schema); err != nil {
		return nil, connector.Permanent(fmt.Errorf("read schema %s: %w", fingerprint, err))
	}
	return schema, nil
}

// lookUp reads what is new in the topic and returns the body of a schema; nil if it is not there.
func (s *schemas) lookUp(ctx context.Context, fingerprint string) ([]byte, error) {
	var sh *shelf
	select {
	case sh = <-s.shelf:
		defer func() { s.shelf <- sh }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if body := sh.bodies[fingerprint]; body != nil {
		return body, nil
	}
	if sh.bodies == nil || sh.bytes > shelfBytes {
		*sh = shelf{next: map[pipeline.Queue]int64{}, bodies: map[string][]byte{}}
	}
	queues, err := s.queues(ctx, false)
	if err != nil {
		return nil, err
	}
	var first error
	for _, q := range queues {
		if err := s.read(ctx, q, sh, fingerprint); err != nil && first == nil {
			first = err
		}
		if body := sh.bodies[fingerprint]; body != nil {
			return body, nil
		}
	}
	return nil, first
}

// read goes through a queue from where it stopped last time, until it meets the schema wanted. What is not what its key says it
// is, is passed over.
func (s *schemas) read(ctx context.Context, q pipeline.Queue, sh *shelf, wanted string) error {
	start, end, err := s.broker.Bounds(ctx, q)
	if err != nil {
		return err
	}
	if sh.next[q] > end { // the topic was made anew
		sh.next[q] = start
	}
	for sh.next[q] = max(sh.next[q], start); sh.next[q] < end; {
		p, err := s.broker.Pull(ctx, q, sh.next[q], schemaPull)
		if err != nil {
			return err
		}
		for i := range p.Messages {
			m := &p.Messages[i]
			schema, err := parseSchema(m.Key, m.Body)
			if m.Tag != schemaTag || err != nil || schema.Fingerprint() != m.Key || sh.bodies[m.Key] != nil {
				continue
			}
			if m.Key == wanted || sh.bytes <= shelfBytes {
				sh.bodies[strings.Clone(m.Key)] = slices.Clone(m.Body) // they share the memory of the whole pull
				sh.bytes += len(m.Body)
			}
		}
		if p.Next <= sh.next[q] || sh.bodies[wanted] != nil {
			return nil
		}
		sh.next[q] = p.Next
	}
	return nil
}
