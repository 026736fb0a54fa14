package devstack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Part is one server process of the stack, or a tool that is built with it.
type Part string

// The parts of a stack. Tctl is a tool: it is prepared, and there is nothing to start.
const (
	Postgres   Part = "postgres"
	NameServer Part = "nameserver"
	Broker     Part = "broker"
	Temporal   Part = "temporal"
	Tctl       Part = "tctl"
	// Gantry is a worker and the API in one process, on top of all other servers; never part of "all".
	Gantry Part = "gantry"
)

// Servers returns the parts that run as processes, in the order in which they are started.
func Servers() []Part { return []Part{Postgres, NameServer, Broker, Temporal} }

// ParseParts reads a comma-separated list of parts. "all" stands for every part, "rocketmq" for name server and broker.
func ParseParts(list string) ([]Part, error) {
	var parts []Part
	for word := range strings.SplitSeq(list, ",") {
		switch word = strings.TrimSpace(word); word {
		case "all":
			parts = append(parts, append(Servers(), Tctl)...)
		case "rocketmq":
			parts = append(parts, NameServer, Broker)
		case "":
		default:
			p := Part(word)
			if !known(p) {
				return nil, fmt.Errorf("unknown part %q: use all, rocketmq, %s, %s, %s, %s, %s or %s",
					word, Postgres, NameServer, Broker, Temporal, Tctl, Gantry)
			}
			parts = append(parts, p)
		}
	}
	slices.Sort(parts)
	return slices.Compact(parts), nil
}

// Options say which servers to run, where, and how.
type Options struct {
	// Root is the checkout that holds tools/ and gets .cache/. Default: FindRoot from the working directory.
	Root string
	// Dir holds data, logs and stack.json of this stack. Default: .cache/stack under Root.
	Dir string
	// Parts to prepare and start. Default: all. A broker needs a name server beside it.
	Parts []Part
	// Binary is the gantry that the part Gantry runs.
	Binary string
	// Ports to listen on; a zero port means any free one.
	Ports Ports
	// Background detaches the servers, so that they outlive this process and another one may Attach to them.
	// Otherwise they end when this process ends, even by kill -9 (on Linux; elsewhere the next Start cleans up).
	Background bool
	// Unsafe trades durability for speed: no fsync in Postgres and Temporal's database. Data then survives kill -9 of
	// every server, but not a crash of the machine. For tests.
	Unsafe bool
	// PostgresSettings are lines that are added to Postgres's configuration.
	PostgresSettings []string
	// ReadyWithin bounds the wait for each server. Default: 4 minutes, because a broker takes 4 s on an
	// idle machine and more than one minute on one with ten times more work than cores.
	ReadyWithin time.Duration

	shared bool // by Share
}

const readyWithin = 4 * time.Minute

// WithDefaults returns o with every unset field filled in. It fails if no checkout is found.
func (o Options) WithDefaults() (Options, error) {
	if o.Root == "" {
		root, err := FindRoot()
		if err != nil {
			return o, err
		}
		o.Root = root
	}
	if o.Dir == "" {
		o.Dir = filepath.Join(o.Root, ".cache", "stack")
	}
	for _, dir := range []*string{&o.Root, &o.Dir} {
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return o, fmt.Errorf("make %s absolute: %w", *dir, err)
		}
		*dir = abs
	}
	if len(o.Parts) == 0 {
		o.Parts = append(Servers(), Tctl)
	}
	if o.ReadyWithin == 0 {
		o.ReadyWithin = readyWithin
	}
	return o, o.validate()
}

func (o Options) validate() error {
	for _, p := range o.Parts {
		if !known(p) {
			return fmt.Errorf("unknown part %q of the stack", p)
		}
	}
	if o.has(Broker) && !o.has(NameServer) {
		return errors.New("a broker registers at a name server: add the part nameserver")
	}
	if o.has(Gantry) && (o.Binary == "" || !o.has(Postgres) || !o.has(Broker) || !o.has(Temporal)) {
		return errors.New("the part gantry needs postgres, nameserver, broker and temporal beside it, and a binary")
	}
	for name, port := range o.Ports.byName() {
		if port < 0 || port > 65535 {
			return fmt.Errorf("port %d for %s is outside 0 to 65535", port, name)
		}
	}
	if o.ReadyWithin < 0 {
		return fmt.Errorf("the wait for readiness is negative (%v)", o.ReadyWithin)
	}
	return nil
}

func known(p Part) bool { return p == Tctl || p == Gantry || slices.Contains(Servers(), p) }

func (o Options) has(p Part) bool { return slices.Contains(o.Parts, p) }

// ErrNoCheckout means that the working directory lies in no checkout of Gantry.
var ErrNoCheckout = errors.New("not inside a checkout of Gantry (no go.mod of github.com/gantry-connect/gantry in this directory or above)")

// FindRoot returns the folder of the checkout that the working directory lies in, or ErrNoCheckout.
func FindRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module github.com/gantry-connect/gantry\n") {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", ErrNoCheckout
		}
		dir = parent
	}
}
