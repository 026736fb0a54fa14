package workers

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

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

func TestOutgoingMessagesAreComplete(t *testing.T) {
	t.Parallel()
	var o outgoing
	for round := range 3 { // the memory is used again
		msgs := make([]pipeline.Message, 3+round)
		for i := range msgs {
			msgs[i] = pipeline.Message{Key: fmt.Sprint("k", i), Tag: "t", Body: []byte{byte(i)}}
			for p := range i {
				msgs[i].Properties = append(msgs[i].Properties, pipeline.Property{Name: fmt.Sprint("n", p), Value: fmt.Sprint(i)})
			}
		}
		o.fill(msgs)
		require.Len(t, o.messages, len(msgs))
		for i, m := range o.messages {
			require.Equal(t, msgs[i].Key, m.Key)
			require.Equal(t, msgs[i].Tag, m.Tag)
			require.Equal(t, msgs[i].Body, m.Body)
			require.Len(t, m.Properties, i)
			for p, property := range m.Properties {
				require.Equal(t, rocketmq.Property(msgs[i].Properties[p]), property)
			}
		}
	}
	// A field that is added on one side and not carried over would be lost in silence.
	require.Equal(t, 4, reflect.TypeFor[pipeline.Message]().NumField())
	require.Equal(t, 4, reflect.TypeFor[rocketmq.Message]().NumField())
	require.Equal(t, 8, reflect.TypeFor[pipeline.Received]().NumField())
}
