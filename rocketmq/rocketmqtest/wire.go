package rocketmqtest

import (
	"regexp"
	"sync"
	"testing"
	"time"
)

// awaitLimit is how long an Await waits before it fails the test.
const awaitLimit = 20 * time.Second

// Request codes, from RocketMQ's RequestCode.java.
const (
	reqSend      = 10
	reqPull      = 11
	reqSendV2    = 310
	reqSendBatch = 320
)

// Fault is what happens to one send.
type Fault int

const (
	// DropAck lets the broker store the batch and swallows its answer.
	DropAck Fault = iota + 1
	// CutAck lets the broker store the batch and cuts the connection instead of answering.
	CutAck
	// CutSend cuts the connection instead of passing the batch on: the broker never sees it.
	CutSend
)

// fault is a Fault, or an answer of ours.
type fault struct {
	kind   Fault
	code   int // of the answer, if kind is 0
	remark string
	isSend bool
}

// Wire stands between clients and one RocketMQ cluster. Clients that are given NameServer reach all brokers through it. Faults
// concern the brokers, unless their name says otherwise. Its methods can be called from any goroutine, except the Awaits, which
// fail the test and so belong to the test's own.
type Wire struct {
	t          testing.TB
	nameServer *proxy

	mu      sync.Mutex
	brokers map[string]*proxy // by real address
	refused bool
	silent  bool
	planned map[int64]fault // by number of the send
	always  *fault
	holding bool
	held    []func()
	counts  Counts
	changed chan struct{} // closed and replaced at every count
}

// Counts are what has passed so far.
type Counts struct {
	Sends int64 // requests to send that arrived here
	Acks  int64 // answers to them that went on to the client, whatever they said
	Pulls int64 // requests to pull that arrived here
}

// New returns a wire to the RocketMQ behind a name server (host:port). It ends with the test.
func New(t testing.TB, nameServer string) *Wire {
	t.Helper()
	w := &Wire{t: t, brokers: map[string]*proxy{}, planned: map[int64]fault{}, changed: make(chan struct{})}
	p, err := newProxy(nameServer)
	if err != nil {
		t.Fatalf("wire to %s: %v", nameServer, err)
	}
	p.request = func(_ *session, f *frame) *frame { return f }
	p.response = w.rewriteAddresses
	w.nameServer = p
	t.Cleanup(w.close)
	return w
}

// NameServer returns the address, host:port, to give to clients.
func (w *Wire) NameServer() string { return w.nameServer.addr }

func (w *Wire) close() {
	w.nameServer.close()
	for _, p := range w.brokerProxies() {
		p.close()
	}
}

func (w *Wire) brokerProxies() []*proxy {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []*proxy
	for _, p := range w.brokers {
		all = append(all, p)
	}
	return all
}

// address finds the addresses of brokers in what name servers answer.
var address = regexp.MustCompile(`"(\d{1,3}(\.\d{1,3}){3}:\d+)"`)

func (w *Wire) rewriteAddresses(_ *session, f *frame) *frame {
	f.body = address.ReplaceAllFunc(f.body, func(quoted []byte) []byte {
		addr, err := w.brokerAddress(string(quoted[1 : len(quoted)-1]))
		if err != nil {
			w.t.Errorf("wire to broker %s: %v", quoted, err)
			return quoted
		}
		return []byte(`"` + addr + `"`)
	})
	return f
}

func (w *Wire) brokerAddress(target string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.brokers[target]; p != nil {
		return p.addr, nil
	}
	p, err := newProxy(target)
	if err != nil {
		return "", err
	}
	p.request, p.response = w.request, w.response
	w.brokers[target] = p
	if w.refused {
		p.refuse()
	}
	return p.addr, nil
}

// OnSend makes a fault happen to the n-th send from now on; 1 is the next.
func (w *Wire) OnSend(n int, f Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.planned[w.counts.Sends+int64(n)] = fault{kind: f, isSend: true}
}

// AnswerSends answers every send with a response code, until it is called with code 0. Codes that say "stored, but" (10, 11,
// 12) replace the broker's answer; for all others the broker never sees the send.
func (w *Wire) AnswerSends(code int, remark string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.always = nil
	if code != 0 {
		w.always = &fault{code: code, remark: remark, isSend: true}
	}
}

// HoldAcks keeps back all answers to sends until release is called, which lets them go.
func (w *Wire) HoldAcks() (release func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holding = true
	return func() {
		w.mu.Lock()
		held := w.held
		w.held, w.holding = nil, false
		w.mu.Unlock()
		for _, send := range held {
			send()
		}
	}
}

// CutConnections closes every connection to the brokers. New ones are accepted.
func (w *Wire) CutConnections() {
	for _, p := range w.brokerProxies() {
		p.cut()
	}
}

// Silence makes the wire swallow everything in both directions, with connections left open; off ends it, and what was swallowed
// is lost.
func (w *Wire) Silence(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silent = on
}

// Refuse cuts all connections to the brokers and refuses new ones, until it is called with false.
func (w *Wire) Refuse(on bool) {
	w.mu.Lock()
	w.refused = on
	w.mu.Unlock()
	for _, p := range w.brokerProxies() {
		w.setRefused(p, on)
	}
}

// RefuseNameServer is Refuse for the name server.
func (w *Wire) RefuseNameServer(on bool) { w.setRefused(w.nameServer, on) }

func (w *Wire) setRefused(p *proxy, on bool) {
	if on {
		p.refuse()
		return
	}
	if err := p.listen(); err != nil {
		w.t.Errorf("wire to %s: listen again: %v", p.target, err)
	}
}

// Counts returns what has passed so far.
func (w *Wire) Counts() Counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts
}

// Await waits until the counts satisfy a condition, and fails the test after 20 s.
func (w *Wire) Await(what string, enough func(Counts) bool) {
	w.t.Helper()
	timeout := time.After(awaitLimit)
	for {
		w.mu.Lock()
		counts, changed := w.counts, w.changed
		w.mu.Unlock()
		if enough(counts) {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			w.t.Fatalf("waited %v for %s; so far: %+v", awaitLimit, what, counts)
		}
	}
}

// AwaitSends waits until so many sends have arrived since the wire was made.
func (w *Wire) AwaitSends(n int64) {
	w.t.Helper()
	w.Await("sends", func(c Counts) bool { return c.Sends >= n })
}

// AwaitPulls waits until so many pulls have arrived since the wire was made.
func (w *Wire) AwaitPulls(n int64) {
	w.t.Helper()
	w.Await("pulls", func(c Counts) bool { return c.Pulls >= n })
}

// count changes the counts; w.mu is held.
func (w *Wire) count(n *int64) {
	*n++
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *Wire) request(s *session, f *frame) *frame {
	w.mu.Lock()
	defer w.mu.Unlock()
	var plan fault
	switch f.code {
	case reqPull:
		w.count(&w.counts.Pulls)
	case reqSend, reqSendV2, reqSendBatch:
		w.count(&w.counts.Sends)
		plan = fault{isSend: true}
		if w.always != nil {
			plan = *w.always
		}
		if p, ok := w.planned[w.counts.Sends]; ok {
			plan = p
			delete(w.planned, w.counts.Sends)
		}
	}
	if w.silent {
		return nil
	}
	if plan.kind == CutSend {
		s.cut()
		return nil
	}
	if plan.code != 0 && !storedBut(plan.code) {
		w.count(&w.counts.Acks)
		s.reply(answer(f.opaque, plan.code, plan.remark))
		return nil
	}
	if plan.isSend {
		s.mu.Lock()
		s.fault[f.opaque] = plan
		s.mu.Unlock()
	}
	return f
}

func storedBut(code int) bool { return code >= 10 && code <= 12 }

func (w *Wire) response(s *session, f *frame) *frame {
	s.mu.Lock()
	plan := s.fault[f.opaque]
	if f.response {
		delete(s.fault, f.opaque)
	}
	s.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.silent || plan.kind == DropAck {
		return nil
	}
	if plan.kind == CutAck {
		s.cut()
		return nil
	}
	if !plan.isSend || !f.response {
		return f
	}
	if plan.code != 0 {
		f = answer(f.opaque, plan.code, plan.remark)
	}
	if w.holding {
		w.held = append(w.held, func() {
			s.reply(f)
			w.mu.Lock()
			w.count(&w.counts.Acks)
			w.mu.Unlock()
		})
		return nil
	}
	w.count(&w.counts.Acks)
	return f
}
