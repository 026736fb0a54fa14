package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// crash makes the broker fail for some time, and lose up to so many messages from the end of each queue.
func (b *memBroker) crash(random *rand.Rand, most int64) {
	b.mu.Lock()
	b.ops = func(string) error { return errors.New("connection refused") }
	b.mu.Unlock()
	time.Sleep(suspectAfter + time.Second)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, mq := range b.queues {
		n := min(int64(len(mq.msgs)), random.Int64N(most+1))
		mq.msgs = mq.msgs[:int64(len(mq.msgs))-n]
	}
	b.ops = nil
}

// TestABrokerThatCrashesAndForgets: whatever it loses from the ends of its queues, covered or not, is sent again in order, and
// nothing that has survived is. Readers never see a gap.
func TestABrokerThatCrashesAndForgets(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds[:2] {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			back := 0
			for seed := range uint64(30) {
				synctest.Test(t, func(t *testing.T) {
					m := newModel(t, seed, 100, 3, append([]string{"counter.interval.ms", "200", "exactly.once", "required"}, kind.more...)...)
					m.catalog.ops = func(what string) (error, error) {
						if what == "commit" {
							m.watchSoon()
						}
						return nil, nil
					}
					back += m.survive(seed)
					_, open := m.catalog.state()
					require.Empty(t, open)
					m.check(fmt.Sprintf("seed %d", seed))
				})
			}
			require.Greater(t, back, 20, "hardly ever was there a reason to go back: the test shows nothing")
		})
	}
}

// survive runs owners, one after the other, until everything is committed, while the broker crashes and owners die, and then until
// nothing is left that the last crash took. It returns how often one went back.
func (m *model) survive(seed uint64) (back int) {
	random := rand.New(rand.NewPCG(seed, 4))
	var crashes sync.WaitGroup
	crashes.Go(func() {
		for n := range 4 {
			select {
			case <-time.After(time.Duration(random.Int64N(int64(15 * time.Second)))):
				m.broker.crash(random, []int64{0, 5, 20, 200}[n])
			case <-m.complete:
				return
			}
		}
	})
	deaths := rand.New(rand.NewPCG(seed, 5))
	run := func(life time.Duration, drain <-chan struct{}) (ended bool) {
		ctx, cancel := context.WithTimeout(m.t.Context(), life)
		defer cancel()
		ledger, start := m.catalog.claim()
		err := m.newSource(ledger, start).Run(ctx, drain)
		switch {
		case errors.As(err, new(*WentBackError)):
			back++
		case ctx.Err() == nil && !errors.Is(err, ErrBrokerLostData):
			require.NoError(m.t, err, "seed %d", seed)
		}
		require.False(m.t, connector.IsPermanent(err), "seed %d: %v", seed, err)
		return err == nil
	}
	for ended := false; !ended; {
		life := time.Minute
		if deaths.Float64() < 0.3 {
			life = time.Duration(deaths.Int64N(int64(20 * time.Second)))
		}
		ended = run(life, m.complete)
	}
	crashes.Wait()
	for ended := false; !ended; { // it looks whether what it closed is still there
		drain := make(chan struct{})
		time.AfterFunc(5*time.Minute, func() { close(drain) })
		ended = run(time.Hour, drain)
	}
	return back
}

// replayable is a source that has no system which forgets what is committed.
type replayable struct{ connector.Source }

// TestALossAfterACleanCloseIsNoticed, by a source that has nothing more to send as well as by one that has.
func TestALossAfterACleanCloseIsNoticed(t *testing.T) {
	t.Parallel()
	for _, more := range []int{6, 8} {
		for _, once := range []string{onceRequired, "preferred", onceOff} {
			t.Run(fmt.Sprintf("%s/%d", once, more), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b := oneQueue(t, replayable{&script{reads: []func() (connector.Batch, error){lines(0, 6)}}}, "exactly.once", once)
					var reported []error
					b.job.Report = func(_ context.Context, problem error) { reported = append(reported, problem) }
					require.NoError(t, b.start(t)())
					_, open := b.catalog.state()
					require.Empty(t, open)
					mq := b.broker.queue(theQueue)
					mq.msgs = mq.msgs[:4]

					b.job.Source = replayable{&script{reads: []func() (connector.Batch, error){lines(6, more)}, end: untilDone}}
					if more == 6 {
						b.job.Source = replayable{&script{end: untilDone}}
					}
					require.ErrorIs(t, b.run(t.Context(), t, nil), ErrBrokerLostData)
					var went *WentBackError
					err := b.run(t.Context(), t, nil)
					require.ErrorAs(t, err, &went)
					require.ErrorContains(t, err, `{"p":1} from its beginning to {"o":6}`)
					require.Len(t, reported, 1)
					require.False(t, connector.IsPermanent(err))

					b.job.Source = replayable{&script{reads: []func() (connector.Batch, error){lines(0, more)}}}
					require.NoError(t, b.start(t)())
					if once != onceOff { // which does not look for what has arrived
						require.Equal(t, eachOnce(0, more), b.counted(t))
					} else {
						require.Len(t, b.counted(t), more)
					}
				})
			})
		}
	}
}

// TestALossWhileAQueueIsOpenedIsNoticed: it was all there when the task looked, and then the catalog took its time.
func TestALossWhileAQueueIsOpenedIsNoticed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := oneQueue(t, replayable{&script{reads: []func() (connector.Batch, error){lines(0, 4)}}}, "exactly.once", onceRequired)
		require.NoError(t, b.start(t)())
		var down time.Time
		b.catalog.ops = func(what string) (error, error) {
			if what != "open" {
				return nil, nil
			}
			if down.IsZero() {
				down = time.Now()
				b.broker.mu.Lock()
				defer b.broker.mu.Unlock()
				mq := b.broker.queue(theQueue)
				mq.msgs = mq.msgs[:2]
			}
			if time.Since(down) < suspectAfter {
				return errors.New("connection refused"), nil
			}
			return nil, nil
		}
		late := func() (connector.Batch, error) {
			time.Sleep(time.Second) // closed queues have been looked at
			return lines(4, 6)()
		}
		b.job.Source = replayable{&script{reads: []func() (connector.Batch, error){late}, end: untilDone}}
		require.ErrorIs(t, b.run(t.Context(), t, nil), ErrBrokerLostData)
		require.Len(t, b.broker.queue(theQueue).msgs, 2, "nothing was sent behind the loss")
		b.job.Source = replayable{&script{end: untilDone}}
		require.ErrorAs(t, b.run(t.Context(), t, nil), new(*WentBackError))
		b.job.Source = replayable{&script{reads: []func() (connector.Batch, error){lines(0, 6)}}}
		require.NoError(t, b.start(t)())
		require.Equal(t, eachOnce(0, 6), b.counted(t))
	})
}

// TestAFenceThatIsLostEndsTheStart: the queue does not reach any more to where its read-back is to end.
func TestAFenceThatIsLostEndsTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := oneQueue(t, &script{reads: []func() (connector.Batch, error){lines(2, 6)}}, "exactly.once", onceRequired)
		b.leave(1, 2, OpenQueue{Queue: theQueue, Low: 2, Seq: 3})
		for n := range 4 {
			b.log(1, 0, uint64(n+1), n)
		}
		b.broker.ops = func(what string) error {
			if mq := b.broker.queue(theQueue); what == "pull" && len(mq.msgs) == 5 {
				mq.msgs = mq.msgs[:3]
			}
			return nil
		}
		require.ErrorIs(t, b.run(t.Context(), t, nil), ErrBrokerLostData)
		b.broker.ops = nil
		require.NoError(t, b.start(t)())
		require.Equal(t, eachOnce(0, 6), b.counted(t))
		require.Equal(t, int64(1), b.job.Progress.Snapshot().Skipped)
	})
}

// TestASourceWhoseSystemForgetsDoesNotGoBack: what its system was told of it may not give again.
func TestASourceWhoseSystemForgetsDoesNotGoBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := oneQueue(t, &script{reads: []func() (connector.Batch, error){lines(0, 6)}})
		require.NoError(t, b.start(t)())
		mq := b.broker.queue(theQueue)
		mq.msgs = mq.msgs[:4]
		b.catalog.open[theQueue] = b.catalog.closed[theQueue]
		b.job.Source = &script{end: untilDone}
		err := b.run(t.Context(), t, nil)
		require.True(t, connector.IsPermanent(err), "%v", err)
		require.ErrorContains(t, err, "may have forgotten it")
		pos, _ := b.catalog.state()
		require.Equal(t, connector.Position{only: offset(6)}, pos)
	})
}

// TestOthersLossIsNotOurs: the queue is shorter than it was, but all of the writer's own messages are there.
func TestOthersLossIsNotOurs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := oneQueue(t, &script{reads: []func() (connector.Batch, error){lines(2, 6)}}, "exactly.once", onceRequired)
		b.log(1, 0, 1, 0)
		b.log(1, 0, 2, 1)
		b.leave(1, 2, OpenQueue{Queue: theQueue, Low: 9, Seq: 3, Tail: 1, TailSeq: 2}) // 2 to 8 were others'
		b.log(1, 0, 3, 2)                                                              // stored after the loss, its ack did not arrive
		require.NoError(t, b.start(t)())
		require.Equal(t, eachOnce(0, 6), b.counted(t))
		require.Equal(t, int64(1), b.job.Progress.Snapshot().Skipped)
	})
}
