package rocketmq

import (
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAProducerIsReplacedWhenItsBrokerMoves(t *testing.T) {
	t.Parallel()
	ps := newProducers(Config{Connections: 2}.WithDefaults())
	get := func(id int, addr string) *brokerProducer {
		p, err := ps.get(Queue{"t", "b", id}, addr)
		require.NoError(t, err)
		p.sending.Done()
		return p
	}
	first := get(0, "127.0.0.1:1")
	require.Same(t, first, get(0, "127.0.0.1:1"))
	require.Same(t, first, get(2, "127.0.0.1:1"), "queues share the connections")
	require.NotSame(t, first, get(1, "127.0.0.1:1"))
	moved := get(0, "127.0.0.1:2")
	require.NotSame(t, first, moved)
	require.Equal(t, "127.0.0.1:2", moved.addr)
	ps.retiring.Wait()
	_, err := net.Dial("tcp", first.route.addr())
	require.Error(t, err, "the old producer is closed")

	conn, err := net.Dial("tcp", moved.route.addr())
	require.NoError(t, err)
	defer conn.Close()
	ps.close()
	_, err = io.ReadAll(conn)
	if err == nil {
		_, err = net.Dial("tcp", moved.route.addr())
	}
	require.Error(t, err, "closed with the client")
	_, err = ps.get(Queue{"t", "b", 0}, "127.0.0.1:2")
	require.ErrorIs(t, err, ErrClosed)
}
