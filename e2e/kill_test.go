package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNothingIsLostOrDoubledWhenWorkersAreKilled kills the worker five times in the middle of a copy.
func TestNothingIsLostOrDoubledWhenWorkersAreKilled(t *testing.T) {
	t.Parallel()
	const records, kills = 40_000, 5
	p := newPipe(start(t))
	w := p.startWorker()
	writeInput(t, p.path("input.csv"), 0, 0, records)
	p.startPostgresSink(nil)
	p.startFileSink(config{"roll.bytes": "300000"})
	p.startSource(p.path("input.csv"), nil)
	for n := range kills {
		p.awaitInTopic(int64(records * (n + 1) / (kills + 2)))
		w.kill()
		w = p.startWorker()
	}
	v := p.requireExactlyOnce(records)
	require.GreaterOrEqual(t, v.fences, kills, "each kill came while queues were open")
}
