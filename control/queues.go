package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/pipeline"
)

// QueueMaps is where the frozen maps from keys to queues are kept.
type QueueMaps interface {
	QueueMaps(ctx context.Context, uid int64) ([]catalog.QueueMap, error)
	InstallQueueMap(ctx context.Context, uid int64, topic string, queues []catalog.Queue, author string) (version int, err error)
}

// QueueFinder asks the brokers.
type QueueFinder interface {
	// Queues are a topic's queues now.
	Queues(ctx context.Context, topic string) ([]catalog.Queue, error)
	// QueueEnd is the offset behind a queue's last message.
	QueueEnd(ctx context.Context, q catalog.Queue) (int64, error)
}

// Requeue asks for a source's keys to be spread over the queues that its topics have now.
type Requeue struct {
	Topic string // empty: all topics that the connector has sent to
	Force bool   // also while sinks have not read what is there
}

// TopicQueues is the queues that a source sends to in one topic.
type TopicQueues struct {
	Topic   string         `json:"topic" example:"flights"`
	Version int            `json:"version" example:"2" doc:"Raised by each change."`
	Queues  []QueueAddress `json:"queues" nullable:"false" doc:"A key's hash modulo their number is the index of the key's queue."`
}

// QueueAddress names a queue of a topic.
type QueueAddress struct {
	Broker string `json:"broker" example:"broker-a"`
	Queue  int    `json:"queue" example:"3"`
}

// Queues is the queues that a source sends to, by topic.
func (s *Service) Queues(ctx context.Context, name string) ([]TopicQueues, error) {
	c, err := s.findSource(ctx, name)
	if err != nil {
		return nil, err
	}
	maps, err := s.connectors.QueueMaps(ctx, c.UID)
	if err != nil {
		return nil, translate(err, name)
	}
	out := make([]TopicQueues, len(maps))
	for i, m := range maps {
		out[i] = TopicQueues{Topic: m.Topic, Version: m.Version, Queues: make([]QueueAddress, len(m.Queues))}
		for j, q := range m.Queues {
			out[i].Queues[j] = QueueAddress{q.Broker, q.ID}
		}
	}
	return out, nil
}

func (s *Service) findSource(ctx context.Context, name string) (catalog.Connector, error) {
	c, err := s.find(ctx, name)
	if err == nil && c.Kind != string(connector.KindSource) {
		err = &RequestError{Reason: fmt.Sprintf("Connector %s is a sink: only a source spreads its keys over queues; a sink takes up new queues by itself", name)}
	}
	return c, err
}

// Requeue spreads a source's keys over the queues that its topics have now. Keys move to other queues by it, so the source must be
// stopped, and Gantry's own sinks must have read what is there: they read queues side by side.
func (s *Service) Requeue(ctx context.Context, name string, r Requeue, author string) ([]TopicQueues, error) {
	c, err := s.findSource(ctx, name)
	if err != nil {
		return nil, err
	}
	if c.Desired != catalog.StateStopped {
		return nil, &ConflictError{fmt.Sprintf("Connector %s has to be stopped before its keys can move to other queues; it is wanted %s", name, c.Desired)}
	}
	if s.queues == nil {
		return nil, &ConflictError{"This process cannot ask the brokers for queues"}
	}
	maps, err := s.connectors.QueueMaps(ctx, c.UID)
	if err != nil {
		return nil, translate(err, name)
	}
	maps = slices.DeleteFunc(maps, func(m catalog.QueueMap) bool { return r.Topic != "" && m.Topic != r.Topic })
	if len(maps) == 0 && r.Topic != "" {
		return nil, &NotFoundError{fmt.Sprintf("Connector %s has not sent to topic %s", name, r.Topic)}
	}
	// Before the sinks are looked at: what a task sends last counts, too.
	if err := s.whenSettled(ctx, c, func() error { return s.connectors.Settled(ctx, c.UID) }); err != nil {
		return nil, err
	}
	for _, m := range maps {
		if err := s.requeue(ctx, c, m, r.Force, author); err != nil {
			return nil, err
		}
	}
	return s.Queues(ctx, name)
}

func (s *Service) requeue(ctx context.Context, c catalog.Connector, m catalog.QueueMap, force bool, author string) error {
	now, err := s.queues.Queues(ctx, m.Topic)
	if err == nil && len(now) == 0 {
		err = errors.New("it has none")
	}
	if err != nil {
		return &ConflictError{fmt.Sprintf("The queues of topic %s cannot be looked up: %v", m.Topic, err)}
	}
	if slices.Equal(now, m.Queues) {
		return nil
	}
	if !force {
		if err := s.sinksAtEnd(ctx, m); err != nil {
			return err
		}
	}
	return s.whenSettled(ctx, c, func() error {
		_, err := s.connectors.InstallQueueMap(ctx, c.UID, m.Topic, now, author)
		return err
	})
}

// sinksAtEnd refuses while one of Gantry's sinks has not read a queue of the map to its end.
func (s *Service) sinksAtEnd(ctx context.Context, m catalog.QueueMap) error {
	all, err := s.connectors.Connectors(ctx)
	if err != nil {
		return translate(err, "")
	}
	ends := map[catalog.Queue]int64{}
	for _, c := range all {
		if !readsTopic(c, m.Topic) {
			continue
		}
		positions, err := s.progress.Positions(ctx, c.UID)
		if err != nil {
			return translate(err, c.Name)
		}
		for _, q := range m.Queues {
			if _, known := ends[q]; !known {
				if ends[q], err = s.queues.QueueEnd(ctx, q); err != nil {
					return &ConflictError{fmt.Sprintf("The end of queue %s/%s/%d cannot be looked up: %v", q.Topic, q.Broker, q.ID, err)}
				}
			}
			if at := sinkOffset(positions, q); at < ends[q] {
				return &ConflictError{fmt.Sprintf("Sink %s has read queue %s/%s/%d up to %d of %d. Let it read to the end first, so that no key's "+
					"later records overtake its earlier ones; force goes on all the same", c.Name, q.Topic, q.Broker, q.ID, at, ends[q])}
			}
		}
	}
	return nil
}

func readsTopic(c catalog.Connector, topic string) bool {
	if c.Kind != string(connector.KindSink) || c.Desired == catalog.StateDeleted {
		return false
	}
	config, err := pipeline.ParseSinkConfig(c.Config)
	return err == nil && slices.Contains(config.TopicNames(), topic)
}

// sinkOffset is how far a sink has read a queue; 0 if it has not.
func sinkOffset(positions map[string]string, q catalog.Queue) int64 {
	p, err := connector.MakePartition(map[string]any{"rocketmq_broker": q.Broker, "rocketmq_queue": q.ID, "rocketmq_topic": q.Topic})
	if err != nil {
		return 0
	}
	var doc struct {
		Offset int64 `json:"rocketmq_offset"`
	}
	if err := json.Unmarshal([]byte(positions[string(p)]), &doc); err != nil {
		return 0
	}
	return doc.Offset
}
