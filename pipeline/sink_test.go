package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// copied fills a topic of memory by a source that suffers, and returns its model.
func copied(t *testing.T, seed uint64, count, partitions int) *model {
	t.Helper()
	m := newModel(t, seed, count, partitions, "counter.keys", "5")
	m.misbehave(seed)
	m.overlap(seed)
	m.broker.mu.Lock()
	m.broker.deliverLate(1)
	m.broker.fate = nil
	m.broker.mu.Unlock()
	m.catalog.ops = nil
	return m
}

// TestSinksThatDieLoseAndDoubleNothing reads what suffering sources have written, while the sink's owners die at random:
// into a target with transactions every record comes once, into another one at least once, in order by key.
func TestSinksThatDieLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	for _, transactional := range []bool{true, false} {
		t.Run(fmt.Sprintf("transactional=%v", transactional), func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(40) {
				synctest.Test(t, func(t *testing.T) {
					m := copied(t, seed, 60, 2)
					sink := newMemSink(transactional)
					m.sinkThroughDeaths(t, seed, sink)
					if transactional {
						sink.check(t, 60, 2)
						return
					}
					seen := map[string]bool{}
					for i := range sink.durable {
						v := sink.durable[i].After.Value.List()
						seen[fmt.Sprintf("%d/%d", v[0].Int(), v[1].Int())] = true
					}
					require.Len(t, seen, 120)
				})
			}
		})
	}
}

// sinkThroughDeaths runs owners until the topic is read to its end.
func (m *model) sinkThroughDeaths(t *testing.T, seed uint64, sink *memSink) {
	random := rand.New(rand.NewPCG(seed, 4))
	page := newMemCatalog()
	queues, _ := someQueues(3).Queues(t.Context(), "t")
	for deaths := 0; ; deaths++ {
		sink.mu.Lock()
		sink.pending = nil // what was not flushed dies with its owner
		sink.mu.Unlock()
		ledger, start := page.claim()
		drain := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- runSink(t, ctx, drain, SinkJob{Sink: sink, Reads: queues, Broker: m.broker, Ledger: ledger, Schemas: m.catalog, Start: start},
				"batch.max.records", "9", "linger.ms", "1")
		}()
		left := 0 // never
		if deaths < 6 {
			left = 1 + random.IntN(12)
		}
		m.armSink(page, &crasher{left: left, mode: fate(random.IntN(2)) + unsureIn, cancel: cancel})
		time.Sleep(time.Second)
		synctest.Wait()
		close(drain)
		err := <-done
		died := ctx.Err() != nil
		cancel()
		if err == nil && !died {
			return
		}
		require.True(t, died, "%v", err)
	}
}

func (m *model) armSink(page *memCatalog, c *crasher) {
	page.mu.Lock()
	page.ops = func(string) (before, after error) {
		switch {
		case !c.hit():
			return nil, nil
		case c.mode == unsureIn:
			return nil, errCrash
		}
		return errCrash, nil
	}
	page.mu.Unlock()
	m.broker.mu.Lock()
	defer m.broker.mu.Unlock()
	m.broker.ops = func(string) error {
		if c.hit() {
			return errCrash
		}
		return nil
	}
}

// sinkBench is a sink job over fakes.
type sinkBench struct {
	broker *memBroker
	page   *memCatalog
	sink   *memSink
	job    SinkJob
	more   []string
}

func newSinkBench(more ...string) *sinkBench {
	b := &sinkBench{broker: newMemBroker(1), page: newMemCatalog(), sink: newMemSink(true), more: append([]string{"value.converter", "string"}, more...)}
	b.job = SinkJob{Sink: b.sink, Reads: []Queue{theQueue}, Broker: b.broker, Schemas: b.page, Queues: someQueues(1), Progress: NewProgress()}
	return b
}

func (b *sinkBench) run(t *testing.T) error {
	t.Helper()
	ledger, start := b.page.claim()
	start.Elsewhere = b.job.Start.Elsewhere
	b.job.Ledger, b.job.Start = ledger, start
	drain := make(chan struct{})
	time.AfterFunc(5*time.Second, func() { close(drain) })
	conf, err := ParseSinkConfig(config(t, b.more...))
	require.NoError(t, err)
	b.job.Config = conf
	b.job.Lease = always{}
	b.job.Converters = func() (Converter, Converter, error) {
		make, _ := newMaker(t, b.page, "string", conf.ValueConverter)
		return make.key, make.value, nil
	}
	s, err := NewSink(b.job)
	require.NoError(t, err)
	return s.Run(t.Context(), drain)
}

func (b *sinkBench) put(s *stamp, body string) {
	m := Message{Body: []byte(body)}
	if s != nil {
		m.Properties = []Property{{Name: stampProperty, Value: string(s.appendTo(nil))}}
	}
	b.broker.mu.Lock()
	defer b.broker.mu.Unlock()
	b.broker.append(theQueue, []Message{m})
}

func (b *sinkBench) got() (texts []string) {
	for _, rec := range b.sink.durable {
		texts = append(texts, rec.After.Value.Text())
	}
	return texts
}

func rec7(epoch int64, term uint32, number uint64) *stamp {
	return &stamp{Writer: 7, Epoch: epoch, Term: term, Number: number, Partition: 1}
}

func fence7(epoch int64, term uint32) *stamp {
	return &stamp{Kind: stampFence, Writer: 7, Epoch: epoch, Term: term}
}

func TestASinkDropsWhatReplacedOwnersSend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench()
		b.put(rec7(1, 0, 1), "a")
		b.put(fence7(2, 1), "null")
		b.put(rec7(1, 0, 2), "late")
		b.put(nil, "from another program")
		require.NoError(t, b.run(t))
		b.put(rec7(1, 0, 3), "later still: the position remembers")
		b.put(rec7(2, 1, 2), "b")
		require.NoError(t, b.run(t))
		require.Equal(t, []string{"a", "from another program", "b"}, b.got())
		require.Equal(t, int64(2), b.job.Progress.Snapshot().Dropped)
	})
}

// TestAReaderWithoutStateLearnsTheFences: it begins behind a fence, and a message from before the fence arrives after it. The
// fence is in the catalog, or, if its owner died before it recorded it, in the queue not far before.
func TestAReaderWithoutStateLearnsTheFences(t *testing.T) {
	t.Parallel()
	for _, recorded := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			b := newSinkBench("start.offset", "latest")
			b.put(rec7(1, 0, 1), "before")
			b.put(fence7(2, 1), "null")
			if recorded { // and far away
				for range learnBehind {
					b.put(nil, "noise")
				}
				b.page.fences = []Fence{{Queue: theQueue, Writer: 7, Epoch: 2, Term: 1, Offset: 1}}
			}
			time.AfterFunc(time.Second, func() {
				b.put(rec7(1, 0, 2), "late")
				b.put(rec7(2, 1, 2), "good")
			})
			require.NoError(t, b.run(t))
			require.Equal(t, []string{"good"}, b.got())
		})
	}
}

func TestASinkNoticesLostMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench()
		b.put(rec7(1, 0, 1), "a")
		b.put(rec7(1, 0, 3), "c")
		err := b.run(t)
		var lost *LostError
		require.ErrorAs(t, err, &lost)
		require.Equal(t, LostError{Queue: theQueue, Writer: 7, Offset: 1, Expected: 2, Found: 3}, *lost)
		require.True(t, connector.IsPermanent(err))
	})
}

// TestAnOperatorCanGoOnBehindALoss by setting the position.
func TestAnOperatorCanGoOnBehindALoss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench()
		for _, n := range []uint64{1, 2, 5, 6} {
			b.put(rec7(1, 0, n), fmt.Sprint(n))
		}
		b.page.position[partitionOf(theQueue)] = `{"rocketmq_offset":3}`
		require.NoError(t, b.run(t))
		require.Equal(t, []string{"6"}, b.got())
	})
}

func TestASinkPositionOutsideTheQueueFails(t *testing.T) {
	t.Parallel()
	for at, words := range map[int]string{3: "3 to 4 have expired", 9: "ends at 6"} {
		synctest.Test(t, func(t *testing.T) {
			b := newSinkBench()
			b.broker.queue(theQueue).min = 5
			b.put(nil, "x")
			b.page.position[partitionOf(theQueue)] = offsetOf(int64(at), &readers{})
			err := b.run(t)
			require.ErrorContains(t, err, words)
			require.True(t, connector.IsPermanent(err))
		})
	}
}

func TestTheTargetsPositionComesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench()
		for i := range 4 {
			b.put(nil, fmt.Sprint(i))
		}
		b.page.position[partitionOf(theQueue)] = offsetOf(1, &readers{})
		b.sink.position[partitionOf(theQueue)] = offsetOf(3, &readers{})
		require.NoError(t, b.run(t))
		require.Equal(t, []string{"3"}, b.got())
		pos, _ := b.page.state()
		require.Equal(t, connector.Position{partitionOf(theQueue): `{"rocketmq_offset":4}`}, pos)
	})
}

func TestBadMessagesOfASink(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"none", "all", "letters"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				more := []string{"value.converter", "json"}
				switch mode {
				case "all":
					more = append(more, "errors.tolerance", "all")
				case "letters":
					more = append(more, "errors.tolerance", "all", "errors.deadletterqueue.topic.name", "dead")
				}
				b := newSinkBench(more...)
				b.sink.write = func(batch connector.Batch) error {
					for i, rec := range batch.Records {
						if rec.After.Schema.Type == connector.String && rec.After.Value.Text() == "refused" {
							return &connector.RecordError{Index: i, Err: errors.New("no such row")}
						}
					}
					return nil
				}
				for _, body := range []string{`"a"`, `not json`, `"refused"`, `"b"`} {
					b.put(nil, body)
				}
				err := b.run(t)
				if mode == "none" {
					require.True(t, connector.IsPermanent(err), "%v", err)
					require.ErrorContains(t, err, "offset 1")
					return
				}
				require.NoError(t, err)
				require.Equal(t, []string{"a", "b"}, b.got())
				require.Equal(t, int64(2), b.job.Progress.Snapshot().Bad)
				var letters []string
				for _, m := range b.broker.snapshot()[Queue{"dead", "b", 0}] {
					letters = append(letters, string(m.Body)+" "+m.Property("__connect.errors.offset")+" "+m.Property("__connect.errors.stage")+" "+m.Property("__connect.errors.partition"))
				}
				if mode == "letters" {
					require.ElementsMatch(t, []string{"not json 1 value converter b/0", `"refused" 2 write b/0`}, letters)
				} else {
					require.Empty(t, letters)
				}
			})
		})
	}
}

// TestASinkThatFailsIsTriedByANewStart: nothing is committed that it did not take.
func TestASinkThatFailsIsTriedByANewStart(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(){"error": nil, "panic": func() { panic("boom") }} {
		synctest.Test(t, func(t *testing.T) {
			b := newSinkBench()
			b.put(nil, "a")
			b.sink.write = func(connector.Batch) error {
				if fail != nil {
					fail()
				}
				return errors.New("target is down")
			}
			err := b.run(t)
			require.Error(t, err, name)
			require.False(t, connector.IsPermanent(err), name)
			pos, _ := b.page.state()
			require.Empty(t, pos, name)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench()
		b.put(nil, "a")
		b.sink.write = func(connector.Batch) error { return fmt.Errorf("row is gone: %w", connector.ErrFenced) }
		require.ErrorIs(t, b.run(t), ErrFenced)
	})
}

// TestASlowTargetSlowsThePulls: what waits in memory is bounded in bytes.
func TestASlowTargetSlowsThePulls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench("batch.max.bytes", "1024")
		b.job.BufferBytes = 50_000
		body := string(make([]byte, 10_000))
		for range 100 {
			b.put(nil, body)
		}
		pulled := 0
		b.broker.ops = func(what string) error {
			if what == "pull" {
				pulled++
			}
			return nil
		}
		stuck := make(chan struct{})
		b.sink.write = func(connector.Batch) error { <-stuck; return nil }
		time.AfterFunc(4*time.Second, func() {
			b.broker.mu.Lock()
			defer b.broker.mu.Unlock()
			if pulled > 6 {
				t.Errorf("%d pulls while the target took nothing", pulled)
			}
			close(stuck)
		})
		require.NoError(t, b.run(t))
	})
}

// TestAWrittenBatchIsMovedPastEvenWithoutRecords: fences and drops alone move the position as well.
func TestAWrittenBatchIsMovedPastEvenWithoutRecords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newSinkBench()
		b.put(fence7(2, 1), "null")
		require.NoError(t, b.run(t))
		pos, _ := b.page.state()
		require.Contains(t, string(pos[partitionOf(theQueue)]), `"rocketmq_offset":1,"writers":`)
	})
}
