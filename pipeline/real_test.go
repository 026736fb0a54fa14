package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/connectors/counter"
	"github.com/gantry-connect/gantry/internal/devstack/devstacktest"
	"github.com/gantry-connect/gantry/rocketmq"
)

// realBroker is a Broker over the real client. After each send it may lose the ack.
type realBroker struct {
	*rocketmq.Client
	lose func() bool // nil: never

	pool  sync.Pool // of *[]rocketmq.Message
	sends atomic.Int64
}

func newRealBroker(t testing.TB) *realBroker {
	t.Helper()
	return openRealBroker(t, devstacktest.Shared(t).NameServer)
}

func openRealBroker(t testing.TB, nameServer string) *realBroker {
	t.Helper()
	c, err := rocketmq.Open(rocketmq.Config{NameServers: []string{nameServer}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return &realBroker{Client: c, pool: sync.Pool{New: func() any { return new([]rocketmq.Message) }}}
}

func wrapped(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, rocketmq.ErrOffsetOutOfRange):
		return fmt.Errorf("%w: %w", ErrOffsetOutOfRange, err)
	case rocketmq.IsPermanent(err):
		return connector.Permanent(err)
	case rocketmq.IsUnsure(err):
		return fmt.Errorf("%w: %w", ErrUnsure, err)
	}
	return fmt.Errorf("%w: %w", ErrNotStored, err)
}

func (b *realBroker) Send(ctx context.Context, q Queue, msgs []Message) (int64, error) {
	buffer := b.pool.Get().(*[]rocketmq.Message)
	defer b.pool.Put(buffer)
	out := (*buffer)[:0]
	for i := range msgs {
		m := &msgs[i]
		var props []rocketmq.Property
		if i < cap(out) {
			props = out[:i+1][i].Properties[:0]
		}
		for _, p := range m.Properties {
			props = append(props, rocketmq.Property(p))
		}
		out = append(out, rocketmq.Message{Key: m.Key, Tag: m.Tag, Body: m.Body, Properties: props})
	}
	*buffer = out
	b.sends.Add(1)
	base, err := b.Client.Send(ctx, rocketmq.Queue(q), out)
	if err == nil && b.lose != nil && b.lose() {
		return 0, fmt.Errorf("ack lost on purpose: %w", ErrUnsure)
	}
	return base, wrapped(err)
}

func (b *realBroker) Pull(ctx context.Context, q Queue, offset int64, limit int) (Pulled, error) {
	p, err := b.Client.Pull(ctx, rocketmq.Queue(q), offset, limit)
	if err != nil {
		return Pulled{}, wrapped(err)
	}
	out := Pulled{Next: p.Next, Min: p.Min, Max: p.Max, Messages: make([]Received, len(p.Messages))}
	for i := range p.Messages {
		m := &p.Messages[i]
		out.Messages[i] = Received{Queue: Queue(m.Queue), Offset: m.Offset, Key: m.Key, Tag: m.Tag, Body: m.Body, Born: m.Born,
			Properties: Properties(m.Properties), Err: m.Err}
	}
	return out, nil
}

func (b *realBroker) Bounds(ctx context.Context, q Queue) (int64, int64, error) {
	minimum, maximum, err := b.Client.ExactBounds(ctx, rocketmq.Queue(q))
	return minimum, maximum, wrapped(err)
}

// realQueues are topics on the real broker.
type realQueues struct{ *realBroker }

func (b realQueues) Queues(ctx context.Context, topic string) ([]Queue, error) {
	list, err := b.Client.Queues(ctx, topic)
	out := make([]Queue, len(list))
	for i := range list {
		out[i] = Queue(list[i])
	}
	return out, wrapped(err)
}

func (b *realBroker) topic(t testing.TB, queues int) string {
	t.Helper()
	name := devstacktest.Topic(t, "pipeline")
	require.NoError(t, b.CreateTopic(t.Context(), rocketmq.Topic{Name: name, Queues: queues}))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, b.DeleteTopic(ctx, name))
	})
	return name
}

// raw reads every message of a topic.
func (b *realBroker) raw(t testing.TB, topic string) map[Queue][]Received {
	t.Helper()
	queues, err := realQueues{b}.Queues(t.Context(), topic)
	require.NoError(t, err)
	all := map[Queue][]Received{}
	for _, q := range queues {
		_, end, err := b.Bounds(t.Context(), q)
		require.NoError(t, err)
		for offset := int64(0); offset < end; {
			p, err := b.Pull(t.Context(), q, offset, 1024)
			require.NoError(t, err)
			all[q] = append(all[q], p.Messages...)
			offset = p.Next
		}
	}
	return all
}

// TestRealCopyThroughLostAcksAndDeaths copies over the real broker while acks get lost and owners die, and reads back with a
// sink whose owners die as well.
func TestRealCopyThroughLostAcksAndDeaths(t *testing.T) {
	t.Parallel()
	const count, partitions = 20_000, 3
	broker := newRealBroker(t)
	topic := broker.topic(t, 4)
	sends := 0
	var mu sync.Mutex
	broker.lose = func() bool {
		mu.Lock()
		defer mu.Unlock()
		sends++
		return sends%17 == 0
	}
	m := newModel(t, 1, count, partitions, "topic", topic, "topics", topic, "counter.keys", "100", "batch.max.records", "100", "checkpoint.interval.ms", "20")
	m.tweak = func(j *SourceJob) {
		j.Broker, j.Queues, j.WindowRecords = broker, realQueues{broker}, 2000
	}
	m.catalog.ops = func(what string) (error, error) {
		if what == "commit" {
			m.watchSoon()
		}
		return nil, nil
	}
	deaths := 0
	for {
		ctx, cancel := context.WithCancel(t.Context())
		if deaths < 10 {
			time.AfterFunc(time.Duration(30+10*deaths)*time.Millisecond, cancel)
		}
		err := m.runOwner(ctx)
		died := ctx.Err() != nil
		cancel()
		if err == nil {
			break
		}
		require.True(t, died, "%v", err)
		deaths++
	}
	require.Positive(t, deaths)
	v := checkCounter(t, "topic", broker.raw(t, topic), count, partitions, "100")
	t.Logf("%d deaths, %d lost acks, %d doubles in the queues before the readers' rule", deaths, sends/17, v.rawDoubles)

	sink := newMemSink(true)
	runSinkThroughDeaths(t, broker, topic, sink, count*partitions)
	sink.check(t, count, partitions)
}

// memSink is a target in memory: with a position of its own it has transactions; without it loses what is not flushed.
type memSink struct {
	transactional bool

	mu       sync.Mutex
	position connector.Position
	durable  []connector.Record
	pending  []connector.Record
	enough   func(n int)
	write    func(b connector.Batch) error
}

func newMemSink(transactional bool) *memSink {
	return &memSink{transactional: transactional, position: connector.Position{}}
}

func (s *memSink) Position() connector.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	pos := connector.Position{}
	for k, v := range s.position {
		pos[k] = v
	}
	return pos
}

func (s *memSink) Write(_ context.Context, b connector.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.write != nil {
		if err := s.write(b); err != nil {
			return err
		}
	}
	if !s.transactional {
		s.pending = append(s.pending, b.Records...)
		return nil
	}
	s.durable = append(s.durable, b.Records...)
	for k, v := range b.Next {
		s.position[k] = v
	}
	if s.enough != nil {
		s.enough(len(s.durable))
	}
	return nil
}

func (s *memSink) Flush(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.durable = append(s.durable, s.pending...)
	s.pending = nil
	if s.enough != nil {
		s.enough(len(s.durable))
	}
	return nil
}

func (s *memSink) Close() error { return nil }

func (s *memSink) check(t testing.TB, count, partitions int) {
	t.Helper()
	seen := map[string]int{}
	last := map[string]int64{}
	for i := range s.durable {
		v := s.durable[i].After.Value.List()
		seen[fmt.Sprintf("%d/%d", v[0].Int(), v[1].Int())]++
		key := fmt.Sprintf("%d %v", v[0].Int(), s.durable[i].Key.Value)
		before, ok := last[key]
		require.True(t, !ok || before < v[1].Int(), "key %s: %d after %d", key, v[1].Int(), before)
		last[key] = v[1].Int()
	}
	require.Len(t, seen, count*partitions)
	for k, n := range seen {
		require.Equal(t, 1, n, "record %s", k)
	}
}

func runSinkThroughDeaths(t *testing.T, broker Broker, topic string, sink *memSink, want int) {
	t.Helper()
	catalog := newMemCatalog()
	queues, err := realQueues{broker.(*realBroker)}.Queues(t.Context(), topic)
	require.NoError(t, err)
	for deaths := 0; ; deaths++ {
		complete := make(chan struct{})
		sink.enough = func(n int) {
			if n >= want && complete != nil {
				close(complete)
				sink.enough = nil
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		if deaths < 5 {
			time.AfterFunc(time.Duration(20+20*deaths)*time.Millisecond, cancel)
		}
		ledger, start := catalog.claim()
		err := runSink(t, ctx, complete, SinkJob{Sink: sink, Reads: queues, Broker: broker, Ledger: ledger, Schemas: catalogOf(t), Start: start},
			"topics", topic)
		died := ctx.Err() != nil
		cancel()
		if err == nil {
			return
		}
		require.True(t, died, "%v", err)
	}
}

// catalogOf has the counter's schema.
func catalogOf(t testing.TB) *memCatalog {
	t.Helper()
	c := newMemCatalog()
	src, err := counter.Plugin.OpenSource(t.Context(), map[string]string{"counter.mine": "0", "counter.count": "1", "counter.keys": "1"}, connector.Task{})
	require.NoError(t, err)
	b, err := src.Read(t.Context(), 1)
	require.NoError(t, err)
	require.NoError(t, c.Put(t.Context(), b.Records[0].After.Schema))
	require.NoError(t, c.Put(t.Context(), b.Records[0].Key.Schema))
	return c
}

func runSink(t testing.TB, ctx context.Context, drain <-chan struct{}, j SinkJob, more ...string) error {
	t.Helper()
	conf, err := ParseSinkConfig(config(t, more...))
	require.NoError(t, err)
	j.Config, j.Lease = conf, always{}
	j.Converters = func() (Converter, Converter, error) {
		k, v := jsonPair(t)
		return k, v, nil
	}
	s, err := NewSink(j)
	require.NoError(t, err)
	return s.Run(ctx, drain)
}

// BenchmarkSource copies made-up records to the real broker, beside raw sends of messages of the same size:
// go test -bench Source -benchtime 1x.
func BenchmarkSource(b *testing.B) {
	for _, bb := range []struct {
		name   string
		queues int
		keyed  bool
	}{{"one queue", 1, false}, {"eight queues", 8, false}, {"eight queues by key", 8, true}} {
		b.Run("raw/"+bb.name, func(b *testing.B) { measure(b, func() { benchRaw(b, bb.queues, bb.keyed) }) })
		b.Run("copy/"+bb.name, func(b *testing.B) { measure(b, func() { benchCopy(b, bb.queues, bb.keyed) }) })
	}
}

const benchRecords = 1_000_000

// measure adds the processor time that this process takes for a million records; the broker's is its own.
func measure(b *testing.B, f func()) {
	b.Helper()
	used := func() time.Duration {
		var u syscall.Rusage
		require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	f()
	b.ReportMetric((used()-before).Seconds()/float64(b.N)/benchRecords*1e6, "cpu-s/M")
	b.ReportMetric(float64(benchRecords)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

func benchRaw(b *testing.B, queues int, keyed bool) {
	broker := newRealBroker(b)
	topic := broker.topic(b, queues)
	list, err := realQueues{broker}.Queues(b.Context(), topic)
	require.NoError(b, err)
	msgs := make([]rocketmq.Message, 500)
	body := []byte(strings.Repeat("x", 200))
	for i := range msgs {
		msgs[i] = rocketmq.Message{Body: body, Properties: []rocketmq.Property{
			{Name: stampProperty, Value: strings.Repeat("s", 40)}, {Name: schemaProperty, Value: strings.Repeat("f", 22)}}}
		if keyed {
			msgs[i].Key = strconv.Itoa(i)
		}
	}
	for b.Loop() {
		var wg sync.WaitGroup
		for _, q := range list {
			wg.Go(func() {
				for range benchRecords / len(msgs) / queues {
					if _, err := broker.Client.Send(b.Context(), rocketmq.Queue(q), msgs); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
}

func benchCopy(b *testing.B, queues int, keyed bool) {
	broker := newRealBroker(b)
	topic := broker.topic(b, queues)
	c := config(b, "topic", topic, "counter.count", strconv.Itoa(benchRecords), "counter.mine", "0", "counter.bytes", "150",
		"checkpoint.interval.ms", "1000", "queue.unkeyed", "spread")
	if keyed {
		c["counter.keys"] = "1000"
	}
	conf, err := ParseSourceConfig(c)
	require.NoError(b, err)
	for b.Loop() {
		src, err := counter.Plugin.OpenSource(b.Context(), c, connector.Task{})
		require.NoError(b, err)
		catalog := newMemCatalog()
		ledger, start := catalog.claim()
		drain := make(chan struct{})
		key, value := jsonPair(b)
		s, err := NewSource(SourceJob{Config: conf, Source: src, Guarantee: connector.ExactlyOnce, Key: key, Value: value, Broker: broker,
			Ledger: ledger, Lease: always{}, Schemas: catalog, Queues: realQueues{broker}, Start: start})
		require.NoError(b, err)
		go func() {
			for s.Progress().Snapshot().Records < benchRecords {
				time.Sleep(time.Millisecond)
			}
			close(drain)
		}()
		require.NoError(b, s.Run(b.Context(), drain))
		b.ReportMetric(float64(catalog.commits), "commits")
		b.ReportMetric(float64(benchRecords)/float64(broker.sends.Load()), "records/send")
	}
}
