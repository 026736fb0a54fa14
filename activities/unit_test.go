package activities

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/pipeline"
	"github.com/gantry-connect/gantry/secrets"
	"github.com/gantry-connect/gantry/workflows"
)

func TestFailuresBecomeWhatTheServerShallDo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		err   error
		final bool
		delay time.Duration // at least; 0 means the retry policy's
	}{
		{"a system that is away", errors.New("connection refused"), false, 4 * time.Second},
		{"permanent", fmt.Errorf("open: %w", connector.Permanent(errors.New("no such table"))), true, 0},
		{"config", &connector.ConfigError{Field: "x", Reason: "is wrong"}, true, 0},
		{"given up", fmt.Errorf("%w: too often", errGaveUp), true, 0},
		{"fenced in the catalog", catalog.ErrFenced, false, fencedDelay},
		{"fenced in the loop", fmt.Errorf("commit: %w", pipeline.ErrFenced), false, fencedDelay},
		{"fenced in the target", connector.ErrFenced, false, fencedDelay},
		{"overtaken", catalog.ErrStaleAttempt, false, 0},
		{"a crash", &crashError{what: "it panicked"}, false, 4 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var app *temporal.ApplicationError
			require.ErrorAs(t, toTemporal(tt.err, failure{consecutive: 3}), &app)
			require.Equal(t, tt.final, app.NonRetryable())
			require.Contains(t, app.Message(), tt.err.Error())
			require.GreaterOrEqual(t, app.NextRetryDelay(), tt.delay)
			require.LessOrEqual(t, app.NextRetryDelay(), tt.delay+tt.delay/10)
		})
	}
	require.NoError(t, toTemporal(nil, failure{}))
	canceled := temporal.NewCanceledError(workflows.RunTaskResult{Settled: true})
	require.Equal(t, canceled, toTemporal(canceled, failure{}))
	require.Equal(t, context.Canceled, toTemporal(context.Canceled, failure{}))
}

func TestADrainedSourceWithOpenQueuesIsNotSettled(t *testing.T) {
	t.Parallel()
	failed := errors.New("connection refused")
	require.False(t, settledBy("source", nil, false), "a plan that moves its partitions would double what was read back")
	require.True(t, settledBy("source", nil, true))
	require.True(t, settledBy("source", failed, true))
	require.True(t, settledBy("sink", nil, true))
	require.False(t, settledBy("sink", failed, true))
}

func TestDelaysGrowAndEnd(t *testing.T) {
	t.Parallel()
	require.Zero(t, failure{}.delay(), "left to the policy")
	for n, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 6: 32 * time.Second, 7: time.Minute, 1000: time.Minute} {
		d := failure{consecutive: n}.delay()
		require.GreaterOrEqual(t, d, want)
		require.LessOrEqual(t, d, want+want/10)
	}
	require.LessOrEqual(t, failure{consecutive: 9, longest: 3 * time.Second}.delay(), 3300*time.Millisecond)
}

func TestSecretsStayOutOfPlans(t *testing.T) {
	t.Parallel()
	raw := map[string]string{"url": "postgres://ann:${vault:u}@host/db", "password": "${vault:p}", "plain": "x", "name": "c"}
	resolved := secrets.Resolved{Scrub: secrets.NewScrubber([]string{"s3cret", "p4ssword"}),
		Config: map[string]string{"url": "postgres://ann:s3cret@host/db", "password": "p4ssword", "plain": "x", "name": "c"}}
	task := maps.Clone(resolved.Config)
	task["tables"] = "a,b"
	planned, err := storable(task, raw, resolved)
	require.NoError(t, err)
	raw["tables"] = "a,b"
	require.Equal(t, raw, planned, "the plan in the catalog holds references, never values")

	delete(raw, "tables")
	task["tables"] = "with p4ssword in it"
	_, err = storable(task, raw, resolved)
	require.ErrorContains(t, err, "puts a secret of its config into tables")
	require.NotContains(t, err.Error(), "p4ssword")
	require.True(t, connector.IsPermanent(err))
}

func TestHashesChangeExactlyWithWhatATaskDependsOn(t *testing.T) {
	t.Parallel()
	base := catalog.PlannedTask{Config: map[string]string{"a": "1", "tasks.max": "2"}, Queues: []catalog.Queue{{Topic: "t", Broker: "b"}}}
	same := base
	same.Number, same.Config = 7, map[string]string{"tasks.max": "9", "a": "1"}
	require.Equal(t, hashOf("C", base), hashOf("C", same))
	other := base
	other.Config = map[string]string{"a": "2"}
	require.NotEqual(t, hashOf("C", base), hashOf("C", other))
	moved := base
	moved.Queues = []catalog.Queue{{Topic: "t", Broker: "b", ID: 1}}
	require.NotEqual(t, hashOf("C", base), hashOf("C", moved))
	require.NotEqual(t, hashOf("C", base), hashOf("D", base))
}

func TestPanicsOfConnectorsAreErrorsWithoutAStack(t *testing.T) {
	t.Parallel()
	err := guarded("opening", func() error { panic("ouch") })
	require.EqualError(t, err, "opening panicked: ouch")
	var crash *crashError
	require.ErrorAs(t, err, &crash)
	require.Contains(t, string(crash.stack), "TestPanicsOfConnectors")
	require.NoError(t, guarded("opening", func() error { return nil }))
}

func TestReconcileSignalsOnlyWhatLagsBehind(t *testing.T) {
	t.Parallel()
	planned := catalog.Connector{Desired: catalog.StateRunning, Revision: 2, PlannedRevision: 2}
	stale := planned
	stale.PlannedRevision = 1
	paused := catalog.Connector{Desired: catalog.StatePaused, Revision: 2, PlannedRevision: 1}
	deleted := catalog.Connector{Desired: catalog.StateDeleted}
	for _, tt := range []struct {
		conn  catalog.Connector
		state string
		want  bool
	}{
		{planned, catalog.StatusRunning, true}, {planned, catalog.StatusFailed, false}, {planned, catalog.StatusPaused, false},
		{planned, "", false}, {stale, catalog.StatusRunning, false}, {paused, catalog.StatusPaused, true},
		{paused, catalog.StatusRunning, false}, {deleted, catalog.StatusRunning, false},
	} {
		require.Equal(t, tt.want, asWanted(tt.conn, catalog.ConnectorStatus{State: tt.state}), "%+v", tt)
	}
}

func TestWhichTasksAPlanMoves(t *testing.T) {
	t.Parallel()
	config := map[string]string{"connector.class": "C", "host": "new", "tables": "a,b"}
	task := func(number int, host, share string, queues ...catalog.Queue) catalog.PlannedTask {
		return catalog.PlannedTask{Number: number, Queues: queues,
			Config: map[string]string{"connector.class": "C", "host": host, "tables": "a,b", "share": share}}
	}
	other := task(0, "old", "a")
	other.Config["connector.class"] = "D"
	narrowed := task(0, "new", "a")
	narrowed.Config["tables"] = "a" // the plugin's own value of a key that the user gave
	q := catalog.Queue{Topic: "t"}
	for name, tt := range map[string]struct {
		old, plan []catalog.PlannedTask
		want      []int
	}{
		"another host":    {[]catalog.PlannedTask{task(0, "old", "a")}, []catalog.PlannedTask{task(0, "new", "a")}, nil},
		"another share":   {[]catalog.PlannedTask{task(0, "old", "a"), task(1, "old", "b")}, []catalog.PlannedTask{task(0, "new", "b"), task(1, "new", "b")}, []int{0}},
		"a narrower one":  {[]catalog.PlannedTask{task(0, "old", "a")}, []catalog.PlannedTask{narrowed}, []int{0}},
		"another number":  {[]catalog.PlannedTask{task(0, "old", "a")}, []catalog.PlannedTask{task(0, "new", "a"), task(1, "new", "b")}, []int{0}},
		"dropped":         {[]catalog.PlannedTask{task(0, "old", "a"), task(1, "old", "b")}, []catalog.PlannedTask{task(0, "new", "a")}, []int{0, 1}},
		"another class":   {[]catalog.PlannedTask{other}, []catalog.PlannedTask{task(0, "new", "a")}, []int{0}},
		"the same queues": {[]catalog.PlannedTask{task(0, "old", "", q)}, []catalog.PlannedTask{task(0, "new", "", q)}, nil},
		"other queues":    {[]catalog.PlannedTask{task(0, "old", "", q)}, []catalog.PlannedTask{task(0, "new", "")}, []int{0}},
	} {
		require.Equal(t, tt.want, movedBy(config, tt.old, tt.plan), name)
	}
}

func TestWhatFollowsWhenATaskCannotBeSettled(t *testing.T) {
	t.Parallel()
	down := errors.New("connection refused")
	a, err := New(Config{Worker: "w"}, Deps{})
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		kind, once    string
		replan, moved bool
		goesOn        bool
		says          string
	}{
		"pause":                     {"source", "preferred", false, false, false, "the next start settles it"},
		"pause, required":           {"source", "required", false, false, false, "the next start settles it"},
		"mend":                      {"source", "", true, false, true, "may be doubled"},
		"mend, required":            {"source", "required", true, false, false, "set exactly.once = preferred"},
		"divide, required":          {"source", "required", true, true, false, "set exactly.once = preferred"},
		"mend a sink":               {"sink", "", true, false, true, ""},
		"divide a sink's queues":    {"sink", "", true, true, false, "the new plan waits"},
		"a sink knows no such key":  {"sink", "required", true, false, true, ""},
		"mend, without exactlyonce": {"source", "off", true, false, true, "may be doubled"},
	} {
		p := plan{conn: catalog.Connector{Kind: tt.kind, Config: map[string]string{"exactly.once": tt.once}}}
		r, err := a.unsettled(t.Context(), workflows.SettleTaskInput{Replan: tt.replan, Moved: tt.moved}, p, down)
		require.NoError(t, err, name)
		require.False(t, r.Settled, name)
		require.Equal(t, tt.goesOn, r.GoOn, name)
		require.Contains(t, r.Reason, "connection refused", name)
		require.Contains(t, r.Reason, tt.says, name)
	}
}

// pruned counts; only what ReconcileAll needs of a catalog without connectors is there.
type pruned struct {
	Catalog
	times  int
	keep   time.Duration
	fences map[catalog.Queue]int64 // the offsets below which they were pruned
}

func (p *pruned) Connectors(context.Context) ([]catalog.Connector, error) { return nil, nil }

func (p *pruned) Workers(context.Context) ([]catalog.Worker, error) { return nil, nil }

func (p *pruned) RestartsLeft(context.Context) ([]int64, error) { return nil, nil }

func (p *pruned) Prune(_ context.Context, keep time.Duration) error {
	p.times, p.keep = p.times+1, keep
	return errors.New("connection refused")
}

func (p *pruned) FencedQueues(context.Context) ([]catalog.Queue, error) {
	return []catalog.Queue{{Topic: "t", Broker: "down"}, {Topic: "t", Broker: "up", ID: 3}}, nil
}

func (p *pruned) PruneFences(_ context.Context, q catalog.Queue, low int64) (int64, error) {
	p.fences[q] = low
	return 1, nil
}

// halfDown is brokers of which one does not answer.
type halfDown struct{ pipeline.Broker }

func (halfDown) Bounds(_ context.Context, q pipeline.Queue) (int64, int64, error) {
	if q.Broker == "down" {
		return 0, 0, errors.New("connection refused")
	}
	return 40, 90, nil
}

func TestHistoryIsPrunedOnceAnHour(t *testing.T) {
	t.Parallel()
	c := &pruned{fences: map[catalog.Queue]int64{}}
	a, err := New(Config{Worker: "w"}, Deps{Catalog: c, Broker: halfDown{}})
	require.NoError(t, err)
	for range 3 {
		_, err := a.ReconcileAll(t.Context())
		require.NoError(t, err, "pruning is in nobody's way")
	}
	require.Equal(t, 1, c.times)
	require.Equal(t, 30*24*time.Hour, c.keep)
	require.Equal(t, map[catalog.Queue]int64{{Topic: "t", Broker: "up", ID: 3}: 40}, c.fences, "below what the queue still holds")
	a.pruned.Add(-int64(time.Hour))
	_, err = a.ReconcileAll(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, c.times)
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	_, err := New(Config{}, Deps{})
	require.ErrorContains(t, err, "no name")
	_, err = New(Config{Worker: "w", HeartbeatEvery: 3 * time.Second}, Deps{})
	require.ErrorContains(t, err, "heartbeat")
	_, err = New(Config{Worker: "w"}, Deps{})
	require.NoError(t, err)
}
