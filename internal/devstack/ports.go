package devstack

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
)

// Ports of the servers on 127.0.0.1. The broker listens on two more: one below Broker's fast port by two, and Broker+1.
type Ports struct {
	Postgres   int `json:"postgres,omitempty"`
	NameServer int `json:"nameserver,omitempty"`
	Broker     int `json:"broker,omitempty"`
	Temporal   int `json:"temporal,omitempty"`
	TemporalUI int `json:"ui,omitempty"`
	Gantry     int `json:"gantry,omitempty"`
}

// CommonPorts returns the ports that people expect: each server's own default, except for Postgres, which avoids 5432
// because many machines run one there.
func CommonPorts() Ports {
	return Ports{Postgres: 5433, NameServer: 9876, Broker: 10911, Temporal: 7233, TemporalUI: 8233, Gantry: 8083}
}

// OrFree returns p with those ports set to zero ("any free one") that are taken at present.
func (p Ports) OrFree() Ports {
	for _, port := range []*int{&p.Postgres, &p.NameServer, &p.Temporal, &p.TemporalUI, &p.Gantry} {
		if !portFree(*port) {
			*port = 0
		}
	}
	if !brokerPortsFree(p.Broker) {
		p.Broker = 0
	}
	return p
}

// ParsePorts reads "common" (CommonPorts, or free ones where those are taken), "free", or a list such as
// "temporal=7233,ui=8233", whose missing names get free ports.
func ParsePorts(s string) (Ports, error) {
	var p Ports
	switch s {
	case "", "common":
		return CommonPorts().OrFree(), nil
	case "free":
		return p, nil
	}
	names := map[string]*int{
		"postgres": &p.Postgres, "nameserver": &p.NameServer, "broker": &p.Broker, "temporal": &p.Temporal, "ui": &p.TemporalUI,
		"gantry": &p.Gantry,
	}
	for word := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(word), "=")
		port, known := names[name]
		n, err := strconv.Atoi(value)
		if !known || err != nil || n < 1 || n > 65535 {
			return Ports{}, fmt.Errorf("ports %q: %q is not NAME=PORT with a name of postgres, nameserver, broker, temporal, ui, gantry", s, word)
		}
		*port = n
	}
	return p, nil
}

func (p Ports) byName() map[string]int {
	return map[string]int{
		"postgres": p.Postgres, "nameserver": p.NameServer, "broker": p.Broker, "temporal": p.Temporal, "ui": p.TemporalUI,
		"gantry": p.Gantry,
	}
}

// choosePorts fills in the zero ports of the parts that will run, and refuses given ones that are taken.
func choosePorts(o Options) (Ports, error) {
	type want struct {
		name   string
		port   *int
		needed bool
		free   func(int) bool
	}
	p := o.Ports
	wants := []want{
		{"postgres", &p.Postgres, o.has(Postgres), portFree},
		{"nameserver", &p.NameServer, o.has(NameServer), portFree},
		{"broker", &p.Broker, o.has(Broker), brokerPortsFree},
		{"temporal", &p.Temporal, o.has(Temporal), portFree},
		{"ui", &p.TemporalUI, o.has(Temporal), portFree},
		{"gantry", &p.Gantry, o.has(Gantry), portFree},
	}
	chosen := map[int]bool{}
	for _, w := range wants {
		switch {
		case !w.needed:
			*w.port = 0
			continue
		case *w.port == 0:
			port, err := freePort(w.free, chosen)
			if err != nil {
				return p, fmt.Errorf("find a port for %s: %w", w.name, err)
			}
			*w.port = port
		case !w.free(*w.port):
			return p, fmt.Errorf("port %d, wanted for %s, is taken (a broker also needs the port two below and the one above): "+
				"end the process that listens there, or choose another with --ports %s=PORT", *w.port, w.name, w.name)
		}
		for d := -2; d <= 1; d++ {
			chosen[*w.port+d] = true
		}
	}
	return p, nil
}

// freePort draws below the range that systems use for outgoing connections (from 32768 on Linux), so that no connection
// takes the port between the check and the server's own bind.
func freePort(free func(int) bool, chosen map[int]bool) (int, error) {
	const first, last = 15000, 32000
	for range 1000 {
		port := first + rand.IntN(last-first)
		if !chosen[port] && !chosen[port-2] && !chosen[port+1] && free(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("1,000 ports tried between %d and %d, none is free", first, last)
}

func brokerPortsFree(port int) bool {
	return portFree(port-2) && portFree(port) && portFree(port+1)
}

// portFree asks for the wildcard address too, because the broker's port for replicas cannot be bound to loopback only.
func portFree(port int) bool {
	if port <= 0 || port > 65535 {
		return false
	}
	for _, host := range []string{"127.0.0.1", ""} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return false
		}
		if err := l.Close(); err != nil {
			return false
		}
	}
	return true
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
