package connector_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

func TestWhoWaitsSaysThatItIsAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		last, longest := began, time.Duration(0)
		task := connector.Task{Working: func() {
			longest, last = max(longest, time.Since(last)), time.Now()
		}}
		require.NoError(t, task.Wait(t.Context(), time.Hour))
		require.Equal(t, time.Hour, time.Since(began))
		require.LessOrEqual(t, max(longest, time.Since(last)), connector.AliveWithin/2)

		require.NoError(t, connector.Task{}.Wait(t.Context(), 0))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, connector.Task{}.Wait(ctx, time.Hour), context.DeadlineExceeded)
	})
}
