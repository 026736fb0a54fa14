package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/connectors/counter"
	"github.com/gantry-connect/gantry/converters"
)

// model is one source task in a world of memory, whose owners come, die and overlap.
type model struct {
	t          *testing.T
	broker     *memBroker
	catalog    *memCatalog
	count      int
	partitions int
	config     map[string]string
	tweak      func(*SourceJob)
	complete   chan struct{} // closed when the committed position is at the end
	once       sync.Once
}

func newModel(t *testing.T, seed uint64, count, partitions int, more ...string) *model {
	m := &model{t: t, broker: newMemBroker(seed), catalog: newMemCatalog(), count: count, partitions: partitions, complete: make(chan struct{})}
	mine := ""
	for i := range partitions {
		mine += "," + strconv.Itoa(i)
	}
	m.config = config(t, append([]string{"counter.count", strconv.Itoa(count), "counter.mine", mine[1:], "batch.max.records", "7",
		"topic.queues", "3"}, more...)...)
	return m
}

func (m *model) newSource(ledger *memLedger, start Start) *Source {
	m.t.Helper()
	conf, err := ParseSourceConfig(m.config)
	require.NoError(m.t, err)
	src, err := counter.Plugin.OpenSource(m.t.Context(), m.config, connector.Task{Position: start.Position})
	require.NoError(m.t, err)
	key, value := jsonPair(m.t)
	job := SourceJob{Config: conf, Source: src, Guarantee: connector.ExactlyOnce, Key: key, Value: value, Broker: m.broker,
		Ledger: ledger, Lease: always{}, Schemas: m.catalog, Queues: someQueues(3), Start: start, History: ledger, WindowRecords: 40}
	if m.tweak != nil {
		m.tweak(&job)
	}
	s, err := NewSource(job)
	require.NoError(m.t, err)
	return s
}

func jsonPair(t testing.TB) (key, value Converter) {
	t.Helper()
	k, err := converters.New("json", nil, true)
	require.NoError(t, err)
	v, err := converters.New("json", nil, false)
	require.NoError(t, err)
	return k, v
}

// runOwner claims the task and copies until all is committed or ctx ends.
func (m *model) runOwner(ctx context.Context) error {
	ledger, start := m.catalog.claim()
	return m.newSource(ledger, start).Run(ctx, m.complete)
}

// watch notices when the last record is committed. It is to be called under the catalog's lock, after a commit.
func (m *model) watch(pos connector.Position) {
	done := 0
	for _, o := range pos {
		if string(o) == fmt.Sprintf(`{"next":%d}`, m.count) {
			done++
		}
	}
	if done == m.partitions {
		m.once.Do(func() { close(m.complete) })
	}
}

// check asks the checker whether each record counts once, in order.
func (m *model) check(what string) rawVerdict {
	m.t.Helper()
	keys := m.config["counter.keys"]
	if m.config["queue.unkeyed"] == "spread" {
		keys = "spread" // no order to check
	}
	return checkCounter(m.t, what, m.broker.snapshot(), m.count, m.partitions, keys)
}

func checkCounter(t *testing.T, what string, queues map[Queue][]Received, count, partitions int, keysText string) rawVerdict {
	t.Helper()
	keys, _ := strconv.Atoi(keysText)
	v := checkRaw(queues, func(body string) (string, int) {
		var doc struct{ Partition, Number int }
		if err := json.Unmarshal([]byte(body), &doc); err != nil {
			t.Fatalf("%s: body %q: %v", what, body, err)
		}
		if keys > 0 {
			return fmt.Sprintf("%d/%d", doc.Partition, doc.Number%keys), doc.Number
		}
		return strconv.Itoa(doc.Partition), doc.Number
	})
	if len(v.problems) > 0 {
		t.Fatalf("%s: %v", what, v.problems)
	}
	for p := range partitions {
		for n := range count {
			body := fmt.Sprintf(`{"partition":%d,"number":%d}`, p, n)
			if v.counted[body] != 1 {
				t.Fatalf("%s: %s counts %d times", what, body, v.counted[body])
			}
		}
	}
	for k, numbers := range v.order {
		if keysText != "spread" && !slices.IsSorted(numbers) {
			t.Fatalf("%s: key %s out of order: %v", what, k, numbers)
		}
	}
	return v
}

var errCrash = errors.New("crashed here")

// crasher ends an owner at its nth call to the broker or the catalog.
type crasher struct {
	mu     sync.Mutex
	left   int
	mode   fate // what becomes of the call
	cancel context.CancelFunc
}

func (c *crasher) hit() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left--
	if c.left != 0 {
		return false
	}
	c.cancel()
	return true
}

func (m *model) arm(c *crasher) {
	m.broker.fate = func(Queue, []Message) fate {
		if c.hit() {
			return c.mode
		}
		return stored
	}
	m.broker.ops = func(what string) error {
		if what != "send" && c.hit() {
			return errCrash
		}
		return nil
	}
	m.catalog.ops = func(what string) (before, after error) {
		if what == "commit" {
			m.watchSoon()
		}
		if !c.hit() {
			return nil, nil
		}
		if c.mode == unsureOut {
			return errCrash, nil
		}
		return nil, errCrash
	}
}

// watchSoon looks at the position once the call under way is through.
func (m *model) watchSoon() {
	go func() {
		pos, _ := m.catalog.state()
		m.watch(pos)
	}()
}

var kinds = []struct {
	name string
	more []string
}{
	{"unkeyed", nil},
	{"keyed", []string{"counter.keys", "5"}},
	{"spread", []string{"queue.unkeyed", "spread"}},
}

// TestCrashAtEveryCall kills the owner at each of its calls to the broker and the catalog in turn, whether the call had its
// effect before, later or never, and lets the next owner finish.
func TestCrashAtEveryCall(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds[:2] {
		for _, mode := range []fate{unsureIn, unsureOut, unsureLate} {
			t.Run(fmt.Sprintf("%s/%d", kind.name, mode), func(t *testing.T) {
				t.Parallel()
				doubles, crashes := 0, 0
				for n := 1; ; n++ {
					crashed := false
					synctest.Test(t, func(t *testing.T) {
						m := newModel(t, uint64(n), 40, 2, kind.more...)
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						m.arm(&crasher{left: n, mode: mode, cancel: cancel})
						err := m.runOwner(ctx)
						if crashed = ctx.Err() != nil; crashed {
							crashes++
							require.Error(t, err)
							m.arm(&crasher{})
							err = m.runOwner(t.Context())
						}
						require.NoError(t, err, "crash at call %d", n)
						_, open := m.catalog.state()
						require.Empty(t, open)
						doubles += m.check(fmt.Sprintf("crash at call %d", n)).rawDoubles
					})
					if !crashed {
						break
					}
				}
				require.Greater(t, crashes, 15)
				if mode == unsureLate {
					require.Positive(t, doubles, "no late send was ever doubled in the queue: the test shows nothing")
				}
			})
		}
	}
}

// TestOwnersThatDieAndOverlap lets owners follow and overlap at random, without any lease to keep them apart, while sends
// are refused, lost, stored without an ack and stored late, and catalog calls fail before and after their effect.
func TestOwnersThatDieAndOverlap(t *testing.T) {
	t.Parallel()
	seeds := 150
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			doubles := 0
			for seed := range uint64(seeds) {
				synctest.Test(t, func(t *testing.T) {
					m := newModel(t, seed, 120, 3, kind.more...)
					m.misbehave(seed)
					m.overlap(seed)
					m.broker.mu.Lock()
					m.broker.deliverLate(1)
					m.broker.mu.Unlock()
					doubles += m.check(fmt.Sprintf("seed %d", seed)).rawDoubles
				})
			}
			require.Positive(t, doubles, "nothing was ever doubled in the queue: the test shows nothing")
		})
	}
}

// misbehave gives calls random fates.
func (m *model) misbehave(seed uint64) {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 2))
	roll := func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return random.Float64()
	}
	m.broker.fate = func(Queue, []Message) fate {
		switch r := roll(); {
		case r < 0.03:
			return notStored
		case r < 0.08:
			return unsureIn
		case r < 0.11:
			return unsureOut
		case r < 0.18:
			return unsureLate
		}
		return stored
	}
	m.catalog.ops = func(what string) (before, after error) {
		if what == "commit" {
			m.watchSoon()
		}
		switch r := roll(); {
		case r < 0.04:
			return errors.New("outage before"), nil
		case r < 0.08:
			return nil, errors.New("outage after")
		}
		return nil, nil
	}
}

// behave ends what misbehave began.
func (m *model) behave() {
	m.broker.mu.Lock()
	m.broker.fate = nil
	m.broker.mu.Unlock()
	m.catalog.mu.Lock()
	m.catalog.ops = func(string) (error, error) { m.watchSoon(); return nil, nil }
	m.catalog.mu.Unlock()
}

// overlap starts owners until one has committed everything; some die, some go on beside their successor.
func (m *model) overlap(seed uint64) {
	random := rand.New(rand.NewPCG(seed, 3))
	var owners sync.WaitGroup
	var cancels []context.CancelFunc
	for ended := false; !ended; {
		ctx, cancel := context.WithCancel(m.t.Context())
		cancels = append(cancels, cancel)
		done := make(chan error, 1)
		owners.Go(func() { done <- m.runOwner(ctx) })
		select {
		case err := <-done:
			switch {
			case err == nil:
				_, open := m.catalog.state()
				require.Empty(m.t, open, "seed %d", seed)
				ended = true
			case !errors.Is(err, ErrFenced) && !errors.Is(err, context.Canceled):
				require.NoError(m.t, err, "seed %d", seed)
			}
		case <-time.After(time.Duration(random.Int64N(int64(300 * time.Millisecond)))):
			if random.Float64() < 0.5 {
				cancel()
			}
			if len(cancels) > 60 { // let one come through
				m.behave()
			}
		}
	}
	for _, cancel := range cancels {
		cancel()
	}
	owners.Wait()
}
