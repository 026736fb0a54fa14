package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// wanted is a connector as its one caller has asked for it.
type wanted struct {
	name  string
	sink  bool
	state string // "" while there is none
	edits int    // of its config; a sink's file is named after it
	cfg   config
}

// TestWhatWasAskedForRunsAfterWorkersCameAndWent has four clients make a thousand calls on ten connectors at random, offsets
// included, while workers stop, die and join. Every call is one that a quiet installation carries out, and none is refused, breaks off or
// has to be repeated. Afterwards each connector is as it was last asked for, and each sink writes to the file of its last
// config.
//
// It has the machine for itself: what dies with a worker is found out by time-outs of seconds, and where others keep the machine busy,
// work that takes as long dies with worker after worker.
func TestWhatWasAskedForRunsAfterWorkersCameAndWent(t *testing.T) {
	const clients, connectors, calls = 4, 10, 1000
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	p := newPipe(start(t))
	p.startWorker()
	p.startWorker().awaitStarted()
	p.client.put("feed", p.counterConfig(0)) // nobody touches it, so sinks always have something to write
	all := make([]*wanted, connectors)
	for i := range all {
		all[i] = &wanted{name: fmt.Sprintf("c%d", i), sink: i%2 == 1}
	}
	var g errgroup.Group
	for n := range clients {
		g.Go(func() error {
			random := rand.New(rand.NewPCG(seed, uint64(n)))
			for made := 0; made < calls/clients; made++ {
				w := all[n+clients*random.IntN((connectors-n+clients-1)/clients)] // each connector has one client
				if err := p.change(w, random); err != nil {
					return fmt.Errorf("client %d, call %d: %w", n, made, err)
				}
			}
			return nil
		})
	}
	done := make(chan error, 1)
	go func() { done <- g.Wait() }() // ends with the clients, whose calls are bounded
	p.churnUntil(t, done)
	for _, w := range all {
		p.requireWanted(w)
	}
}

// churnUntil lets the oldest worker go every few seconds, by its own will or not, and another come, until done answers. The one that
// came last has started before the next one goes: two are there, however slow the machine.
func (p *pipe) churnUntil(t *testing.T, done <-chan error) {
	t.Helper()
	// At random, lest what was lost with one worker be tried again just as the next one goes, again and again.
	pause := func() time.Duration { return 2*time.Second + rand.N(2*time.Second) }
	churn := time.NewTimer(pause())
	defer churn.Stop()
	for oldest := 0; ; oldest++ {
		select {
		case err := <-done:
			require.NoError(t, err)
			require.GreaterOrEqual(t, oldest, 2, "workers went")
			return
		case <-churn.C:
			if w := p.workers[oldest]; oldest%2 == 0 {
				w.term()
			} else {
				w.kill()
			}
			p.startWorker().awaitStarted()
			churn.Reset(pause())
		}
	}
}

func (p *pipe) counterConfig(edits int) config {
	return config{"connector.class": "CounterSource", "topic": p.topic.name, "topic.queues": "4", "counter.interval.ms": "20",
		"counter.partitions": "2", "tasks.max": fmt.Sprint(1 + edits%2), "checkpoint.interval.ms": "100"}
}

func (p *pipe) output(w *wanted) string { return p.path(fmt.Sprintf("%s-%d", w.name, w.edits)) }

// edited is the connector's next config.
func (p *pipe) edited(w *wanted) config {
	w.edits++
	w.cfg = p.counterConfig(w.edits)
	if w.sink {
		w.cfg = config{"connector.class": "FileSink", "topics": p.topic.name, "file": p.output(w) + "-${task}", "format": "json",
			"tasks.max": fmt.Sprint(1 + w.edits%2), "checkpoint.interval.ms": "100"}
	}
	return w.cfg
}

// change makes one call on a connector that has to succeed in the state in which it is.
func (p *pipe) change(w *wanted, random *rand.Rand) error {
	path := connectorPath(w.name, "")
	if w.state == "" {
		w.state = []string{"RUNNING", "RUNNING", "PAUSED", "STOPPED"}[random.IntN(4)]
		return p.expect(http.StatusCreated, "POST", "/connectors", map[string]any{"name": w.name, "config": p.edited(w), "initial_state": w.state})
	}
	switch random.IntN(15) {
	case 0, 1:
		w.state = "PAUSED"
		return p.expect(http.StatusAccepted, "PUT", path+"/pause", nil)
	case 2, 3, 4:
		w.state = "RUNNING"
		return p.expect(http.StatusAccepted, "PUT", path+"/resume", nil)
	case 5:
		w.state = "STOPPED"
		return p.expect(http.StatusNoContent, "PUT", path+"/stop", nil)
	case 6:
		return p.expect(http.StatusAccepted, "POST", path+"/restart?includeTasks=true", nil)
	case 7, 8:
		return p.expect(http.StatusOK, "PUT", path+"/config", p.edited(w))
	case 9:
		w.state = ""
		return p.expect(http.StatusNoContent, "DELETE", path, nil)
	case 10:
		w.cfg = with(config{}, w.cfg)
		w.cfg["batch.max.records"] = fmt.Sprint(100 + random.IntN(100))
		return p.expect(http.StatusOK, "PATCH", path+"/config", config{"batch.max.records": w.cfg["batch.max.records"]})
	case 11, 12, 13:
		return p.expect(http.StatusOK, "GET", []string{path, path + "/config", path + "/status", path + "/tasks", path + "/topics", path + "/offsets",
			"/connectors?expand=status&expand=info"}[random.IntN(7)], nil)
	default:
		return p.editOffsets(w)
	}
}

// editOffsets stops a connector, and gives it the offsets that it has and then none at all.
func (p *pipe) editOffsets(w *wanted) error {
	path := connectorPath(w.name, "")
	w.state = "STOPPED"
	if err := p.expect(http.StatusNoContent, "PUT", path+"/stop", nil); err != nil {
		return err
	}
	status, text, err := p.client.send("GET", path+"/offsets", nil)
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("offsets of %s: %d %s: %w", w.name, status, text, err)
	}
	var kept editableOffsets
	if err := json.Unmarshal([]byte(text), &kept); err != nil {
		return err
	}
	if len(kept.Offsets) > 0 {
		if err := p.expect(http.StatusOK, "PATCH", path+"/offsets", json.RawMessage(text)); err != nil {
			return err
		}
	}
	return p.expect(http.StatusOK, "DELETE", path+"/offsets", nil)
}

// expect is send for an answer that is known beforehand.
func (p *pipe) expect(want int, method, path string, in any) error {
	began := time.Now()
	status, text, err := p.client.send(method, path, in)
	if err == nil && status != want {
		err = fmt.Errorf("%d instead of %d: %s", status, want, text)
	}
	if err != nil {
		return fmt.Errorf("%s %s, after %v: %w", method, path, time.Since(began).Round(time.Millisecond), err)
	}
	return nil
}

// requireWanted waits until a connector is as it was last asked for.
func (p *pipe) requireWanted(w *wanted) {
	p.t.Helper()
	if w.state == "" {
		require.Equal(p.t, http.StatusNotFound, p.client.code("GET", connectorPath(w.name, ""), nil), w.name)
		return
	}
	var got config
	p.client.must("GET", connectorPath(w.name, "/config"), nil, &got)
	want := with(config{"name": w.name}, w.cfg)
	require.Equal(p.t, want, got)
	p.client.awaitStatus(w.name, "is "+w.state, func(s status) error {
		if s.Connector.State != w.state {
			return errors.New("it is not")
		}
		for _, task := range s.Tasks {
			if task.State != w.state {
				return fmt.Errorf("task %d is not", task.ID)
			}
		}
		// A stopped connector has no tasks; one that was paused before it ever ran has none either.
		if tasks := 1 + w.edits%2; w.state == "RUNNING" && len(s.Tasks) != tasks || w.state == "STOPPED" && len(s.Tasks) != 0 {
			return fmt.Errorf("it has %d tasks", len(s.Tasks))
		}
		return nil
	})
	if w.sink && w.state == "RUNNING" {
		p.awaitGrowth(w)
	}
}

// awaitGrowth waits until a sink has written more to the files of its last config.
func (p *pipe) awaitGrowth(w *wanted) {
	p.t.Helper()
	size := func() (n int64) {
		paths, err := filepath.Glob(p.output(w) + "-*")
		require.NoError(p.t, err)
		for _, path := range paths {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				n += info.Size()
			}
		}
		return n
	}
	from := size()
	await(p.t, w.name+" writes to the files of its last config", func() error {
		if n := size(); n <= from {
			return fmt.Errorf("they have %d bytes, from %d", n, from)
		}
		return nil
	})
}
