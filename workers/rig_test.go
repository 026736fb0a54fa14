package workers_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/grpc"

	"github.com/gantry-connect/gantry/activities"
	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/catalog/catalogtest"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/connectors/counter"
	"github.com/gantry-connect/gantry/internal/devstack"
	"github.com/gantry-connect/gantry/internal/devstack/devstacktest"
	"github.com/gantry-connect/gantry/rocketmq"
	"github.com/gantry-connect/gantry/secrets"
	"github.com/gantry-connect/gantry/workers"
	"github.com/gantry-connect/gantry/workflows"
)

// rig is an installation of the test's own on the shared servers: a catalog, task queues, connectors' names.
type rig struct {
	t       *testing.T
	info    devstack.Info
	suffix  string
	catalog *catalog.Catalog
	url     string
	client  client.Client
	broker  *rocketmq.Client
	memory  *memory
	trouble *trouble
	started []string // connectors
	nudged  time.Time
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, info: devstacktest.Shared(t), suffix: devstacktest.Topic(t, "w"), memory: newMemory(), trouble: newTrouble()}
	r.url = catalogtest.URL(t)
	r.catalog = catalogtest.Open(t, r.url)
	r.client = r.dial(r.info.TemporalAddress)
	var err error
	r.broker, err = rocketmq.Open(rocketmq.Config{NameServers: []string{r.info.NameServer}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.broker.Close() })
	t.Cleanup(r.cleanUp)
	return r
}

func (r *rig) dial(address string) client.Client {
	r.t.Helper()
	c, err := client.DialContext(r.t.Context(), client.Options{HostPort: address, Namespace: r.info.TemporalNamespace,
		Logger: r.sdkLogger(), ConnectionOptions: client.ConnectionOptions{DialOptions: []grpc.DialOption{workers.PlainHeaders(), workers.ShortPolls(r.suffix + "-task")}}})
	require.NoError(r.t, err)
	r.t.Cleanup(c.Close)
	return c
}

// sdkLogger is quiet unless GANTRY_TEST_LOG is set.
func (r *rig) sdkLogger() sdklog.Logger { return sdklog.NewStructuredLogger(r.logger()) }

func (r *rig) logger() *slog.Logger {
	if os.Getenv("GANTRY_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(r.t.Output(), nil))
}

// cleanUp ends the workflows and the schedule that the test has left.
func (r *rig) cleanUp() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_ = r.client.ScheduleClient().GetHandle(ctx, r.suffix).Delete(ctx) // tests without a worker have none
	for _, name := range r.started {
		_ = r.client.TerminateWorkflow(ctx, workflows.ConnectorWorkflowID(name), "", "end of the test")
		for n := range 8 {
			_ = r.client.TerminateWorkflow(ctx, workflows.TaskWorkflowID(name, n), "", "end of the test")
		}
	}
}

// running is a worker under test.
type running struct {
	*workers.Worker
	id   string
	stop context.CancelFunc
	done chan error
}

// worker starts a worker; change may be nil.
func (r *rig) worker(id string, change func(*workers.Config, *workers.Deps)) *running {
	r.t.Helper()
	c := workers.Config{ID: id + "-" + r.suffix, ControlQueue: r.suffix, TaskQueue: r.suffix + "-task", ScheduleID: r.suffix,
		Namespace: r.info.TemporalNamespace, Capacity: 20, ReconcileEvery: time.Hour, ReportEvery: 200 * time.Millisecond,
		Logger: r.logger()}
	d := workers.Deps{Temporal: r.client, Catalog: r.catalog, RocketMQ: r.broker,
		Plugins: connector.Plugins{counter.Plugin, r.memory.plugin(), r.trouble.plugin()},
		Secrets: secrets.NewResolver(secrets.Providers(secrets.Allowed{Env: []string{"*"}}), nil)}
	if change != nil {
		change(&c, &d)
	}
	w, err := workers.New(c, d)
	require.NoError(r.t, err)
	ctx, stop := context.WithCancel(context.Background())
	run := &running{Worker: w, id: c.ID, stop: stop, done: make(chan error, 1)}
	go func() { run.done <- w.Run(ctx) }()
	r.t.Cleanup(func() {
		stop()
		<-run.done
	})
	select {
	case <-w.Ready():
	case err := <-run.done:
		r.t.Fatalf("the worker has ended: %v", err)
	case <-time.After(30 * time.Second):
		r.t.Fatal("the worker does not start")
	}
	return run
}

// halt stops the worker as SIGTERM does and returns how long that took.
func (w *running) halt(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	w.stop()
	select {
	case err := <-w.done:
		require.NoError(t, err)
		w.done <- err
	case <-time.After(40 * time.Second):
		t.Fatal("the worker does not end")
	}
	return time.Since(began)
}

func (r *rig) name(base string) string { return base + "-" + r.suffix }

func (r *rig) topic(base string) string { return base + "_" + strings.ReplaceAll(r.suffix, "-", "_") }

// create makes a connector as REST does.
func (r *rig) create(base string, config map[string]string) catalog.Connector {
	r.t.Helper()
	full := maps.Clone(config)
	full["name"] = r.name(base)
	kind := "source"
	if full["topics"] != "" {
		kind = "sink"
	}
	conn, err := r.catalog.CreateConnector(r.t.Context(), catalog.NewConnector{Name: r.name(base), Class: full["connector.class"],
		Kind: kind, Config: full, Author: "test"})
	require.NoError(r.t, err)
	r.started = append(r.started, r.name(base))
	r.reconcile(base)
	return conn
}

// configure changes keys of a connector's config as REST does.
func (r *rig) configure(base string, changes map[string]string) {
	r.t.Helper()
	conn, err := r.catalog.Connector(r.t.Context(), r.name(base))
	require.NoError(r.t, err)
	config := maps.Clone(conn.Config)
	maps.Copy(config, changes)
	_, err = r.catalog.PutConfig(r.t.Context(), conn.Name, conn.Class, conn.Kind, config, "test")
	require.NoError(r.t, err)
	r.reconcile(base)
}

func (r *rig) desire(base string, state catalog.State) {
	r.t.Helper()
	_, err := r.catalog.SetDesired(r.t.Context(), r.name(base), state, "test")
	require.NoError(r.t, err)
	r.reconcile(base)
}

func (r *rig) restart(base string, what catalog.Restart) {
	r.t.Helper()
	_, err := r.catalog.RequestRestart(r.t.Context(), r.name(base), what, "test")
	require.NoError(r.t, err)
	r.reconcile(base)
}

func (r *rig) reconcile(base string) {
	r.t.Helper()
	s := workers.Starter{Client: r.client, ControlQueue: r.suffix, TaskQueue: r.suffix + "-task"}
	require.NoError(r.t, s.Reconcile(r.t.Context(), r.name(base)))
}

func (r *rig) signal(base, signal string, arg any) {
	r.t.Helper()
	require.NoError(r.t, r.client.SignalWorkflow(r.t.Context(), workflows.ConnectorWorkflowID(r.name(base)), "", signal, arg))
}

// numbers is the config of a counter source into its own topic.
func (r *rig) numbers(base string, tasks int, more map[string]string) map[string]string {
	config := map[string]string{"connector.class": "CounterSource", "topic": r.topic(base), "topic.queues": "4",
		"tasks.max": fmt.Sprint(tasks), "counter.partitions": fmt.Sprint(tasks), "counter.interval.ms": "5",
		"checkpoint.interval.ms": "200"}
	maps.Copy(config, more)
	return config
}

// drainInto is the config of a sink that remembers what it gets.
func (r *rig) drainInto(topic string, tasks int) map[string]string {
	return map[string]string{"connector.class": "MemorySink", "topics": r.topic(topic), "tasks.max": fmt.Sprint(tasks),
		"linger.ms": "5"}
}

// await waits for a condition that only polling can see.
func (r *rig) await(what string, ok func() bool) {
	r.t.Helper()
	r.awaitFor(what, 40*time.Second, ok)
}

func (r *rig) awaitFor(what string, limit time.Duration, ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("waited %v in vain for: %s\n%s", limit, what, r.state())
		}
	}
}

// state is everything that helps to understand why something did not happen.
func (r *rig) state() string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var b strings.Builder
	all, err := r.catalog.Connectors(ctx)
	fmt.Fprintln(&b, "connectors:", len(all), err)
	for _, c := range all {
		status, err := r.catalog.ConnectorStatus(ctx, c.UID)
		tasks, terr := r.catalog.TaskStatuses(ctx, c.UID)
		positions, _ := r.catalog.Positions(ctx, c.UID)
		fmt.Fprintf(&b, "%s uid %d wanted %s revision %d/%d generation %d: %+v %v\n  tasks %+v %v\n  positions %v\n", c.Name, c.UID,
			c.Desired, c.Revision, c.PlannedRevision, c.Generation, status, err, tasks, terr, positions)
	}
	return b.String()
}

// tasks are the tasks' last words by number.
func (r *rig) tasks(conn catalog.Connector) map[int]catalog.TaskStatus {
	r.t.Helper()
	all, err := r.catalog.TaskStatuses(r.t.Context(), conn.UID)
	require.NoError(r.t, err)
	byNumber := map[int]catalog.TaskStatus{}
	for _, s := range all {
		byNumber[s.Task] = s
	}
	return byNumber
}

// allRun is a condition: so many tasks run and have copied something.
func (r *rig) allRun(conn catalog.Connector, n int) func() bool {
	return func() bool {
		count := 0
		for _, s := range r.tasks(conn) {
			if s.State == catalog.StatusRunning && s.Records > 0 {
				count++
			}
		}
		return count == n
	}
}

func (r *rig) connectorState(conn catalog.Connector) string {
	s, err := r.catalog.ConnectorStatus(r.t.Context(), conn.UID)
	if err != nil {
		return ""
	}
	return s.State
}

// info finds a task in the workers' own view.
func (w *running) task(connector string, number int) (activities.TaskInfo, bool) {
	for _, t := range w.Health().Tasks {
		if t.Connector == connector && t.Task == number {
			return t, true
		}
	}
	return activities.TaskInfo{}, false
}

// memory is a target with transactions: it keeps position and epoch beside the records.
type memory struct {
	mu       sync.Mutex
	epochs   map[string]int64 // by connector/task
	position connector.Position
	records  []connector.Record
	last     time.Time
	gaps     time.Duration // the longest pause between two writes since resetGap
}

func newMemory() *memory {
	return &memory{epochs: map[string]int64{}, position: connector.Position{}}
}

type memoryConfig struct {
	Note string `config:"memory.note" default:"" doc:"Means nothing."`
}

func (m *memory) plugin() connector.Plugin {
	return connector.NewSink(connector.SinkSpec[memoryConfig]{Class: "MemorySink", Version: "1", Doc: "Remembers.",
		Guarantee: func(*memoryConfig) connector.Guarantee { return connector.ExactlyOnce },
		Open: func(_ context.Context, _ *memoryConfig, t connector.Task) (connector.Sink, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			id := fmt.Sprintf("%d/%d", t.UID, t.Number)
			if m.epochs[id] > t.Epoch {
				return nil, connector.ErrFenced
			}
			m.epochs[id] = t.Epoch
			return &memorySink{m, id, t.Epoch}, nil
		}})
}

type memorySink struct {
	m     *memory
	id    string
	epoch int64
}

func (s *memorySink) Position() connector.Position {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	return maps.Clone(s.m.position)
}

func (s *memorySink) Write(_ context.Context, b connector.Batch) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if s.m.epochs[s.id] != s.epoch {
		return connector.ErrFenced
	}
	s.m.records = append(s.m.records, b.Records...)
	maps.Copy(s.m.position, b.Next)
	now := time.Now()
	if len(b.Records) > 0 {
		if !s.m.last.IsZero() {
			s.m.gaps = max(s.m.gaps, now.Sub(s.m.last))
		}
		s.m.last = now
	}
	return nil
}

func (s *memorySink) Flush(context.Context) error { return nil }
func (s *memorySink) Close() error                { return nil }

func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.records)
}

// resetGap forgets the pauses so far.
func (m *memory) resetGap() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gaps = 0
}

func (m *memory) longestGap() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.gaps
}

// exactly checks that every partition's numbers are there once, in order, without a hole.
func (m *memory) exactly(t *testing.T) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	next := map[int64]int64{}
	for _, r := range m.records {
		fields := r.After.Value.List()
		partition, number := fields[0].Int(), fields[1].Int()
		require.Equal(t, next[partition], number, "partition %d", partition)
		next[partition]++
	}
}
