package pipeline

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// The schedules here are the ones that the protocol's rules were found wanting on, or that each rule is there for.
// docs/exactly-once.md refers to them by name.

// theQueue is where a one-queue topic's messages go.
var theQueue = Queue{Topic: "t", Broker: "b", ID: 0}

// log appends a message of writer 7 to the queue; a fence if number is 0. The record is line n, whose mark is n.
func (b *bench) log(epoch int64, term uint32, number uint64, n int) {
	st := stamp{Writer: 7, Epoch: epoch, Term: term, Number: number, Partition: partitionHash(only), Mark: connector.Mark{Offset: uint64(n)}}
	body := text("line " + string(rune('0'+n))).Value.Text()
	if number == 0 {
		st, body = stamp{Kind: stampFence, Writer: 7, Epoch: epoch, Term: term}, "null"
	}
	b.broker.mu.Lock()
	defer b.broker.mu.Unlock()
	b.broker.append(theQueue, []Message{{Body: []byte(body), Properties: []Property{{Name: stampProperty, Value: string(st.appendTo(nil))}}}})
}

func oneQueue(t *testing.T, src connector.Source, more ...string) *bench {
	b := newBench(t, src, more...)
	b.job.Queues = someQueues(1)
	return b
}

// leave sets what the last owner left in the catalog.
func (b *bench) leave(epoch int64, next int, open ...OpenQueue) {
	b.catalog.epoch = epoch
	b.catalog.position[only] = offset(next)
	for _, o := range open {
		b.catalog.open[o.Queue] = o
	}
}

func (b *bench) counted(t *testing.T) map[string]int {
	t.Helper()
	v := checkRaw(b.broker.snapshot(), func(string) (string, int) { return "", 0 })
	require.Empty(t, v.problems)
	return v.counted
}

func eachOnce(from, to int) map[string]int {
	m := map[string]int{}
	for n := from; n < to; n++ {
		m["line "+string(rune('0'+n))] = 1
	}
	return m
}

func TestWhatArrivedIsNotSentAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := oneQueue(t, &script{reads: []func() (connector.Batch, error){lines(2, 6)}})
		b.leave(1, 2, OpenQueue{Queue: theQueue, Low: 2, Seq: 3})
		for n := range 4 {
			b.log(1, 0, uint64(n+1), n)
		}
		require.NoError(t, b.start(t)())
		require.Equal(t, eachOnce(0, 6), b.counted(t))
		require.Equal(t, int64(2), b.job.Progress.Snapshot().Skipped)
		_, open := b.catalog.state()
		require.Empty(t, open)
	})
}

// TestLateMessageBehindAFenceBelowTheCheckpoint: epoch 2 has fenced epoch 1, gone on and committed a checkpoint behind its
// fence. Then a message of epoch 1 arrives, at the very offset where epoch 3 begins to read back. All readers drop it, since
// they know epoch 2's fence; epoch 3, which begins behind that fence, must learn of it from the catalog, or takes the record
// for delivered and never sends it.
func TestLateMessageBehindAFenceBelowTheCheckpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := oneQueue(t, &script{reads: []func() (connector.Batch, error){lines(2, 4)}})
		b.log(1, 0, 1, 0)
		b.log(2, 1, 0, 0)
		b.log(2, 1, 2, 1)
		b.catalog.fences = []Fence{{Queue: theQueue, Writer: 7, Epoch: 2, Term: 1, Offset: 1}}
		b.leave(2, 2, OpenQueue{Queue: theQueue, Low: 3, Seq: 3})
		b.log(1, 0, 2, 2) // late
		require.NoError(t, b.start(t)())
		require.Equal(t, eachOnce(0, 4), b.counted(t))
	})
}

// TestFoundRecordsHoldTheCheckpointBack: what a read-back found is not covered until the source has given it again, so a
// checkpoint in between must not move the place where the next read-back begins.
func TestFoundRecordsHoldTheCheckpointBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := oneQueue(t, &script{reads: []func() (connector.Batch, error){lines(0, 2)}, end: untilDone})
		b.leave(1, 0, OpenQueue{Queue: theQueue, Low: 0, Seq: 1})
		for n := range 4 {
			b.log(1, 0, uint64(n+1), n)
		}
		require.NoError(t, b.start(t)())
		pos, open := b.catalog.state()
		require.Equal(t, connector.Position{only: offset(2)}, pos)
		require.Equal(t, map[Queue]OpenQueue{theQueue: {Queue: theQueue, Low: 2, Seq: 3, Tail: 1, TailSeq: 2}}, open, "lines 2 and 3 have arrived and are not covered")

		b.job.Source = &script{reads: []func() (connector.Batch, error){lines(2, 5)}}
		require.NoError(t, b.start(t)())
		require.Equal(t, eachOnce(0, 5), b.counted(t))
	})
}

// TestAFenceWhoseAckIsLostGetsTheNextTerm, so that (epoch, term) names one fence with one offset; its late copy, which here
// arrives last of all, changes nothing.
func TestAFenceWhoseAckIsLostGetsTheNextTerm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := oneQueue(t, &script{reads: []func() (connector.Batch, error){lines(1, 3)}})
		b.leave(1, 1, OpenQueue{Queue: theQueue, Low: 1, Seq: 2})
		b.log(1, 0, 1, 0)
		sends := 0
		b.broker.fate = func(Queue, []Message) fate {
			if sends++; sends == 1 {
				return unsureLate
			}
			return stored
		}
		require.NoError(t, b.start(t)())
		b.broker.mu.Lock()
		b.broker.deliverLate(1)
		b.broker.mu.Unlock()
		require.Equal(t, eachOnce(0, 3), b.counted(t))
		require.Equal(t, []Fence{{Queue: theQueue, Writer: 7, Epoch: 2, Term: 2, Offset: 1}}, b.catalog.fences)
	})
}

func TestAnOwnerThatMeetsANewerEpochStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := oneQueue(t, &script{reads: []func() (connector.Batch, error){lines(1, 3)}})
		b.leave(1, 1, OpenQueue{Queue: theQueue, Low: 0, Seq: 1})
		b.log(9, 0, 1, 0)
		require.ErrorIs(t, b.run(t.Context(), t, nil), ErrFenced)
		pos, open := b.catalog.state()
		require.Equal(t, connector.Position{only: offset(1)}, pos)
		require.Len(t, open, 1)
	})
}

func TestABrokerThatLostDataIsNoticed(t *testing.T) {
	t.Parallel()
	for name, break_ := range map[string]func(b *bench){
		"the queue ends before the checkpoint": func(b *bench) { b.leave(1, 2, OpenQueue{Queue: theQueue, Low: 20, Seq: 3}) },
		"a message is missing in the middle":   func(b *bench) { b.leave(1, 2, OpenQueue{Queue: theQueue, Low: 0, Seq: 1}); b.log(1, 0, 2, 2) },
		"an ack comes from below": func(b *bench) {
			b.broker.fate = func(q Queue, msgs []Message) fate {
				if mq := b.broker.queue(q); len(mq.msgs) == 4 {
					mq.msgs = mq.msgs[:1]
				}
				return stored
			}
			src := b.job.Source.(*script)
			src.reads = append(src.reads, func() (connector.Batch, error) { synctest.Wait(); return lines(6, 8)() })
		},
		"the queue has become shorter since it was closed": func(b *bench) {
			b.catalog.closed[theQueue] = OpenQueue{Queue: theQueue, Low: 5, Seq: 6}
		},
		"the last message before the queue was closed is another's": func(b *bench) {
			b.catalog.closed[theQueue] = OpenQueue{Queue: theQueue, Low: 1, Seq: 6, Tail: 0, TailSeq: 5}
			b.log(1, 0, 4, 2)
		},
		"the last message before the checkpoint is another's": func(b *bench) {
			b.leave(1, 2, OpenQueue{Queue: theQueue, Low: 1, Seq: 3, Tail: 0, TailSeq: 2})
			b.log(1, 0, 1, 2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := oneQueue(t, &script{reads: []func() (connector.Batch, error){lines(2, 6)}}, "exactly.once", onceRequired)
				break_(b)
				err := b.run(t.Context(), t, nil)
				require.ErrorIs(t, err, ErrBrokerLostData)
				if !connector.IsPermanent(err) { // the next start decides
					b.broker.fate = nil
					b.job.Source = &script{reads: []func() (connector.Batch, error){lines(2, 6)}}
					err = b.run(t.Context(), t, nil)
					require.ErrorIs(t, err, ErrBrokerLostData)
				}
				require.True(t, connector.IsPermanent(err), "%v", err)
				var lost *LostError
				require.ErrorAs(t, err, &lost)
				require.Equal(t, theQueue, lost.Queue)
			})
		})
	}
}

// TestLostMessagesThatNoPositionCoversAreSentAgain: a message between two that survived is gone. The source gives it again, and
// readers that an operator sets behind the gap go on.
func TestLostMessagesThatNoPositionCoversAreSentAgain(t *testing.T) {
	t.Parallel()
	for _, once := range []string{"preferred", onceOff} {
		t.Run(once, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := oneQueue(t, &script{reads: []func() (connector.Batch, error){lines(2, 6)}}, "exactly.once", once)
				var reported []error
				b.job.Report = func(_ context.Context, problem error) { reported = append(reported, problem) }
				b.leave(1, 2, OpenQueue{Queue: theQueue, Low: 0, Seq: 1})
				b.log(1, 0, 1, 2)
				b.log(1, 0, 3, 4)
				require.NoError(t, b.start(t)())
				require.Len(t, reported, 1)
				require.ErrorIs(t, reported[0], ErrBrokerLostData)
				require.Equal(t, int64(1), b.job.Progress.Snapshot().Losses)
				counted := map[string]int{}
				for _, body := range b.bodies() {
					counted[body]++
				}
				want := map[string]int{"null": 1, "line 2": 1, "line 3": 1, "line 4": 1, "line 5": 1}
				if once == onceOff { // what arrived is not looked at
					want["line 2"], want["line 4"] = 2, 2
				}
				require.Equal(t, want, counted)
				_, open := b.catalog.state()
				require.Empty(t, open)

				msgs := b.broker.snapshot()[theQueue]
				require.ErrorIs(t, readFrom(t, msgs, nil), ErrBrokerLostData, "a sink stops at the gap and says so")
				rules := &readers{}
				first, err := parseStamp(msgs[0].Property(stampProperty))
				require.NoError(t, err)
				rules.follow(&first)
				rules.writers[0].forgiven = true // its position was set to the offset that it names
				require.NoError(t, readFrom(t, msgs[1:], rules))
			})
		})
	}
}

// readFrom reads as a sink does.
func readFrom(t *testing.T, msgs []Received, rules *readers) error {
	t.Helper()
	if rules == nil {
		rules = &readers{}
	}
	for i := range msgs {
		s, err := parseStamp(msgs[i].Property(stampProperty))
		require.NoError(t, err)
		if _, err := rules.judge(&s); err != nil {
			return err
		}
	}
	return nil
}

// TestLostMessagesThatThePositionCovers cannot be sent again by reading on, so only off goes on; its numbers begin again, which
// readers of what survived take, whatever survived.
func TestLostMessagesThatThePositionCovers(t *testing.T) {
	t.Parallel()
	for _, once := range []string{"preferred", onceOff} {
		t.Run(once, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := oneQueue(t, &script{reads: []func() (connector.Batch, error){lines(6, 8)}}, "exactly.once", once)
				reports := 0
				b.job.Report = func(context.Context, error) { reports++ }
				b.leave(1, 6, OpenQueue{Queue: theQueue, Low: 6, Seq: 7})
				b.log(1, 0, 1, 0)
				b.log(1, 0, 2, 1)
				if once != onceOff {
					err := b.run(t.Context(), t, nil)
					require.True(t, connector.IsPermanent(err))
					require.ErrorContains(t, err, "expected offset 6 or higher, found 3")
					require.ErrorContains(t, err, "exactly.once = off")
					require.Zero(t, reports)
					return
				}
				require.NoError(t, b.start(t)())
				require.Equal(t, 1, reports)
				msgs := b.broker.snapshot()[theQueue]
				require.Len(t, msgs, 6, "two survived, a fence, one more as there is no way back, two records")
				require.NoError(t, readFrom(t, msgs, nil))
				_, open := b.catalog.state()
				require.Empty(t, open)
			})
		})
	}
}

// TestAnAckFromBelow ends the start that gets it. The next one finds the gap, and goes on.
func TestAnAckFromBelow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := oneQueue(t, &script{reads: []func() (connector.Batch, error){lines(0, 4),
			func() (connector.Batch, error) { synctest.Wait(); return lines(4, 6)() }}}, "checkpoint.interval.ms", "60000")
		b.broker.fate = func(q Queue, _ []Message) fate {
			if mq := b.broker.queue(q); len(mq.msgs) == 4 {
				mq.msgs = mq.msgs[:1]
			}
			return stored
		}
		err := b.run(t.Context(), t, nil)
		require.ErrorIs(t, err, ErrBrokerLostData)
		require.False(t, connector.IsPermanent(err), "another start copes with it: %v", err)
		b.broker.fate = nil
		b.job.Source = &script{reads: []func() (connector.Batch, error){lines(0, 6)}}
		require.NoError(t, b.start(t)())
		counted := map[string]int{}
		for _, body := range b.bodies() {
			counted[body]++
		}
		delete(counted, "null")
		require.Equal(t, eachOnce(0, 6), counted)
		require.Equal(t, int64(1), b.job.Progress.Snapshot().Losses)
	})
}

// TestNumbersGoOnWhereAQueueWasClosed, if the ledger remembers where.
func TestNumbersGoOnWhereAQueueWasClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := oneQueue(t, &script{reads: []func() (connector.Batch, error){lines(1, 3)}})
		b.log(1, 0, 1, 0)
		ledger, start := b.catalog.claim()
		start.Epoch, start.Closed = 2, []OpenQueue{{Queue: theQueue, Low: 1, Seq: 2}}
		b.catalog.epoch, ledger.epoch = 2, 2
		b.job.Ledger, b.job.Start = ledger, start
		s, err := NewSource(b.job)
		require.NoError(t, err)
		drain := make(chan struct{})
		go func() { time.Sleep(time.Second); close(drain) }()
		require.NoError(t, s.Run(t.Context(), drain))
		require.Equal(t, eachOnce(0, 3), b.counted(t))
		last, ok := readRawStamp(string(b.broker.snapshot()[theQueue][2].Properties))
		require.True(t, ok)
		require.Equal(t, uint64(3), last.number)
	})
}

// TestExpiredReadBack: offsets that a read-back needs are gone.
func TestExpiredReadBack(t *testing.T) {
	t.Parallel()
	for _, once := range []string{onceRequired, "preferred"} {
		synctest.Test(t, func(t *testing.T) {
			b := oneQueue(t, &script{reads: []func() (connector.Batch, error){lines(2, 6)}}, "exactly.once", once)
			b.leave(1, 2, OpenQueue{Queue: theQueue, Low: 2, Seq: 3})
			b.broker.queue(theQueue).min = 5
			b.log(1, 0, 4, 3)
			err := b.start(t)()
			if once == onceRequired {
				require.True(t, connector.IsPermanent(err), "%v", err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, int64(1), b.job.Progress.Snapshot().MayDouble)
			require.Equal(t, int64(1), b.job.Progress.Snapshot().Skipped)
		})
	}
}

// TestASourceThatDoesNotGiveTheSameAgain is noticed, as soon as it has passed what had arrived.
func TestASourceThatDoesNotGiveTheSameAgain(t *testing.T) {
	t.Parallel()
	for _, once := range []string{onceRequired, "preferred"} {
		for name, from := range map[string]int{"it begins later": 4, "it has no more": 6} {
			t.Run(once+"/"+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b := oneQueue(t, &script{reads: []func() (connector.Batch, error){lines(from, 6)}}, "exactly.once", once)
					b.leave(1, 2, OpenQueue{Queue: theQueue, Low: 0, Seq: 1})
					b.log(1, 0, 1, 2)
					b.log(1, 0, 2, 3)
					err := b.start(t)()
					if once == onceRequired {
						require.True(t, connector.IsPermanent(err), "%v", err)
						return
					}
					require.NoError(t, err)
					require.Equal(t, int64(1), b.job.Progress.Snapshot().MayDouble)
					_, open := b.catalog.state()
					require.Empty(t, open)
				})
			})
		}
	}
}

func TestAnAtLeastOnceSourceSendsAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := oneQueue(t, &script{reads: []func() (connector.Batch, error){lines(0, 3)}})
		b.job.Guarantee = connector.AtLeastOnce
		b.leave(1, 0, OpenQueue{Queue: theQueue, Low: 0, Seq: 1})
		b.log(1, 0, 1, 0)
		require.NoError(t, b.start(t)())
		require.Equal(t, map[string]int{"line 0": 2, "line 1": 1, "line 2": 1}, b.counted(t))
		_, open := b.catalog.state()
		require.Empty(t, open)
		_, err := NewSource(SourceJob{Guarantee: connector.AtLeastOnce, Config: SourceConfig{ExactlyOnce: onceRequired}})
		require.ErrorAs(t, err, new(connector.ConfigErrors))
	})
}

func TestSettlingEndsOnceAllThatArrivedIsCovered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := oneQueue(t, &script{reads: []func() (connector.Batch, error){lines(2, 4), lines(4, 6), lines(6, 8)}, end: untilDone})
		b.job.Settle = true
		b.leave(1, 2, OpenQueue{Queue: theQueue, Low: 2, Seq: 3})
		for n := range 5 {
			b.log(1, 0, uint64(n+1), n)
		}
		require.NoError(t, b.run(t.Context(), t, nil))
		pos, open := b.catalog.state()
		require.Empty(t, open)
		require.Contains(t, []connector.Position{{only: offset(6)}, {only: offset(8)}}, pos)
		b.job.Settle, b.job.Source = false, &script{reads: []func() (connector.Batch, error){lines(8, 9)}}
		if pos[only] == offset(6) {
			b.job.Source = &script{reads: []func() (connector.Batch, error){lines(6, 9)}}
		}
		require.NoError(t, b.start(t)())
		require.Equal(t, eachOnce(0, 9), b.counted(t))
	})
}

func TestSettlingDoesNotWaitForASourceThatIsSilent(t *testing.T) {
	t.Parallel()
	for _, once := range []string{onceRequired, "preferred"} {
		synctest.Test(t, func(t *testing.T) {
			b := oneQueue(t, &script{end: untilDone}, "exactly.once", once)
			b.job.Settle = true
			b.leave(1, 2, OpenQueue{Queue: theQueue, Low: 0, Seq: 1})
			b.log(1, 0, 1, 2)
			err := b.run(t.Context(), t, nil)
			require.Equal(t, once == onceRequired, err != nil, "%v", err)
		})
	}
}

// TestWithoutFencesAnOwnerWaits until nothing can be on its way any more, and then reads back to the queue's end.
func TestWithoutFencesAnOwnerWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := oneQueue(t, &script{reads: []func() (connector.Batch, error){lines(0, 6)}}, "fences", "false", "batch.max.records", "2")
		b.leave(1, 0, OpenQueue{Queue: theQueue, Low: 0, Seq: 1})
		b.log(1, 0, 1, 0)
		sends := 0
		b.broker.fate = func(Queue, []Message) fate {
			if sends++; sends == 2 {
				time.AfterFunc(4*time.Second, func() { b.broker.mu.Lock(); defer b.broker.mu.Unlock(); b.broker.deliverLate(1) })
				return unsureLate
			}
			return stored
		}
		time.AfterFunc(4*time.Second, func() { b.log(1, 0, 2, 1) }) // from the dead owner
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		drain := make(chan struct{})
		time.AfterFunc(30*time.Second, func() { close(drain) })
		require.NoError(t, b.run(ctx, t, drain))
		seen := map[string]int{}
		for _, body := range b.bodies() {
			seen[body]++
		}
		require.Equal(t, eachOnce(0, 6), seen, "no fence and no double in the raw queue")
	})
}

// TestFencesOfDeadOwnersAreRecorded: epoch 2 died between its fence and the catalog. A late message of epoch 1 lies behind that
// fence, and a reader that starts between the two has to know of it.
func TestFencesOfDeadOwnersAreRecorded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := oneQueue(t, &script{reads: []func() (connector.Batch, error){lines(0, 3)}})
		b.leave(2, 0, OpenQueue{Queue: theQueue, Low: 0, Seq: 1})
		b.log(1, 0, 1, 0)
		b.log(2, 1, 0, 0)
		b.log(1, 0, 2, 1) // late
		require.NoError(t, b.start(t)())
		require.Equal(t, eachOnce(0, 3), b.counted(t))
		require.Equal(t, []Fence{{Queue: theQueue, Writer: 7, Epoch: 3, Term: 1, Offset: 3},
			{Queue: theQueue, Writer: 7, Epoch: 2, Term: 1, Offset: 1}}, b.catalog.fences)
		known, err := b.job.Ledger.FencesBefore(t.Context(), theQueue, 2)
		require.NoError(t, err)
		require.Equal(t, []Fence{{Queue: theQueue, Writer: 7, Epoch: 2, Term: 1, Offset: 1}}, known)
	})
}
