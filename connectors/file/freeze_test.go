package file

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// frozen is an owner that stops at its nth step until it is let go.
type frozen struct {
	at      int
	steps   int
	stopped chan struct{} // closed when it has come there
	thaw    chan struct{}
	ended   chan error
}

func (f *frozen) reached(string) {
	if f.steps++; f.steps == f.at {
		close(f.stopped)
		<-f.thaw
	}
}

// life opens a sink, writes, rolls, begins a file of another topic, and leaves in order.
func (f *frozen) life(t *testing.T, config map[string]string, epoch int64) error {
	ctx := t.Context()
	sink, err := Sink.OpenSink(ctx, config, connector.Task{UID: 1, Epoch: epoch, Reached: f.reached})
	if err != nil {
		return err
	}
	defer sink.Close()
	at := childReached(sink.Position())
	for range 3 {
		if err := sink.Write(ctx, topics(at, 8)); err != nil {
			return err
		}
		at += 8
		if err := sink.Flush(ctx); err != nil {
			return err
		}
	}
	return sink.Write(ctx, topics(at, 3)) // never flushed
}

// topics is childBatch over two topics, of which the second one begins late.
func topics(from, n int64) connector.Batch {
	b := childBatch(from, n)
	for i := range b.Records {
		if id := from + int64(i); id >= 10 && id%2 == 1 {
			b.Records[i].Topic = "u"
		}
	}
	return b
}

// requireUpTo checks that the files hold exactly the records up to a position.
func requireUpTo(t *testing.T, config map[string]string, position int64, what string) {
	t.Helper()
	var want, got strings.Builder
	for _, topic := range []string{"t", "u"} {
		for id := range position {
			if b := topics(id, 1); b.Records[0].Topic == topic {
				want.WriteString(b.Records[0].After.Value.Text() + "\n")
			}
		}
		files, err := filepath.Glob(strings.ReplaceAll(strings.TrimSuffix(config["file"], ".txt"), "${topic}", topic) + "*.txt")
		require.NoError(t, err)
		for _, file := range files {
			got.WriteString(fileText(t, file))
		}
	}
	require.Equal(t, want.String(), got.String(), what)
}

// TestOwnersThatFreezeAnywhereHoldUpAndHarmNothing stops an owner at each of its steps in turn. The next one goes on at once,
// and whatever the first one does when it thaws changes nothing.
func TestOwnersThatFreezeAnywhereHoldUpAndHarmNothing(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string]map[string]string{"plain": {}, "rolling": {"roll.bytes": "500"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for at := 1; ; at++ {
				if !freezeAt(t, keys, at) {
					require.Greater(t, at, 20, "the owner has fewer steps than it should")
					return
				}
			}
		})
	}
}

// freezeAt reports whether the owner got to step at.
func freezeAt(t *testing.T, keys map[string]string, at int) bool {
	t.Helper()
	config := map[string]string{"file": filepath.Join(t.TempDir(), "${topic}", "out.txt"), "format": "lines"}
	for k, v := range keys {
		config[k] = v
	}
	// An owner that has left without a word, so that the frozen one has files to copy.
	before := openTestSink(t, config, connector.Task{Epoch: 1})
	require.NoError(t, before.Write(t.Context(), topics(0, 12)))
	require.NoError(t, before.Flush(t.Context()))

	f := &frozen{at: at, stopped: make(chan struct{}), thaw: make(chan struct{}), ended: make(chan error, 1)}
	thaw := sync.OnceFunc(func() { close(f.thaw) })
	defer thaw()
	go func() { f.ended <- f.life(t, config, 2) }() // waited for below
	select {
	case <-f.stopped:
	case err := <-f.ended:
		require.NoError(t, err)
		return false
	}
	what := fmt.Sprintf("frozen at step %d", at)
	next, err := Sink.OpenSink(t.Context(), config, connector.Task{UID: 1, Epoch: 3})
	require.NoError(t, err, what)
	position := childReached(next.Position())
	require.GreaterOrEqual(t, position, int64(12), what)
	requireUpTo(t, config, position, what)
	require.NoError(t, next.Write(t.Context(), topics(position, 5)))
	require.NoError(t, next.Flush(t.Context()))
	thaw()
	if err := <-f.ended; err != nil { // one that froze in its last steps notices nothing
		require.ErrorIs(t, err, connector.ErrFenced, what)
	}
	requireUpTo(t, config, position+5, what+", then thawed")
	require.NoError(t, next.Write(t.Context(), topics(position+5, 20)))
	require.NoError(t, next.Flush(t.Context()))
	requireUpTo(t, config, position+25, what+", then gone on")
	if at%2 == 0 {
		require.NoError(t, next.Close())
	}
	last := openTestSink(t, config, connector.Task{Epoch: 4})
	require.Equal(t, position+25, childReached(last.Position()), what)
	requireUpTo(t, config, position+25, what+", then taken over")
	_ = next.Close()
	return true
}

// TestAFrozenProcessIsSucceededAtOnce freezes a process as SIGSTOP does, at any moment, and lets it go on when another owner
// has written on.
func TestAFrozenProcessIsSucceededAtOnce(t *testing.T) {
	t.Parallel()
	config := map[string]string{"file": filepath.Join(t.TempDir(), "out.txt"), "format": "lines", "roll.bytes": "2000"}
	for round := range 12 {
		var sink connector.Sink
		var at int64
		state, output := runChild(t, config, time.Duration(1+rand.IntN(40))*time.Millisecond, func(child *os.Process) {
			require.NoError(t, child.Signal(syscall.SIGSTOP))
			began := time.Now()
			var err error
			sink, err = Sink.OpenSink(t.Context(), config, connector.Task{UID: 1, Epoch: time.Now().Add(time.Hour).UnixMicro() + int64(round)})
			require.NoError(t, err)
			require.Less(t, time.Since(began), 5*time.Second)
			at = childReached(sink.Position())
			require.NoError(t, sink.Write(t.Context(), childBatch(at, 30)))
			require.NoError(t, sink.Flush(t.Context()))
			at += 30
			require.NoError(t, child.Signal(syscall.SIGCONT))
		})
		require.Contains(t, []int{3, 4}, state.ExitCode(), "round %d: %s", round, output) // fenced
		var want strings.Builder
		for id := range at {
			r := childRecord(id)
			want.WriteString(r.After.Value.Text() + "\n")
		}
		require.True(t, want.String() == strings.Join(contents(t, config), ""), "round %d", round)
		require.NoError(t, sink.Close())
		require.NoError(t, os.RemoveAll(filepath.Dir(config["file"])))
		require.NoError(t, os.Mkdir(filepath.Dir(config["file"]), 0o755))
	}
}
