package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// SinkHarness is a sink connector with a target that can be read.
type SinkHarness struct {
	Plugin connector.Plugin
	// Config gives the keys of a connector with a fresh, empty target.
	Config func(t *testing.T) map[string]string
	// Contents gives the ids of the records in the target, in its order if it has one, else in rising order.
	Contents func(t *testing.T, config map[string]string) []int64
	// Record makes the record with that id; nil takes an insert of a struct with id (int64, also the key) and name (string).
	Record func(id int64) connector.Record
	// Bad makes a record that the sink refuses; nil if it takes every record.
	Bad func() connector.Record
}

// Sink runs the list for a sink.
func Sink(t *testing.T, h SinkHarness) {
	if h.Record == nil {
		h.Record = defaultRecord
	}
	s := &sinkSuite{SinkHarness: h}
	s.exact = h.Plugin.Guarantee(h.Config(t)) == connector.ExactlyOnce
	for _, size := range []int{1, 3, 7, 1000} {
		t.Run(fmt.Sprintf("all records in batches of %d", size), func(t *testing.T) { s.whole(t, size) })
	}
	for _, leave := range []string{"closed", "abandoned", "abandoned and writing on"} {
		t.Run("reopen at every point, the last owner "+leave, func(t *testing.T) { s.reopen(t, leave) })
	}
	if s.exact {
		t.Run("an old epoch is fenced", s.fenced)
		t.Run("an edited position counts once", s.edited)
	}
	t.Run("a position without records", s.positionOnly)
	t.Run("a flush without news", s.emptyFlush)
	t.Run("cancellation", s.cancelled)
	if h.Bad != nil {
		t.Run("a bad record leaves out its batch and names its index", s.badRecord)
	}
	t.Run("no goroutine left behind", s.goroutines)
	badConfigs(t, h.Plugin, h.Config(t), func(ctx context.Context, c map[string]string) error {
		sink, err := h.Plugin.OpenSink(ctx, c, task(0, 1, nil))
		if err == nil {
			sink.Close()
		}
		return err
	})
}

type sinkSuite struct {
	SinkHarness
	exact bool
}

const sinkRecords = 24

var (
	queue = mustPartition(map[string]any{"rocketmq_broker": "broker-a", "rocketmq_queue": 0, "rocketmq_topic": "conformance"})

	rowKey    = connector.Of(connector.Int64)
	rowSchema = connector.StructOf("conformance", connector.Field{Name: "id", Schema: rowKey}, connector.Field{Name: "name", Schema: connector.OptionalOf(connector.String)})
)

func mustPartition(doc map[string]any) connector.Partition {
	p, err := connector.MakePartition(doc)
	if err != nil {
		panic(err) // cannot happen: a constant
	}
	return p
}

func defaultRecord(id int64) connector.Record {
	name := connector.TextValue(fmt.Sprintf("name %d, \"quoted\"\nand broken", id))
	if id%5 == 0 {
		name = connector.Null
	}
	return connector.Record{
		Key:   connector.Datum{Schema: rowKey, Value: connector.IntValue(id)},
		After: connector.Datum{Schema: rowSchema, Value: connector.ListValue([]connector.Value{connector.IntValue(id), name})},
	}
}

// position is the one behind the first n records.
func position(n int64) connector.Position {
	offset, err := connector.MakeOffset(map[string]any{"rocketmq_offset": n})
	if err != nil {
		panic(err) // cannot happen: a number
	}
	return connector.Position{queue: offset}
}

// reached is how many records a position covers.
func reached(t *testing.T, pos connector.Position) int64 {
	t.Helper()
	var doc struct {
		Offset int64 `json:"rocketmq_offset"`
	}
	if offset, ok := pos[queue]; ok {
		require.NoError(t, json.Unmarshal([]byte(offset), &doc))
	}
	return doc.Offset
}

// batch is the records from from up to, not with, to.
func (s *sinkSuite) batch(from, to int64) connector.Batch {
	b := connector.Batch{Next: position(to)}
	for id := from; id < to; id++ {
		r := s.Record(id)
		r.Topic, r.Partition, r.Mark.Offset = "conformance", queue, uint64(id)
		b.Records = append(b.Records, r)
	}
	return b
}

// open starts an owner with the position that the catalog would have: the last that was committed.
func (s *sinkSuite) open(t *testing.T, config map[string]string, epoch, committed int64) connector.Sink {
	t.Helper()
	pos := connector.Position{}
	if committed > 0 {
		pos = position(committed)
	}
	sink, err := s.Plugin.OpenSink(t.Context(), config, task(0, epoch, pos))
	require.NoError(t, err, "opening with epoch %d", epoch)
	return sink
}

// holds checks that the target holds the first n records: exactly these, or at least, as promised.
func (s *sinkSuite) holds(t *testing.T, config map[string]string, n int64) {
	t.Helper()
	got := s.Contents(t, config)
	if s.exact {
		want := make([]int64, n)
		for i := range want {
			want[i] = int64(i)
		}
		require.Equal(t, want, append([]int64{}, got...))
		return
	}
	seen := map[int64]bool{}
	for _, id := range got {
		seen[id] = true
	}
	for id := range n {
		require.True(t, seen[id], "record %d is missing", id)
	}
}

func (s *sinkSuite) whole(t *testing.T, size int) {
	config := s.Config(t)
	sink := s.open(t, config, 1, 0)
	require.Zero(t, reached(t, sink.Position()))
	for from := int64(0); from < sinkRecords; from += int64(size) {
		require.NoError(t, sink.Write(t.Context(), s.batch(from, min(from+int64(size), sinkRecords))))
	}
	require.NoError(t, sink.Flush(t.Context()))
	s.holds(t, config, sinkRecords)
	require.NoError(t, sink.Close())
	s.holds(t, config, sinkRecords)
}

// reopen takes over after every number of records, flushed and not, from an owner that was closed, or left open, or that
// goes on writing when the next one has begun.
func (s *sinkSuite) reopen(t *testing.T, leave string) {
	config := s.Config(t)
	var last int64                                          // records covered by the last position seen
	for epoch := int64(2); last < sinkRecords; epoch += 2 { // even; writeOn takes the odd ones
		sink := s.open(t, config, epoch, last)
		at := reached(t, sink.Position())
		require.GreaterOrEqual(t, at, last, "a position that fell")
		s.holds(t, config, at)
		flushed, loose := min(at+epoch%3, sinkRecords), min(at+epoch%3+epoch%5, sinkRecords)
		if flushed == at {
			flushed = min(at+1, sinkRecords)
			loose = max(loose, flushed)
		}
		require.NoError(t, sink.Write(t.Context(), s.batch(at, flushed)))
		require.NoError(t, sink.Flush(t.Context()))
		last = flushed
		if loose > flushed {
			require.NoError(t, sink.Write(t.Context(), s.batch(flushed, loose)))
		}
		switch leave {
		case "closed":
			require.NoError(t, sink.Close())
		case "abandoned":
			defer sink.Close()
		default:
			defer sink.Close()
			s.writeOn(t, config, sink, epoch, last)
		}
	}
	final := s.open(t, config, 1000, last)
	require.Equal(t, int64(sinkRecords), reached(t, final.Position()))
	s.holds(t, config, sinkRecords)
	require.NoError(t, final.Close())
}

// writeOn lets the old owner write and flush when a new one has opened and written.
func (s *sinkSuite) writeOn(t *testing.T, config map[string]string, old connector.Sink, epoch, last int64) {
	t.Helper()
	next := s.open(t, config, epoch+1, last)
	at := reached(t, next.Position())
	require.GreaterOrEqual(t, at, last)
	err := errors.Join(old.Write(t.Context(), s.batch(at, sinkRecords)), old.Flush(t.Context()))
	if s.exact {
		require.ErrorIs(t, err, connector.ErrFenced, "an old owner that writes on")
	}
	require.NoError(t, next.Flush(t.Context()))
	s.holds(t, config, at)
	require.NoError(t, next.Close())
}

func (s *sinkSuite) fenced(t *testing.T) {
	config := s.Config(t)
	sink := s.open(t, config, 7, 0)
	require.NoError(t, sink.Write(t.Context(), s.batch(0, 3)))
	require.NoError(t, sink.Flush(t.Context()))
	late, err := s.Plugin.OpenSink(t.Context(), config, task(0, 6, nil))
	if err == nil {
		defer late.Close()
		err = errors.Join(late.Write(t.Context(), s.batch(0, 3)), late.Flush(t.Context()))
	}
	require.ErrorIs(t, err, connector.ErrFenced)
	require.NoError(t, sink.Write(t.Context(), s.batch(3, 5)))
	require.NoError(t, sink.Flush(t.Context()), "the newer owner after the older one tried")
	s.holds(t, config, 5)
	require.NoError(t, sink.Close())
}

// edited raises the generation: the operator's position counts, and stays when the generation does.
func (s *sinkSuite) edited(t *testing.T) {
	config := s.Config(t)
	sink := s.open(t, config, 1, 0)
	require.NoError(t, sink.Write(t.Context(), s.batch(0, 3)))
	require.NoError(t, sink.Flush(t.Context()))
	require.NoError(t, sink.Close())
	tk := task(0, 2, position(10))
	tk.Generation = 1
	sink, err := s.Plugin.OpenSink(t.Context(), config, tk)
	require.NoError(t, err)
	require.Equal(t, int64(10), reached(t, sink.Position()), "the edited position")
	require.NoError(t, sink.Write(t.Context(), connector.Batch{Next: position(12)}))
	require.NoError(t, sink.Flush(t.Context()))
	require.NoError(t, sink.Close())
	tk.Epoch = 3
	sink, err = s.Plugin.OpenSink(t.Context(), config, tk)
	require.NoError(t, err)
	require.Equal(t, int64(12), reached(t, sink.Position()), "the target's position, the same generation")
	require.NoError(t, sink.Close())
}

func (s *sinkSuite) positionOnly(t *testing.T) {
	config := s.Config(t)
	sink := s.open(t, config, 1, 0)
	require.NoError(t, sink.Write(t.Context(), s.batch(0, 2)))
	require.NoError(t, sink.Write(t.Context(), connector.Batch{Next: position(9)}))
	require.NoError(t, sink.Flush(t.Context()))
	require.NoError(t, sink.Close())
	s.holds(t, config, 2)
	sink = s.open(t, config, 2, 9)
	require.Equal(t, int64(9), reached(t, sink.Position()))
	require.NoError(t, sink.Close())
}

func (s *sinkSuite) emptyFlush(t *testing.T) {
	config := s.Config(t)
	sink := s.open(t, config, 1, 0)
	require.NoError(t, sink.Flush(t.Context()))
	require.NoError(t, sink.Write(t.Context(), s.batch(0, 2)))
	require.NoError(t, sink.Flush(t.Context()))
	require.NoError(t, sink.Flush(t.Context()))
	require.NoError(t, sink.Close())
	s.holds(t, config, 2)
}

// cancelled ends the context before each call. Whatever of the call was done, the next owner has it right.
func (s *sinkSuite) cancelled(t *testing.T) {
	config := s.Config(t)
	sink := s.open(t, config, 1, 0)
	require.NoError(t, sink.Write(t.Context(), s.batch(0, 2)))
	require.NoError(t, sink.Flush(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() error{
		"Write": func() error { return sink.Write(ctx, s.batch(2, 4)) },
		"Flush": func() error { return sink.Flush(ctx) },
	} {
		start := time.Now()
		require.ErrorIs(t, call(), context.Canceled, name)
		require.Less(t, time.Since(start), time.Second, name)
	}
	require.NoError(t, sink.Close())
	sink = s.open(t, config, 2, 2)
	at := reached(t, sink.Position())
	s.holds(t, config, at)
	require.NoError(t, sink.Write(t.Context(), s.batch(at, 6)))
	require.NoError(t, sink.Flush(t.Context()))
	s.holds(t, config, 6)
	require.NoError(t, sink.Close())
}

func (s *sinkSuite) badRecord(t *testing.T) {
	config := s.Config(t)
	sink := s.open(t, config, 1, 0)
	b := s.batch(0, 4)
	bad := s.Bad()
	bad.Topic, bad.Partition, bad.Mark.Offset = "conformance", queue, 2
	b.Records[2] = bad
	err := sink.Write(t.Context(), b)
	var at *connector.RecordError
	if err == nil { // a sink that holds records back may find out later
		err = sink.Flush(t.Context())
	}
	require.ErrorAs(t, err, &at)
	require.Equal(t, 2, at.Index)
	require.NoError(t, sink.Write(t.Context(), s.batch(0, 4)), "the batch again, mended")
	require.NoError(t, sink.Flush(t.Context()))
	s.holds(t, config, 4)
	require.NoError(t, sink.Close())
}

func (s *sinkSuite) goroutines(t *testing.T) {
	labelled(t, func(_ context.Context, label string) {
		sink := s.open(t, s.Config(t), 1, 0)
		require.NoError(t, sink.Write(t.Context(), s.batch(0, 3)))
		require.NoError(t, sink.Close())
		require.Equal(t, 1, countLabelled(label), "goroutines after Close, this one among them")
	})
}
