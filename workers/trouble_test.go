package workers_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/gantry-connect/gantry/connector"
)

// trouble is a source that does what code of others does: it panics, it hangs, it fails.
type trouble struct {
	mu   sync.Mutex
	free chan struct{} // closed at the end of the test: what hangs goes on
	how  string

	stuck int // Reads that hang
	plans int // how often the work was divided
}

func newTrouble() *trouble { return &trouble{free: make(chan struct{})} }

type troubleConfig struct {
	How   string           `config:"trouble.how" default:"" doc:"What happens."`
	Pass  connector.Secret `config:"trouble.password" default:"" doc:"What it complains of."`
	Share string           `config:"trouble.share" internal:"true" doc:"Changes when the work is divided anew."`
}

// set overrides trouble.how.
func (tr *trouble) set(how string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.how = how
}

func (tr *trouble) get(c *troubleConfig) string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	switch {
	case tr.how == "only changed configs work" && c.How == "":
		return "fail in open"
	case tr.how != "":
		return tr.how
	}
	return c.How
}

func (tr *trouble) plugin() connector.Plugin {
	return connector.NewSource(connector.SourceSpec[troubleConfig]{Class: "TroubleSource", Version: "1", Doc: "Makes trouble.",
		Plan: func(_ context.Context, c *troubleConfig, _ int) ([]map[string]string, error) {
			tr.mu.Lock()
			tr.plans++
			tr.mu.Unlock()
			switch tr.get(c) {
			case "refuse plan":
				return nil, connector.Permanent(errors.New("there is nothing to read"))
			case "fail plan":
				return nil, errors.New("the system is down")
			}
			if c.How == "divide anew" {
				return []map[string]string{{"trouble.share": "all"}}, nil
			}
			return []map[string]string{{}}, nil
		},
		Check: func(c *troubleConfig) error {
			if tr.get(c) == "panic in check" {
				panic("nobody gets through with " + string(c.Pass))
			}
			return nil
		},
		Open: func(_ context.Context, c *troubleConfig, _ connector.Task) (connector.Source, error) {
			switch tr.get(c) {
			case "panic of a secret in open":
				panic("nobody is let in with " + string(c.Pass))
			case "panic in open":
				panic("no luck")
			case "hang in open":
				<-tr.free
			case "fail in open":
				return nil, errors.New("the system is down")
			case "refuse in open":
				return nil, connector.Permanent(errors.New("the password is wrong"))
			}
			return &troubleSource{tr, c, 0}, nil
		}})
}

type troubleSource struct {
	tr *trouble
	c  *troubleConfig
	n  uint64
}

func (s *troubleSource) Read(ctx context.Context, _ int) (connector.Batch, error) {
	switch s.tr.get(s.c) {
	case "panic":
		panic("what now")
	case "bad record":
		if s.n++; s.n == 1 {
			return connector.Batch{}, &connector.RecordError{Err: errors.New("nobody reads it with " + string(s.c.Pass))}
		}
		return connector.Batch{}, io.EOF
	case "fail":
		return connector.Batch{}, errors.New("nobody is let in with " + string(s.c.Pass))
	case "hang":
		s.tr.mu.Lock()
		s.tr.stuck++
		s.tr.mu.Unlock()
		<-s.tr.free
	}
	select {
	case <-time.After(10 * time.Millisecond):
	case <-ctx.Done():
		return connector.Batch{}, ctx.Err()
	}
	s.n++
	return connector.Batch{Records: []connector.Record{{After: connector.Datum{Schema: connector.Of(connector.Int64),
		Value: connector.IntValue(int64(s.n))}, Partition: `{"trouble":0}`, Mark: connector.Mark{Offset: s.n}}},
		Next: connector.Position{`{"trouble":0}`: `{"n":0}`}}, nil
}

func (s *troubleSource) Close() error { return nil }
