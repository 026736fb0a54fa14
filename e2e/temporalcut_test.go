package e2e

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAWorkerCutFromTemporalGoesOnAndHandsOver cuts a worker off Temporal only. It has its lease, so it goes on copying for
// longer than any time-out of Temporal's; once another worker has been given its tasks, it lets go of them.
func TestAWorkerCutFromTemporalGoesOnAndHandsOver(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.migrate()
	cut := newCutter(t, e.temporal)
	e.temporal = cut.address()
	e.startWorker()
	e.temporal = e.stack.TemporalAddress
	e.startAPI()
	p := newPipe(e)
	f := startFeed(t, p.path("input.csv"), 1000)
	p.startSource(p.path("input.csv"), following())
	p.startPostgresSink(nil)
	p.awaitRecords(1000)
	cut.off()
	begin := time.Now()
	await(t, "twice the heartbeat timeout and more has passed, with records all the way", func() error {
		if time.Since(begin) < 8*time.Second {
			return errors.New("not yet")
		}
		return nil
	})
	p.awaitRecords(p.topic.count() + 1000)
	alone := time.Now()
	require.Less(t, p.longestGap(begin), 3*time.Second, "the copy went on")
	p.startWorker()
	p.awaitOwner("w2")
	p.awaitRecords(p.topic.count() + 1000)
	gap := p.longestGap(alone)
	t.Logf("the topic stood still for %v at the hand-over", gap)
	require.Less(t, gap, handoverLimit)
	cut.on()
	v := p.requireExactlyOnce(f.end())
	require.Zero(t, v.rawDoubles, "a hand-over repeats nothing, not even in the raw queues")
}

// cutter forwards connections to a server until it is told not to.
type cutter struct {
	t        *testing.T
	target   string
	listener net.Listener
	running  sync.WaitGroup

	mu    sync.Mutex
	isOff bool
	conns map[net.Conn]struct{}
}

func newCutter(t *testing.T, target string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cutter{t: t, target: target, listener: l, conns: map[net.Conn]struct{}{}}
	c.running.Go(c.accept)
	t.Cleanup(func() {
		_ = l.Close()
		c.off()
		c.running.Wait()
	})
	return c
}

func (c *cutter) address() string { return c.listener.Addr().String() }

// off ends every connection; new ones end at once.
func (c *cutter) off() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isOff = true
	for conn := range c.conns {
		_ = conn.Close()
	}
}

func (c *cutter) on() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isOff = false
}

func (c *cutter) accept() {
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.running.Go(func() { c.serve(conn) })
	}
}

func (c *cutter) serve(client net.Conn) {
	defer client.Close() //nolint:errcheck // over either way
	server, err := net.Dial("tcp", c.target)
	if err != nil {
		return
	}
	defer server.Close() //nolint:errcheck // over either way
	c.mu.Lock()
	if c.isOff {
		c.mu.Unlock()
		return
	}
	c.conns[client], c.conns[server] = struct{}{}, struct{}{}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.conns, client)
		delete(c.conns, server)
	}()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, server) // ends when either side does
		_ = client.Close()
	})
	_, _ = io.Copy(server, client)
	_ = server.Close()
	back.Wait()
}
