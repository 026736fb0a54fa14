package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gantry-connect/gantry/connector"
)

func TestMain(m *testing.M) {
	// The RocketMQ client's timers sleep on for a while after it is closed; the stack's own test checks them.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("time.Sleep"), goleak.IgnoreAnyFunction("github.com/apache/rocketmq-client-go/v2/internal.GetOrNewRocketMQClient.func1"),
		goleak.IgnoreAnyFunction("github.com/patrickmn/go-cache.(*janitor).Run"))
}

// script is a source that gives what it is told to, then calls end.
type script struct {
	mu        sync.Mutex
	reads     []func() (connector.Batch, error)
	end       func(ctx context.Context) (connector.Batch, error) // default: io.EOF
	committed []connector.Position
}

func (s *script) Read(ctx context.Context, _ int) (connector.Batch, error) {
	s.mu.Lock()
	if len(s.reads) == 0 {
		end := s.end
		s.mu.Unlock()
		if end == nil {
			return connector.Batch{}, io.EOF
		}
		return end(ctx)
	}
	next := s.reads[0]
	s.reads = s.reads[1:]
	s.mu.Unlock()
	return next()
}

func (s *script) Close() error { return nil }

func (s *script) Committed(_ context.Context, pos connector.Position) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.committed = append(s.committed, pos)
	return nil
}

var discard = slog.New(slog.DiscardHandler)

func untilDone(ctx context.Context) (connector.Batch, error) {
	<-ctx.Done()
	return connector.Batch{}, ctx.Err()
}

const only = connector.Partition(`{"p":1}`)

func offset(n int) connector.Offset { return connector.Offset(fmt.Sprintf(`{"o":%d}`, n)) }

// lines is a batch of text records numbered from..to-1.
func lines(from, to int) func() (connector.Batch, error) {
	return func() (connector.Batch, error) {
		b := connector.Batch{Next: connector.Position{only: offset(to)}}
		for n := from; n < to; n++ {
			b.Records = append(b.Records, connector.Record{After: text(fmt.Sprint("line ", n)), Partition: only, Mark: connector.Mark{Offset: uint64(n)}})
		}
		return b, nil
	}
}

// bench is a source job over fakes.
type bench struct {
	broker  *memBroker
	catalog *memCatalog
	job     SourceJob
}

func newBench(t *testing.T, src connector.Source, more ...string) *bench {
	b := &bench{broker: newMemBroker(1), catalog: newMemCatalog()}
	conf, err := ParseSourceConfig(config(t, append([]string{"value.converter", "string"}, more...)...))
	require.NoError(t, err)
	make, _ := newMaker(t, b.catalog, "string", conf.ValueConverter)
	b.job = SourceJob{Config: conf, Source: src, Guarantee: connector.ExactlyOnce, Key: make.key, Value: make.value, Broker: b.broker,
		Lease: always{}, Schemas: b.catalog, Queues: someQueues(2), Progress: NewProgress()}
	return b
}

// run copies until drain.
func (b *bench) run(ctx context.Context, t *testing.T, drain <-chan struct{}) error {
	t.Helper()
	ledger, start := b.catalog.claim()
	b.job.Ledger, b.job.Start, b.job.History = ledger, start, ledger
	s, err := NewSource(b.job)
	require.NoError(t, err)
	return s.Run(ctx, drain)
}

// start runs the job in the background; end drains it.
func (b *bench) start(t *testing.T) (end func() error) {
	drain, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- b.run(t.Context(), t, drain) }()
	return func() error {
		time.Sleep(5 * time.Second)
		synctest.Wait()
		close(drain)
		return <-done
	}
}

func (b *bench) bodies() (all []string) {
	for _, msgs := range b.broker.snapshot() {
		for i := range msgs {
			all = append(all, string(msgs[i].Body))
		}
	}
	return all
}

func TestDrainLeavesACleanStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &script{reads: []func() (connector.Batch, error){lines(0, 10), lines(10, 25)}, end: untilDone}
		b := newBench(t, src)
		require.NoError(t, b.start(t)())
		pos, open := b.catalog.state()
		require.Equal(t, connector.Position{only: offset(25)}, pos)
		require.Empty(t, open)
		require.Len(t, b.bodies(), 25)
		require.Equal(t, pos, src.committed[len(src.committed)-1], "the source is told after the catalog")
	})
}

func TestASourceWithoutMoreRecordsLeavesTheTaskRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &script{reads: []func() (connector.Batch, error){lines(0, 10)}})
		end := b.start(t)
		time.Sleep(time.Hour)
		synctest.Wait()
		pos, open := b.catalog.state()
		require.Equal(t, connector.Position{only: offset(10)}, pos)
		require.Empty(t, open, "queues are closed while there is nothing to send")
		require.Zero(t, b.job.Progress.Snapshot().LagRecords)
		require.NoError(t, end())
	})
}

func TestAQueueOpensAgainAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pause := make(chan struct{})
		src := &script{reads: []func() (connector.Batch, error){lines(0, 10), func() (connector.Batch, error) { <-pause; return lines(10, 20)() }}}
		b := newBench(t, src)
		end := b.start(t)
		time.Sleep(time.Minute)
		_, open := b.catalog.state()
		require.Empty(t, open)
		close(pause)
		synctest.Wait()
		_, open = b.catalog.state()
		require.Len(t, open, 1)
		require.NoError(t, end())
		v := checkRaw(b.broker.snapshot(), func(body string) (string, int) { return "", 0 })
		require.Empty(t, v.problems, "numbers go on")
		require.Len(t, v.counted, 20)
	})
}

func TestAFailingSourceLeavesACleanStop(t *testing.T) {
	boom := errors.New("boom")
	for name, fail := range map[string]func() (connector.Batch, error){
		"error": func() (connector.Batch, error) { return connector.Batch{}, boom },
		"panic": func() (connector.Batch, error) { panic(boom) },
		"bad record": func() (connector.Batch, error) {
			return connector.Batch{Next: connector.Position{only: offset(11)}}, &connector.RecordError{Err: boom}
		},
		"record that cannot be converted": func() (connector.Batch, error) {
			return connector.Batch{Next: connector.Position{only: offset(11)}, Records: []connector.Record{{After: connector.Datum{Schema: rowSchema, Value: connector.IntValue(1)}}}}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, &script{reads: []func() (connector.Batch, error){lines(0, 10), fail}})
				err := b.run(t.Context(), t, nil)
				require.Error(t, err)
				require.Equal(t, name == "bad record" || name == "record that cannot be converted", connector.IsPermanent(err), "%v", err)
				pos, open := b.catalog.state()
				require.Equal(t, connector.Position{only: offset(10)}, pos)
				require.Empty(t, open)
			})
		})
	}
}

func TestToleratedRecordsAreCountedAndSentToTheDeadLetters(t *testing.T) {
	for _, letters := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			more := []string{"errors.tolerance", "all", "value.converter", "json"}
			if letters {
				more = append(more, "errors.deadletterqueue.topic.name", "dead")
			}
			src := &script{reads: []func() (connector.Batch, error){lines(0, 3), func() (connector.Batch, error) {
				return connector.Batch{Next: connector.Position{only: offset(4)}}, &connector.RecordError{Err: errors.New("torn line")}
			}, func() (connector.Batch, error) {
				b, _ := lines(4, 8)()
				b.Records[1].After = connector.Datum{Schema: rowSchema, Value: connector.TextValue("not a row")}
				b.Records[2].After = text(string(make([]byte, 9000)))
				return b, nil
			}}}
			b := newBench(t, src, more...)
			b.job.MaxMessageBytes = 8000
			require.NoError(t, b.start(t)())
			pos, open := b.catalog.state()
			require.Equal(t, connector.Position{only: offset(8)}, pos)
			require.Empty(t, open)
			p := b.job.Progress.Snapshot()
			require.Equal(t, int64(3), p.Bad)
			var stages []string
			for q, msgs := range b.broker.snapshot() {
				for i := range msgs {
					if q.Topic == "dead" {
						stages = append(stages, msgs[i].Property("__connect.errors.stage"))
						require.Equal(t, "t", msgs[i].Property("__connect.errors.topic"))
						require.Equal(t, string(only), msgs[i].Property("__connect.errors.partition"))
						require.NotEmpty(t, msgs[i].Property("__connect.errors.offset"))
						if msgs[i].Property("__connect.errors.stage") == stageRead {
							require.Equal(t, string(offset(3)), msgs[i].Property("__connect.errors.offset"), "where it lies, not what lies behind it")
						}
						require.Equal(t, "test", msgs[i].Property("__connect.errors.connector.name"))
						require.NotEmpty(t, msgs[i].Property("__connect.errors.exception.message"))
					}
				}
			}
			if letters {
				require.Equal(t, int64(3), p.DeadLetters)
				require.ElementsMatch(t, []string{stageRead, stageValueConverter, stageSend}, stages)
			} else {
				require.Empty(t, stages)
			}
		})
	}
}

// TestNoMoreIsSentThanTheWindow: what an unclean stop leaves to be read back is bounded.
func TestNoMoreIsSentThanTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reads []func() (connector.Batch, error)
		for n := 0; n < 1000; n += 10 {
			reads = append(reads, lines(n, n+10))
		}
		b := newBench(t, &script{reads: reads})
		b.job.WindowRecords = 100
		stuck := true
		b.catalog.ops = func(what string) (error, error) {
			if what == "commit" && stuck {
				return errors.New("no catalog"), nil
			}
			return nil, nil
		}
		end := b.start(t)
		time.Sleep(10 * time.Second)
		require.Len(t, b.bodies(), 100)
		require.Equal(t, "commit the position", b.job.Progress.Snapshot().RetryingWhat)
		b.catalog.mu.Lock()
		stuck = false
		b.catalog.mu.Unlock()
		time.Sleep(10 * time.Second)
		require.Len(t, b.bodies(), 1000)
		require.Zero(t, b.job.Progress.Snapshot().RetryingSince)
		require.NoError(t, end())
	})
}

// TestNothingIsSentWithoutTheLease: an owner whose lease ran out waits, and goes on when it has it again.
func TestNothingIsSentWithoutTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, &script{reads: []func() (connector.Batch, error){lines(0, 10)}})
		l := &lapsed{back: make(chan struct{})}
		b.job.Lease = l
		end := b.start(t)
		time.Sleep(time.Minute)
		require.Empty(t, b.bodies())
		close(l.back)
		require.NoError(t, end())
		require.Len(t, b.bodies(), 10)
	})
}

// lapsed is a lease that has run out until back is closed.
type lapsed struct{ back chan struct{} }

func (l *lapsed) Deadline() time.Time {
	select {
	case <-l.back:
		return time.Now().Add(time.Second)
	default:
		return time.Now()
	}
}

func (l *lapsed) Wait(ctx context.Context) error {
	select {
	case <-l.back:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestTheSourceIsToldWhileItWaits: a position that is committed while the source has nothing to read reaches it all the same.
func TestTheSourceIsToldWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &script{reads: []func() (connector.Batch, error){lines(0, 10)}, end: untilDone}
		b := newBench(t, src, "checkpoint.interval.ms", "1000")
		end := b.start(t)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		src.mu.Lock()
		require.Equal(t, []connector.Position{{only: offset(10)}}, src.committed)
		src.mu.Unlock()
		require.NoError(t, end())
	})
}

func TestRecordsGoToTheirOwnTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &script{reads: []func() (connector.Batch, error){func() (connector.Batch, error) {
			b, _ := lines(0, 10)()
			for i := range b.Records {
				b.Records[i].Topic = fmt.Sprintf("t%d", i%3)
			}
			return b, nil
		}}}
		b := newBench(t, src)
		require.NoError(t, b.start(t)())
		topics := map[string]int{}
		for q, msgs := range b.broker.snapshot() {
			topics[q.Topic] += len(msgs)
		}
		require.Equal(t, map[string]int{"t0": 4, "t1": 3, "t2": 3}, topics)
	})
}
