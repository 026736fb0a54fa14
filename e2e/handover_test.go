package e2e

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// handoverLimit bounds how long a topic may stand still while its source moves from one live worker to another. The design
// asks for a second; this has room for a machine that does ten other things, and the test tells what it measured.
const handoverLimit = 10 * time.Second

// TestAWorkerThatIsAskedToStopHandsOver sends SIGTERM to the owner of a copy while another worker stands by.
func TestAWorkerThatIsAskedToStopHandsOver(t *testing.T) {
	t.Parallel()
	p := newPipe(start(t))
	f := startFeed(t, p.path("input.csv"), 1000)
	p.startWorker()
	p.startSource(p.path("input.csv"), following())
	p.startPostgresSink(config{"tasks.max": "1"})
	p.awaitRecords(1000)
	p.startWorker().awaitStarted()
	owner := p.ownerOf(source)
	begin := time.Now()
	owner.term()
	owner.awaitExit()
	t.Logf("the owner took %v to end", time.Since(begin).Round(time.Millisecond))
	p.awaitRecords(p.topic.count() + 2000)
	v := p.requireExactlyOnce(f.end())
	require.Zero(t, v.rawDoubles, "a hand-over repeats nothing, not even in the raw queues")
	gap := p.longestGap(begin.Add(-time.Second))
	t.Logf("the topic stood still for %v", gap)
	require.Less(t, gap, handoverLimit)
}

// longestGap is the longest time for which the topic got nothing, from a moment on.
func (p *pipe) longestGap(from time.Time) (gap time.Duration) {
	p.t.Helper()
	var times []time.Time
	for _, queue := range p.topic.read() {
		for _, m := range queue {
			if m.at.After(from) {
				times = append(times, m.at)
			}
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	for i := 1; i < len(times); i++ {
		gap = max(gap, times[i].Sub(times[i-1]))
	}
	return gap
}

// ownerOf is the worker that has a connector's only task.
func (p *pipe) ownerOf(name string) (owner *process) {
	p.t.Helper()
	p.client.awaitStatus(name, "has an owner", func(s status) error {
		for _, w := range p.workers {
			if len(s.Tasks) == 1 && s.Tasks[0].State == "RUNNING" && s.Tasks[0].WorkerID == w.name {
				owner = w
				return nil
			}
		}
		return errors.New("it has none")
	})
	return owner
}
