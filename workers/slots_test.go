package workers

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/worker"
	"google.golang.org/grpc"
)

func TestFairSharesCoverEveryTask(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		wanted     int
		capacities []int
		shares     []int
	}{
		{0, []int{100}, []int{0}},
		{10, []int{100}, []int{10}},
		{10, []int{100, 100}, []int{5, 5}},
		{11, []int{100, 100}, []int{6, 6}},
		{12, []int{200, 100}, []int{8, 4}},
		{300, []int{100, 100}, []int{100, 100}},
		{5, []int{1, 1, 1}, []int{1, 1, 1}},
	} {
		total, sum := 0, 0
		for _, c := range tt.capacities {
			total += c
		}
		for i, c := range tt.capacities {
			share := fairShare(tt.wanted, c, total)
			require.Equal(t, tt.shares[i], share, "%+v", tt)
			sum += share
		}
		require.GreaterOrEqual(t, sum, min(tt.wanted, total), "%+v: a task would stay without a worker", tt)
	}
	require.Equal(t, 7, fairShare(3, 7, 0), "who knows of nobody, not even of itself, takes what it can")
}

func TestSlotsWaitForRoom(t *testing.T) {
	t.Parallel()
	s := newSlots(3)
	s.update(1, 0, 0)
	take := func() <-chan error {
		done := make(chan error, 1)
		go func() { _, err := s.ReserveSlot(t.Context(), nil); done <- err }()
		return done
	}
	require.NoError(t, <-take())
	waits := func(done <-chan error) {
		t.Helper()
		<-s.full // it has looked
		select {
		case err := <-done:
			t.Fatalf("there was no room, and yet: %v", err)
		default:
		}
	}
	second := take()
	waits(second)
	s.update(1, 0, 1) // nobody waits for a share while a wanted task has no owner
	require.NoError(t, <-second)
	s.MarkSlotUsed(nil)
	fresh := take()
	waits(fresh) // it has come: there is no other
	s.update(1, 0, 1)
	require.NoError(t, <-fresh)
	s.ReleaseSlot(nil) // an empty poll
	s.update(1, 0, 0)
	third := take()
	waits(third)
	s.update(1, 2, 0) // two of the tasks are orphans: they do not count
	require.NoError(t, <-third)
	s.update(1, 0, 1)
	fourth := take()
	waits(fourth) // the capacity is a bound at any rate
	s.ReleaseSlot(nil)
	require.NoError(t, <-fourth)
	s.drain()
	s.ReleaseSlot(nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := s.ReserveSlot(ctx, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded, "a draining worker takes nothing")
}

func TestOnlyPollsForTasksAreShort(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		req   any
		short bool
	}{
		{&workflowservice.PollActivityTaskQueueRequest{TaskQueue: &taskqueuepb.TaskQueue{Name: "gantry-task"}}, true},
		{&workflowservice.PollActivityTaskQueueRequest{TaskQueue: &taskqueuepb.TaskQueue{Name: "gantry-task.big"}}, true},
		{&workflowservice.PollActivityTaskQueueRequest{TaskQueue: &taskqueuepb.TaskQueue{Name: "gantry-control"}}, false},
		{&workflowservice.PollWorkflowTaskQueueRequest{TaskQueue: &taskqueuepb.TaskQueue{Name: "gantry-task"}}, false},
	} {
		called := false
		err := shorten("gantry-task")(t.Context(), "", tt.req, nil, nil,
			func(ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
				called = true
				deadline, ok := ctx.Deadline()
				require.Equal(t, tt.short, ok, "%v", tt.req)
				require.True(t, !ok || time.Until(deadline) <= shortPoll)
				return nil
			})
		require.NoError(t, err)
		require.True(t, called)
	}
}

var _ worker.SlotSupplier = (*slots)(nil)
