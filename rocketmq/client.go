package rocketmq

import (
	"context"
	"fmt"
	"sync"
)

// Client is one process's access to one RocketMQ cluster. It is safe for concurrent use, and meant to be shared by all tasks.
type Client struct {
	cfg       Config
	links     *links
	routes    *routes
	producers *producers

	closing sync.Once
}

// Open checks the config and returns a client. It connects to nothing: use Ping to see whether RocketMQ is there.
func Open(cfg Config) (*Client, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("rocketmq: %w", err)
	}
	ls := newLinks(credentials{cfg.AccessKey, cfg.SecretKey})
	return &Client{cfg: cfg, links: ls, routes: newRoutes(cfg.NameServers, ls), producers: newProducers(cfg)}, nil
}

// Close fails every call that waits and closes every connection; sends in flight are waited for, at most for SendTimeout. It always
// returns nil. Some goroutines of the client library sleep on for up to ten seconds; they hold nothing of the caller's.
func (c *Client) Close() error {
	c.closing.Do(func() {
		c.links.close()
		c.routes.close()
		c.producers.close()
	})
	return nil
}

// Ping checks that a name server answers and that at least one broker takes requests. Its error names everything that did not.
func (c *Client) Ping(ctx context.Context) error {
	const op = "ping"
	masters, err := c.routes.masters(ctx)
	if err != nil {
		return newError(op, Queue{}, NotStored, err)
	}
	var failed error
	for _, m := range masters {
		// An empty heartbeat needs no permission and changes nothing.
		body := `{"clientID":"` + c.cfg.Group + `-ping","producerDataSet":[],"consumerDataSet":[]}`
		_, err := c.links.ask(ctx, m.addr, request{code: reqHeartbeat, body: []byte(body)})
		if err == nil {
			return nil
		}
		failed = joinFailures(failed, fmt.Errorf("broker %s: %w", m.broker, err))
	}
	return newError(op, Queue{}, NotStored, failed)
}
