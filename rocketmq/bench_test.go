package rocketmq_test

import (
	"bytes"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gantry-connect/gantry/rocketmq"
)

const benchBatch = 500

func benchMessages() []rocketmq.Message {
	return slices.Repeat([]rocketmq.Message{{Body: bytes.Repeat([]byte("x"), 200)}}, benchBatch)
}

// BenchmarkSend is the raw rate of batches of 500 messages of 200 B, one batch in flight for each queue. One operation is a batch.
func BenchmarkSend(b *testing.B) {
	for _, queues := range []int{4, 8} {
		b.Run(fmt.Sprintf("queues=%d", queues), func(b *testing.B) {
			c := open(b, rocketmq.Config{})
			all := create(b, c, queues)
			msgs := benchMessages()
			var sent atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			var g errgroup.Group
			for _, q := range all {
				g.Go(func() error {
					for sent.Add(1) <= int64(b.N) {
						if _, err := c.Send(b.Context(), q, msgs); err != nil {
							return err
						}
					}
					return nil
				})
			}
			require.NoError(b, g.Wait())
			b.ReportMetric(float64(b.N*benchBatch)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

// BenchmarkPull is the raw rate of pulling messages of 200 B, each puller from a queue of its own, over and over. One operation is
// a pull.
func BenchmarkPull(b *testing.B) {
	const batches = 200
	for _, pullers := range []int{1, 4} {
		b.Run(fmt.Sprintf("pullers=%d", pullers), func(b *testing.B) {
			c := open(b, rocketmq.Config{})
			all := create(b, c, pullers)
			for _, q := range all {
				for range batches {
					_, err := c.Send(b.Context(), q, benchMessages())
					require.NoError(b, err)
				}
				pullAll(b, c, q, batches*benchBatch-1, 1) // all is indexed
			}
			var pulls, messages atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			var g errgroup.Group
			for _, q := range all {
				g.Go(func() error {
					for offset := int64(0); pulls.Add(1) <= int64(b.N); {
						p, err := c.Pull(b.Context(), q, offset, 1024)
						if err != nil {
							return err
						}
						messages.Add(int64(len(p.Messages)))
						if offset = p.Next; offset == p.Max {
							offset = 0
						}
						p.Release()
					}
					return nil
				})
			}
			require.NoError(b, g.Wait())
			b.ReportMetric(float64(messages.Load())/b.Elapsed().Seconds(), "msg/s")
		})
	}
}
