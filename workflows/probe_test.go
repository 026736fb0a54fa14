package workflows_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/gantry-connect/gantry/workflows"
)

// A question is asked once more when a worker could not answer, and then given up: whoever asked does not wait for long.
func TestAProbeIsTriedTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var calls atomic.Int32
	queue := w.queue + "-probe"
	sdk := worker.New(w.client, queue, worker.Options{DisableRegistrationAliasing: true, WorkflowPanicPolicy: worker.FailWorkflow})
	sdk.RegisterWorkflowWithOptions(workflows.Probe, workflow.RegisterOptions{Name: workflows.ProbeType})
	sdk.RegisterActivityWithOptions(func(_ context.Context, in workflows.ProbeInput) error {
		if calls.Add(1) == 1 || strings.HasPrefix(in.About, "fail") {
			return errors.New("the catalog is away")
		}
		return nil
	}, activity.RegisterOptions{Name: workflows.ActivityProbe})
	require.NoError(t, sdk.Start())
	defer sdk.Stop()
	ask := func(about string) error {
		id := workflows.ProbeWorkflowID(w.name + about)
		run, err := w.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: queue},
			workflows.ProbeType, workflows.ProbeInput{Question: w.name, About: about})
		require.NoError(t, err)
		return run.Get(t.Context(), nil)
	}
	require.NoError(t, ask("answer"))
	require.Equal(t, int32(2), calls.Load())
	var failed *temporal.ApplicationError
	require.ErrorAs(t, ask("fail"), &failed)
	require.Equal(t, int32(4), calls.Load())
	if *record {
		for _, about := range []string{"answer", "fail"} {
			id := workflows.ProbeWorkflowID(w.name + about)
			file := filepath.Join(histories, "next", "probe-"+about+".probe.1.json.gz")
			require.NoError(t, os.WriteFile(file, w.history(id, ""), 0o644))
		}
	}
}
