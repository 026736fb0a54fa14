package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// TestNoCallHasToBeRepeatedWhileWorkersComeAndGo makes a thousand calls of all kinds, of which none may be answered as a
// cluster that is busy with itself would.
func TestNoCallHasToBeRepeatedWhileWorkersComeAndGo(t *testing.T) {
	t.Parallel()
	const callers, rounds = 4, 18 // of 14 calls
	p := newPipe(start(t))
	p.startWorker()
	p.startWorker().awaitStarted()
	var calls atomic.Int64
	var g errgroup.Group
	for n := range callers {
		g.Go(func() error {
			for round := range rounds {
				if err := p.mixedCalls(fmt.Sprintf("c%d", n), round, &calls); err != nil {
					return fmt.Errorf("round %d: %w", round, err)
				}
			}
			return nil
		})
	}
	done := make(chan error, 1)
	go func() { done <- g.Wait() }()
	churn := time.NewTicker(3 * time.Second)
	defer churn.Stop()
	for oldest := 0; ; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			if n := calls.Load(); n < 1000 {
				t.Fatalf("%d calls were made", n)
			}
			return
		case <-churn.C: // the oldest worker goes, by its own will or not, and another comes
			if w := p.workers[oldest]; oldest%2 == 0 {
				w.term()
			} else {
				w.kill()
			}
			oldest++
			p.startWorker()
		}
	}
}

// mixedCalls creates a connector, does to it what can be done, and deletes it.
func (p *pipe) mixedCalls(name string, round int, calls *atomic.Int64) error {
	cfg := config{"connector.class": "CounterSource", "topic": p.topic.name, "counter.interval.ms": "50"}
	changed := with(config{"tasks.max": fmt.Sprint(1 + round%3)}, cfg)
	for _, call := range []struct {
		method, path string
		body         any
		want         int
	}{
		{"POST", "/connectors", map[string]any{"name": name, "config": cfg}, 201},
		{"GET", "/connectors/" + name, nil, 200},
		{"GET", "/connectors/" + name + "/status", nil, 200},
		{"PUT", "/connectors/" + name + "/config", changed, 200},
		{"GET", "/connectors/" + name + "/tasks", nil, 200},
		{"POST", "/connectors/" + name + "/restart?includeTasks=true", nil, 202},
		{"GET", "/connectors?expand=status&expand=info", nil, 200},
		{"PUT", "/connectors/" + name + "/pause", nil, 202},
		{"PATCH", "/connectors/" + name + "/config", map[string]any{"tasks.max": nil}, 200},
		{"PUT", "/connectors/" + name + "/resume", nil, 202},
		{"GET", "/connectors/" + name + "/offsets", nil, 200},
		{"GET", "/connectors/" + name + "/topics", nil, 200},
		{"PUT", "/connectors/" + name + "/stop", nil, 204},
		{"DELETE", "/connectors/" + name, nil, 204},
	} {
		status, text, err := p.client.send(call.method, call.path, call.body)
		if err != nil {
			return err
		}
		if status != call.want {
			return fmt.Errorf("%s %s: %d instead of %d: %s", call.method, call.path, status, call.want, text)
		}
		calls.Add(1)
	}
	return nil
}

// send makes one call and returns its status, for goroutines that must not end the test.
func (c *client) send(method, path string, in any) (status int, text string, err error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return 0, "", err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, body)
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}
