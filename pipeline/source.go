package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/internal/failpoint"
)

// The values of SourceConfig.ExactlyOnce.
const (
	onceRequired = "required"
	onceOff      = "off"
)

// SourceJob is one start of a source task: what it reads, and what it works with.
type SourceJob struct {
	Config     SourceConfig
	Task       int // number within the connector
	Source     connector.Source
	Guarantee  connector.Guarantee // what the connector promises under its config
	Key, Value Converter
	Transform  Transformer // nil: records go as they were read

	Broker  Broker
	Ledger  Ledger
	Lease   Lease
	Schemas Schemas
	Queues  QueueMap
	Start   Start
	// History is where checkpoints are kept that the task can go back to. nil: it never goes back.
	History History

	// Settle ends the job as if by drain once the source has given again whatever had arrived before.
	Settle bool
	// SendTimeout is how long after a send its messages may still be stored. Default 5 s. It matters without fences only.
	SendTimeout time.Duration
	// MaxMessageBytes is the broker's limit for one message. Default 4 MiB.
	MaxMessageBytes int
	// WindowRecords and WindowBytes bound what is sent beyond the last committed position, and so what is read back after an
	// unclean stop. Defaults 80,000 and 64 MiB; a quarter may lack its acknowledgement.
	WindowRecords, WindowBytes int64
	// IdleClose is how long a queue stays open without a record. Default 30 s.
	IdleClose time.Duration

	// Report is told, beside the log, of lost messages and of doubles that cannot be ruled out where exactly.once lets the task
	// go on. It may be called by several goroutines at a time. nil: nobody is told.
	Report func(ctx context.Context, problem error)

	Logger     *slog.Logger   // default: nothing is logged
	Failpoints *failpoint.Set // nil is inert
	// Scrub takes secrets out of what dead letters say of errors; nil: there are none.
	Scrub    func(text string) string
	Progress *Progress // default: a new one, see Source.Progress
}

// Source copies records from a source into queues. Make it with NewSource, call Run once.
type Source struct {
	sender
	config    SourceConfig
	task      int
	source    connector.Source
	transform Transformer // nil: none
	once      bool        // a read-back's marks can be trusted
	maker     messageMaker
	queues    QueueMap
	start     Start
	settle    bool
	idle      time.Duration
	logger    *slog.Logger
	errors    tolerance
	read      chan batchRead
	tidings   tidings
	past      historian
	parcels   chan *parcel // free ones

	lanes   map[Queue]*lane    // grows by the encoder only
	topics  map[string][]*lane // in the order of the queue map
	reached connector.Position // behind the newest batch of each partition
	turn    int                // of the lane for the next batch, where unkeyed records are spread
	warned  bool               // about a truncate

	mu      sync.Mutex
	opened  []*lane // all that were ever opened, for the committer
	running sync.WaitGroup
}

// batchRead is what the reader hands to the encoder.
type batchRead struct {
	connector.Batch
	bad error // of a record that could not be read; the batch then has none
	end bool  // nothing was read: the source has no more records, for now
}

// NewSource checks a job. The error is a connector.ConfigErrors.
func NewSource(j SourceJob) (*Source, error) {
	if j.Guarantee != connector.ExactlyOnce && j.Config.ExactlyOnce == onceRequired {
		return nil, connector.ConfigErrors{{Field: "exactly.once", Value: onceRequired,
			Reason: "the connector promises at-least-once only under this config; set preferred or off"}}
	}
	j = j.withDefaults()
	s := &Source{
		config: j.Config, task: j.Task, source: j.Source, transform: j.Transform, queues: j.Queues, start: j.Start, settle: j.Settle, idle: j.IdleClose,
		logger: j.Logger, once: j.Guarantee == connector.ExactlyOnce && j.Config.ExactlyOnce != onceOff,
		read: make(chan batchRead, 1), parcels: make(chan *parcel, 16),
		lanes: map[Queue]*lane{}, topics: map[string][]*lane{}, reached: connector.Position{},
	}
	s.sender = sender{broker: j.Broker, ledger: j.Ledger, lease: j.Lease, writer: j.Start.Writer, epoch: j.Start.Epoch,
		fences: j.Config.Fences, sendTimeout: j.SendTimeout, maxRecords: j.Config.BatchMaxRecords, maxBytes: j.Config.BatchMaxBytes,
		mark: newWatermark(j.WindowRecords, j.WindowBytes), retry: &retrier{j.Progress, j.Logger}, progress: j.Progress, points: j.Failpoints,
		doubts: &doubts{j.Config.ExactlyOnce, j.Progress, j.Logger, j.Report, false}}
	s.past = historian{history: j.History, retry: s.retry, every: rememberEvery}
	s.maker = messageMaker{key: j.Key, value: j.Value, both: structured(j.Config.ValueConverter), schemas: retryingSchemas{j.Schemas, s.retry},
		known: map[*connector.Schema]string{}, pairs: map[[2]*connector.Schema]*connector.Schema{}, maxBytes: j.MaxMessageBytes}
	s.errors = tolerance{config: j.Config.CommonConfig, task: j.Task, progress: j.Progress, logger: j.Logger, scrub: j.Scrub}
	s.tidings.every = j.Config.CheckpointInterval
	return s, nil
}

func (j SourceJob) withDefaults() SourceJob {
	if j.SendTimeout == 0 {
		j.SendTimeout = 5 * time.Second
	}
	if j.MaxMessageBytes == 0 {
		j.MaxMessageBytes = 4 << 20
	}
	if j.WindowRecords == 0 {
		j.WindowRecords = 80_000
	}
	if j.WindowBytes == 0 {
		j.WindowBytes = 64 << 20
	}
	if j.IdleClose == 0 {
		j.IdleClose = 30 * time.Second
	}
	if j.Logger == nil {
		j.Logger = slog.New(slog.DiscardHandler)
	}
	if j.Progress == nil {
		j.Progress = NewProgress()
	}
	return j
}

// Progress is the job's progress.
func (s *Source) Progress() *Progress { return s.progress }

// Run copies until drain is closed, then sends what was read, commits, closes all queues and returns nil. A source that
// has no more records leaves the job idle until then. Errors: ctx's; one that wraps ErrFenced: a newer epoch owns the task,
// which may be claimed again; one that connector.IsPermanent holds final; others are worth another start. After an error
// nothing was committed that is not true, and queues stay open: the next start reads them back. The connector's source is the
// caller's to close, once Run has returned.
func (s *Source) Run(ctx context.Context, drain <-chan struct{}) error {
	s.points.Reached(failpoint.SourceClaimed)
	found, err := s.arrivedBefore(ctx)
	if err != nil {
		return err
	}
	g := newGroup(ctx, s.logger, 0)
	reading, stop := context.WithCancel(g.ctx)
	defer stop()
	if s.settle && (found == nil || found.left == 0) {
		stop()
	}
	for _, l := range s.lanes { // those that were read back
		s.startLane(g, l)
	}
	s.running.Add(1) // the encoder's; it starts the other lanes
	sent := make(chan struct{})
	var readErr, encodeErr error // they stop the job, but what is sent is still acknowledged and committed
	g.Go("reader", func(ctx context.Context) error {
		defer close(s.read)
		defer stop()
		readErr = guard(s.logger, "source", func() error { return s.readAll(reading, ctx) })
		return nil
	})
	g.Go("encoder", func(ctx context.Context) error {
		defer stop()
		encodeErr = guard(s.logger, "encoder", func() error { return s.encodeAll(ctx, g, found, stop) })
		return nil
	})
	g.Go("senders", func(context.Context) error {
		s.running.Wait()
		close(sent)
		return nil
	})
	if !s.settle {
		g.Go("auditor", func(ctx context.Context) error { return s.audit(reading, ctx) })
	}
	g.Go("committer", func(ctx context.Context) error { return s.commitAll(ctx, sent) })
	g.Go("drain", func(ctx context.Context) error {
		select {
		case <-drain:
			stop()
		case <-reading.Done():
		}
		return nil
	})
	err = g.Wait()
	if err == nil {
		err = cmp.Or(encodeErr, readErr)
	}
	if err == nil {
		err = guard(s.logger, "source", func() error { return s.tell(ctx, true) })
	}
	return err // one of lost messages is the next start's, which reads back, and goes back if need be
}

// arrivedBefore is what the last owner got into queues that it left open, and that the source will give again; nil if it
// left none.
func (s *Source) arrivedBefore(ctx context.Context) (*foundSet, error) {
	if len(s.start.Open) == 0 {
		if s.settle {
			return nil, nil
		}
		return nil, s.past.remember(ctx) // before any partition moves that was another task's
	}
	found, err := s.readBack(ctx)
	var lost *LostError
	if errors.As(err, &lost) && lost.Covered && !connector.IsPermanent(err) {
		if err := s.goBack(ctx, lost); err != nil {
			return nil, err
		}
		found, err = s.readBack(ctx)
	}
	if err != nil || s.once {
		return found, err
	}
	if found.left > 0 { // marks that the source does not keep say nothing about what arrived
		s.progress.doubles.Add(1)
		s.logger.Warn("records sent since the last checkpoint are sent again: the task promises at least once", "records", found.left)
	}
	found.forget()
	return found, nil
}

// readAll reads until reading ends; ctx is the job's.
func (s *Source) readAll(reading, ctx context.Context) error {
	limit := min(s.config.BatchMaxRecords, firstRead)
	for reading.Err() == nil {
		if err := s.tell(ctx, false); err != nil {
			return err
		}
		b, err := s.readOnce(reading, limit)
		var bad *connector.RecordError
		some := len(b.Records) > 0 || len(b.Next) > 0
		switch {
		case err == nil:
		case errors.As(err, &bad) && !some:
			return fmt.Errorf("read from the source, which does not say how to go on: %w", bad)
		case errors.As(err, &bad):
		case reading.Err() != nil && !some:
			return nil
		case errors.Is(err, io.EOF) && !some, errors.Is(err, errQuiet):
			if !s.pass(reading, batchRead{end: true}) || errors.Is(err, errQuiet) {
				return nil
			}
			return s.idleUntil(reading, ctx)
		case errors.Is(err, io.EOF), errors.Is(err, errInterrupted), reading.Err() != nil:
		default:
			return fmt.Errorf("read from the source: %w", err)
		}
		if !some {
			continue
		}
		item := batchRead{Batch: b}
		if bad != nil {
			item.bad = bad
		}
		if !s.pass(reading, item) {
			return nil
		}
		limit = s.nextLimit(b, limit)
	}
	return nil
}

// pass hands a batch to the encoder, unless reading has ended: then the next start reads it again.
func (s *Source) pass(reading context.Context, item batchRead) bool {
	select {
	case s.read <- item:
		return true
	case <-reading.Done():
		return false
	}
}

// firstRead is how many records are read before anything is known of their size.
const firstRead = 100

// nextLimit is how many records make about one send's bytes.
func (s *Source) nextLimit(b connector.Batch, limit int) int {
	size := 0
	for i := range b.Records {
		size += b.Records[i].Size
	}
	if size == 0 {
		return s.config.BatchMaxRecords
	}
	return max(1, min(s.config.BatchMaxRecords, 4*limit, s.config.BatchMaxBytes*len(b.Records)/size))
}

var (
	// errInterrupted says that a Read was ended so that the source can be told of a commit.
	errInterrupted = errors.New("interrupted")
	// errQuiet says that a source had nothing to read for quietAfter while it was settled.
	errQuiet = errors.New("nothing to read")
)

// quietAfter is how long settling waits for a source to give again what had arrived.
const quietAfter = 10 * time.Second

func (s *Source) readOnce(reading context.Context, limit int) (connector.Batch, error) {
	ctx, cancel := context.WithCancelCause(reading)
	defer cancel(nil)
	if _, ok := s.source.(connector.CommitListener); ok {
		s.tidings.reading(cancel)
		defer s.tidings.reading(nil)
	}
	if s.settle {
		timer := time.AfterFunc(quietAfter, func() { cancel(errQuiet) })
		defer timer.Stop()
	}
	leave := s.progress.enter(callRead)
	b, err := s.source.Read(ctx, limit)
	leave()
	if l, ok := s.source.(connector.Lagger); ok {
		lag := l.Lag()
		s.progress.lagRecords.Store(lag.Records)
		s.progress.lagBytes.Store(lag.Bytes)
	}
	if cause := context.Cause(ctx); err != nil && reading.Err() == nil && (cause == errInterrupted || cause == errQuiet) {
		return b, cause
	}
	return b, err
}

// idleUntil keeps a source that has no more records informed until the job ends.
func (s *Source) idleUntil(reading, ctx context.Context) error {
	s.progress.lagRecords.Store(0)
	s.progress.lagBytes.Store(0)
	for !s.settle && sleep(reading, s.tidings.every) == nil {
		s.progress.tick()
		if err := s.tell(ctx, false); err != nil {
			return err
		}
	}
	return nil
}

// tell lets the source's system forget what is committed.
func (s *Source) tell(ctx context.Context, now bool) error {
	l, ok := s.source.(connector.CommitListener)
	if !ok {
		return nil
	}
	pos := s.tidings.take(now)
	if pos == nil {
		return nil
	}
	defer s.progress.enter(callCommitted)()
	if err := l.Committed(ctx, pos); err != nil {
		return fmt.Errorf("tell the source what is committed: %w", err)
	}
	return nil
}

// tidings carries committed positions to the goroutine that calls the source.
type tidings struct {
	every time.Duration // how often the source is told, at most

	mu        sync.Mutex
	position  connector.Position
	told      time.Time
	interrupt context.CancelCauseFunc // ends the Read under way
}

func (t *tidings) reading(cancel context.CancelCauseFunc) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.interrupt = cancel
}

func (t *tidings) add(pos connector.Position) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.position == nil {
		t.position = connector.Position{}
	}
	maps.Copy(t.position, pos)
}

// nudge ends a Read that waits while there is something to tell.
func (t *tidings) nudge() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.interrupt != nil && t.position != nil && time.Since(t.told) >= t.every {
		t.interrupt(errInterrupted)
	}
}

func (t *tidings) take(now bool) connector.Position {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.position == nil || (!now && time.Since(t.told) < t.every) {
		return nil
	}
	pos := t.position
	t.position, t.told = nil, time.Now()
	return pos
}
