package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/gantry-connect/gantry/activities"
	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/rocketmq"
	"github.com/gantry-connect/gantry/workflows"
)

const (
	// The server takes a task for lost after three seconds of silence; cancellation arrives with a heartbeat's answer.
	heartbeatThrottle = 750 * time.Millisecond
	// drainWithin is how long Temporal's worker waits for its tasks. It is longer than a task may take to drain and end.
	drainWithin = 25 * time.Second
	// controlWithin is the same for short activities.
	controlWithin = 5 * time.Second
	// stickyWithin is how long a workflow waits for the worker that has it in memory before any other one may go on.
	stickyWithin = 2 * time.Second
	// workflowPollers is how many polls for workflow tasks are open. While workflows that the worker has in memory wait, the SDK polls for
	// no others; with its two, those of a dead worker then wait for seconds. A frozen worker's open polls swallow a task each, half of them
	// one of anybody's, so not many.
	workflowPollers = 4
	// byeWithin bounds the last words to the catalog.
	byeWithin = 3 * time.Second
)

// Config says who the worker is and how it behaves. The zero value of a field means its default.
type Config struct {
	// ID names the worker, alone among those that live. Default: host name and process id.
	ID string
	// Host is shown to operators. Default: the host name.
	Host string
	// Group: workers of one group have the same plugins and share tasks.
	Group string
	// Capacity is how many tasks the worker runs at most, and its weight when tasks are shared. Default 100.
	Capacity int
	// Version of Gantry is shown to operators.
	Version string
	// Namespace is the client's Temporal namespace. Default "default".
	Namespace string
	// ControlQueue, TaskQueue and ScheduleID differ from the package workflows' names in tests only.
	ControlQueue, TaskQueue, ScheduleID string
	// ReconcileEvery is the schedule's interval. Default 1 min.
	ReconcileEvery time.Duration
	// MemberEvery is the pause between signs of life; three must fit into three seconds. Default 750 ms.
	MemberEvery time.Duration
	// ReportEvery is the pause between reports of all tasks' status. Default 1 s.
	ReportEvery time.Duration
	// Activities is passed on; its Worker and Logger are set here.
	Activities activities.Config
	// Metrics gets the worker's Collector; nil: nobody does.
	Metrics prometheus.Registerer
	// Logger gets what goes wrong and comings and goings. Default: nothing is logged.
	Logger *slog.Logger
}

// WithDefaults returns c with every unset field filled in.
func (c Config) WithDefaults() Config {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	for _, s := range []struct {
		field    *string
		fallback string
	}{
		{&c.Host, host}, {&c.ID, fmt.Sprintf("%s-%d", host, os.Getpid())}, {&c.Namespace, "default"},
		{&c.ControlQueue, workflows.ControlTaskQueue}, {&c.TaskQueue, workflows.TaskTaskQueue},
		{&c.ScheduleID, workflows.ScheduleID},
	} {
		if *s.field == "" {
			*s.field = s.fallback
		}
	}
	for _, d := range []struct {
		field    *time.Duration
		fallback time.Duration
	}{{&c.ReconcileEvery, time.Minute}, {&c.MemberEvery, 750 * time.Millisecond}, {&c.ReportEvery, time.Second}} {
		if *d.field == 0 {
			*d.field = d.fallback
		}
	}
	if c.Capacity == 0 {
		c.Capacity = 100
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Activities.Worker, c.Activities.Logger = c.ID, c.Logger
	return c
}

func (c Config) validate() error {
	switch {
	case c.Capacity < 1:
		return fmt.Errorf("worker.capacity is %d: a worker needs room for at least one task", c.Capacity)
	case c.MemberEvery > time.Second:
		return fmt.Errorf("a sign of life every %v is too rare: after 3 s without one a worker does not count", c.MemberEvery)
	}
	return nil
}

// Deps is what a worker works with. The caller closes all of it, after Run has returned.
type Deps struct {
	Temporal client.Client
	Catalog  *catalog.Catalog
	RocketMQ *rocketmq.Client
	Plugins  connector.Plugins
	Secrets  activities.Secrets // looks up what configs refer to; nil: nothing can be
}

// Worker is one worker process. Make it with New, call Run once.
type Worker struct {
	config  Config
	deps    Deps
	log     *slog.Logger
	slots   *slots
	members *members
	ready   chan struct{} // closed when tasks are polled

	mu         sync.Mutex
	activities *activities.Activities // nil until it runs
}

// New checks the config and makes a worker.
func New(c Config, d Deps) (*Worker, error) {
	c = c.WithDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("configure the worker: %w", err)
	}
	slots := newSlots(c.Capacity)
	log := c.Logger.With("worker", c.ID)
	w := &Worker{config: c, deps: d, log: log, slots: slots, ready: make(chan struct{}),
		members: &members{config: c, catalog: d.Catalog, slots: slots, log: log}}
	if c.Metrics != nil {
		if err := c.Metrics.Register(w.Collector()); err != nil {
			return nil, fmt.Errorf("register the metrics of worker %s: %w", c.ID, err)
		}
	}
	return w, nil
}

// Run makes a worker and runs it; see Worker.Run.
func Run(ctx context.Context, c Config, d Deps) error {
	w, err := New(c, d)
	if err != nil {
		return err
	}
	return w.Run(ctx)
}

// Run works until ctx ends, then hands every task over and returns nil. Another error says that the worker could not
// start, or that Temporal has turned it away.
func (w *Worker) Run(ctx context.Context) error {
	if _, err := w.deps.Catalog.BindEnvironment(ctx, w.config.Namespace); err != nil {
		return fmt.Errorf("start worker %s: %w", w.config.ID, err)
	}
	if err := w.awaitTemporal(ctx); err != nil {
		return fmt.Errorf("start worker %s: %w", w.config.ID, err)
	}
	keeper, err := w.deps.Catalog.StartKeeper(ctx, w.config.ID)
	if err != nil {
		return fmt.Errorf("start worker %s: %w", w.config.ID, err)
	}
	defer keeper.Close() // after the tasks have released their leases
	broker := Broker{w.deps.RocketMQ}
	acts, err := activities.New(w.config.Activities, activities.Deps{Catalog: w.deps.Catalog, Claims: keeper, Broker: broker,
		Topics: broker, Plugins: w.deps.Plugins, Secrets: w.deps.Secrets, Starter: w.starter()})
	if err != nil {
		return fmt.Errorf("start worker %s: %w", w.config.ID, err)
	}
	w.mu.Lock()
	w.activities = acts
	w.mu.Unlock()
	return w.work(ctx, acts)
}

func (w *Worker) work(ctx context.Context, acts *activities.Activities) error {
	fatal := make(chan error, 2)
	sdk, err := w.sdkWorkers(acts, fatal)
	if err != nil {
		return fmt.Errorf("start worker %s: %w", w.config.ID, err)
	}
	if err := w.members.greet(ctx, acts); err != nil {
		return fmt.Errorf("start worker %s: %w", w.config.ID, err)
	}
	if err := sdk.start(); err != nil {
		return fmt.Errorf("start worker %s: %w", w.config.ID, err)
	}
	close(w.ready)
	w.log.Info("the worker has started", "capacity", w.config.Capacity, "group", w.config.Group)

	// The routine goes on while tasks drain: others have to see that this worker is draining, not gone.
	routine, endRoutine := context.WithCancel(context.WithoutCancel(ctx))
	var goroutines sync.WaitGroup
	goroutines.Go(func() { w.members.run(routine, acts) })
	goroutines.Go(func() { w.report(routine, acts) })
	goroutines.Go(func() { w.tell(routine, acts) })
	goroutines.Go(func() { w.keepSchedule(routine) })
	select {
	case <-ctx.Done():
		err = nil
	case err = <-fatal:
		err = fmt.Errorf("worker %s: Temporal has turned it away: %w", w.config.ID, err)
	}
	began := time.Now()
	w.members.drain(routine, acts)
	sdk.stop()
	w.log.Info("all tasks are released", "after", time.Since(began))
	endRoutine()
	goroutines.Wait()
	w.bye(ctx, acts)
	w.log.Info("the worker has ended", "after", time.Since(began))
	return err
}

// bye says the last words to the catalog. Without them the worker's row fades after 3 s.
func (w *Worker) bye(ctx context.Context, acts *activities.Activities) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), byeWithin)
	defer cancel()
	if err := errors.Join(acts.ReportStatuses(ctx), w.deps.Catalog.RemoveWorker(ctx, w.config.ID)); err != nil {
		w.log.Warn("take leave of the catalog", "error", err)
	}
}

// report tells the catalog how all tasks are.
func (w *Worker) report(ctx context.Context, acts *activities.Activities) {
	tick := time.NewTicker(w.config.ReportEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		rctx, cancel := context.WithTimeout(ctx, 5*w.config.ReportEvery)
		err := acts.ReportStatuses(rctx)
		cancel()
		if err != nil && !failing && ctx.Err() == nil {
			w.log.Warn("report the status of the tasks; tried again until it works", "error", err)
		}
		failing = err != nil
	}
}

// tell tells workflows how far their tasks are.
func (w *Worker) tell(ctx context.Context, acts *activities.Activities) {
	tick := time.NewTicker(w.config.ReportEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			acts.TellProgress(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// RegisterWorkflows registers the workflows under their names, for workers and for replaying.
func RegisterWorkflows(r worker.WorkflowRegistry) {
	r.RegisterWorkflowWithOptions(workflows.Connector, workflow.RegisterOptions{Name: workflows.ConnectorType})
	r.RegisterWorkflowWithOptions(workflows.Task, workflow.RegisterOptions{Name: workflows.TaskType})
	r.RegisterWorkflowWithOptions(workflows.Reconcile, workflow.RegisterOptions{Name: workflows.ReconcileType})
	r.RegisterWorkflowWithOptions(workflows.Probe, workflow.RegisterOptions{Name: workflows.ProbeType})
}

// Ready is closed once the worker takes tasks.
func (w *Worker) Ready() <-chan struct{} { return w.ready }

// Health is what a worker knows of itself.
type Health struct {
	ID        string
	Draining  bool
	Capacity  int
	Share     int   // how many tasks it should have
	Running   int   // how many it has
	Abandoned int64 // tasks that were left behind because they did not end
	Tasks     []activities.TaskInfo
	Commits   activities.Latency // of all tasks that were here
}

// Health may be called at any time.
func (w *Worker) Health() Health {
	h := Health{ID: w.config.ID, Capacity: w.config.Capacity}
	h.Share, h.Draining = w.slots.state()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.activities != nil {
		h.Running, h.Abandoned, h.Tasks = w.activities.Running(), w.activities.Abandoned(), w.activities.Tasks()
		h.Commits = w.activities.Commits()
	}
	return h
}
