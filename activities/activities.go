package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/internal/failpoint"
	"github.com/gantry-connect/gantry/pipeline"
	"github.com/gantry-connect/gantry/secrets"
)

// The parts of the catalog that activities use, by purpose; *catalog.Catalog has them all.
type (
	connectors interface {
		Connector(ctx context.Context, name string) (catalog.Connector, error)
		ConnectorByUID(ctx context.Context, uid int64) (catalog.Connector, error)
		Connectors(ctx context.Context) ([]catalog.Connector, error)
	}
	wishes interface {
		SetDesiredOnce(ctx context.Context, name string, state catalog.State, author, key string) (catalog.Connector, error)
		RequestRestartOnce(ctx context.Context, name string, r catalog.Restart, author, key string) (catalog.Connector, error)
		Restarts(ctx context.Context, uid, afterSeq int64) ([]catalog.Restart, error)
		RestartsDone(ctx context.Context, uid, seq int64) error
		RestartsLeft(ctx context.Context) (uids []int64, err error)
		Forget(ctx context.Context, uid int64) error
		drops
	}
	plans interface {
		Plan(ctx context.Context, uid int64) ([]catalog.PlannedTask, error)
		PlannedTask(ctx context.Context, uid int64, task int) (catalog.PlannedTask, error)
		SavePlan(ctx context.Context, uid, revision int64, tasks []catalog.PlannedTask) (generation int64, err error)
	}
	statuses interface {
		ReportStatus(ctx context.Context, all []catalog.TaskStatus) error
		TaskStatuses(ctx context.Context, uid int64) ([]catalog.TaskStatus, error)
		Workers(ctx context.Context) ([]catalog.Worker, error)
		ConnectorStatus(ctx context.Context, uid int64) (catalog.ConnectorStatus, error)
		SetConnectorStatus(ctx context.Context, uid int64, s catalog.ConnectorStatus) error
	}
	health interface {
		NoteFailure(ctx context.Context, uid int64, task int, failure error) (n int, err error)
		NoteHealthy(ctx context.Context, uid int64, task int) error
	}
	history interface {
		RecordEvent(ctx context.Context, e catalog.Event) error
		Prune(ctx context.Context, keep time.Duration) error
		FencedQueues(ctx context.Context) ([]catalog.Queue, error)
		PruneFences(ctx context.Context, q catalog.Queue, low int64) (removed int64, err error)
	}
	pages interface {
		FencesBefore(ctx context.Context, q catalog.Queue, offset int64) ([]catalog.Fence, error)
		QueueMap(ctx context.Context, uid int64, topic string) ([]catalog.Queue, error)
		NoteTopics(ctx context.Context, uid int64, topics []string) error
		FreezeQueueMap(ctx context.Context, uid int64, topic string, queues []catalog.Queue) ([]catalog.Queue, error)
		PutSchema(ctx context.Context, fingerprint string, body []byte) error
		SchemaDue(ctx context.Context, fingerprint string, every time.Duration) (bool, error)
		NoteSchemaPublished(ctx context.Context, fingerprint string) error
		Schema(ctx context.Context, fingerprint string) ([]byte, error)
	}
)

// Catalog is everything of *catalog.Catalog that activities use.
type Catalog interface {
	connectors
	wishes
	plans
	statuses
	health
	history
	pages
	questions
}

// Claims grants tasks; *catalog.Keeper does.
type Claims interface {
	Claim(ctx context.Context, req catalog.ClaimRequest) (*catalog.Lease, error)
}

// Topics knows a broker's topics.
type Topics interface {
	// Queues are the topic's queues as the name servers know them now; ErrNoTopic if there is no such topic.
	Queues(ctx context.Context, topic string) ([]catalog.Queue, error)
	// CreateTopic makes a topic with so many queues on each broker. One that is there already is left alone.
	CreateTopic(ctx context.Context, topic string, queues int) error
	// DeleteTopic removes a topic with everything in it. That there is none is no error.
	DeleteTopic(ctx context.Context, topic string) error
}

// ErrNoTopic says that no broker has the topic.
var ErrNoTopic = errors.New("the topic does not exist")

// Plugins finds connector classes.
type Plugins interface {
	Find(class string) (connector.Plugin, error)
}

// Starter reaches the workflows of connectors.
type Starter interface {
	// Reconcile signals the connector's workflow to look at the catalog, and starts it if it does not run.
	Reconcile(ctx context.Context, connector string) error
	// Running reports whether the connector's workflow runs.
	Running(ctx context.Context, connector string) (bool, error)
	// Tell signals progress to a workflow: a workflows.TaskProgress or ConnectorProgress. An empty run means the newest.
	// That the workflow has ended is no error.
	Tell(ctx context.Context, workflow, run string, progress any) error
}

// Deps is what activities work with. All of it is shared by all tasks of the worker.
type Deps struct {
	Catalog Catalog
	Claims  Claims
	Broker  pipeline.Broker
	Topics  Topics
	Plugins Plugins
	Starter Starter
	Secrets Secrets // nil: references have no values
}

// Config says how activities behave. The zero value of a field means its default.
type Config struct {
	// Worker is the name under which leases are claimed and states reported. Required.
	Worker string
	// Turn is how long a task stays before it is handed back, so that its workflow can be renewed; give or take a tenth.
	// Default 1 h.
	Turn time.Duration
	// HeartbeatEvery is the pause between heartbeats. Default 500 ms.
	HeartbeatEvery time.Duration
	// StallTimeout is after how long without a sign of life a task is taken for hung. A source that waits for its next
	// record says so at least every connector.AliveWithin. Default 60 s.
	StallTimeout time.Duration
	// DrainTimeout is how long a task may take to send, flush and commit what it has in hand before it is cut off, which
	// loses nothing but makes the next start read back. Default 5 s.
	DrainTimeout time.Duration
	// EndTimeout is how long a task that was cut off may take to end before it is abandoned. Default 3 s.
	EndTimeout time.Duration
	// SettleTimeout is for how long settling is tried while the connector's system cannot be opened or used. Default 30 s.
	SettleTimeout time.Duration
	// HealthyAfter is how long a task must run before its earlier failures are forgotten. Default 60 s.
	HealthyAfter time.Duration
	// MaxCrashes is how many starts in a row may end in a panic, a hang or the death of their worker, without one record
	// copied, before the task fails. Default 20.
	MaxCrashes int
	// SchemaTopic is where schemas that travel by reference are written, beside the catalog. Empty: nowhere.
	SchemaTopic string
	// WatchEvery is the pause between looks at topics that a sink waits for. Default 2 s.
	WatchEvery time.Duration
	// Failpoints are armed by tests; nil is inert.
	Failpoints *failpoint.Set
	// Logger gets failures and what becomes of them. Default: nothing is logged.
	Logger *slog.Logger
}

// WithDefaults returns c with every unset field filled in.
func (c Config) WithDefaults() Config {
	for _, d := range []struct {
		field    *time.Duration
		fallback time.Duration
	}{
		{&c.Turn, time.Hour}, {&c.HeartbeatEvery, 500 * time.Millisecond}, {&c.StallTimeout, time.Minute},
		{&c.DrainTimeout, 5 * time.Second}, {&c.EndTimeout, 3 * time.Second}, {&c.HealthyAfter, time.Minute},
		{&c.SettleTimeout, 30 * time.Second},
		{&c.WatchEvery, 2 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.fallback
		}
	}
	if c.MaxCrashes == 0 {
		c.MaxCrashes = 20
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	if c.Worker == "" {
		return errors.New("the worker has no name")
	}
	if c.HeartbeatEvery >= 3*time.Second {
		return fmt.Errorf("the heartbeat interval %v is not shorter than the heartbeat timeout of 3 s", c.HeartbeatEvery)
	}
	return nil
}

// Activities are the methods that workers register, and what is shared between their runs.
type Activities struct {
	Deps
	config  Config
	log     *slog.Logger
	schemas *schemas

	turns     turns
	words     words
	wakes     wakes
	commits   latency
	abandoned atomic.Int64
	pruned    atomic.Int64 // when the catalog's history was last pruned, in Unix nanoseconds; 0 is never
}

// New makes the activities of one worker.
func New(c Config, d Deps) (*Activities, error) {
	c = c.WithDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("configure activities: %w", err)
	}
	if d.Secrets == nil {
		d.Secrets = secrets.NewResolver(nil, nil)
	}
	return &Activities{Deps: d, config: c, log: c.Logger.With("worker", c.Worker), schemas: newSchemas(c.SchemaTopic, d),
		turns: newTurns(), words: newWords(), wakes: wakes{last: map[int64]time.Time{}}}, nil
}
