package rocketmq

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	dialTimeout  = 3 * time.Second
	writeTimeout = time.Second     // requests are small: one that does not fit the socket buffer for so long meets a dead peer
	callTimeout  = 5 * time.Second // for requests that the broker answers at once
)

// link is one connection that carries any number of calls at a time. When it breaks, all of them fail at once.
type link struct {
	addr string
	conn net.Conn

	writing sync.Mutex // one frame at a time

	mu      sync.Mutex
	opaque  int32
	waiting map[int32]chan *response
	broken  error // set once, then no call is taken

	ended chan struct{} // closed when the reader has returned
}

func dialLink(ctx context.Context, addr string) (*link, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	l := &link{addr: addr, conn: conn, waiting: map[int32]chan *response{}, ended: make(chan struct{})}
	go l.read()
	return l, nil
}

func (l *link) read() {
	defer close(l.ended)
	r := bufio.NewReaderSize(l.conn, 64<<10)
	for {
		resp, err := readFrame(r)
		if err != nil {
			l.fail(fmt.Errorf("connection to %s lost: %w", l.addr, err))
			return
		}
		if resp.Flag&flagResponse == 0 {
			continue // a broker's notice to consumers, of no use to static assignments
		}
		l.mu.Lock()
		answer := l.waiting[resp.Opaque]
		delete(l.waiting, resp.Opaque)
		l.mu.Unlock()
		if answer != nil { // nil: the caller has gone
			answer <- resp // has room for one
		}
	}
}

// fail breaks the link: the first cause counts, and every call in flight gets it.
func (l *link) fail(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken == nil {
		l.broken = cause
		_ = l.conn.Close() // the link is given up: how closing goes changes nothing
	}
	for opaque, answer := range l.waiting {
		close(answer)
		delete(l.waiting, opaque)
	}
}

func (l *link) state() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken
}

// call sends a request and waits for its answer, at most for timeout and not beyond ctx. A peer that does not answer in time
// is taken for dead, so its link breaks; a ctx that ends leaves the link alone.
func (l *link) call(ctx context.Context, req *request, timeout time.Duration) (*response, error) {
	answer := make(chan *response, 1)
	l.mu.Lock()
	if l.broken != nil {
		l.mu.Unlock()
		return nil, l.broken
	}
	l.opaque++
	opaque := l.opaque
	l.waiting[opaque] = answer
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.waiting, opaque)
		l.mu.Unlock()
	}()

	if err := l.write(appendFrame(make([]byte, 0, 512+len(req.body)), req, opaque, 0)); err != nil {
		return nil, err
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case resp, ok := <-answer:
		if !ok {
			return nil, l.state()
		}
		return resp, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		err := fmt.Errorf("no answer from %s within %v", l.addr, timeout)
		l.fail(err)
		return nil, err
	}
}

func (l *link) write(frame []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	err := l.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err == nil {
		_, err = l.conn.Write(frame)
	}
	if err != nil {
		err = fmt.Errorf("write to %s: %w", l.addr, err)
		l.fail(err) // the peer may have half a frame
	}
	return err
}

// links holds the open connections, by address and slot. Dialing one address never delays another.
type links struct {
	credentials credentials

	mu     sync.Mutex
	slots  map[slotKey]*slot
	closed bool
}

type slotKey struct {
	addr string
	n    int
}

// slot is the place of one connection. Its turn is a mutex that gives up with a context.
type slot struct {
	turn chan struct{}
	link *link
}

func newLinks(cred credentials) *links {
	return &links{credentials: cred, slots: map[slotKey]*slot{}}
}

// call sends one request over the n-th connection to addr, which it opens if need be, and returns the answer whatever its code.
func (ls *links) call(ctx context.Context, addr string, n int, req request, timeout time.Duration) (*response, error) {
	l, err := ls.get(ctx, slotKey{addr, n})
	if err != nil {
		return nil, err
	}
	ls.credentials.sign(&req)
	return l.call(ctx, &req, timeout)
}

// ask is call for requests of which only success is of use; any other code is a *responseError.
func (ls *links) ask(ctx context.Context, addr string, req request) (*response, error) {
	resp, err := ls.call(ctx, addr, 0, req, callTimeout)
	if err != nil {
		return nil, err
	}
	if resp.Code != codeSuccess {
		return nil, &responseError{code: resp.Code, remark: resp.Remark, addr: addr}
	}
	return resp, nil
}

func (ls *links) get(ctx context.Context, key slotKey) (*link, error) {
	ls.mu.Lock()
	s := ls.slots[key]
	if s == nil {
		s = &slot{turn: make(chan struct{}, 1)}
		ls.slots[key] = s
	}
	closed := ls.closed
	ls.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.turn }()
	if s.link != nil && s.link.state() == nil {
		return s.link, nil
	}
	l, err := dialLink(ctx, key.addr)
	if err != nil {
		return nil, err
	}
	s.link = l
	if ls.isClosed() { // close may have passed this slot while the dial was on its way
		l.fail(ErrClosed)
		<-l.ended
		return nil, ErrClosed
	}
	return l, nil
}

func (ls *links) isClosed() bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.closed
}

// close breaks every connection, fails the calls on them and waits for their readers.
func (ls *links) close() {
	ls.mu.Lock()
	ls.closed = true
	slots := ls.slots
	ls.slots = map[slotKey]*slot{}
	ls.mu.Unlock()
	for _, s := range slots {
		s.turn <- struct{}{} // a dial on its way ends within dialTimeout
		if s.link != nil {
			s.link.fail(ErrClosed)
			<-s.link.ended
		}
		<-s.turn
	}
}

// isContext reports whether err says that the caller's context ended, which is nobody's fault.
func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
