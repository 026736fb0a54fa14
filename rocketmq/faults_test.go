package rocketmq_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/internal/devstack"
	"github.com/gantry-connect/gantry/internal/devstack/devstacktest"
	"github.com/gantry-connect/gantry/rocketmq"
	"github.com/gantry-connect/gantry/rocketmq/rocketmqtest"
)

const shortSend = 500 * time.Millisecond

// wired returns a client behind a wire, a client that is not, and a queue that has one message from each.
func wired(t *testing.T) (*rocketmqtest.Wire, *rocketmq.Client, *rocketmq.Client, rocketmq.Queue) {
	t.Helper()
	direct := open(t, rocketmq.Config{})
	q := create(t, direct, 1)[0]
	wire := rocketmqtest.New(t, devstacktest.Shared(t).NameServer)
	c := open(t, rocketmq.Config{NameServers: []string{wire.NameServer()}, SendTimeout: shortSend})
	_, err := direct.Send(t.Context(), q, batch("direct", 0, 1))
	require.NoError(t, err)
	base, err := c.Send(t.Context(), q, batch("wired", 1, 1))
	require.NoError(t, err)
	require.Equal(t, int64(1), base)
	require.Equal(t, rocketmqtest.Counts{Sends: 1, Acks: 1}, wire.Counts())
	return wire, c, direct, q
}

// TestAnAmbiguousSendIsUnsure: whether the broker has the batch or not, a client that was not told must not claim to know.
func TestAnAmbiguousSendIsUnsure(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault  rocketmqtest.Fault
		stored bool
	}{
		"acknowledgement lost":                 {rocketmqtest.DropAck, true},
		"connection lost in place of the ack":  {rocketmqtest.CutAck, true},
		"connection lost with the batch on it": {rocketmqtest.CutSend, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wire, c, direct, q := wired(t)
			wire.OnSend(2, tt.fault)
			_, err := c.Send(t.Context(), q, batch("wired", 2, 1))
			require.NoError(t, err)
			start := time.Now()
			_, err = c.Send(t.Context(), q, batch("wired", 3, 2))
			require.True(t, rocketmq.IsUnsure(err), "%v", err)
			require.Less(t, time.Since(start), 10*shortSend)
			_, err = c.Send(t.Context(), q, batch("wired", 5, 1))
			require.NoError(t, err, "the next send finds a good connection")
			want := []string{"direct 0", "wired 1", "wired 2", "wired 3", "wired 4", "wired 5"}
			if !tt.stored {
				want = []string{"direct 0", "wired 1", "wired 2", "wired 5"}
			}
			require.Equal(t, want, bodies(t, direct, q, len(want)))
			_, high, err := direct.Bounds(t.Context(), q)
			require.NoError(t, err)
			require.Equal(t, int64(len(want)), high, "nothing was sent twice")
		})
	}
}

func TestTheBrokersAnswerDecidesWhatAFailedSendMeans(t *testing.T) {
	t.Parallel()
	wire, c, direct, q := wired(t)
	stored := int64(2)
	for _, tt := range []struct {
		code   int
		remark string
		is     func(error) bool
		stored bool
	}{
		{2, "[TIMEOUT_CLEAN_QUEUE]broker busy", rocketmq.IsNotStored, false},
		{14, "service not available now", rocketmq.IsNotStored, false},
		{17, "topic not exist", rocketmq.IsNotStored, false},
		{13, "the message is illegal", rocketmq.IsPermanent, false},
		{16, "sending is forbidden", rocketmq.IsPermanent, false},
		{1, "java.lang.Exception", rocketmq.IsUnsure, false},
		{10, "", rocketmq.IsUnsure, true},
		{11, "", rocketmq.IsUnsure, true},
		{12, "", rocketmq.IsUnsure, true},
	} {
		wire.AnswerSends(tt.code, tt.remark)
		_, err := c.Send(t.Context(), q, batch("wired", tt.code, 1))
		require.True(t, tt.is(err), "code %d: %v", tt.code, err)
		var e *rocketmq.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, tt.code, e.Code)
		require.Equal(t, q, e.Queue)
		require.ErrorContains(t, err, tt.remark)
		if tt.stored {
			stored++
		}
	}
	wire.AnswerSends(0, "")
	base, err := c.Send(t.Context(), q, batch("wired", 99, 1))
	require.NoError(t, err)
	require.Equal(t, stored, base)
	require.Len(t, bodies(t, direct, q, int(stored)+1), int(stored)+1)
}

func TestASendToABrokerThatRefusesIsNotStored(t *testing.T) {
	t.Parallel()
	wire, c, direct, q := wired(t)
	wire.Refuse(true)
	require.Eventually(t, func() bool { // until the client has noticed, a batch can still be lost on the old connection
		_, err := c.Send(t.Context(), q, batch("wired", 2, 1))
		return rocketmq.IsNotStored(err)
	}, 10*shortSend, time.Millisecond)
	for range 3 {
		_, err := c.Send(t.Context(), q, batch("wired", 2, 1))
		require.True(t, rocketmq.IsNotStored(err), "%v", err)
	}
	_, err := c.Pull(t.Context(), q, 0, 1)
	require.True(t, rocketmq.IsNotStored(err), "%v", err)
	require.ErrorContains(t, c.Ping(t.Context()), "broker broker-a")
	wire.Refuse(false)
	require.NoError(t, c.Ping(t.Context()))
	base, err := c.Send(t.Context(), q, batch("wired", 3, 1))
	require.NoError(t, err)
	require.Equal(t, int64(2), base)
	require.Equal(t, []string{"direct 0", "wired 1", "wired 3"}, bodies(t, direct, q, 3))
}

func TestAnAcknowledgementThatIsLateButInTimeCounts(t *testing.T) {
	t.Parallel()
	wire, c, _, q := wired(t)
	release := wire.HoldAcks()
	sent := make(chan error, 1)
	go func() {
		_, err := c.Send(context.Background(), q, batch("wired", 2, 1))
		sent <- err
	}()
	wire.AwaitSends(2)
	select {
	case err := <-sent:
		t.Fatalf("sent before the acknowledgement: %v", err)
	default:
	}
	release()
	require.NoError(t, <-sent)
}

func TestAnEndedContextPreventsASend(t *testing.T) {
	t.Parallel()
	wire, c, _, q := wired(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Send(ctx, q, batch("wired", 2, 1))
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, rocketmq.IsNotStored(err))
	require.Equal(t, int64(1), wire.Counts().Sends)
}

func TestAPullEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for name, silent := range map[string]bool{"long poll": false, "broker gone silent": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wire, c, _, q := wired(t)
			wire.Silence(silent)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				_, err := c.Pull(ctx, q, 2, 1)
				ended <- err
			}()
			wire.AwaitPulls(1)
			start := time.Now()
			cancel()
			require.ErrorIs(t, <-ended, context.Canceled)
			require.Less(t, time.Since(start), time.Second)
		})
	}
}

func TestAPullSeesALostConnectionAtOnce(t *testing.T) {
	t.Parallel()
	wire, c, direct, q := wired(t)
	ended := make(chan error, 1)
	go func() {
		_, err := c.Pull(context.Background(), q, 2, 1)
		ended <- err
	}()
	wire.AwaitPulls(1)
	start := time.Now()
	wire.CutConnections()
	err := <-ended
	require.True(t, rocketmq.IsNotStored(err), "%v", err)
	require.Less(t, time.Since(start), time.Second)
	_, err = direct.Send(t.Context(), q, batch("direct", 2, 1))
	require.NoError(t, err)
	require.Equal(t, []string{"direct 0", "wired 1", "direct 2"}, bodies(t, c, q, 3))
}

func TestKnownTopicsOutliveTheNameServer(t *testing.T) {
	t.Parallel()
	wire, c, _, q := wired(t)
	wire.RefuseNameServer(true)
	_, err := c.Send(t.Context(), q, batch("wired", 2, 1))
	require.NoError(t, err)
	require.Len(t, bodies(t, c, q, 3), 3)
	_, err = c.Queues(t.Context(), q.Topic)
	require.True(t, rocketmq.IsNotStored(err))
	require.NotErrorIs(t, err, rocketmq.ErrNoTopic)
	require.ErrorContains(t, c.Ping(t.Context()), wire.NameServer())
	wire.RefuseNameServer(false)
	require.NoError(t, c.Ping(t.Context()))
}

// TestAKilledBrokerLosesNothingAcknowledged kills the broker with kill -9 while a queue is being filled, and starts it again.
func TestAKilledBrokerLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	stack := devstacktest.Private(t, devstack.NameServer, devstack.Broker)
	c := open(t, rocketmq.Config{NameServers: []string{stack.Info.NameServer}, SendTimeout: shortSend})
	q := create(t, c, 1)[0]
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()

	acked := 0
	for ; acked < 100; acked++ {
		_, err := c.Send(ctx, q, batch("x", acked, 1))
		require.NoError(t, err)
	}
	require.NoError(t, stack.Kill(devstack.Broker))
	_, err := c.Send(ctx, q, batch("x", acked, 1))
	require.Error(t, err)
	require.False(t, rocketmq.IsPermanent(err), "%v", err)
	require.NotErrorIs(t, err, rocketmq.ErrNoTopic)
	fresh := open(t, rocketmq.Config{NameServers: []string{stack.Info.NameServer}})
	_, err = fresh.Queues(ctx, q.Topic)
	require.Error(t, err)

	require.NoError(t, stack.Restart(ctx, devstack.Broker))
	require.Eventually(t, func() bool { // a restarted broker takes a moment until it accepts messages
		_, err := c.Send(ctx, q, batch("x", acked, 1))
		return err == nil
	}, time.Minute, 100*time.Millisecond)
	got := bodies(t, c, q, acked+1)
	for i, m := range batch("x", 0, acked) {
		require.Equal(t, string(m.Body), got[i])
	}
}
