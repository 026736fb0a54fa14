package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// SourceHarness is a source connector with something to read.
type SourceHarness struct {
	Plugin connector.Plugin
	// Config gives the keys of a connector whose system holds exactly Records records, at least 8, none of them bad, and
	// does not change. It is called once.
	Config  func(t *testing.T) map[string]string
	Records int
	// Endless says that the source waits for more after the last record; otherwise it must return io.EOF.
	Endless bool
	// Compare looks at all records of all tasks, by partition in the order of reading; nil if the count is enough.
	Compare func(t *testing.T, records map[connector.Partition][]connector.Record)
}

// patience is how long to wait for what must happen; the contract's times are asserted apart from it.
const patience = 30 * time.Second

// Source runs the list for a source.
func Source(t *testing.T, h SourceHarness) {
	config := h.Config(t)
	tasks, err := h.Plugin.TaskConfigs(t.Context(), config, 3)
	require.NoError(t, err, "planning")
	require.NotEmpty(t, tasks)
	s := &sourceSuite{SourceHarness: h, config: config, tasks: tasks, counts: make([]int, len(tasks))}
	s.whole = s.learn(t)
	for s.counts[s.busy] == 0 && s.busy < len(tasks)-1 {
		s.busy++
	}
	total := 0
	for _, records := range s.whole {
		total += len(records)
	}
	require.Equal(t, h.Records, total, "records read without a stop")
	if h.Compare != nil {
		h.Compare(t, s.whole)
	}
	t.Run("values fit their schemas", s.values)
	t.Run("marks rise", s.marks)
	t.Run("plans are repeatable", s.plans)
	for _, limit := range []int{1, 3, 7, 1000} {
		t.Run(fmt.Sprintf("same records with limit %d", limit), func(t *testing.T) { s.same(t, s.readAll(t, limit)) })
		t.Run(fmt.Sprintf("resume after a stop at every batch of %d", limit), func(t *testing.T) { s.resume(t, limit) })
	}
	t.Run("batches stay as they were", s.owned)
	t.Run("nothing grows while nobody reads", s.backPressure)
	t.Run("cancellation ends a read within a second", s.cancel)
	t.Run("a read after the end of its context", s.cancelled)
	t.Run("no goroutine left behind", s.goroutines)
	badConfigs(t, h.Plugin, config, func(ctx context.Context, c map[string]string) error {
		src, err := h.Plugin.OpenSource(ctx, c, task(0, 1, nil))
		if err == nil {
			src.Close()
		}
		return err
	})
}

type sourceSuite struct {
	SourceHarness
	config map[string]string
	tasks  []map[string]string
	whole  map[connector.Partition][]connector.Record
	counts []int // of records by task
	busy   int   // number of a task that has records
}

func task(number int, epoch int64, pos connector.Position) connector.Task {
	return connector.Task{Connector: "conformance", UID: 1, Number: number, Epoch: epoch, Position: maps.Clone(pos)}
}

func (s *sourceSuite) open(t *testing.T, number int, epoch int64, pos connector.Position) connector.Source {
	t.Helper()
	src, err := s.Plugin.OpenSource(t.Context(), s.tasks[number], task(number, epoch, pos))
	require.NoError(t, err, "opening task %d at %v", number, pos)
	return src
}

const surplus = 50 * time.Millisecond // how long to look for records beyond the last of an endless source

// next reads one batch of a task of which have records were read; ok is false when there is no more.
func (s *sourceSuite) next(t *testing.T, src connector.Source, number, have, limit int) (b connector.Batch, ok bool) {
	t.Helper()
	wait := patience
	if s.Endless && have >= s.counts[number] {
		wait = surplus
	}
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	b, err := src.Read(ctx, limit)
	if errors.Is(err, io.EOF) {
		require.False(t, s.Endless, "io.EOF from a source that waits for more")
		return b, false
	}
	if s.Endless && errors.Is(err, context.DeadlineExceeded) {
		return b, false
	}
	require.NoError(t, err, "reading")
	require.LessOrEqual(t, len(b.Records), limit, "records in one batch")
	require.False(t, len(b.Records) == 0 && len(b.Next) == 0, "a batch without records and without a moved position")
	for i := range b.Records {
		require.Contains(t, b.Next, b.Records[i].Partition, "the position behind a batch must name every partition in it")
	}
	return b, true
}

// learn reads everything for the first time. An endless source's tasks take turns, as nobody knows yet how many of the
// records are whose.
func (s *sourceSuite) learn(t *testing.T) map[connector.Partition][]connector.Record {
	t.Helper()
	if !s.Endless {
		return s.readAll(t, 1000)
	}
	all := map[connector.Partition][]connector.Record{}
	sources := make([]connector.Source, len(s.tasks))
	for number := range s.tasks {
		sources[number] = s.open(t, number, 1, nil)
		defer sources[number].Close()
	}
	counts := make([]int, len(s.tasks))
	total := 0
	for deadline := time.Now().Add(patience); total < s.Records && time.Now().Before(deadline); {
		for number, src := range sources {
			for b, ok := s.next(t, src, number, 0, 1000); ok; b, ok = s.next(t, src, number, 0, 1000) {
				collect(all, b)
				counts[number] += len(b.Records)
				total += len(b.Records)
			}
		}
	}
	s.counts = counts
	return all
}

func (s *sourceSuite) readAll(t *testing.T, limit int) map[connector.Partition][]connector.Record {
	t.Helper()
	all := map[connector.Partition][]connector.Record{}
	for number := range s.tasks {
		src := s.open(t, number, 1, nil)
		have := 0
		for b, ok := s.next(t, src, number, have, limit); ok; b, ok = s.next(t, src, number, have, limit) {
			collect(all, b)
			have += len(b.Records)
		}
		s.counts[number] = have
		require.NoError(t, src.Close())
	}
	return all
}

func collect(all map[connector.Partition][]connector.Record, b connector.Batch) {
	for _, r := range b.Records {
		all[r.Partition] = append(all[r.Partition], r)
	}
}

// same compares with the whole. Sources that promise exactly once must give equal records with equal marks; others
// must leave none out.
func (s *sourceSuite) same(t *testing.T, got map[connector.Partition][]connector.Record) {
	t.Helper()
	exact := s.Plugin.Guarantee(s.config) == connector.ExactlyOnce
	for partition, want := range s.whole {
		have := got[partition]
		if !exact {
			require.GreaterOrEqual(t, len(have), len(want), "records of %s", partition)
			continue
		}
		require.Len(t, have, len(want), "records of %s", partition)
		for i := range want {
			require.Empty(t, difference(want[i], have[i]), "record %d of %s", i, partition)
		}
	}
	if exact {
		require.Len(t, got, len(s.whole), "partitions")
	}
}

// difference says in what two records differ; "" if in nothing that counts.
func difference(a, b connector.Record) string {
	switch {
	case a.Mark != b.Mark:
		return fmt.Sprintf("marks %+v and %+v", a.Mark, b.Mark)
	case a.Op != b.Op || a.Topic != b.Topic || a.TxID != b.TxID || a.TxIndex != b.TxIndex || !a.Time.Equal(b.Time):
		return fmt.Sprintf("operation, topic, transaction or time of %+v and %+v", a.Mark, b.Mark)
	case len(a.Headers) != len(b.Headers):
		return fmt.Sprintf("%d and %d headers", len(a.Headers), len(b.Headers))
	}
	for i := range a.Headers {
		if a.Headers[i].Name != b.Headers[i].Name || !equalData(a.Headers[i].Value, b.Headers[i].Value) {
			return fmt.Sprintf("header %q", a.Headers[i].Name)
		}
	}
	for name, pair := range map[string][2]connector.Datum{"key": {a.Key, b.Key}, "before": {a.Before, b.Before}, "after": {a.After, b.After}} {
		if !equalData(pair[0], pair[1]) {
			return fmt.Sprintf("%s: %v and %v", name, pair[0].Value, pair[1].Value)
		}
	}
	return ""
}

func equalData(a, b connector.Datum) bool {
	if a.Present() != b.Present() {
		return false
	}
	return !a.Present() || (a.Schema.Fingerprint() == b.Schema.Fingerprint() && a.Value.Equal(b.Value))
}

func (s *sourceSuite) values(t *testing.T) {
	for partition, records := range s.whole {
		for i, r := range records {
			for name, d := range map[string]connector.Datum{"key": r.Key, "before": r.Before, "after": r.After} {
				if d.Present() {
					require.NoError(t, d.Schema.Validate(), "%s of record %d of %s", name, i, partition)
					require.NoError(t, d.Value.Check(d.Schema), "%s of record %d of %s", name, i, partition)
				}
			}
			for _, h := range r.Headers {
				require.NoError(t, h.Value.Value.Check(h.Value.Schema), "header %q of record %d", h.Name, i)
			}
		}
	}
}

func (s *sourceSuite) marks(t *testing.T) {
	for partition, records := range s.whole {
		for i := 1; i < len(records); i++ {
			a, b := records[i-1].Mark, records[i].Mark
			require.True(t, a.Offset < b.Offset || (a.Offset == b.Offset && a.Index < b.Index),
				"marks of records %d and %d of %s: %+v, %+v", i-1, i, partition, a, b)
		}
	}
}

func (s *sourceSuite) plans(t *testing.T) {
	for _, limit := range []int{1, 2, 3} {
		first, err := s.Plugin.TaskConfigs(t.Context(), s.config, limit)
		require.NoError(t, err)
		again, err := s.Plugin.TaskConfigs(t.Context(), s.config, limit)
		require.NoError(t, err)
		require.LessOrEqual(t, len(first), limit)
		require.Equal(t, first, again, "two plans of the same input")
	}
}

// resume stops after each batch, and also gives up half of what was read as if it had not been committed.
func (s *sourceSuite) resume(t *testing.T, limit int) {
	all := map[connector.Partition][]connector.Record{}
	committed := connector.Position{}
	for number := range s.tasks {
		have := 0
		for epoch := int64(1); ; epoch++ {
			require.Less(t, epoch, int64(4*s.Records+100), "starts, of which some returned a position that had not moved")
			src := s.open(t, number, epoch, committed)
			b, ok := s.next(t, src, number, have, limit)
			have += len(b.Records)
			if ok && epoch%2 == 0 {
				_, _ = s.next(t, src, number, have, limit) // read, never committed
			}
			require.NoError(t, src.Close())
			if !ok {
				break
			}
			collect(all, b)
			maps.Copy(committed, b.Next)
		}
	}
	s.same(t, all)
}

// owned checks that reading on and closing do not change the records of earlier batches.
func (s *sourceSuite) owned(t *testing.T) {
	type note struct {
		record connector.Record
		text   string
	}
	for number := range s.tasks {
		var notes []note
		src := s.open(t, number, 1, nil)
		for b, ok := s.next(t, src, number, len(notes), 5); ok; b, ok = s.next(t, src, number, len(notes), 5) {
			for _, r := range b.Records {
				notes = append(notes, note{r, fmt.Sprint(r.Key.Value, r.Before.Value, r.After.Value)})
			}
		}
		require.NoError(t, src.Close())
		for i, n := range notes {
			require.Equal(t, n.text, fmt.Sprint(n.record.Key.Value, n.record.Before.Value, n.record.After.Value), "record %d after reading on", i)
		}
	}
}

const maxGrowth = 64 << 20 // bytes that a source may hold while nobody reads, with room for what other tests do

func (s *sourceSuite) backPressure(t *testing.T) {
	labelled(t, func(ctx context.Context, label string) {
		before := heap()
		src := s.open(t, s.busy, 1, nil)
		_, ok := s.next(t, src, s.busy, 0, 1)
		require.True(t, ok)
		first := countLabelled(label)
		for range 5 { // time in which a source that reads ahead without bound would show
			wait(ctx, 50*time.Millisecond)
		}
		require.LessOrEqual(t, countLabelled(label), first+2, "goroutines while nobody reads")
		require.Eventually(t, func() bool { return heap() < before+maxGrowth }, patience, 100*time.Millisecond, "memory while nobody reads")
		require.NoError(t, src.Close())
	})
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// cancel ends the context while a read waits, or between reads where the source never waits.
func (s *sourceSuite) cancel(t *testing.T) {
	src := s.open(t, s.busy, 1, nil)
	defer func() { require.NoError(t, src.Close()) }()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if s.Endless {
		have := 0
		for b, ok := s.next(t, src, s.busy, have, 1000); ok; b, ok = s.next(t, src, s.busy, have, 1000) {
			have += len(b.Records)
		}
	}
	ended := make(chan time.Time, 1)
	stop := context.AfterFunc(ctx, func() { ended <- time.Now() })
	defer stop()
	timer := time.AfterFunc(50*time.Millisecond, cancel)
	defer timer.Stop()
	for {
		_, err := src.Read(ctx, 1)
		if errors.Is(err, io.EOF) && !s.Endless {
			return // all was read before the context ended
		}
		if err != nil {
			require.ErrorIs(t, err, context.Canceled)
			break
		}
	}
	require.Less(t, time.Since(<-ended), time.Second, "from the context's end to the return of Read")
}

func (s *sourceSuite) cancelled(t *testing.T) {
	src := s.open(t, s.busy, 1, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := src.Read(ctx, 10)
	require.ErrorIs(t, err, context.Canceled)
	b, ok := s.next(t, src, s.busy, 0, 1000)
	require.True(t, ok, "a read with a fresh context after one that had ended")
	require.NotEmpty(t, b.Next)
	require.NoError(t, src.Close())
}

func (s *sourceSuite) goroutines(t *testing.T) {
	labelled(t, func(_ context.Context, label string) {
		for number := range s.tasks {
			src := s.open(t, number, 1, nil)
			_, _ = s.next(t, src, number, 0, 3)
			require.NoError(t, src.Close())
		}
		require.Equal(t, 1, countLabelled(label), "goroutines after Close, this one among them")
	})
}
