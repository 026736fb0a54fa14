package workflows_test

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/gantry-connect/gantry/workflows"
)

// Histories of a release are never changed; those in testdata/histories/next belong to the release to come.
var record = flag.Bool("record", false, "let TestLifeCycle write the histories of every path to testdata/histories/next")

const histories = "testdata/histories"

// TestReplay proves that workflows which older binaries have started go on under this one.
func TestReplay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(histories, "*", "*.json.gz"))
	require.NoError(t, err)
	for _, lc := range lifeCycles {
		require.True(t, hasPrefix(files, fileName(lc.name)), "no recorded history of path %q: run go test -run TestLifeCycle -record", lc.name)
	}
	for _, file := range files {
		t.Run(strings.TrimPrefix(file, histories+"/"), func(t *testing.T) {
			t.Parallel()
			replayer := worker.NewWorkflowReplayer()
			replayer.RegisterWorkflowWithOptions(workflows.Connector, workflow.RegisterOptions{Name: workflows.ConnectorType})
			replayer.RegisterWorkflowWithOptions(workflows.Task, workflow.RegisterOptions{Name: workflows.TaskType})
			replayer.RegisterWorkflowWithOptions(workflows.Probe, workflow.RegisterOptions{Name: workflows.ProbeType})
			require.NoError(t, replayer.ReplayWorkflowHistory(quiet{}, readHistory(t, file)))
		})
	}
}

func hasPrefix(files []string, name string) bool {
	for _, f := range files {
		if strings.HasPrefix(filepath.Base(f), name+".") {
			return true
		}
	}
	return false
}

func fileName(path string) string { return strings.ReplaceAll(path, " ", "-") }

// record writes the history of every run of the connector and of its task 0 and 1.
func (w *world) record(path string) {
	w.t.Helper()
	dir := filepath.Join(histories, "next")
	require.NoError(w.t, os.MkdirAll(dir, 0o755))
	ids := map[string]string{"connector": workflows.ConnectorWorkflowID(w.name)}
	for n := range 2 {
		if w.counts()[n] > 0 {
			ids[fmt.Sprintf("task%d", n)] = workflows.TaskWorkflowID(w.name, n)
		}
	}
	for part, id := range ids {
		for i, run := range w.allRuns(id) {
			name := fmt.Sprintf("%s.%s.%d.json.gz", fileName(path), part, i+1)
			require.NoError(w.t, os.WriteFile(filepath.Join(dir, name), w.history(id, run), 0o644))
		}
	}
}

// signals counts the signals that a workflow has got.
func (w *world) signals(id string) int {
	w.t.Helper()
	n := 0
	events := w.client.GetWorkflowHistory(w.t.Context(), id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(w.t, err)
		if event.EventType == enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED {
			n++
		}
	}
	return n
}

// allRuns are the run ids of a workflow, newest first. The newest is asked for by id: lists lag.
func (w *world) allRuns(id string) []string {
	newest := w.runID(id)
	runs := []string{newest}
	for _, run := range w.listRuns(id) {
		if run != newest {
			runs = append(runs, run)
		}
	}
	return runs
}

func (w *world) history(id, run string) []byte {
	w.t.Helper()
	events := w.client.GetWorkflowHistory(w.t.Context(), id, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	history := &historypb.History{}
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(w.t, err)
		history.Events = append(history.Events, event)
	}
	text, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(history)
	require.NoError(w.t, err)
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, err = zip.Write(text)
	require.NoError(w.t, err)
	require.NoError(w.t, zip.Close())
	return packed.Bytes()
}

func readHistory(t *testing.T, file string) *historypb.History {
	t.Helper()
	packed, err := os.ReadFile(file)
	require.NoError(t, err)
	zip, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	text, err := io.ReadAll(zip)
	require.NoError(t, err)
	history, err := client.HistoryFromJSON(bytes.NewReader(text), client.HistoryJSONOptions{})
	require.NoError(t, err)
	return history
}
