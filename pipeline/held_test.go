package pipeline

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// TestCoveredRecordsBehindAHeldOne: what a read-back found in one partition has not been given again and holds Low. Behind it
// lie records of another partition that are covered; the next owner finds them too, and must not miss them.
func TestCoveredRecordsBehindAHeldOne(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]bool{"it arrived from the first owner": true, "it was sent since": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { coveredBehindHeld(t, before) })
		})
	}
}

func coveredBehindHeld(t *testing.T, before bool) {
	other := connector.Partition(`{"file":"r"}`)
	batch := func(p connector.Partition, n int) func() (connector.Batch, error) {
		rec := connector.Record{Partition: p, Mark: connector.Mark{Offset: uint64(n)}, After: text("line " + string(rune('0'+n)))}
		return func() (connector.Batch, error) {
			return connector.Batch{Records: []connector.Record{rec}, Next: connector.Position{p: offset(n + 1)}}, nil
		}
	}
	b := oneQueue(t, &script{reads: []func() (connector.Batch, error){batch(other, 1)}, end: untilDone}, "exactly.once", "required")
	b.leave(1, 5, OpenQueue{Queue: theQueue, Low: 0, Seq: 1})
	b.log(1, 0, 1, 5)
	if before {
		st := stamp{Writer: 7, Epoch: 1, Number: 2, Partition: partitionHash(other), Mark: connector.Mark{Offset: 1}}
		b.broker.append(theQueue, []Message{{Body: []byte("line 1"), Properties: []Property{{Name: stampProperty, Value: string(st.appendTo(nil))}}}})
	}
	require.NoError(t, b.start(t)())
	pos, open := b.catalog.state()
	require.Equal(t, offset(2), pos[other])
	require.Equal(t, map[Queue]OpenQueue{theQueue: {Queue: theQueue, Low: 0, Seq: 1}}, open)

	b.job.Source = &script{reads: []func() (connector.Batch, error){batch(other, 2), batch(only, 5)}}
	require.NoError(t, b.start(t)())
	require.Equal(t, map[string]int{"line 1": 1, "line 2": 1, "line 5": 1}, b.counted(t))
	_, open = b.catalog.state()
	require.Empty(t, open)
}
