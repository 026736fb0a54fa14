package workers_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/workers"
	"github.com/gantry-connect/gantry/workflows"
)

// A group's workers may have gone for good, or there may be no plain one left: what they ran moves on all the same.
func TestConnectorsLeaveAGroupThatHasNoWorkers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, from, to string }{
		{"to plain workers", "old", ""}, {"to another group", "old", "new"}, {"from plain workers", "", "new"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			grouped := func(group string) func(*workers.Config, *workers.Deps) {
				return func(c *workers.Config, _ *workers.Deps) { c.Group = group }
			}
			r.worker("stays", grouped(tt.to))
			goes := r.worker("goes", grouped(tt.from))
			conn := r.create("numbers", r.numbers("numbers", 2, map[string]string{"worker.group": tt.from}))
			r.await("both tasks", r.allRun(conn, 2))
			require.Equal(t, 2, goes.Health().Running)
			goes.halt(t)
			epochs := r.tasks(conn)
			r.configure("numbers", map[string]string{"worker.group": tt.to})
			r.await("they run where there are workers", func() bool {
				now := r.tasks(conn)
				return now[0].Epoch > epochs[0].Epoch && now[1].Epoch > epochs[1].Epoch && r.allRun(conn, 2)()
			})
			require.Equal(t, catalog.StatusRunning, r.connectorState(conn))
		})
	}
}

// The schedule finds every wish of which no workflow has heard, because whoever wrote it down died, say.
func TestTheScheduleCarriesOutARestartThatNobodyWasToldOf(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.worker("one", nil)
	conn := r.create("numbers", r.numbers("numbers", 2, nil))
	r.await("both tasks", r.allRun(conn, 2))
	before, one := r.tasks(conn), 1
	_, err := r.catalog.RequestRestart(t.Context(), conn.Name, catalog.Restart{Task: &one}, "test")
	require.NoError(t, err)
	r.await("the restart", func() bool { return r.tasks(conn)[1].Epoch > before[1].Epoch && r.allRun(conn, 2)() || r.nudge() })
	r.await("it is known to be done", func() bool {
		left, err := r.catalog.RestartsLeft(t.Context())
		require.NoError(t, err)
		return len(left) == 0 || r.nudge()
	})
	after := r.tasks(conn)
	require.Equal(t, before[0].Epoch, after[0].Epoch, "task 0 is left alone")
	require.NoError(t, r.client.ScheduleClient().GetHandle(t.Context(), r.suffix).Trigger(t.Context(), triggerNow))
	r.reconcile("numbers")
	r.await("the next look", func() bool { return r.tasks(conn)[1].Records > after[1].Records+100 })
	require.Equal(t, after[1].Epoch, r.tasks(conn)[1].Epoch, "it is restarted once")
}

// A catalog that was restored has an older plan than the workflow.
func TestTasksWhosePlanWasReplacedRunAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.worker("one", nil)
	conn := r.create("numbers", r.numbers("numbers", 2, nil))
	r.await("both tasks", r.allRun(conn, 2))
	before := r.tasks(conn)
	plan, err := r.catalog.Plan(t.Context(), conn.UID)
	require.NoError(t, err)
	plan[0].Hash = "of an older config"
	_, err = r.catalog.SavePlan(t.Context(), conn.UID, conn.Revision, plan)
	require.NoError(t, err)
	r.await("it runs by the newest plan", func() bool { return r.tasks(conn)[0].Epoch > before[0].Epoch && r.allRun(conn, 2)() })
	require.Equal(t, before[1].Epoch, r.tasks(conn)[1].Epoch, "task 1 is the same in both")
}

// A catalog that was restored may not know a connector at all.
func TestWorkflowsOfAConnectorThatTheCatalogHasLostEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.worker("one", nil)
	conn := r.create("numbers", r.numbers("numbers", 1, nil))
	r.await("the task", r.allRun(conn, 1))
	require.NoError(t, r.catalog.DeleteConnector(t.Context(), conn.Name, "test"))
	require.NoError(t, r.catalog.Forget(t.Context(), conn.UID))
	for _, id := range []string{workflows.TaskWorkflowID(conn.Name, 0), workflows.ConnectorWorkflowID(conn.Name)} {
		r.await(id, func() bool {
			d, err := r.client.DescribeWorkflowExecution(t.Context(), id, "")
			require.NoError(t, err)
			return d.WorkflowExecutionInfo.Status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
		})
	}
	r.awaitFor("nothing is left", 10*time.Second, func() bool { return w.Health().Running == 0 })
}

// A catalog that was restored may be from before the connector's state was known.
func TestAStateThatTheCatalogHasLostIsShownAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.worker("one", nil)
	conn := r.create("numbers", r.numbers("numbers", 1, nil))
	r.await("it runs", func() bool { return r.connectorState(conn) == catalog.StatusRunning })
	db, err := pgx.Connect(t.Context(), r.url)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close(t.Context())) }()
	_, err = db.Exec(t.Context(), "delete from gantry.connector_status")
	require.NoError(t, err)
	r.await("it shows", func() bool { return r.connectorState(conn) == catalog.StatusRunning || r.nudge() })
}

// A catalog that was restored counts restarts from where it was: the workflow has obeyed others by these numbers.
func TestARestartIsCarriedOutThoughItsNumberWasUsedBefore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.worker("one", nil)
	conn := r.create("numbers", r.numbers("numbers", 1, nil))
	r.await("the task", r.allRun(conn, 1))
	restarted := func() {
		epoch, one := r.tasks(conn)[0].Epoch, 0
		r.restart("numbers", catalog.Restart{Task: &one})
		r.await("the restart", func() bool { return r.tasks(conn)[0].Epoch > epoch && r.allRun(conn, 1)() })
	}
	restarted()
	restarted()
	db, err := pgx.Connect(t.Context(), r.url)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close(t.Context())) }()
	for _, back := range []string{"update gantry.connectors set restart_seq = 0", "delete from gantry.restarts"} {
		_, err = db.Exec(t.Context(), back)
		require.NoError(t, err)
	}
	restarted()
	restarted()
}
