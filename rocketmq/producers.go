package rocketmq

import (
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"sync"

	client "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// producers holds the library's producers: Connections of them for each broker, each made when first used. One producer has one
// connection to a broker, and blocks all its sends while it connects to anywhere, so brokers do not share one.
type producers struct {
	cfg Config

	mu     sync.Mutex
	slots  map[producerKey]*brokerProducer
	closed bool

	retiring sync.WaitGroup // producers of addresses that brokers have left
}

type producerKey struct {
	broker string
	n      int
}

// newProducers is the only way to the library, so this is where its globals are set.
func newProducers(cfg Config) *producers {
	prepareLibrary(cfg.Logger)
	return &producers{cfg: cfg, slots: map[producerKey]*brokerProducer{}}
}

// get returns the producer for a queue's broker at addr, and counts the caller in: it must call sending.Done.
func (ps *producers) get(q Queue, addr string) (*brokerProducer, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.closed {
		return nil, ErrClosed
	}
	key := producerKey{q.Broker, q.ID % ps.cfg.Connections}
	p := ps.slots[key]
	if p == nil || p.addr != addr {
		fresh, err := newBrokerProducer(ps.cfg, q.Broker, addr)
		if err != nil {
			return nil, err
		}
		if p != nil {
			ps.retiring.Go(p.close)
		}
		p = fresh
		ps.slots[key] = p
	}
	p.sending.Add(1)
	return p, nil
}

func (ps *producers) close() {
	ps.mu.Lock()
	ps.closed = true
	slots := ps.slots
	ps.slots = nil
	ps.mu.Unlock()
	for _, p := range slots {
		p.close()
	}
	ps.retiring.Wait()
}

// brokerProducer is a producer of the library that knows one broker at one address.
type brokerProducer struct {
	addr     string
	producer client.Producer
	route    *fixedRoute
	sending  sync.WaitGroup
}

func newBrokerProducer(cfg Config, broker, addr string) (*brokerProducer, error) {
	route, err := newFixedRoute(broker, addr)
	if err != nil {
		return nil, err
	}
	p, err := client.NewProducer(
		producer.WithNsResolver(primitive.NewPassthroughResolver([]string{route.addr()})),
		producer.WithGroupName(cfg.Group),
		producer.WithInstanceName("gantry-"+rand.Text()), // the library has one table of instances per process
		producer.WithCredentials(primitive.Credentials{AccessKey: cfg.AccessKey, SecretKey: cfg.SecretKey}),
		producer.WithSendMsgTimeout(cfg.SendTimeout),
		producer.WithRetry(0), // only the caller knows what an unsure send needs
		producer.WithQueueSelector(producer.NewManualQueueSelector()),
		producer.WithCompressMsgBodyOverHowmuch(math.MaxInt),
	)
	if err == nil {
		err = p.Start()
	}
	if err != nil {
		route.close()
		return nil, fmt.Errorf("start a producer for broker %s at %s: %w", broker, addr, err)
	}
	return &brokerProducer{addr: addr, producer: p, route: route}, nil
}

// send sends an encoded batch. An ended context would not stop the library but make it break the connection under other sends, so
// it gets one that never ends. The library can panic on answers that it cannot read; after that nobody knows what the broker did.
func (p *brokerProducer) send(q Queue, batch []byte) (result *primitive.SendResult, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic in the RocketMQ client library: %v", v)
		}
	}()
	return p.producer.SendSync(context.Background(), &primitive.Message{
		Topic: q.Topic, Body: batch, Batch: true, // already encoded, which spares a map and a copy for each message
		Queue: &primitive.MessageQueue{Topic: q.Topic, BrokerName: q.Broker, QueueId: q.ID},
	})
}

// close waits for the sends in flight, which end within the send timeout.
func (p *brokerProducer) close() {
	p.sending.Wait()
	_ = p.producer.Shutdown() // always nil
	p.route.close()
}
