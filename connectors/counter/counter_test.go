package counter

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/connector/conformance"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Source(t, conformance.SourceHarness{
		Plugin:  Plugin,
		Records: 40,
		Config: func(*testing.T) map[string]string {
			return map[string]string{"counter.count": "10", "counter.partitions": "4", "counter.keys": "3", "counter.bytes": "5"}
		},
		Compare: func(t *testing.T, records map[connector.Partition][]connector.Record) {
			require.Len(t, records, 4)
			for _, list := range records {
				for i, rec := range list {
					require.Equal(t, int64(i), rec.After.Value.List()[1].Int())
				}
			}
		},
	})
}

func TestABadPositionIsRefused(t *testing.T) {
	t.Parallel()
	for _, o := range []connector.Offset{`{}`, `{"next":-1}`, `nonsense`} {
		_, err := Plugin.OpenSource(t.Context(), map[string]string{"counter.mine": "0"},
			connector.Task{Position: connector.Position{`{"counter":0}`: o}})
		require.True(t, connector.IsPermanent(err), "%s: %v", o, err)
	}
}
