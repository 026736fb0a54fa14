package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/logging"
	"github.com/gantry-connect/gantry/secrets"
)

// Connectors is where connectors and what is wanted of them are kept.
type Connectors interface {
	CreateConnector(ctx context.Context, c catalog.NewConnector) (catalog.Connector, error)
	PutConfig(ctx context.Context, name, class, kind string, config map[string]string, author string) (catalog.Connector, error)
	ChangeConfig(ctx context.Context, name, author string, next func(now catalog.Connector) (catalog.NextConfig, error)) (catalog.Connector, error)
	Settled(ctx context.Context, uid int64) error
	EditPositions(ctx context.Context, uid, expected int64, reset bool, edits []catalog.PositionEdit, author string) (generation int64, err error)
	Connector(ctx context.Context, name string) (catalog.Connector, error)
	Connectors(ctx context.Context) ([]catalog.Connector, error)
	SetDesired(ctx context.Context, name string, desired catalog.State, author string) (catalog.Connector, error)
	RequestRestart(ctx context.Context, name string, r catalog.Restart, author string) (catalog.Connector, error)
	DeleteConnector(ctx context.Context, name, author string) error
	Topics
	LogLevels
	Views
	Timeline
	Fleet
	Questions
	Answers
	QueueMaps
}

// Progress is where plans, statuses and positions are read.
type Progress interface {
	Plan(ctx context.Context, uid int64) ([]catalog.PlannedTask, error)
	TaskStatuses(ctx context.Context, uid int64) ([]catalog.TaskStatus, error)
	ConnectorStatus(ctx context.Context, uid int64) (catalog.ConnectorStatus, error)
	Positions(ctx context.Context, uid int64) (map[string]string, error)
	Schema(ctx context.Context, fingerprint string) ([]byte, error)
	Ping(ctx context.Context) error
}

// Notifier tells a connector's workflow to look at the catalog, and starts it if it does not run.
type Notifier interface {
	Reconcile(ctx context.Context, name string) error
}

// Service is the operators' side of Gantry. Its methods may be called from any goroutine.
type Service struct {
	connectors  Connectors
	progress    Progress
	notify      Notifier
	prober      Prober
	queues      QueueFinder
	plugins     connector.Plugins
	environment string
	version     string
	tracking    Tracking
	loggers     Loggers
	secrets     *secrets.Box
	log         *slog.Logger
	telling     sync.WaitGroup // Close waits for it
	unheard     atomic.Int64   // when Temporal last kept a request waiting for too long, in Unix nanoseconds
}

// Options are what a Service is made of; all fields are needed unless they say otherwise.
type Options struct {
	Connectors  Connectors
	Progress    Progress
	Notifier    Notifier
	Prober      Prober      // nil: no worker can be asked
	Queues      QueueFinder // nil: no broker can be asked
	Plugins     connector.Plugins
	Environment string // the environment's id
	Version     string // of Gantry
	Tracking    Tracking
	Loggers     Loggers      // nil: this process's levels cannot be changed
	Secrets     *secrets.Box // seals secrets that come in the clear; nil: they are refused
	Logger      *slog.Logger
}

// How long a request waits for Temporal to be told of its change, and how long the telling goes on behind its back.
const (
	tellPatience = 2 * time.Second
	tellWithin   = 30 * time.Second
	// tellAgain is how long nobody waits for Temporal after it was waited for in vain: one request may change many connectors.
	tellAgain = 5 * time.Second
)

// New makes a Service. Close it when no request is under way any more.
func New(o Options) *Service {
	if o.Loggers == nil {
		o.Loggers = logging.New(slog.DiscardHandler, slog.LevelInfo)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{connectors: o.Connectors, progress: o.Progress, notify: o.Notifier, prober: o.Prober, queues: o.Queues, plugins: o.Plugins,
		environment: o.Environment, version: o.Version, tracking: o.Tracking, loggers: o.Loggers, secrets: o.Secrets, log: o.Logger}
}

// Close waits until workflows have been told of every change, or cannot be.
func (s *Service) Close() { s.telling.Wait() }

// Version is Gantry's version; Environment is the id of the installation.
func (s *Service) Version() string { return s.version }

// Environment is the id of this installation: one catalog with one Temporal namespace.
func (s *Service) Environment() string { return s.environment }

// Health reports what keeps requests from being served; nil if nothing does.
func (s *Service) Health(ctx context.Context) error { return s.progress.Ping(ctx) }

// Create makes a new connector.
func (s *Service) Create(ctx context.Context, c Create) (Info, error) {
	made, err := s.create(ctx, c)
	if err != nil {
		return Info{}, err
	}
	return s.info(ctx, made)
}

func (s *Service) create(ctx context.Context, c Create) (catalog.Connector, error) {
	wanted, err := s.prepare(ctx, c)
	if err != nil {
		return catalog.Connector{}, err
	}
	made, err := s.createFree(ctx, wanted)
	if err != nil {
		return catalog.Connector{}, translate(err, wanted.Name)
	}
	s.tell(ctx, wanted.Name)
	return made, nil
}

// prepare checks everything about a new connector but whether its name is free.
func (s *Service) prepare(ctx context.Context, c Create) (catalog.NewConnector, error) {
	name := strings.TrimSpace(c.Name)
	if given, ok := c.Config["name"]; ok && name != "" && given != name {
		return catalog.NewConnector{}, nameMismatch(given, name)
	}
	if err := checkName(name); err != nil {
		return catalog.NewConnector{}, err
	}
	if err := checkLabels(c.Labels); err != nil {
		return catalog.NewConnector{}, err
	}
	if err := mayCreate(ctx, name, c.Labels); err != nil {
		return catalog.NewConnector{}, err
	}
	desired, err := desiredState(c.InitialState)
	if err != nil {
		return catalog.NewConnector{}, err
	}
	plugin, config, err := s.admitOver(name, withName(c.Config, name), nil)
	if err != nil {
		return catalog.NewConnector{}, err
	}
	return catalog.NewConnector{Name: name, Class: plugin.Class, Kind: string(plugin.Kind), Config: config, Labels: c.Labels,
		Desired: desired, Author: c.Author}, nil
}

// PutConfig replaces a connector's config, or creates the connector, which created then tells.
func (s *Service) PutConfig(ctx context.Context, name string, config map[string]string, author string) (info Info, created bool, err error) {
	if given, ok := config["name"]; ok && given != name {
		return Info{}, false, nameMismatch(given, name)
	}
	if err := checkName(name); err != nil {
		return Info{}, false, err
	}
	plugin, config, err := s.admit(ctx, name, withName(config, name))
	if err != nil {
		return Info{}, false, err
	}
	changed, err := s.connectors.PutConfig(ctx, name, plugin.Class, string(plugin.Kind), config, author)
	if errors.Is(err, catalog.ErrNotFound) || errors.Is(err, catalog.ErrDeleting) {
		info, err = s.Create(ctx, Create{Name: name, Config: config, Author: author})
		var exists *ExistsError
		if !errors.As(err, &exists) {
			return info, err == nil, err
		}
		// Somebody else created it meanwhile: this is a change after all.
		changed, err = s.connectors.PutConfig(ctx, name, plugin.Class, string(plugin.Kind), config, author)
	}
	if err != nil {
		return Info{}, false, translate(err, name)
	}
	s.tell(ctx, name)
	info, err = s.info(ctx, changed)
	return info, false, err
}

// List is every connector's name, sorted.
func (s *Service) List(ctx context.Context) ([]string, error) {
	all, err := s.connectors.Connectors(ctx)
	if err != nil {
		return nil, translate(err, "")
	}
	names := make([]string, 0, len(all))
	for _, c := range all {
		if c.Desired != catalog.StateDeleted && sees(ctx, c) {
			names = append(names, c.Name)
		}
	}
	return names, nil
}

// Get is one connector.
func (s *Service) Get(ctx context.Context, name string) (Info, error) {
	c, err := s.find(ctx, name)
	if err != nil {
		return Info{}, err
	}
	return s.info(ctx, c)
}

// Tasks is the present plan.
func (s *Service) Tasks(ctx context.Context, name string) ([]TaskInfo, error) {
	c, err := s.find(ctx, name)
	if err != nil {
		return nil, err
	}
	plan, err := s.plan(ctx, c)
	if err != nil {
		return nil, err
	}
	tasks := make([]TaskInfo, len(plan))
	for i, t := range plan {
		tasks[i] = TaskInfo{ID: TaskID{Connector: name, Task: t.Number}, Config: secrets.ShownConfig(t.Config)}
	}
	return tasks, nil
}

// Pause stops the copying and keeps the tasks; Resume lets them go on; Stop ends the tasks and keeps the positions.
func (s *Service) Pause(ctx context.Context, name, author string) error {
	return s.want(ctx, name, catalog.StatePaused, author)
}

// Resume undoes Pause and Stop.
func (s *Service) Resume(ctx context.Context, name, author string) error {
	return s.want(ctx, name, catalog.StateRunning, author)
}

// Stop ends the connector's tasks; its positions stay.
func (s *Service) Stop(ctx context.Context, name, author string) error {
	return s.want(ctx, name, catalog.StateStopped, author)
}

func (s *Service) want(ctx context.Context, name string, state catalog.State, author string) error {
	_, err := s.connectors.SetDesired(ctx, name, state, author)
	if errors.Is(err, catalog.ErrNotFound) || errors.Is(err, catalog.ErrDeleting) {
		return &NotFoundError{"Unknown connector " + name}
	}
	if err != nil {
		return translate(err, name)
	}
	s.tell(ctx, name)
	return nil
}

// Restart starts the connector again, with its tasks or what has failed of it if asked.
func (s *Service) Restart(ctx context.Context, name string, r Restart, author string) (Status, error) {
	before, err := s.Status(ctx, name)
	var missing *NotFoundError
	if errors.As(err, &missing) {
		return Status{}, &NotFoundError{"Unknown connector: " + name}
	}
	if err != nil {
		return Status{}, err
	}
	req := catalog.Restart{Connector: true, AllTasks: r.IncludeTasks, OnlyFailed: r.OnlyFailed}
	if _, err := s.connectors.RequestRestart(ctx, name, req, author); err != nil {
		return Status{}, translate(err, name)
	}
	s.tell(ctx, name)
	if !r.OnlyFailed || before.Connector.State == Failed {
		before.Connector.State = Restarting
	}
	for i := range before.Tasks {
		if r.IncludeTasks && (!r.OnlyFailed || before.Tasks[i].State == Failed) {
			before.Tasks[i].State = Restarting
		}
	}
	return before, nil
}

// RestartTask starts one task again.
func (s *Service) RestartTask(ctx context.Context, name string, task int, author string) error {
	c, err := s.connectors.Connector(ctx, name)
	if err != nil || c.Desired == catalog.StateDeleted {
		if err == nil || errors.Is(err, catalog.ErrNotFound) {
			return &NotFoundError{fmt.Sprintf("Unknown connector: %s", name)}
		}
		return translate(err, name)
	}
	plan, err := s.plan(ctx, c)
	if err != nil {
		return err
	}
	for _, t := range plan {
		if t.Number == task {
			if _, err := s.connectors.RequestRestart(ctx, name, catalog.Restart{Task: &task}, author); err != nil {
				return translate(err, name)
			}
			s.tell(ctx, name)
			return nil
		}
	}
	return &NotFoundError{fmt.Sprintf("Unknown task: %s-%d", name, task)}
}

// Delete ends the connector and drops its positions.
func (s *Service) Delete(ctx context.Context, name, author string) error {
	if _, err := s.find(ctx, name); err != nil {
		return err
	}
	if err := s.connectors.DeleteConnector(ctx, name, author); err != nil {
		return translate(err, name)
	}
	s.tell(ctx, name)
	return nil
}

// Schema is the JSON of a schema that messages refer to.
func (s *Service) Schema(ctx context.Context, fingerprint string) ([]byte, error) {
	doc, err := s.progress.Schema(ctx, fingerprint)
	if errors.Is(err, catalog.ErrNotFound) {
		return nil, &NotFoundError{fmt.Sprintf("Schema %s not found", fingerprint)}
	}
	return doc, translate(err, "")
}

// tell wakes the workflow. Where Temporal cannot be reached the catalog already says what is wanted, and the schedule
// that reconciles will see to it: the caller's request has been taken all the same, and need not wait for long.
func (s *Service) tell(ctx context.Context, name string) {
	told := make(chan struct{})
	s.telling.Go(func() {
		defer close(told)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellWithin)
		defer cancel()
		if err := s.notify.Reconcile(ctx, name); err != nil {
			s.log.Warn("workflow not told of a change, the reconciling schedule will", "connector", name, "error", err)
		}
	})
	if time.Since(time.Unix(0, s.unheard.Load())) < tellAgain {
		return
	}
	patience := time.NewTimer(tellPatience)
	defer patience.Stop()
	select {
	case <-told:
	case <-patience.C:
		s.unheard.Store(time.Now().UnixNano())
	}
}

func (s *Service) find(ctx context.Context, name string) (catalog.Connector, error) {
	c, err := s.connectors.Connector(ctx, name)
	if err == nil && c.Desired == catalog.StateDeleted {
		err = catalog.ErrNotFound
	}
	if err != nil {
		return catalog.Connector{}, translate(err, name)
	}
	return c, nil
}

// plan is the tasks that c has now.
func (s *Service) plan(ctx context.Context, c catalog.Connector) ([]catalog.PlannedTask, error) {
	if hasNoTasks(c) {
		return nil, nil
	}
	plan, err := s.progress.Plan(ctx, c.UID)
	if err != nil {
		return nil, translate(err, c.Name)
	}
	return plan, nil
}

// hasNoTasks tells of a connector that is stopped, or was and has not run since: Kafka Connect's clients expect it to have no
// tasks, also where a plan is kept.
func hasNoTasks(c catalog.Connector) bool { return c.Desired == catalog.StateStopped || c.Emptied }

func (s *Service) info(ctx context.Context, c catalog.Connector) (Info, error) {
	plan, err := s.plan(ctx, c)
	if err != nil {
		return Info{}, err
	}
	numbers := make([]int, len(plan))
	for i, t := range plan {
		numbers[i] = t.Number
	}
	return infoOf(c, numbers), nil
}

func infoOf(c catalog.Connector, tasks []int) Info {
	info := Info{Name: c.Name, Config: secrets.ShownConfig(c.Config), Type: connector.Kind(c.Kind), Tasks: make([]TaskID, len(tasks))}
	for i, number := range tasks {
		info.Tasks[i] = TaskID{Connector: c.Name, Task: number}
	}
	return info
}

func withName(config map[string]string, name string) map[string]string {
	out := make(map[string]string, len(config)+1)
	for k, v := range config {
		out[k] = v
	}
	out["name"] = name
	return out
}

func desiredState(initial string) (catalog.State, error) {
	switch strings.ToUpper(strings.TrimSpace(initial)) {
	case "", "RUNNING":
		return catalog.StateRunning, nil
	case "PAUSED":
		return catalog.StatePaused, nil
	case "STOPPED":
		return catalog.StateStopped, nil
	}
	return "", &RequestError{Reason: fmt.Sprintf("initial_state = %q: must be RUNNING, PAUSED or STOPPED", initial), Field: "initial_state", Value: initial,
		Remedy: "Give one of these, or leave it out for RUNNING."}
}

func translate(err error, name string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, catalog.ErrNotFound):
		return &NotFoundError{fmt.Sprintf("Connector %s not found", name)}
	case errors.Is(err, catalog.ErrExists):
		return &ExistsError{name}
	case errors.Is(err, catalog.ErrDeleting):
		return &ConflictError{fmt.Sprintf("Connector %s is being deleted; try again when it is gone", name)}
	case errors.Is(err, catalog.ErrKindFixed):
		return &RequestError{Reason: fmt.Sprintf("Connector %s: a source cannot become a sink, nor a sink a source: delete it and create it again", name),
			Field: "connector.class"}
	case errors.Is(err, catalog.ErrChanged):
		return &ChangedError{fmt.Sprintf("Connector %s has been changed meanwhile", name)}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
