package rocketmqtest

import (
	"bufio"
	"net"
	"sync"
	"time"
)

// proxy forwards the connections to one server, frame by frame. Its address stays the same while it refuses connections.
type proxy struct {
	addr   string // of the proxy itself
	target string

	// request and response see every frame that is about to be forwarded, and return what to forward instead; nil for nothing.
	request  func(*session, *frame) *frame
	response func(*session, *frame) *frame

	mu       sync.Mutex
	listener net.Listener // nil while refusing
	sessions map[*session]struct{}
	running  sync.WaitGroup
}

// session is one client's connection and the connection to the server that belongs to it.
type session struct {
	client, server net.Conn

	writing sync.Mutex // to the client: held acknowledgements come from another goroutine

	mu    sync.Mutex
	fault map[int32]fault // what is to happen to the answer of a request
}

func (s *session) cut() {
	_ = s.client.Close()
	_ = s.server.Close()
}

// reply writes to the client. That the client has gone is for its reader to notice.
func (s *session) reply(f *frame) {
	s.writing.Lock()
	defer s.writing.Unlock()
	_, _ = s.client.Write(f.bytes())
}

func newProxy(target string) (*proxy, error) {
	p := &proxy{addr: "127.0.0.1:0", target: target, sessions: map[*session]struct{}{}}
	return p, p.listen()
}

func (p *proxy) listen() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		return err
	}
	p.addr, p.listener = l.Addr().String(), l
	p.running.Go(func() { p.accept(l) })
	return nil
}

// refuse stops listening, so that connecting fails, and cuts what is connected.
func (p *proxy) refuse() {
	p.mu.Lock()
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
	p.mu.Unlock()
	p.cut()
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.sessions {
		s.cut()
	}
}

func (p *proxy) close() {
	p.refuse()
	p.running.Wait()
}

func (p *proxy) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(l, client) })
	}
}

func (p *proxy) serve(l net.Listener, client net.Conn) {
	defer client.Close()
	server, err := net.DialTimeout("tcp", p.target, 3*time.Second)
	if err != nil {
		return
	}
	s := &session{client: client, server: server, fault: map[int32]fault{}}
	defer s.cut()
	p.mu.Lock()
	if p.listener != l { // refused in the meantime
		p.mu.Unlock()
		return
	}
	p.sessions[s] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.sessions, s)
		p.mu.Unlock()
	}()

	var answers sync.WaitGroup
	answers.Go(func() {
		defer s.cut()
		for r := bufio.NewReader(server); ; {
			f, err := readFrame(r)
			if err != nil {
				return
			}
			if f = p.response(s, f); f != nil {
				s.reply(f)
			}
		}
	})
	defer answers.Wait()
	defer s.cut()
	for r := bufio.NewReader(client); ; {
		f, err := readFrame(r)
		if err != nil {
			return
		}
		if f = p.request(s, f); f == nil {
			continue
		}
		if _, err := server.Write(f.bytes()); err != nil {
			return
		}
	}
}
