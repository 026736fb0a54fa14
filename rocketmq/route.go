package rocketmq

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// routeLife is how long a route is used before it is looked up again. A failed call looks it up sooner.
const routeLife = 30 * time.Second

// refreshPause is how soon a failed look-up is tried again.
const refreshPause = time.Second

const (
	masterID = "0"
	permRead = 4 // bit of a topic's perm
)

// route is what a name server knows about one topic.
type route struct {
	Brokers []struct {
		Name  string            `json:"brokerName"`
		Addrs map[string]string `json:"brokerAddrs"` // by broker id; "0" is the master
	} `json:"brokerDatas"`
	Queues []struct {
		Broker string `json:"brokerName"`
		Read   int    `json:"readQueueNums"`
		Write  int    `json:"writeQueueNums"`
		Perm   int    `json:"perm"`
	} `json:"queueDatas"`

	fetched    time.Time // guarded by routes.mu, as is refreshing; the rest never changes
	refreshing bool
}

func (r *route) master(broker string) string {
	for _, b := range r.Brokers {
		if b.Name == broker {
			return b.Addrs[masterID]
		}
	}
	return ""
}

// broker is one master of the cluster, with the addresses of its slaves.
type broker struct {
	broker, addr string
	slaves       []string
}

// routes asks name servers, and remembers the routes of topics. A route that can no longer be looked up is kept: name servers
// forget a broker that is down, but its queues are still there and nowhere else.
type routes struct {
	nameServers []string
	links       *links
	good        atomic.Int32 // index of the name server that answered last

	mu         sync.Mutex
	topics     map[string]*route
	closed     bool
	background sync.WaitGroup
}

func newRoutes(nameServers []string, ls *links) *routes {
	return &routes{nameServers: nameServers, links: ls, topics: map[string]*route{}}
}

// ask sends a request to the first name server that answers it, with success or not.
func (rs *routes) ask(ctx context.Context, req request) (*response, error) {
	var failed error
	first := int(rs.good.Load())
	for i := range rs.nameServers {
		n := (first + i) % len(rs.nameServers)
		resp, err := rs.links.ask(ctx, rs.nameServers[n], req)
		var refused *responseError
		if err == nil || errors.As(err, &refused) || isContext(err) || errors.Is(err, ErrClosed) {
			rs.good.Store(int32(n))
			return resp, err
		}
		failed = joinFailures(failed, fmt.Errorf("name server: %w", err))
	}
	return nil, failed
}

// joinFailures collects causes on one line.
func joinFailures(a, b error) error {
	if a == nil {
		return b
	}
	return fmt.Errorf("%w; %w", a, b)
}

// fetch asks for the route of a topic and remembers it. ErrNoTopic if there is none although brokers are up.
func (rs *routes) fetch(ctx context.Context, topic string) (*route, error) {
	resp, err := rs.ask(ctx, request{code: reqRoute, fields: []field{{"topic", topic}}})
	if errors.Is(err, ErrNoTopic) {
		if _, down := rs.masters(ctx); down != nil {
			return nil, fmt.Errorf("the route of %s is unknown while brokers are down: %w", topic, down)
		}
	}
	if err != nil {
		return nil, err
	}
	r := &route{fetched: time.Now()}
	if err := json.Unmarshal(resp.body, r); err != nil {
		return nil, fmt.Errorf("read the route of %s: %w", topic, err)
	}
	rs.mu.Lock()
	rs.topics[topic] = r
	rs.mu.Unlock()
	return r, nil
}

// get returns the route of a topic. One that is already known is returned at once, however old, and looked up again in the
// background once it is older than routeLife: a name server that hangs must not hold up sends.
func (rs *routes) get(ctx context.Context, topic string) (*route, error) {
	rs.mu.Lock()
	r := rs.topics[topic]
	if r != nil && time.Since(r.fetched) > routeLife && !r.refreshing && !rs.closed {
		r.refreshing = true
		rs.background.Go(func() { rs.refresh(topic, r) })
	}
	rs.mu.Unlock()
	if r != nil {
		return r, nil
	}
	return rs.fetch(ctx, topic)
}

func (rs *routes) refresh(topic string, old *route) {
	if _, err := rs.fetch(context.Background(), topic); err == nil {
		return
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	old.refreshing = false
	old.fetched = time.Now().Add(refreshPause - routeLife)
}

// close waits for look-ups in the background, which fail once the links are closed.
func (rs *routes) close() {
	rs.mu.Lock()
	rs.closed = true
	rs.mu.Unlock()
	rs.background.Wait()
}

// expire has the route looked up again by the next get, without forgetting it.
func (rs *routes) expire(topic string) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if r := rs.topics[topic]; r != nil {
		r.fetched = time.Time{}
	}
}

func (rs *routes) forget(topic string) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	delete(rs.topics, topic)
}

// master returns the address of the broker that holds a queue.
func (rs *routes) master(ctx context.Context, q Queue) (string, error) {
	r, err := rs.get(ctx, q.Topic)
	if err != nil {
		return "", err
	}
	addr := r.master(q.Broker)
	if addr == "" { // a broker that came back since
		if r, err = rs.fetch(ctx, q.Topic); err != nil {
			return "", err
		}
		addr = r.master(q.Broker)
	}
	if addr == "" {
		return "", fmt.Errorf("no master of broker %s is registered for the topic; is it down?", q.Broker)
	}
	return addr, nil
}

// masters returns all masters of all clusters of the name server, sorted by name; at least one.
func (rs *routes) masters(ctx context.Context) ([]broker, error) {
	resp, err := rs.ask(ctx, request{code: reqClusterInfo})
	if err != nil {
		return nil, err
	}
	var info struct {
		Brokers map[string]struct {
			Addrs map[string]string `json:"brokerAddrs"`
		} `json:"brokerAddrTable"`
	}
	if err := json.Unmarshal(quoteKeys(resp.body), &info); err != nil {
		return nil, fmt.Errorf("read the list of brokers: %w", err)
	}
	var masters []broker
	for name, b := range info.Brokers {
		m := broker{broker: name, addr: b.Addrs[masterID]}
		for id, addr := range b.Addrs {
			if id != masterID {
				m.slaves = append(m.slaves, addr)
			}
		}
		if m.addr != "" {
			masters = append(masters, m)
		}
	}
	if len(masters) == 0 {
		return nil, fmt.Errorf("name server %s knows no broker that is up", rs.nameServers[rs.good.Load()])
	}
	slices.SortFunc(masters, func(a, b broker) int { return cmp.Compare(a.broker, b.broker) })
	return masters, nil
}

// quoteKeys puts quotes around the bare integers that RocketMQ writes as object keys, which makes the text JSON.
func quoteKeys(text []byte) []byte {
	out := make([]byte, 0, len(text)+16)
	inString, keyMayFollow := false, false
	for i := 0; i < len(text); i++ {
		ch := text[i]
		switch {
		case inString && ch == '\\' && i+1 < len(text):
			out = append(out, ch)
			i++
			ch = text[i]
		case ch == '"':
			inString = !inString
		case !inString && keyMayFollow && ch >= '0' && ch <= '9':
			end := i
			for end < len(text) && text[end] >= '0' && text[end] <= '9' {
				end++
			}
			if end < len(text) && text[end] == ':' {
				out = append(out, '"')
				out = append(out, text[i:end]...)
				out = append(out, '"')
				i, keyMayFollow = end-1, false
				continue
			}
		}
		keyMayFollow = !inString && (ch == '{' || ch == ',')
		out = append(out, ch)
	}
	return out
}
