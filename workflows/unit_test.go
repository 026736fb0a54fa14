package workflows

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"
)

func TestPlanDiffLeavesUnchangedTasksAlone(t *testing.T) {
	t.Parallel()
	a, b, b2, c := PlannedTask{0, "a"}, PlannedTask{1, "b"}, PlannedTask{1, "b2"}, PlannedTask{2, "c"}
	for _, tt := range []struct {
		name       string
		busy, plan []PlannedTask
		blocking   []int
	}{
		{"nothing runs", nil, []PlannedTask{a, b}, nil},
		{"the same", []PlannedTask{a, b}, []PlannedTask{a, b}, nil},
		{"one more", []PlannedTask{a, b}, []PlannedTask{a, b, c}, nil},
		{"one changed", []PlannedTask{a, b}, []PlannedTask{a, b2}, []int{1}},
		{"one dropped", []PlannedTask{a, b, c}, []PlannedTask{a, b}, []int{2}},
		{"all dropped", []PlannedTask{a, b}, nil, []int{0, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.blocking, inTheWay(tt.busy, tt.plan))
		})
	}
}

func TestMergeKeepsWhatThePlanLeavesUnchanged(t *testing.T) {
	t.Parallel()
	old := []TaskEntry{
		{PlannedTask: PlannedTask{0, "a"}, State: Running},
		{PlannedTask: PlannedTask{1, "b"}, State: Failed, Reason: "gone", Settled: true},
		{PlannedTask: PlannedTask{2, "c"}, State: Running, Settled: true},
	}
	require.Equal(t, []TaskEntry{
		{PlannedTask: PlannedTask{0, "a"}, State: Running},
		{PlannedTask: PlannedTask{1, "B"}, State: Unassigned, Settled: true},
		{PlannedTask: PlannedTask{3, "d"}, State: Unassigned, Settled: true},
	}, merge(old, []PlannedTask{{3, "d"}, {0, "a"}, {1, "B"}}))
}

func TestPausesBetweenTurns(t *testing.T) {
	t.Parallel()
	released := RunTaskResult{Release: ReleaseWorkerStop}
	unwanted := RunTaskResult{Release: ReleaseUnwanted}
	run := &taskRun{}
	for range shortTurns - 1 {
		require.Zero(t, run.pause(released, nil, time.Millisecond), "a task that was handed over runs again at once")
	}
	require.Equal(t, time.Second, run.pause(released, nil, time.Millisecond),
		"one that ends at once again and again does not fill the history")
	require.Equal(t, 2*time.Second, run.pause(unwanted, nil, time.Millisecond))
	for range 20 {
		run.pause(unwanted, nil, time.Millisecond)
	}
	require.Equal(t, longestPause, run.pause(unwanted, nil, time.Millisecond))
	require.Zero(t, run.pause(released, nil, time.Hour), "a long turn makes good")
}

// Signals of different names have no order once they have arrived; stopping must win over going on.
func TestVerbsThatCameTogether(t *testing.T) {
	t.Parallel()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.RegisterWorkflowWithOptions(Connector, workflow.RegisterOptions{Name: ConnectorType})
	desired, asked := DesiredStopped, []string(nil)
	env.RegisterActivityWithOptions(func(context.Context, LoadConnectorInput) (LoadConnectorResult, error) {
		return LoadConnectorResult{Found: true, UID: 1, Revision: 1, Desired: desired}, nil
	}, activity.RegisterOptions{Name: ActivityLoadConnector})
	env.RegisterActivityWithOptions(func(_ context.Context, in SetDesiredInput) error {
		asked = append(asked, in.Signal+" by "+in.Verb.Author)
		return nil
	}, activity.RegisterOptions{Name: ActivitySetDesired})
	env.RegisterActivityWithOptions(func(context.Context, SetConnectorStatusInput) error { return nil },
		activity.RegisterOptions{Name: ActivitySetConnectorStatus})
	env.RegisterDelayedCallback(func() {
		env.SignalWorkflowSkippingWorkflowTask(SignalDelete, Verb{Author: "a"})
		env.SignalWorkflowSkippingWorkflowTask(SignalPause, Verb{Author: "b"})
		env.SignalWorkflow(SignalResume, Verb{Author: "c"})
	}, time.Minute)
	var status ConnectorStatus
	env.RegisterDelayedCallback(func() {
		value, err := env.QueryWorkflow(QueryStatus)
		require.NoError(t, err)
		require.NoError(t, value.Get(&status))
		env.CancelWorkflow()
	}, 2*time.Minute)
	env.ExecuteWorkflow(ConnectorType, ConnectorState{Name: "x"})
	require.Equal(t, []string{"pause by b"}, asked)
	require.Equal(t, "resume, delete: came together with pause, which was obeyed; send it again if it is wanted", status.Refusal)
}

func TestTaskContinuesAsNewBetweenTurns(t *testing.T) {
	t.Parallel()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.RegisterWorkflowWithOptions(Task, workflow.RegisterOptions{Name: TaskType})
	env.RegisterActivityWithOptions(func(context.Context, RunTaskInput) (RunTaskResult, error) {
		return RunTaskResult{}, nil
	}, activity.RegisterOptions{Name: ActivityRunTask})
	turns := 0
	env.OnActivity(ActivityRunTask, mock.Anything, mock.Anything).Return(func(context.Context, RunTaskInput) (RunTaskResult, error) {
		if turns++; turns == 3 {
			env.SetContinueAsNewSuggested(true)
		}
		return RunTaskResult{Release: ReleaseTurn, Settled: true}, nil
	})
	env.ExecuteWorkflow(TaskType, TaskState{Connector: "x", Task: 2, Hash: "h"})
	err := env.GetWorkflowError()
	require.True(t, workflow.IsContinueAsNewError(err), "%v", err)
	require.Equal(t, 3, turns)
}

func TestDetailsStayWithinBounds(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü|\n", 1000)
	s := ConnectorState{Name: "x", State: Running, Reason: long, Refusal: long, Unwatched: long, Progress: &ConnectorProgress{At: time.Now()}}
	for n := range 3000 {
		s.Tasks = append(s.Tasks, TaskEntry{PlannedTask: PlannedTask{Number: n}, State: Restarting, Reason: long})
		s.Progress.Tasks = append(s.Progress.Tasks, TaskProgress{Task: n, Worker: long, Records: 1 << 60, Rate: 1e9, LagRecords: 1 << 50,
			LagBytes: 1 << 50, LastRecordAt: time.Now()})
	}
	text := connectorDetails(s)
	require.Less(t, len(text), 20_000)
	require.True(t, strings.Contains(text, "and 2940 more"))
	require.Equal(t, "a \\| b c", cell("a | b\nc", 100))
	require.Equal(t, "ü…", clip("üüüü", 6))
}
