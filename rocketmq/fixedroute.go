package rocketmq

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// fixedRoute is a name server for one producer of the library, on the loopback interface, that always gives one answer: all topics
// are on this broker at this address. The library's own handling of changing routes is not safe: when a broker disappears it
// deletes from a map that senders read, which ends the process; it panics on a broker without addresses; it creates unknown topics
// with default settings; and it uses an old address for up to 30 s. Here a changed address makes a new producer instead.
type fixedRoute struct {
	listener net.Listener
	answer   []byte
	serving  sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
}

func newFixedRoute(broker, addr string) (*fixedRoute, error) {
	type queues struct {
		Broker string `json:"brokerName"`
		Read   int    `json:"readQueueNums"`
		Write  int    `json:"writeQueueNums"`
		Perm   int    `json:"perm"`
		Flag   int    `json:"topicSysFlag"`
	}
	type address struct {
		Broker  string            `json:"brokerName"`
		Cluster string            `json:"cluster"`
		Addrs   map[string]string `json:"brokerAddrs"`
	}
	answer, err := json.Marshal(struct {
		Queues  []queues  `json:"queueDatas"`
		Brokers []address `json:"brokerDatas"`
	}{
		[]queues{{Broker: broker, Read: 1, Write: 1, Perm: 6}}, // the queue is chosen by the caller, so their number does not matter
		[]address{{Broker: broker, Cluster: broker, Addrs: map[string]string{masterID: addr}}},
	})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the RocketMQ client library: %w", err)
	}
	r := &fixedRoute{listener: listener, answer: answer, conns: map[net.Conn]struct{}{}}
	r.serving.Go(r.accept)
	return r, nil
}

func (r *fixedRoute) addr() string { return r.listener.Addr().String() }

func (r *fixedRoute) accept() {
	for {
		conn, err := r.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // out of file descriptors, or a connection that was gone before it was taken
			continue
		}
		r.mu.Lock()
		if r.closed {
			r.mu.Unlock()
			_ = conn.Close()
			continue
		}
		r.conns[conn] = struct{}{}
		r.serving.Go(func() { r.serve(conn) })
		r.mu.Unlock()
	}
}

func (r *fixedRoute) serve(conn net.Conn) {
	defer func() {
		r.mu.Lock()
		delete(r.conns, conn)
		r.mu.Unlock()
		_ = conn.Close()
	}()
	for in := bufio.NewReader(conn); ; {
		req, err := readFrame(in)
		if err != nil {
			return
		}
		if _, err := conn.Write(appendFrame(nil, &request{code: codeSuccess, body: r.answer}, req.Opaque, flagResponse)); err != nil {
			return
		}
	}
}

func (r *fixedRoute) close() {
	_ = r.listener.Close()
	r.mu.Lock()
	r.closed = true
	for conn := range r.conns {
		_ = conn.Close()
	}
	r.mu.Unlock()
	r.serving.Wait()
}
