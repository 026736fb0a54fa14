package workers_test

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/workers"
)

// A worker that is asked to stop hands its tasks over within a second, and nothing is lost or doubled.
func TestStoppedWorkerHandsOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.worker("first", nil)
	source := r.create("numbers", r.numbers("numbers", 2, nil))
	sink := r.create("drain", r.drainInto("numbers", 2))
	r.await("four tasks", func() bool { return r.allRun(source, 2)() && r.allRun(sink, 2)() })
	second := r.worker("second", nil)
	r.memory.resetGap()
	took := first.halt(t)
	r.await("all with the second", func() bool { return second.Health().Running == 4 })
	count := r.memory.count()
	r.await("records flow", func() bool { return r.memory.count() > count+300 })
	t.Logf("stopped in %v, longest pause at the sink %v", took, r.memory.longestGap())
	require.Less(t, r.memory.longestGap(), 1500*time.Millisecond) // below a second when the machine has nothing else to do
	r.desire("numbers", catalog.StateStopped)
	r.await("stopped", func() bool { return r.connectorState(source) == catalog.StatusStopped })
	r.memory.exactly(t)
}

// A worker that joins gets its share; the tasks that move pause for well under a second.
func TestJoiningWorkerGetsItsShare(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.worker("first", nil)
	source := r.create("numbers", r.numbers("numbers", 6, nil))
	sink := r.create("drain", r.drainInto("numbers", 4))
	r.await("ten tasks", func() bool { return r.allRun(source, 6)() && r.allRun(sink, 4)() })
	second := r.worker("second", nil)
	began := time.Now()
	r.await("balance", func() bool { return first.Health().Running == 5 && second.Health().Running == 5 })
	t.Logf("balanced after %v", time.Since(began))
	first.halt(t)
	r.await("all with the second", func() bool { return second.Health().Running == 10 })
	count := r.memory.count()
	r.await("records flow", func() bool { return r.memory.count() > count+600 })
	r.desire("numbers", catalog.StateStopped)
	r.await("stopped", func() bool { return r.connectorState(source) == catalog.StatusStopped })
	r.memory.exactly(t)
}

// Invariant 2: an outage of Temporal alone stops no copying. A task that another worker is given meanwhile is handed over.
func TestTemporalOutageStopsNoCopying(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	wire := newWire(t, r.info.TemporalAddress)
	cut := r.worker("cut", func(_ *workers.Config, d *workers.Deps) { d.Temporal = r.dial(wire.address) })
	source := r.create("numbers", r.numbers("numbers", 1, nil))
	sink := r.create("drain", r.drainInto("numbers", 1))
	r.await("both tasks", func() bool { return r.allRun(source, 1)() && r.allRun(sink, 1)() })
	epoch := r.tasks(source)[0].Epoch
	r.memory.resetGap()
	wire.cut()
	time.Sleep(6 * time.Second) // twice the heartbeat timeout: what is to be seen is that nothing happens
	require.Less(t, r.memory.longestGap(), 2*time.Second, "copying goes on")
	require.Equal(t, epoch, r.tasks(source)[0].Epoch)
	require.Equal(t, 2, cut.Health().Running)

	other := r.worker("other", nil)
	r.await("handed over", func() bool { return other.Health().Running == 2 && cut.Health().Running == 0 })
	count := r.memory.count()
	r.await("records flow", func() bool { return r.memory.count() > count+100 })
	t.Logf("longest pause %v", r.memory.longestGap())
	require.Less(t, r.memory.longestGap(), 5*time.Second)

	wire.mend()
	other.halt(t)
	r.await("back again", func() bool { return cut.Health().Running == 2 })
	count = r.memory.count()
	r.await("records flow", func() bool { return r.memory.count() > count+100 })
	r.desire("numbers", catalog.StateStopped)
	r.await("stopped", func() bool { return r.connectorState(source) == catalog.StatusStopped })
	r.memory.exactly(t)
}

// When Temporal comes back and there is no other worker, the tasks come back to where they have never stopped.
func TestTemporalOutageOfTheOnlyWorker(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	wire := newWire(t, r.info.TemporalAddress)
	cut := r.worker("cut", func(_ *workers.Config, d *workers.Deps) { d.Temporal = r.dial(wire.address) })
	source := r.create("numbers", r.numbers("numbers", 1, nil))
	r.create("drain", r.drainInto("numbers", 1))
	r.await("it runs", r.allRun(source, 1))
	r.await("records", func() bool { return r.memory.count() > 10 })
	epoch := r.tasks(source)[0].Epoch
	r.memory.resetGap()
	wire.cut()
	time.Sleep(5 * time.Second) // longer than the heartbeat timeout, so that the attempt is lost
	wire.mend()
	r.await("the next attempt", func() bool { s := r.tasks(source)[0]; return s.Epoch > epoch && s.State == catalog.StatusRunning })
	r.await("no attempt too many", func() bool { return cut.Health().Running == 2 })
	count := r.memory.count()
	r.await("records flow", func() bool { return r.memory.count() > count+100 })
	t.Logf("longest pause %v", r.memory.longestGap())
	require.Less(t, r.memory.longestGap(), 2*time.Second)
	r.memory.exactly(t)
}

// wire is a TCP proxy that can be cut.
type wire struct {
	address string
	target  string

	mu    sync.Mutex
	isCut bool
	conns map[net.Conn]bool
}

func newWire(t *testing.T, target string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wire{address: l.Addr().String(), target: target, conns: map[net.Conn]bool{}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { w.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		w.cut()
		all.Wait()
	})
	return w
}

func (w *wire) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", w.target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	w.mu.Lock()
	if w.isCut {
		w.mu.Unlock()
		return
	}
	w.conns[client], w.conns[server] = true, true
	w.mu.Unlock()
	var both sync.WaitGroup
	pipe := func(to, from net.Conn) {
		_, _ = io.Copy(to, from) // ends when either side closes
		_ = to.Close()
		_ = from.Close()
	}
	both.Go(func() { pipe(server, client) })
	both.Go(func() { pipe(client, server) })
	both.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, client)
	delete(w.conns, server)
}

// cut closes every connection and refuses new ones.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = true
	for c := range w.conns {
		_ = c.Close()
	}
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = false
}
