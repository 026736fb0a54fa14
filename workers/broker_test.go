package workers

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/activities"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/pipeline"
	"github.com/gantry-connect/gantry/rocketmq"
)

func TestBrokerErrorsKeepTheirMeaning(t *testing.T) {
	t.Parallel()
	of := func(kind rocketmq.Kind) error { return &rocketmq.Error{Op: "send", Kind: kind, Err: errors.New("x")} }
	require.NoError(t, brokerError(nil))
	require.NoError(t, sendError(nil))
	require.ErrorIs(t, sendError(of(rocketmq.Unsure)), pipeline.ErrUnsure)
	require.ErrorIs(t, sendError(of(rocketmq.NotStored)), pipeline.ErrNotStored)
	require.True(t, connector.IsPermanent(sendError(of(rocketmq.Permanent))))
	for _, kind := range []rocketmq.Kind{rocketmq.Unsure, rocketmq.NotStored} { // of a pull, which stores nothing
		require.Equal(t, of(kind), brokerError(of(kind)))
	}
	require.True(t, connector.IsPermanent(brokerError(of(rocketmq.Permanent))))
	require.ErrorIs(t, brokerError(&rocketmq.OffsetError{}), pipeline.ErrOffsetOutOfRange)
	missing := sendError(&rocketmq.Error{Op: "send", Kind: rocketmq.Permanent, Err: fmt.Errorf("no: %w", rocketmq.ErrNoTopic)})
	require.ErrorIs(t, missing, activities.ErrNoTopic)
	require.ErrorIs(t, missing, pipeline.ErrNotStored)
	require.False(t, connector.IsPermanent(missing), "the topic may be created")
	unknown := errors.New("y")
	require.Equal(t, unknown, sendError(unknown))
}

// A field that is added to what the copy loop gets must be carried over. What it sends is converted as a whole.
func TestReceivedMessagesAreComplete(t *testing.T) {
	t.Parallel()
	got := reflect.ValueOf(received(&rocketmq.Received{Queue: rocketmq.Queue{Topic: "t", Broker: "b", ID: 1}, Offset: 2, Key: "k", Tag: "tag",
		Body: []byte("x"), Born: time.Unix(1, 0), Properties: "p", Err: errors.New("unreadable")}))
	for i := range got.NumField() {
		require.False(t, got.Field(i).IsZero(), got.Type().Field(i).Name)
	}
}
