package rocketmq_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gantry-connect/gantry/internal/devstack/devstacktest"
	"github.com/gantry-connect/gantry/rocketmq"
)

func TestBatchesComeBackEqualAtConsecutiveOffsets(t *testing.T) {
	t.Parallel()
	c := open(t, rocketmq.Config{})
	q := create(t, c, 1)[0]
	random := rand.New(rand.NewPCG(1, 2))
	start := time.Now().Truncate(time.Millisecond)
	var sent []rocketmq.Message
	for _, n := range []int{1, 2, 500, 1, 77} {
		var msgs []rocketmq.Message
		for range n {
			body := make([]byte, 1+random.IntN(3000))
			for i := range body {
				body[i] = byte(random.Uint32())
			}
			msgs = append(msgs, rocketmq.Message{
				Key: fmt.Sprint("schlüssel ", random.Uint32()), Tag: "tag", Body: body,
				Properties: []rocketmq.Property{{Name: "n", Value: fmt.Sprint(n)}, {Name: "stamp", Value: string(body[:1]) + "."}},
			})
			if c := body[0]; c == 1 || c == 2 {
				msgs[len(msgs)-1].Properties = nil
			}
		}
		base, err := c.Send(t.Context(), q, msgs)
		require.NoError(t, err)
		require.Equal(t, int64(len(sent)), base)
		sent = append(sent, msgs...)
	}
	for i, m := range pullAll(t, c, q, 0, len(sent)) {
		require.Equal(t, int64(i), m.Offset)
		require.Equal(t, q, m.Queue)
		require.Equal(t, sent[i].Key, m.Key)
		require.Equal(t, "tag", m.Tag)
		require.True(t, bytes.Equal(sent[i].Body, m.Body), "body of message %d", i)
		for _, p := range sent[i].Properties {
			require.Equal(t, p.Value, m.Property(p.Name))
		}
		require.NoError(t, m.Err)
		require.False(t, m.Born.Before(start), "born %v", m.Born)
		require.False(t, m.Stored.Before(start), "stored %v", m.Stored)
	}
}

func TestPropertiesKeepOddBytes(t *testing.T) {
	t.Parallel()
	c := open(t, rocketmq.Config{})
	q := create(t, c, 1)[0]
	var all strings.Builder
	for b := range 256 {
		if b != 1 && b != 2 {
			all.WriteByte(byte(b))
		}
	}
	props := []rocketmq.Property{{Name: all.String(), Value: "name"}, {Name: "value", Value: all.String()}, {Name: "long", Value: strings.Repeat("x", 31000)}}
	_, err := c.Send(t.Context(), q, []rocketmq.Message{{Key: "a b\x00\xff", Body: []byte{0}, Properties: props}, {Body: []byte("next")}})
	require.NoError(t, err)
	got := pullAll(t, c, q, 0, 2)
	require.Equal(t, "a b\x00\xff", got[0].Key)
	for _, p := range props {
		require.Equal(t, p.Value, got[0].Property(p.Name))
	}
	require.Equal(t, "next", string(got[1].Body))
}

func TestQueuesKeepTheirOrderWhileAllAreSentToAndPulled(t *testing.T) {
	t.Parallel()
	const perQueue, perBatch = 2000, 100
	c := open(t, rocketmq.Config{Connections: 3})
	queues := create(t, c, 4)
	g, ctx := errgroup.WithContext(t.Context())
	got := make([][]string, len(queues))
	for i, q := range queues {
		g.Go(func() error {
			for from := 0; from < perQueue; from += perBatch {
				base, err := c.Send(ctx, q, batch(q.String(), from, perBatch))
				if err != nil || base != int64(from) {
					return fmt.Errorf("send %d: offset %d, %w", from, base, err)
				}
			}
			return nil
		})
		for reader := range 2 {
			g.Go(func() error {
				for offset := int64(0); offset < perQueue; {
					p, err := c.Pull(ctx, q, offset, 64)
					if err != nil {
						return err
					}
					for _, m := range p.Messages {
						if reader == 0 {
							got[i] = append(got[i], string(m.Body))
						}
					}
					offset = p.Next
				}
				return nil
			})
		}
	}
	require.NoError(t, g.Wait())
	for i, q := range queues {
		var want []string
		for _, m := range batch(q.String(), 0, perQueue) {
			want = append(want, string(m.Body))
		}
		require.Equal(t, want, got[i])
	}
}

func TestBatchesUpToTheLimitAreAcceptedAndLargerOnesRefused(t *testing.T) {
	t.Parallel()
	c := open(t, rocketmq.Config{})
	q := create(t, c, 1)[0]
	for name, bodySize := range map[string]int{"tiny": 1, "small": 200, "large": 1 << 20} {
		m := rocketmq.Message{Body: bytes.Repeat([]byte("x"), bodySize)}
		count := 1
		for c.BatchFits(q.Topic, count+1, (count+1)*m.Size()) {
			count++
		}
		_, err := c.Send(t.Context(), q, slices.Repeat([]rocketmq.Message{m}, count))
		require.NoError(t, err, "%s: %d messages", name, count)
		_, err = c.Send(t.Context(), q, slices.Repeat([]rocketmq.Message{m}, count+1))
		require.ErrorIs(t, err, rocketmq.ErrTooLarge, name)
		require.True(t, rocketmq.IsPermanent(err), name)
	}
	whole := rocketmq.Message{Body: make([]byte, 4<<20-22)}
	base, err := c.Send(t.Context(), q, []rocketmq.Message{whole})
	require.NoError(t, err, "one message of exactly the limit")
	require.True(t, bytes.Equal(whole.Body, pullAll(t, c, q, base, 1)[0].Body))
	whole.Body = append(whole.Body, 0)
	_, err = c.Send(t.Context(), q, []rocketmq.Message{{Body: []byte("fine")}, whole})
	var e *rocketmq.Error
	require.ErrorAs(t, err, &e)
	require.ErrorIs(t, err, rocketmq.ErrTooLarge)
	require.Equal(t, 1, e.Index)
}

func TestALimitOfTheBrokerBelowOursIsRecognized(t *testing.T) {
	t.Parallel()
	c := open(t, rocketmq.Config{MaxMessageBytes: 64 << 20})
	q := create(t, c, 1)[0]
	for _, msgs := range [][]rocketmq.Message{
		{{Body: make([]byte, 5<<20)}},
		{{Body: make([]byte, 3<<20)}, {Body: make([]byte, 3<<20)}},
	} {
		_, err := c.Send(t.Context(), q, msgs)
		require.True(t, rocketmq.IsPermanent(err), "%v", err)
	}
	low, high, err := c.Bounds(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, []int64{0, 0}, []int64{low, high})
}

func TestMessagesThatRocketMQCannotKeepAreRefused(t *testing.T) {
	t.Parallel()
	c := open(t, rocketmq.Config{})
	q := create(t, c, 1)[0]
	body := []byte("body")
	property := func(name, value string) rocketmq.Message {
		return rocketmq.Message{Body: body, Properties: []rocketmq.Property{{Name: name, Value: value}}}
	}
	for name, m := range map[string]rocketmq.Message{
		"empty body":            {Key: "k"},
		"separator in key":      {Key: "a\x01b", Body: body},
		"separator in tag":      {Tag: "a\x02b", Body: body},
		"separator in value":    property("p", "a\x02b"),
		"separator in name":     property("p\x01", "v"),
		"empty value":           property("p", ""),
		"empty name":            property("", "v"),
		"reserved name":         property("DELAY", "3"),
		"too large a property":  property("p", strings.Repeat("x", 33000)),
		"too large a key":       {Key: strings.Repeat("x", 33000), Body: body},
		"reserved name of ours": property("KEYS", "k"),
	} {
		_, err := c.Send(t.Context(), q, []rocketmq.Message{{Body: body}, {Body: body}, m})
		require.True(t, rocketmq.IsPermanent(err), "%s: %v", name, err)
		var e *rocketmq.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, 2, e.Index, name)
	}
	_, err := c.Send(t.Context(), q, []rocketmq.Message{{}})
	require.ErrorIs(t, err, rocketmq.ErrEmptyBody)
	_, err = c.Send(t.Context(), q, nil)
	require.True(t, rocketmq.IsPermanent(err))
	_, high, err := c.Bounds(t.Context(), q)
	require.NoError(t, err)
	require.Zero(t, high, "a refused batch leaves nothing behind")
}

func TestMissingTopicsAndQueuesAreNamed(t *testing.T) {
	t.Parallel()
	c := open(t, rocketmq.Config{})
	have := create(t, c, 1)[0]
	missing := rocketmq.Queue{Topic: devstacktest.Topic(t, "missing"), Broker: have.Broker}
	ctx := t.Context()
	_, err := c.Queues(ctx, missing.Topic)
	require.ErrorIs(t, err, rocketmq.ErrNoTopic)
	_, err = c.Send(ctx, missing, batch("x", 0, 1))
	require.ErrorIs(t, err, rocketmq.ErrNoTopic)
	require.True(t, rocketmq.IsNotStored(err))
	_, err = c.Pull(ctx, missing, 0, 1)
	require.ErrorIs(t, err, rocketmq.ErrNoTopic)
	_, _, err = c.Bounds(ctx, missing)
	require.ErrorIs(t, err, rocketmq.ErrNoTopic)
	require.NoError(t, c.DeleteTopic(ctx, missing.Topic), "what is not there is as good as deleted")

	beyond := rocketmq.Queue{Topic: have.Topic, Broker: have.Broker, ID: 1}
	_, err = c.Send(ctx, beyond, batch("x", 0, 1))
	require.True(t, rocketmq.IsPermanent(err), "%v", err)
	_, err = c.Pull(ctx, beyond, 0, 1)
	require.True(t, rocketmq.IsPermanent(err), "%v", err)
	elsewhere := rocketmq.Queue{Topic: have.Topic, Broker: "nobody"}
	_, err = c.Send(ctx, elsewhere, batch("x", 0, 1))
	require.True(t, rocketmq.IsNotStored(err), "%v", err)
	require.ErrorContains(t, err, "nobody")
}

func TestCreateTopicAddsQueuesAndNeverTakesThem(t *testing.T) {
	t.Parallel()
	c := open(t, rocketmq.Config{})
	name := devstacktest.Topic(t, t.Name())
	ctx := t.Context()
	t.Cleanup(func() { require.NoError(t, c.DeleteTopic(context.Background(), name)) })
	for _, step := range []struct{ ask, have int }{{2, 2}, {2, 2}, {1, 2}, {5, 5}, {3, 5}} {
		require.NoError(t, c.CreateTopic(ctx, rocketmq.Topic{Name: name, Queues: step.ask, MessageType: "FIFO"}))
		queues, err := c.Queues(ctx, name)
		require.NoError(t, err)
		require.Len(t, queues, step.have)
		for i, q := range queues {
			require.Equal(t, rocketmq.Queue{Topic: name, Broker: queues[0].Broker, ID: i}, q)
		}
	}
	require.NoError(t, c.DeleteTopic(ctx, name))
	_, err := c.Queues(ctx, name)
	require.ErrorIs(t, err, rocketmq.ErrNoTopic)
}

func TestIllegalTopicsAreRefusedWithTheRule(t *testing.T) {
	t.Parallel()
	c := open(t, rocketmq.Config{})
	for name, topic := range map[string]rocketmq.Topic{
		"dot":      {Name: "db.public.orders", Queues: 1},
		"blank":    {Name: "my topic", Queues: 1},
		"umlaut":   {Name: "aufträge", Queues: 1},
		"empty":    {Queues: 1},
		"long":     {Name: strings.Repeat("x", 128), Queues: 1},
		"queues":   {Name: "fine", Queues: 0},
		"type":     {Name: "fine", Queues: 1, MessageType: "fifo"},
		"too many": {Name: "fine", Queues: 1 << 20},
	} {
		err := c.CreateTopic(t.Context(), topic)
		require.True(t, rocketmq.IsPermanent(err), "%s: %v", name, err)
	}
	err := c.CreateTopic(t.Context(), rocketmq.Topic{Name: "a.b", Queues: 1})
	require.ErrorContains(t, err, "letters, digits")
	_, err = c.Queues(t.Context(), "a.b")
	require.True(t, rocketmq.IsPermanent(err))
	require.True(t, rocketmq.IsPermanent(c.DeleteTopic(t.Context(), "a.b")))
}

func TestOffsets(t *testing.T) {
	t.Parallel()
	c := open(t, rocketmq.Config{})
	q := create(t, c, 1)[0]
	ctx := t.Context()
	before := time.Now().Add(-time.Second)
	for range 3 {
		_, err := c.Send(ctx, q, batch("x", 0, 4))
		require.NoError(t, err)
	}
	got := pullAll(t, c, q, 0, 12)
	low, high, err := c.Bounds(ctx, q)
	require.NoError(t, err)
	require.Equal(t, []int64{0, 12}, []int64{low, high})
	offset, err := c.OffsetAt(ctx, q, before)
	require.NoError(t, err)
	require.Zero(t, offset)
	offset, err = c.OffsetAt(ctx, q, time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Equal(t, int64(12), offset)
	offset, err = c.OffsetAt(ctx, q, got[11].Stored)
	require.NoError(t, err)
	require.True(t, offset < 12 && got[offset].Stored.Equal(got[11].Stored), "offset %d", offset)
	require.NoError(t, c.CommitGroupOffset(ctx, "gantry", q, 7))
	require.True(t, rocketmq.IsPermanent(c.CommitGroupOffset(ctx, "no.dots", q, 7)))

	p, err := c.Pull(ctx, q, 5, 3)
	require.NoError(t, err)
	require.Equal(t, []int64{8, 0, 12}, []int64{p.Next, p.Min, p.Max})
	require.Len(t, p.Messages, 3)
	_, err = c.Pull(ctx, q, 13, 1)
	require.ErrorIs(t, err, rocketmq.ErrOffsetOutOfRange)
	var e *rocketmq.OffsetError
	require.ErrorAs(t, err, &e)
	require.Equal(t, rocketmq.OffsetError{Queue: q, Offset: 13, Min: 0, Max: 12}, *e)
	_, err = c.Pull(ctx, q, -1, 1)
	require.True(t, rocketmq.IsPermanent(err))
}

func TestALongPollIsWokenByAMessage(t *testing.T) {
	t.Parallel()
	c := open(t, rocketmq.Config{})
	q := create(t, c, 1)[0]
	_, err := c.Send(t.Context(), q, batch("x", 0, 1))
	require.NoError(t, err)
	g, ctx := errgroup.WithContext(t.Context())
	g.Go(func() error {
		p, err := c.Pull(ctx, q, 1, 10)
		if err == nil && len(p.Messages) == 0 { // the broker's patience ended before the message came
			p, err = c.Pull(ctx, q, 1, 10)
		}
		if err == nil && (len(p.Messages) != 1 || p.Next != 2) {
			return fmt.Errorf("pulled %+v", p)
		}
		return err
	})
	_, err = c.Send(ctx, q, batch("x", 1, 1))
	require.NoError(t, err)
	require.NoError(t, g.Wait())
}

func TestAClosedClientSaysSo(t *testing.T) {
	t.Parallel()
	c := open(t, rocketmq.Config{})
	q := create(t, open(t, rocketmq.Config{}), 1)[0]
	require.NoError(t, c.Ping(t.Context()))
	_, err := c.Send(t.Context(), q, batch("x", 0, 1))
	require.NoError(t, err)
	waiting := make(chan error, 1)
	go func() {
		_, err := c.Pull(context.Background(), q, 1, 1)
		waiting <- err
	}()
	require.NoError(t, c.Close())
	require.ErrorIs(t, <-waiting, rocketmq.ErrClosed)
	_, err = c.Send(t.Context(), q, batch("x", 0, 1))
	require.ErrorIs(t, err, rocketmq.ErrClosed)
	require.ErrorIs(t, c.Ping(t.Context()), rocketmq.ErrClosed)
	require.NoError(t, c.Close())
}

// TestAnAcknowledgedOffsetIsNeverOutOfRange floods the broker, so that its index falls behind, and asks at once for the very end.
func TestAnAcknowledgedOffsetIsNeverOutOfRange(t *testing.T) {
	t.Parallel()
	c := open(t, rocketmq.Config{})
	g, ctx := errgroup.WithContext(t.Context())
	for _, q := range create(t, c, 4) {
		g.Go(func() error {
			var end int64
			for range 40 {
				base, err := c.Send(ctx, q, batch("x", int(end), 500))
				if err != nil {
					return err
				}
				end = base + 500
			}
			if _, high, err := c.ExactBounds(ctx, q); err != nil || high < end {
				return fmt.Errorf("the queue ends at %d, not at %d or behind (%v)", high, end, err)
			}
			p, err := c.Pull(ctx, q, end-1, 10)
			if err != nil {
				return err
			}
			if len(p.Messages) != 1 || p.Next != end {
				return fmt.Errorf("pulled %+v at %d", p, end-1)
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
}
