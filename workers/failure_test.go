package workers_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/control"
	"github.com/gantry-connect/gantry/rocketmq"
	"github.com/gantry-connect/gantry/rocketmq/rocketmqtest"
	"github.com/gantry-connect/gantry/workers"
	"github.com/gantry-connect/gantry/workflows"
)

var triggerNow client.ScheduleTriggerOptions

// troubled is the config of a source that misbehaves.
func (r *rig) troubled(how string) map[string]string {
	return map[string]string{"connector.class": "TroubleSource", "topic": r.topic("trouble"), "topic.queues": "1",
		"trouble.how": how, "exactly.once": "off"}
}

// impatient makes watchdogs bite within the time of a test.
func impatient(c *workers.Config, _ *workers.Deps) {
	c.Activities.StallTimeout = time.Second
	c.Activities.DrainTimeout = time.Second
	c.Activities.EndTimeout = 300 * time.Millisecond
	c.Activities.MaxCrashes = 1
}

// Invariant 8: what a task says of a failure, after which it is tried again, holds no secret.
func TestSecretsStayOutOfATasksLastWord(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.worker("one", nil)
	config := r.troubled("fail")
	config["trouble.password"] = "${env:PATH}" // some variable that is set everywhere
	conn := r.create("trouble", config)
	var said catalog.TaskStatus
	r.await("it complains", func() bool {
		said = r.tasks(conn)[0]
		return strings.Contains(said.Trace, "nobody is let in with")
	})
	require.Contains(t, said.Trace, "nobody is let in with ********")
	require.NotContains(t, said.Trace, os.Getenv("PATH"))
}

// Planning panics are failures like others: they are told without secrets, in the status and in the history.
func TestSecretsStayOutOfAPanicInPlanning(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.worker("one", nil)
	config := r.troubled("panic in check")
	config["trouble.password"] = "${env:PATH}" // some variable that is set everywhere
	conn := r.create("trouble", config)
	r.await("it complains", func() bool {
		said, err := r.catalog.ConnectorStatus(t.Context(), conn.UID)
		if errors.Is(err, catalog.ErrNotFound) {
			return false // nothing was said yet
		}
		require.NoError(t, err)
		require.NotContains(t, said.Trace, os.Getenv("PATH"))
		return strings.Contains(said.Trace, "nobody gets through with ********")
	})
}

// Invariant 6: what panics, hangs or fails harms nobody else.
func TestTroubleIsIsolated(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		how   string
		state string // of the task
		trace string
	}{
		{"panic", catalog.StatusFailed, "panicked: what now"},
		{"panic in open", catalog.StatusFailed, "panicked: no luck"},
		{"hang in open", catalog.StatusFailed, "the task does not end"},
		{"hang", catalog.StatusFailed, "the connector's read has not returned for"},
		{"fail in open", catalog.StatusRestarting, "open the source: the system is down"},
		{"refuse in open", catalog.StatusFailed, "open the source: the password is wrong"},
	} {
		t.Run(tt.how, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			defer close(r.trouble.free)
			w := r.worker("one", impatient)
			good := r.create("numbers", r.numbers("numbers", 1, nil))
			r.create("drain", r.drainInto("numbers", 1))
			r.await("the good one", r.allRun(good, 1))
			since, ok := w.task(good.Name, 0)
			require.True(t, ok)

			bad := r.create("trouble", r.troubled(tt.how))
			r.await("the trouble shows", func() bool {
				s := r.tasks(bad)[0]
				return s.State == tt.state && len(s.Trace) > 0
			})
			require.Contains(t, r.tasks(bad)[0].Trace, tt.trace)
			require.NotContains(t, r.tasks(bad)[0].Trace, "goroutine", "a stack is for the log")
			require.Equal(t, catalog.StatusRunning, r.connectorState(bad))

			count := r.memory.count()
			r.await("the good one goes on", func() bool { return r.memory.count() > count+50 })
			still, ok := w.task(good.Name, 0)
			require.True(t, ok)
			require.Equal(t, since.Since, still.Since, "it was not restarted")

			r.trouble.set("none")
			r.restart("trouble", catalog.Restart{AllTasks: true, OnlyFailed: true})
			r.await("it is well again", r.allRun(bad, 1))
		})
	}
}

// A source whose Read ignores the end of its context is left behind, and its task goes on elsewhere.
func TestHungReadIsAbandoned(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.worker("one", func(c *workers.Config, d *workers.Deps) {
		impatient(c, d)
		c.Activities.StallTimeout = time.Minute
	})
	bad := r.create("trouble", r.troubled("hang"))
	r.await("it hangs", func() bool { return r.tasks(bad)[0].State == catalog.StatusRunning })
	r.desire("trouble", catalog.StatePaused)
	r.await("paused all the same", func() bool { return r.connectorState(bad) == catalog.StatusPaused && w.Health().Running == 0 })
	require.EqualValues(t, 1, w.Health().Abandoned)
	r.trouble.set("none")
	r.desire("trouble", catalog.StateRunning)
	r.await("it runs", r.allRun(bad, 1))
	close(r.trouble.free)
	r.await("what was left behind has ended", func() bool { return w.Health().Abandoned == 0 })
}

// A connector whose system is gone pauses all the same, and the config that mends it takes effect.
func TestAnUnreachableSystemHoldsNothingUp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ how, detail string }{
		{"move to a host that answers", "the next start settles it by the new config"},
		{"divide anew", "went on without settling"},
	} {
		t.Run(tt.how, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			w := r.worker("one", func(c *workers.Config, d *workers.Deps) {
				impatient(c, d)
				c.Activities.StallTimeout, c.Activities.SettleTimeout = time.Minute, 2*time.Second
			})
			config := r.troubled("")
			config["exactly.once"] = "preferred"
			conn := r.create("trouble", config)
			r.await("it runs", r.allRun(conn, 1))
			r.trouble.set("hang")
			r.await("it hangs", func() bool { r.trouble.mu.Lock(); defer r.trouble.mu.Unlock(); return r.trouble.stuck == 1 })
			r.trouble.set("only changed configs work")
			r.desire("trouble", catalog.StatePaused)
			r.await("paused all the same", func() bool { return r.connectorState(conn) == catalog.StatusPaused && w.Health().Running == 0 })
			status, err := r.catalog.ConnectorStatus(t.Context(), conn.UID)
			require.NoError(t, err)
			require.Contains(t, status.Trace, "task 0 is not settled: tried for")
			require.Contains(t, status.Trace, "the system is down; the next start settles it")

			r.configure("trouble", map[string]string{"trouble.how": tt.how})
			r.desire("trouble", catalog.StateRunning)
			r.await("the mended one runs", func() bool {
				now, err := r.catalog.Connector(t.Context(), conn.Name)
				return err == nil && now.PlannedRevision == now.Revision && now.Revision > conn.Revision && r.allRun(conn, 1)()
			})
			events, err := r.catalog.Events(t.Context(), conn.UID, 20)
			require.NoError(t, err)
			require.True(t, slices.ContainsFunc(events, func(e catalog.Event) bool {
				return e.Kind == "not settled" && strings.Contains(e.Detail, tt.detail)
			}), "%+v", events)
			close(r.trouble.free)
			r.await("what was left behind has ended", func() bool { return w.Health().Abandoned == 0 })
		})
	}
}

func TestPlanningFailureIsShownAndRetried(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.worker("one", nil)
	bad := r.create("trouble", r.troubled("refuse plan"))
	r.await("the failure", func() bool { return r.connectorState(bad) == catalog.StatusFailed })
	status, err := r.catalog.ConnectorStatus(t.Context(), bad.UID)
	require.NoError(t, err)
	require.Contains(t, status.Trace, "there is nothing to read")
	r.configure("trouble", map[string]string{"trouble.how": "none"})
	r.await("it runs", r.allRun(bad, 1))
	require.Equal(t, catalog.StatusRunning, r.connectorState(bad))
}

// A system that is away when a plan is needed is waited for, and the connector says so.
func TestPlanningWaitsForASystemThatIsAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.worker("one", nil)
	r.trouble.set("fail plan")
	conn := r.create("trouble", r.troubled(""))
	r.await("the second try", func() bool { r.trouble.mu.Lock(); defer r.trouble.mu.Unlock(); return r.trouble.plans >= 2 })
	r.await("the trouble shows", func() bool {
		s, err := r.catalog.ConnectorStatus(t.Context(), conn.UID)
		return err == nil && s.State == catalog.StatusUnassigned && strings.Contains(s.Trace, "the system is down; tried again at ")
	})
	r.awaitDetails(workflows.ConnectorWorkflowID(conn.Name), "the system is down; tried again with growing pauses of up to a minute, next at ")
	r.reconcile("trouble") // as the schedule would not: see beingPlanned
	r.trouble.set("none")
	r.await("it runs", r.allRun(conn, 1))
	require.Equal(t, catalog.StatusRunning, r.connectorState(conn))
	events, err := r.catalog.Events(t.Context(), conn.UID, 20)
	require.NoError(t, err)
	told := slices.DeleteFunc(events, func(e catalog.Event) bool { return e.Kind != "planning failed" })
	require.Len(t, told, 1, "an event for each trouble, not for each try")
	require.Contains(t, told[0].Detail, "the system is down")
}

func TestConfigsThatCannotWork(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.worker("one", nil)
	for name, tt := range map[string]struct{ key, value, trace string }{
		"class": {"connector.class", "NoSource", "there is no such connector class"},
		"ref":   {"trouble.how", "${env:NO_SUCH_VARIABLE}", "trouble.how: refers to ${env:NO_SUCH_VARIABLE}: this worker has no such environment variable"},
		"range": {"topic.queues", "0", "topic.queues"},
	} {
		config := r.troubled("")
		config[tt.key] = tt.value
		conn := r.create(name, config)
		r.await("the failure", func() bool { return r.connectorState(conn) == catalog.StatusFailed })
		status, err := r.catalog.ConnectorStatus(t.Context(), conn.UID)
		require.NoError(t, err)
		require.Contains(t, status.Trace, tt.trace)
	}
}

// TestABrokerThatIsDownHoldsNothingUp: what operators ask for is done although the end of the task cannot be settled, and it says
// why. Once the broker is back, the next start settles.
func TestABrokerThatIsDownHoldsNothingUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	wire := rocketmqtest.New(t, r.info.NameServer)
	cut, err := rocketmq.Open(rocketmq.Config{NameServers: []string{wire.NameServer()}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = cut.Close() })
	w := r.worker("one", func(c *workers.Config, d *workers.Deps) {
		d.RocketMQ = cut
		c.Activities.SettleTimeout, c.Activities.DrainTimeout, c.Activities.EndTimeout = 2*time.Second, time.Second, time.Second
	})
	conn := r.create("numbers", r.numbers("numbers", 1, map[string]string{"exactly.once": "required"}))
	r.await("it runs", r.allRun(conn, 1))
	wire.Refuse(true)
	r.desire("numbers", catalog.StatePaused)
	r.await("paused all the same", func() bool { return r.connectorState(conn) == catalog.StatusPaused && w.Health().Running == 0 })
	status, err := r.catalog.ConnectorStatus(t.Context(), conn.UID)
	require.NoError(t, err)
	require.Contains(t, status.Trace, "task 0 is not settled: ")
	require.Contains(t, status.Trace, r.topic("numbers")+"/")
	require.Contains(t, status.Trace, " has failed since ")
	r.desire("numbers", catalog.StateStopped)
	r.await("stopped", func() bool { return r.connectorState(conn) == catalog.StatusStopped })
	var conflict *control.ConflictError
	require.ErrorAs(t, r.service().ResetOffsets(t.Context(), conn.Name, "ada"), &conflict)
	require.Contains(t, conflict.Reason, "have not ended cleanly: task 0 is not settled: ", "nothing will come of waiting")

	wire.Refuse(false)
	r.create("drain", r.drainInto("numbers", 1))
	r.desire("numbers", catalog.StateRunning)
	sent := r.tasks(conn)[0].CommittedRecords
	r.await("it goes on", func() bool { return r.tasks(conn)[0].CommittedRecords > sent+100 })
	r.desire("numbers", catalog.StateStopped)
	r.await("stopped and settled", func() bool { return r.connectorState(conn) == catalog.StatusStopped })
	sent = r.tasks(conn)[0].CommittedRecords
	r.await("all is read", func() bool { return int64(r.memory.count()) >= sent })
	r.memory.exactly(t)
}
