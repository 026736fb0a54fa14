package connector

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"time"
)

// Kind says which way a connector copies.
type Kind string

// The kinds.
const (
	KindSource Kind = "source" // a system into topics
	KindSink   Kind = "sink"   // topics into a system
)

// Guarantee says how often a record arrives when workers, brokers and networks fail.
type Guarantee string

// The guarantees.
const (
	AtLeastOnce Guarantee = "at least once"
	ExactlyOnce Guarantee = "exactly once"
)

// Task is what one start of a task needs to know beside its config.
type Task struct {
	Connector  string // the connector's name
	UID        int64  // the connector's uid, never reused
	Number     int    // of the task within the connector, from 0
	Epoch      int64  // of this start; higher than that of every start before it
	Generation int64  // of the position: raised by each edit by an operator (see Sink.Position)
	// Position is the last committed one of the whole connector; a source takes what concerns its own partitions.
	Position Position
	Logger   *slog.Logger
	// Reached is called at the named points of the exactly-once protocol that lie inside a connector, so that tests can
	// stop the process there; nil does nothing. Call it through At.
	Reached func(point string)
	// Working tells that a call into the connector goes on; nil does nothing. Call it through Alive.
	Working func()
}

// AliveWithin is how soon a call into a source or sink has to return, or to say that it is alive (Task.Alive, Task.Wait). One
// that is silent for about a minute is taken for hung, and its task is started again elsewhere.
const AliveWithin = 30 * time.Second

// Alive says that the call under way, such as a Read that has found nothing yet or a Flush of very much, still works or waits. It
// costs less than a microsecond.
func (t Task) Alive() {
	if t.Working != nil {
		t.Working()
	}
}

// Wait waits for so long and keeps saying that the task is alive. The error is that of ctx if it ends before.
func (t Task) Wait(ctx context.Context, d time.Duration) error {
	for end := time.Now().Add(d); ; {
		t.Alive()
		timer := time.NewTimer(min(time.Until(end), AliveWithin/3))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		if !time.Now().Before(end) {
			return nil
		}
	}
}

// At tells that the task has come to a named point; see Reached.
func (t Task) At(point string) {
	if t.Reached != nil {
		t.Reached(point)
	}
}

// Session is the name under which the task's owner is known in the target, such as a database session's
// application_name.
func (t Task) Session() string { return fmt.Sprintf("gantry/%d/%d/%d", t.UID, t.Number, t.Epoch) }

// Source reads one task's records. Its methods are called by one goroutine at a time, except Lag.
type Source interface {
	// Read returns the next records in source order per partition, at most limit, and where to go on after them. It waits
	// until it has at least one record or a moved position, and returns ctx.Err() within a second of ctx ending; the next
	// Read goes on where that one was. While it waits or works for longer than AliveWithin it says so (Task.Alive, Task.Wait):
	// who is idle is told by this from who hangs. io.EOF says that there will never be more. The batch belongs to the caller; the source never writes to its memory again.
	// A record that cannot be read ends its batch: Read first returns the records before it, then, at the next call, a
	// *RecordError together with a Batch without records whose Next lies behind the bad one, so that the caller may skip it.
	Read(ctx context.Context, limit int) (Batch, error)
	// Close lets go of everything the source holds. No goroutine of the source is left when it returns.
	Close() error
}

// CommitListener is a Source that tells its system how far it may forget: a replication slot, a queue's acks.
type CommitListener interface {
	// Committed is called after the catalog has committed pos, never before.
	Committed(ctx context.Context, pos Position) error
}

// Lag is how much is left to copy, as far as is known; a field is -1 where it is not.
type Lag struct {
	Records int64
	Bytes   int64
}

// Lagger is a Source that knows how much is left.
type Lagger interface {
	// Lag is cheap and may be called from any goroutine.
	Lag() Lag
}

// Sink writes one task's records. Its methods are called by one goroutine at a time.
type Sink interface {
	// Position is where the target stands: the pipeline hands over what comes after it. A sink that keeps its position in
	// the target answers that one, unless Task.Generation is higher than the target's: then the task's own position counts.
	// Other sinks answer the task's position.
	Position() Position
	// Write hands over records in queue order per partition. The sink may hold them back until Flush, but not the slice
	// b.Records, which is used again once Write has returned nil. It returns ErrFenced
	// (wrapped) when the target has a newer owner, a *RecordError when one record is at fault and nothing of the batch was
	// taken, and ctx.Err() within a second of ctx ending.
	Write(ctx context.Context, b Batch) error
	// Flush returns when everything written is durable in the target.
	Flush(ctx context.Context) error
	// Close lets go of everything the sink holds, without flushing.
	Close() error
}

// Plugin is one connector class: what cmd lists, REST describes and tasks run. Make it with NewSource or NewSink.
type Plugin struct {
	Class   string // e.g. "FileSource"
	Kind    Kind
	Version string
	Doc     string       // a paragraph for users
	Config  []Definition // the connector's own keys, in order

	check     func(map[string]string) error
	guarantee func(map[string]string) Guarantee
	plan      func(ctx context.Context, config map[string]string, max int) ([]map[string]string, error)
	watch     func(ctx context.Context, config map[string]string, changed func()) error
	watches   bool
	offset    func(Partition, Offset) error
	source    func(ctx context.Context, config map[string]string, task Task) (Source, error)
	sink      func(ctx context.Context, config map[string]string, task Task) (Sink, error)
	probe     func(ctx context.Context, config map[string]string, s Surroundings) ([]Finding, error)
}

// SourceSpec is what a source connector consists of. C is its config struct (see Decode).
type SourceSpec[C any] struct {
	Class, Version, Doc string
	// Check looks at what is wrong between fields; nil if nothing can be. It does no I/O.
	Check func(*C) error
	// Guarantee under this config; nil means AtLeastOnce. ExactlyOnce may be promised only by a source that reads the same
	// records with the same marks again when it starts from the same position.
	Guarantee func(*C) Guarantee
	// Plan divides the work into at most max tasks. Each map holds the keys, of C's internal ones, that are added to the
	// connector's config for that task. Equal inputs should give equal plans, and a grown input should move few partitions.
	Plan func(ctx context.Context, c *C, max int) ([]map[string]string, error)
	// Watch calls changed when a new plan may be needed, and returns when ctx ends; nil if that never happens.
	Watch func(ctx context.Context, c *C, changed func()) error
	// CheckOffset says what is wrong with a position that an operator wants a partition to have; nil takes any. It does no
	// I/O: whether there is such a partition is seen when a task opens.
	CheckOffset func(Partition, Offset) error
	// Probe looks at the source with the real credentials for who asks what keeps the connector from working; see Plugin.Probe.
	Probe func(ctx context.Context, c *C, s Surroundings) []Finding
	// Open starts reading at task.Position. It is also called for previews, with no position: it leaves nothing behind in the
	// system before the first Committed.
	Open func(ctx context.Context, c *C, task Task) (Source, error)
}

// SinkSpec is what a sink connector consists of. C is its config struct (see Decode). Which queues a task reads is
// decided outside: a sink's tasks all have the same config.
type SinkSpec[C any] struct {
	Class, Version, Doc string
	Check               func(*C) error
	Guarantee           func(*C) Guarantee // from the topic into the target; nil means AtLeastOnce
	// Probe looks at the target with the real credentials for who asks what keeps the connector from working; see Plugin.Probe.
	Probe func(ctx context.Context, c *C, s Surroundings) []Finding
	// Open makes task.Epoch the only one that can write: it ends older owners' sessions in the target, where that can be
	// had, before it reads the position there.
	Open func(ctx context.Context, c *C, task Task) (Sink, error)
}

// NewSource makes the plugin of a source connector.
func NewSource[C any](s SourceSpec[C]) Plugin {
	decode := decoder(s.Check)
	return Plugin{
		Class: s.Class, Kind: KindSource, Version: s.Version, Doc: s.Doc, Config: Definitions(reflect.TypeFor[C]()),
		check:     func(m map[string]string) error { _, err := decode(m); return err },
		guarantee: guaranteeOf(decode, s.Guarantee),
		probe:     proberOf(decode, s.Probe),
		plan: func(ctx context.Context, m map[string]string, max int) ([]map[string]string, error) {
			c, err := decode(m)
			if err != nil {
				return nil, err
			}
			return s.Plan(ctx, c, max)
		},
		offset:  s.CheckOffset,
		watches: s.Watch != nil,
		watch: func(ctx context.Context, m map[string]string, changed func()) error {
			c, err := decode(m)
			if err != nil {
				return err
			}
			if s.Watch == nil {
				<-ctx.Done()
				return ctx.Err()
			}
			return s.Watch(ctx, c, changed)
		},
		source: func(ctx context.Context, m map[string]string, t Task) (Source, error) {
			c, err := decode(m)
			if err != nil {
				return nil, err
			}
			return s.Open(ctx, c, t)
		},
	}
}

// NewSink makes the plugin of a sink connector.
func NewSink[C any](s SinkSpec[C]) Plugin {
	decode := decoder(s.Check)
	return Plugin{
		Class: s.Class, Kind: KindSink, Version: s.Version, Doc: s.Doc, Config: Definitions(reflect.TypeFor[C]()),
		check:     func(m map[string]string) error { _, err := decode(m); return err },
		guarantee: guaranteeOf(decode, s.Guarantee),
		probe:     proberOf(decode, s.Probe),
		sink: func(ctx context.Context, m map[string]string, t Task) (Sink, error) {
			c, err := decode(m)
			if err != nil {
				return nil, err
			}
			return s.Open(ctx, c, t)
		},
	}
}

func decoder[C any](check func(*C) error) func(map[string]string) (*C, error) {
	return func(m map[string]string) (*C, error) {
		c := new(C)
		if err := Decode(m, c); err != nil {
			return nil, err
		}
		if check != nil {
			if err := check(c); err != nil {
				return nil, err
			}
		}
		return c, nil
	}
}

func guaranteeOf[C any](decode func(map[string]string) (*C, error), f func(*C) Guarantee) func(map[string]string) Guarantee {
	return func(m map[string]string) Guarantee {
		c, err := decode(m)
		if err != nil || f == nil {
			return AtLeastOnce
		}
		return f(c)
	}
}

// Check reports everything wrong with the connector's own keys in config, without I/O. Keys it does not know are not
// its business. The error is a *ConfigError or ConfigErrors.
func (p Plugin) Check(config map[string]string) error { return p.check(config) }

// Guarantee is what the connector promises under config.
func (p Plugin) Guarantee(config map[string]string) Guarantee { return p.guarantee(config) }

// TaskConfigs divides a source's work into at most max tasks; each config is complete. It fails for sinks, whose work
// is divided by queues, outside.
func (p Plugin) TaskConfigs(ctx context.Context, config map[string]string, max int) ([]map[string]string, error) {
	if p.plan == nil {
		return nil, p.otherKind()
	}
	extra, err := p.plan(ctx, config, max)
	if err != nil {
		return nil, err
	}
	if len(extra) > max {
		return nil, fmt.Errorf("%s made %d tasks where tasks.max = %d", p.Class, len(extra), max)
	}
	tasks := make([]map[string]string, len(extra))
	for i := range extra {
		tasks[i] = make(map[string]string, len(config)+len(extra[i]))
		for k, v := range config {
			tasks[i][k] = v
		}
		for k, v := range extra[i] {
			tasks[i][k] = v
		}
	}
	return tasks, nil
}

// otherKind says that a source was asked to do what sinks do, or the other way round.
func (p Plugin) otherKind() error {
	return Permanent(fmt.Errorf("%s is a %s connector", p.Class, p.Kind))
}

// CheckOffset says what is wrong with a position that an operator wants a source's partition to have, as far as the source
// can tell without looking; see SourceSpec.
func (p Plugin) CheckOffset(partition Partition, offset Offset) error {
	if p.offset == nil {
		return nil
	}
	return p.offset(partition, offset)
}

// Watches reports whether the connector is a source with a watcher; without one Watch only waits.
func (p Plugin) Watches() bool { return p.watches }

// Watch runs a source's watcher until ctx ends; see SourceSpec.Watch. A sink has nothing to watch.
func (p Plugin) Watch(ctx context.Context, config map[string]string, changed func()) error {
	if p.watch == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	return p.watch(ctx, config, changed)
}

// OpenSource starts a task of a source.
func (p Plugin) OpenSource(ctx context.Context, config map[string]string, task Task) (Source, error) {
	if p.source == nil {
		return nil, p.otherKind()
	}
	return p.source(ctx, config, task)
}

// OpenSink starts a task of a sink.
func (p Plugin) OpenSink(ctx context.Context, config map[string]string, task Task) (Sink, error) {
	if p.sink == nil {
		return nil, p.otherKind()
	}
	return p.sink(ctx, config, task)
}
