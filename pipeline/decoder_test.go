package pipeline

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

func TestADecodersRecordsSayWhichQueueTheyAreFrom(t *testing.T) {
	t.Parallel()
	key, value := jsonPair(t)
	d := NewDecoder(key, value, newMemCatalog())
	for _, q := range []Queue{{"t", "b", 1}, {"t", "b", 2}, {"t", "b", 1}} {
		rec, isRecord, err := d.Record(t.Context(), &Received{Queue: q, Offset: 5, Body: []byte(`{"a":1}`)})
		require.NoError(t, err)
		require.True(t, isRecord)
		require.Equal(t, partitionOf(q), rec.Partition)
		require.Equal(t, connector.Mark{Offset: 5}, rec.Mark)
	}
}
