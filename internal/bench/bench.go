package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gantry-connect/gantry/internal/devstack"
)

// What can be measured.
const (
	FileToTopic     = "file-topic"
	TopicToPostgres = "topic-postgres"
	FileToFile      = "file-topic-file"
	Failover        = "failover"
)

// All is everything that can be measured, in the order in which it is.
var All = []string{FileToTopic, TopicToPostgres, FileToFile, Failover}

// Options say what to measure and how thoroughly.
type Options struct {
	Dir      string   // state: servers' data, input, logs; emptied at start and end. Default .cache/bench in the checkout
	Gantry   string   // path of the binary that runs as worker and API
	Version  string   // of the binary
	Only     []string // names of what to measure; empty: All
	Lines    int      // lines of 100 bytes
	Rows     int      // rows of the flights table, at least; it is repeated
	Rounds   int      // how often raw and Gantry's rates are measured in turn; the median counts
	Failures int      // failovers of each kind
	Profiles string   // folder for CPU and heap profiles of the worker; empty: none
	Out      io.Writer
}

func (o Options) withDefaults() (Options, error) {
	root, err := devstack.FindRoot()
	if err != nil {
		return o, fmt.Errorf("the bench runs from a checkout: %w", err)
	}
	if o.Dir == "" {
		o.Dir = filepath.Join(root, ".cache", "bench")
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return o, err
	}
	if len(o.Only) == 0 {
		o.Only = All
	}
	for _, name := range o.Only {
		if !slices.Contains(All, name) {
			return o, fmt.Errorf("unknown measurement %q: choose from %s", name, strings.Join(All, ", "))
		}
	}
	for _, n := range []struct {
		name  string
		value int
		min   int
	}{{"lines", o.Lines, 1000}, {"rows", o.Rows, 1000}, {"rounds", o.Rounds, 1}, {"failures", o.Failures, 1}} {
		if n.value < n.min {
			return o, fmt.Errorf("%s is %d and must be at least %d", n.name, n.value, n.min)
		}
	}
	return o, nil
}

// Run measures and prints. A target that is missed is no error. When it returns, every process it started has ended and
// the servers' data is gone; logs and profiles stay.
func Run(ctx context.Context, o Options) error {
	o, err := o.withDefaults()
	if err != nil {
		return err
	}
	return inLab(ctx, o, func(l *lab) error {
		if err := l.warmUp(ctx); err != nil {
			return fmt.Errorf("warm up: %w", err)
		}
		var copies []*copyResult
		for _, c := range copyBenches {
			if !slices.Contains(o.Only, c.name) {
				continue
			}
			r, err := c.run(ctx, l)
			if err != nil {
				return fmt.Errorf("measure %s: %w", c.name, err)
			}
			copies = append(copies, r)
		}
		var failovers []failoverResult
		if slices.Contains(o.Only, Failover) {
			if failovers, err = l.failover(ctx); err != nil {
				return fmt.Errorf("measure failover: %w", err)
			}
		}
		l.say("")
		for _, r := range copies {
			r.print(o.Out)
		}
		printFailovers(o.Out, failovers)
		return nil
	})
}

// inLab starts servers and the API, runs f, and stops and removes everything.
func inLab(ctx context.Context, o Options, f func(*lab) error) (err error) {
	l := &lab{Options: o}
	stackOptions := devstack.Options{Dir: filepath.Join(o.Dir, "stack"), Parts: devstack.Servers(),
		// When each row was committed is what rates and failovers are measured by. Noting it costs next to nothing.
		PostgresSettings: []string{"track_commit_timestamp = on"}}
	if err := devstack.Prepare(ctx, stackOptions, l.say); err != nil {
		return err
	}
	if err := devstack.Remove(ctx, stackOptions.Dir); err != nil {
		return err
	}
	l.say("starting Postgres, RocketMQ and Temporal, with fsync on")
	if l.stack, err = devstack.Start(ctx, stackOptions); err != nil {
		return err
	}
	defer func() {
		l.say("stopping the servers")
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopBound)
		defer cancel()
		err = errors.Join(err, l.stack.Stop(stopCtx), devstack.Remove(stopCtx, stackOptions.Dir))
	}()
	defer func() { err = errors.Join(err, l.close()) }() // before the servers stop
	if err := l.open(ctx); err != nil {
		return err
	}
	if err := f(l); err != nil {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		return fmt.Errorf("%w; logs are in %s", err, l.logs())
	}
	return nil
}
