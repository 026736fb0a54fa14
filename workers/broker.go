package workers

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gantry-connect/gantry/activities"
	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/pipeline"
	"github.com/gantry-connect/gantry/rocketmq"
)

// Broker is a RocketMQ client as the copy loop and the activities see it.
type Broker struct{ Client *rocketmq.Client }

// outgoing is memory for the messages of one send.
var outgoing = sync.Pool{New: func() any { return new([]rocketmq.Message) }}

// Send implements pipeline.Broker.
func (b Broker) Send(ctx context.Context, q pipeline.Queue, msgs []pipeline.Message) (int64, error) {
	out := outgoing.Get().(*[]rocketmq.Message)
	defer outgoing.Put(out)
	for i := range msgs {
		*out = append(*out, rocketmq.Message(msgs[i]))
	}
	base, err := b.Client.Send(ctx, rocketmq.Queue(q), *out)
	clear(*out) // let go of the bodies
	*out = (*out)[:0]
	return base, sendError(err)
}

// Pull implements pipeline.Broker.
func (b Broker) Pull(ctx context.Context, q pipeline.Queue, offset int64, limit int) (pipeline.Pulled, error) {
	p, err := b.Client.Pull(ctx, rocketmq.Queue(q), offset, limit)
	if err != nil {
		return pipeline.Pulled{}, brokerError(err)
	}
	pulled := pipeline.Pulled{Next: p.Next, Min: p.Min, Max: p.Max}
	if len(p.Messages) > 0 {
		pulled.Messages = make([]pipeline.Received, len(p.Messages))
	}
	for i := range p.Messages {
		pulled.Messages[i] = received(&p.Messages[i])
	}
	p.Release()
	return pulled, nil
}

func received(m *rocketmq.Received) pipeline.Received {
	return pipeline.Received{Queue: pipeline.Queue(m.Queue), Offset: m.Offset, Key: m.Key, Tag: m.Tag, Body: m.Body, Born: m.Born,
		Properties: pipeline.Properties(m.Properties), Err: m.Err}
}

// Bounds implements pipeline.Broker: a queue is read back from its end at the time it was opened, and what the owner before had
// stored must not lie behind that.
func (b Broker) Bounds(ctx context.Context, q pipeline.Queue) (minimum, maximum int64, err error) {
	minimum, maximum, err = b.Client.ExactBounds(ctx, rocketmq.Queue(q))
	return minimum, maximum, brokerError(err)
}

// DeleteTopic implements activities.Topics.
func (b Broker) DeleteTopic(ctx context.Context, topic string) error {
	return brokerError(b.Client.DeleteTopic(ctx, topic))
}

// Queues implements activities.Topics.
func (b Broker) Queues(ctx context.Context, topic string) ([]catalog.Queue, error) {
	found, err := b.Client.Queues(ctx, topic)
	if err != nil {
		return nil, brokerError(err)
	}
	queues := make([]catalog.Queue, len(found))
	for i, q := range found {
		queues[i] = catalog.Queue(q)
	}
	return queues, nil
}

// QueueEnd is the offset behind a queue's last message.
func (b Broker) QueueEnd(ctx context.Context, q catalog.Queue) (int64, error) {
	_, end, err := b.Client.ExactBounds(ctx, rocketmq.Queue(q))
	return end, brokerError(err)
}

// CreateTopic implements activities.Topics.
func (b Broker) CreateTopic(ctx context.Context, topic string, queues int) error {
	return brokerError(b.Client.CreateTopic(ctx, rocketmq.Topic{Name: topic, Queues: queues, MessageType: "NORMAL"}))
}

// sendError says in the copy loop's terms what became of a send.
func sendError(err error) error {
	err = brokerError(err)
	switch {
	case err == nil, connector.IsPermanent(err):
		return err
	case errors.Is(err, activities.ErrNoTopic), rocketmq.IsNotStored(err):
		return fmt.Errorf("%w: %w", pipeline.ErrNotStored, err)
	case rocketmq.IsUnsure(err):
		return fmt.Errorf("%w: %w", pipeline.ErrUnsure, err)
	}
	return err
}

// brokerError says in the copy loop's terms what an error means for any request.
func brokerError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, rocketmq.ErrNoTopic):
		return fmt.Errorf("%w: %w", activities.ErrNoTopic, err) // it may be created any time
	case errors.Is(err, rocketmq.ErrOffsetOutOfRange):
		return fmt.Errorf("%w: %w", pipeline.ErrOffsetOutOfRange, err)
	case rocketmq.IsPermanent(err):
		return connector.Permanent(err)
	}
	return err
}
