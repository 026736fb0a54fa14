package pipeline

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// TestASinkThatBeginsAtTheEndStaysThere: what comes while it does not run, or what its first start could not write, is not
// skipped by the next start.
func TestASinkThatBeginsAtTheEndStaysThere(t *testing.T) {
	t.Parallel()
	t.Run("nothing came", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newSinkBench("start.offset", "latest")
			b.put(rec7(1, 0, 1), "before")
			require.NoError(t, b.run(t))
			b.put(rec7(1, 0, 2), "while it was paused")
			require.NoError(t, b.run(t))
			require.Equal(t, []string{"while it was paused"}, b.got())
		})
	})
	t.Run("the target did not take it", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newSinkBench("start.offset", "latest")
			b.put(nil, "before")
			b.sink.write = func(connector.Batch) error { return errors.New("target is down") }
			time.AfterFunc(time.Second, func() { b.put(nil, "first") })
			require.Error(t, b.run(t))
			b.sink.write = nil
			require.NoError(t, b.run(t))
			require.Equal(t, []string{"first"}, b.got())
		})
	})
}
