package activities

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/workflows"
)

// leftTopics are those that a deleted connector leaves, in memory.
type leftTopics struct {
	mu     sync.Mutex
	names  map[string]bool
	events []catalog.EventKind
}

func (l *leftTopics) TopicsToDrop(context.Context, int64) (names []string, err error) {
	for name := range l.names {
		names = append(names, name)
	}
	return names, nil
}

func (l *leftTopics) TopicDone(ctx context.Context, topic string, e catalog.Event) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.names, topic)
	l.events = append(l.events, e.Kind)
	return nil
}

// silentBroker answers nothing.
type silentBroker struct{}

func (silentBroker) DeleteTopic(ctx context.Context, _ string) error {
	<-ctx.Done()
	return errors.New("the broker does not answer")
}

// However many topics lie on a broker that is down, the deletion of a connector that is to take them along comes to an end:
// each attempt, which Temporal bounds, is done with some of them.
func TestTopicsOnABrokerThatIsDownHoldUpNoDeletion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const attempt = 5 * time.Second // as in package workflows
		left := &leftTopics{names: map[string]bool{}}
		for n := range 3 * dropsAtOnce {
			left.names[fmt.Sprint("t", n)] = true
		}
		attempts := 0
		for err := errors.New("not tried"); err != nil; attempts++ {
			require.Less(t, attempts, 3, "attempts")
			ctx, cancel := context.WithTimeout(t.Context(), attempt)
			err = dropTopics(ctx, left, silentBroker{}, workflows.FinishDeleteInput{Name: "c", UID: 1})
			cancel()
		}
		require.Empty(t, left.names)
		require.Len(t, left.events, 3*dropsAtOnce)
		require.NotContains(t, left.events, eventTopicDropped)
	})
}
