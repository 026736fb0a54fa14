package rocketmq_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gantry-connect/gantry/internal/devstack/devstacktest"
	"github.com/gantry-connect/gantry/rocketmq"
	"github.com/gantry-connect/gantry/rocketmq/rocketmqtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, rocketmqtest.IgnoreLibrary()...)
}

// open returns a client of the shared broker, or of whatever the config names.
func open(t testing.TB, cfg rocketmq.Config) *rocketmq.Client {
	t.Helper()
	if cfg.NameServers == nil {
		cfg.NameServers = []string{devstacktest.Shared(t).NameServer}
	}
	c, err := rocketmq.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// create makes a topic of the test's own and returns its queues.
func create(t testing.TB, c *rocketmq.Client, queues int) []rocketmq.Queue {
	t.Helper()
	ctx := t.Context()
	name := devstacktest.Topic(t, t.Name())
	require.NoError(t, c.CreateTopic(ctx, rocketmq.Topic{Name: name, Queues: queues}))
	t.Cleanup(func() { require.NoError(t, c.DeleteTopic(context.Background(), name)) })
	all, err := c.Queues(ctx, name)
	require.NoError(t, err)
	require.Len(t, all, queues)
	return all
}

// batch returns messages whose bodies say where they belong.
func batch(lane string, from, count int) []rocketmq.Message {
	msgs := make([]rocketmq.Message, count)
	for i := range msgs {
		msgs[i] = rocketmq.Message{Key: fmt.Sprint("key-", from+i), Body: fmt.Appendf(nil, "%s %d", lane, from+i)}
	}
	return msgs
}

// pullAll pulls from an offset until so many messages are there.
func pullAll(t testing.TB, c *rocketmq.Client, q rocketmq.Queue, offset int64, count int) []rocketmq.Received {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got []rocketmq.Received
	for len(got) < count {
		p, err := c.Pull(ctx, q, offset, count-len(got))
		require.NoError(t, err)
		got = append(got, p.Messages...)
		offset = p.Next
	}
	return got
}

// bodies returns what a queue holds.
func bodies(t testing.TB, c *rocketmq.Client, q rocketmq.Queue, count int) []string {
	t.Helper()
	var got []string
	for _, m := range pullAll(t, c, q, 0, count) {
		got = append(got, string(m.Body))
	}
	return got
}
