package e2e

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAFrozenOwnerHarmsNothingWhenItThaws stops a worker in the middle of a copy until another one has its tasks, and then
// lets it go on with whatever it had in hand.
func TestAFrozenOwnerHarmsNothingWhenItThaws(t *testing.T) {
	t.Parallel()
	const records = 30_000
	p := newPipe(start(t))
	first := p.startWorker()
	writeInput(t, p.path("input.csv"), 0, 0, records)
	p.startPostgresSink(nil)
	p.startFileSink(nil)
	p.startSource(p.path("input.csv"), nil)
	p.awaitInTopic(records / 10)
	first.freeze()
	p.startWorker()
	p.awaitOwner("w2")
	first.thaw()
	v := p.requireExactlyOnce(records)
	require.Positive(t, v.fences, "the freeze came while queues were open")
}

// awaitOwner waits until a worker has all tasks.
func (p *pipe) awaitOwner(worker string) {
	p.t.Helper()
	names := []string{source}
	if p.db != nil {
		names = append(names, postgresSink)
	}
	if p.out != "" {
		names = append(names, fileSink)
	}
	for _, name := range names {
		p.client.awaitStatus(name, "is with "+worker, func(s status) error {
			for _, task := range s.Tasks {
				if task.WorkerID != worker || task.State != "RUNNING" {
					return errors.New("not all tasks are")
				}
			}
			return nil
		})
	}
}
