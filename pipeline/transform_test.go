package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// byNumber does to a record what its number mod 5 says: 0 leaves it out, 1 fails, 2 sends it to another topic, 3 to one that
// cannot be, 4 changes its text.
type byNumber struct{}

var errByNumber = errors.New("as its number says")

func (byNumber) Apply(rec *connector.Record) (bool, error) {
	switch rec.Mark.Offset % 5 {
	case 0:
		return false, nil
	case 1:
		return true, errByNumber
	case 2:
		rec.Topic += "-two"
	case 3:
		rec.Topic = "a.b"
	default:
		rec.After = text(strings.ToUpper(rec.After.Value.Text()))
	}
	return true, nil
}

func (m *memCatalog) at(p connector.Partition) connector.Offset {
	pos, _ := m.state()
	return pos[p]
}

// bodies are the messages with values in the queues of a topic, fences left out.
func (b *memBroker) bodies(topic string) []string {
	var all []string
	for q, msgs := range b.snapshot() {
		for i := range msgs {
			if q.Topic == topic && len(msgs[i].Body) > 0 {
				all = append(all, string(msgs[i].Body))
			}
		}
	}
	return all
}

func TestSourceRecordsThatTransformsLeaveOutOrFailOnMoveThePosition(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker, catalog := newMemBroker(1), newMemCatalog()
		ledger, start := catalog.claim()
		progress := NewProgress()
		key, value := jsonPair(t)
		conf, err := ParseSourceConfig(config(t, "errors.tolerance", "all", "errors.deadletterqueue.topic.name", "dead", "topic.queues", "1"))
		require.NoError(t, err)
		s, err := NewSource(SourceJob{Config: conf, Source: &script{reads: []func() (connector.Batch, error){lines(0, 10)}}, Guarantee: connector.ExactlyOnce,
			Key: key, Value: value, Transform: byNumber{}, Broker: broker, Ledger: ledger, Lease: always{}, Schemas: catalog,
			Queues: someQueues(1), Start: start, Progress: progress})
		require.NoError(t, err)
		drain, done := make(chan struct{}), make(chan error, 1)
		go func() { done <- s.Run(t.Context(), drain) }()
		synctest.Wait()
		close(drain)
		require.NoError(t, <-done)

		require.Equal(t, offset(10), catalog.at(only))
		require.Equal(t, []string{`"LINE 4"`, `"LINE 9"`}, broker.bodies("t"))
		require.Equal(t, []string{`"line 2"`, `"line 7"`}, broker.bodies("t-two"))
		require.Empty(t, broker.bodies("a.b"))
		require.Equal(t, []string{"line 1", "line 3", "line 6", "line 8"}, broker.bodies("dead"))
		now := progress.Snapshot()
		require.EqualValues(t, 2, now.Filtered)
		require.EqualValues(t, 4, now.Bad)
		for q, msgs := range broker.snapshot() {
			if q.Topic == "dead" {
				props := string(msgs[0].Properties)
				require.Contains(t, props, "__connect.errors.stage\x01transform\x02")
				require.Contains(t, props, errByNumber.Error())
			}
		}
	})
}

func TestSourceStopsAtRecordThatTransformsFailOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker, catalog := newMemBroker(1), newMemCatalog()
		ledger, start := catalog.claim()
		key, value := jsonPair(t)
		conf, err := ParseSourceConfig(config(t))
		require.NoError(t, err)
		s, err := NewSource(SourceJob{Config: conf, Source: &script{reads: []func() (connector.Batch, error){lines(1, 2)}},
			Key: key, Value: value, Transform: byNumber{}, Broker: broker, Ledger: ledger, Lease: always{}, Schemas: catalog,
			Queues: someQueues(1), Start: start})
		require.NoError(t, err)
		err = s.Run(t.Context(), make(chan struct{}))
		require.ErrorIs(t, err, errByNumber)
		require.True(t, connector.IsPermanent(err))
		require.ErrorContains(t, err, "stage transform")
		require.Empty(t, catalog.at(only))
	})
}

// byOffset leaves out what the queue holds at even offsets and fails at offset 1.
type byOffset struct{}

func (byOffset) Apply(rec *connector.Record) (bool, error) {
	if rec.Mark.Offset == 1 {
		return true, errByNumber
	}
	return rec.Mark.Offset%2 == 1, nil
}

func TestSinkRecordsThatTransformsLeaveOutOrFailOnMoveThePosition(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker, catalog := newMemBroker(1), newMemCatalog()
		queue := Queue{Topic: "t", Broker: "b"}
		for range 7 {
			broker.append(queue, []Message{{Body: []byte(`{"a":1}`)}})
		}
		ledger, start := catalog.claim()
		progress, sink := NewProgress(), newMemSink(true)
		drain, done := make(chan struct{}), make(chan error, 1)
		go func() {
			done <- runSink(t, t.Context(), drain, SinkJob{Sink: sink, Reads: []Queue{queue}, Broker: broker, Ledger: ledger, Schemas: catalog,
				Start: start, Progress: progress, Queues: someQueues(1),
				Transforms: func() (Transformer, error) { return byOffset{}, nil }},
				"errors.tolerance", "all", "errors.deadletterqueue.topic.name", "dead")
		}()
		synctest.Wait()
		close(drain)
		require.NoError(t, <-done)

		require.Len(t, sink.durable, 2)
		require.EqualValues(t, 3, sink.durable[0].Mark.Offset)
		require.EqualValues(t, 5, sink.durable[1].Mark.Offset)
		require.Equal(t, connector.Offset(`{"rocketmq_offset":7}`), catalog.at(partitionOf(queue)))
		require.Equal(t, []string{`{"a":1}`}, broker.bodies("dead"), "the message as it was")
		now := progress.Snapshot()
		require.EqualValues(t, 4, now.Filtered)
		require.EqualValues(t, 1, now.Bad)
		require.EqualValues(t, 2, now.Records)
	})
}

func TestTopicNamesAreThoseThatBrokersTake(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{"orders": true, "A_b-9%|": true, strings.Repeat("a", 127): true,
		strings.Repeat("a", 128): false, "": false, "a.b": false, "a b": false, "ä": false} {
		require.Equal(t, ok, topicName(name), name)
	}
}

// router leaves out every third number and sends the others to one of two topics: by their number or, if dice is set, as it
// comes, as a transform would that reads a clock.
type router struct{ dice *rand.Rand }

func (r router) Apply(rec *connector.Record) (bool, error) {
	number := rec.After.Value.List()[1].Int()
	if r.dice != nil && r.dice.IntN(2) == 0 || r.dice == nil && number%2 == 0 {
		rec.Topic += "-two"
	}
	return number%3 != 0, nil
}

// TestTransformedRecordsArriveOnceWhoeverDies lets owners die and overlap while a transform routes records and leaves some
// out: each that is kept counts once, over both topics together, even if it would have gone to the other one the next time.
func TestTransformedRecordsArriveOnceWhoeverDies(t *testing.T) {
	t.Parallel()
	for _, repeatable := range []bool{true, false} {
		t.Run(fmt.Sprintf("repeatable=%v", repeatable), func(t *testing.T) {
			t.Parallel()
			doubles := 0
			for seed := range uint64(60) {
				synctest.Test(t, func(t *testing.T) {
					m := newModel(t, seed, 120, 3)
					m.tweak = func(j *SourceJob) {
						j.Transform = router{}
						if !repeatable {
							j.Transform = router{rand.New(rand.NewPCG(seed, uint64(j.Start.Epoch)))}
						}
					}
					m.misbehave(seed)
					m.overlap(seed)
					m.broker.mu.Lock()
					m.broker.deliverLate(1)
					m.broker.mu.Unlock()
					doubles += m.checkRouted(repeatable)
				})
			}
			require.Positive(t, doubles, "nothing was ever doubled in the queue: the test shows nothing")
		})
	}
}

// checkRouted returns how many records were doubled before the readers' rule.
func (m *model) checkRouted(repeatable bool) int {
	m.t.Helper()
	v := checkRaw(m.broker.snapshot(), func(body string) (string, int) {
		var doc struct{ Partition, Number int }
		require.NoError(m.t, json.Unmarshal([]byte(body), &doc))
		return fmt.Sprintf("%d/%d", doc.Partition, doc.Number%2), doc.Number
	})
	require.Empty(m.t, v.problems)
	for p := range m.partitions {
		for n := range m.count {
			want := 1
			if n%3 == 0 {
				want = 0
			}
			require.Equal(m.t, want, v.counted[fmt.Sprintf(`{"partition":%d,"number":%d}`, p, n)], "partition %d, number %d", p, n)
		}
	}
	for lane, numbers := range v.order {
		require.True(m.t, !repeatable || slices.IsSorted(numbers), "%s: %v", lane, numbers)
	}
	return v.rawDoubles
}
