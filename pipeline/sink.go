package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/internal/failpoint"
)

// SinkJob is one start of a sink task.
type SinkJob struct {
	Config SinkConfig
	Task   int // number within the connector
	Sink   connector.Sink
	Reads  []Queue // the queues this task reads; no other task of the connector reads them
	// Later are those of Reads that came into being after the connector began. They are read from their beginning, whatever
	// start.offset says, as nothing in them is older than the connector.
	Later []Queue
	// Converters makes a pair of converters; it is called once for each queue, because one is used by one goroutine at a time.
	Converters func() (key, value Converter, err error)
	// Transforms makes the transforms of one queue's records; it is called as Converters is. nil: records go as they were read.
	Transforms func() (Transformer, error)

	Broker  Broker
	Ledger  Ledger
	Lease   Lease
	Schemas Schemas
	Queues  QueueMap // of the dead-letter topic
	Start   Start
	// History is where points of the position's history are kept, for operators. nil: nowhere.
	History History

	// BufferBytes bounds what is pulled and not yet taken by the target. Default 16 MiB.
	BufferBytes int64

	Logger     *slog.Logger   // default: nothing is logged
	Failpoints *failpoint.Set // nil is inert
	// Scrub takes secrets out of what dead letters say of errors; nil: there are none.
	Scrub    func(text string) string
	Progress *Progress // default: a new one, see Sink.Progress
}

// Sink copies records from queues into a sink. Make it with NewSink, call Run once.
type Sink struct {
	config   SinkConfig
	task     int
	sink     connector.Sink
	job      SinkJob
	retry    *retrier
	progress *Progress
	points   *failpoint.Set
	logger   *slog.Logger
	errors   tolerance
	buffer   *byteBudget
	letters  parcel

	queues []*sinkQueue
	chunks chan *pulled
	lanes  []Queue // of the dead-letter topic

	moved   connector.Position // written, not committed
	written volume             // since the last commit
	past    historian
}

// sinkQueue is one queue that the task reads.
type sinkQueue struct {
	queue     Queue
	partition connector.Partition
	offset    int64 // where to begin
	latest    bool  // for lack of a position that is the queue's end
	rules     readers
	lag       int64 // as of the last pull; guarded by Sink.buffer's lock
}

// pulled is a run of messages of one queue, ready to write.
type pulled struct {
	from     *sinkQueue
	records  []connector.Record
	messages []*Received // of the records, one each
	next     int64
	rules    readers // at next
	bytes    int64
	charge   int64 // what it takes of the buffer
	bad      []badMessage
}

// badMessage is one that could not be read.
type badMessage struct {
	message Received
	err     *stageError
}

// runsAhead is how many runs wait for the writer at most; their bytes are bounded by BufferBytes.
const runsAhead = 4

// NewSink checks a job. The error is a connector.ConfigErrors.
func NewSink(j SinkJob) (*Sink, error) {
	if len(j.Reads) == 0 {
		return nil, connector.ConfigErrors{{Field: "topics", Value: j.Config.Topics, Reason: "leave this task without a queue; fewer tasks are needed"}}
	}
	if j.BufferBytes == 0 {
		j.BufferBytes = 16 << 20
	}
	if j.Logger == nil {
		j.Logger = slog.New(slog.DiscardHandler)
	}
	if j.Progress == nil {
		j.Progress = NewProgress()
	}
	s := &Sink{config: j.Config, task: j.Task, sink: j.Sink, job: j, retry: &retrier{j.Progress, j.Logger}, progress: j.Progress,
		points: j.Failpoints, logger: j.Logger, buffer: newByteBudget(j.BufferBytes), chunks: make(chan *pulled, runsAhead), moved: connector.Position{}}
	s.past = historian{history: j.History, retry: s.retry, every: rememberSink}
	s.errors = tolerance{config: j.Config.CommonConfig, task: j.Task, progress: j.Progress, logger: j.Logger, scrub: j.Scrub}
	return s, nil
}

// Progress is the job's progress.
func (s *Sink) Progress() *Progress { return s.progress }

// Run copies until drain is closed; then it makes what was written durable, commits and returns nil. Errors are as those of
// Source.Run. The connector's sink is the caller's to close, once Run has returned.
func (s *Sink) Run(ctx context.Context, drain <-chan struct{}) error {
	s.points.Reached(failpoint.SinkOpened)
	if err := s.begin(ctx); err != nil {
		return s.ended(err)
	}
	g := newGroup(ctx, s.logger, 0)
	pulling, stop := context.WithCancel(g.ctx)
	defer stop()
	for _, q := range s.queues {
		g.Go("puller", func(ctx context.Context) error {
			err := s.pull(pulling, q)
			if pulling.Err() != nil {
				return ctx.Err()
			}
			return err
		})
	}
	g.Go("writer", func(ctx context.Context) error {
		defer stop()
		return s.writeAll(ctx, drain)
	})
	return s.ended(g.Wait())
}

func (s *Sink) ended(err error) error {
	switch {
	case errors.Is(err, connector.ErrFenced) && !errors.Is(err, ErrFenced):
		return fmt.Errorf("%w: %w", ErrFenced, err)
	case errors.Is(err, ErrBrokerLostData), errors.Is(err, errPosition):
		return connector.Permanent(err)
	}
	return err
}

// errPosition says that the queue does not hold the offset to go on at.
var errPosition = errors.New("the queue does not hold the position; set the connector's offsets to go on")

// sinkOffset is a sink position's offset of one queue.
type sinkOffset struct {
	Offset  *int64 `json:"rocketmq_offset"`
	Writers string `json:"writers"`
}

// partitionOf is a queue's partition in a sink's position.
func partitionOf(q Queue) connector.Partition {
	p, err := connector.MakePartition(map[string]any{"rocketmq_broker": q.Broker, "rocketmq_queue": q.ID, "rocketmq_topic": q.Topic})
	if err != nil {
		panic(err) // strings and a number only
	}
	return p
}

// offsetOf is where to go on in a queue.
func offsetOf(next int64, rules *readers) connector.Offset {
	doc := map[string]any{"rocketmq_offset": next}
	if w := rules.String(); w != "" {
		doc["writers"] = w
	}
	o, err := connector.MakeOffset(doc)
	if err != nil {
		panic(err) // a string and a number only
	}
	return o
}

// TargetPosition is where the target stands. What a connector.TaskPositioner still has of a partition that another task has
// taken further since is left out.
func TargetPosition(sink connector.Sink, start Start) connector.Position {
	target := sink.Position()
	if _, byTask := sink.(connector.TaskPositioner); !byTask {
		return target
	}
	for _, p := range start.Elsewhere {
		var old, now sinkOffset
		if json.Unmarshal([]byte(target[p]), &old) == nil && json.Unmarshal([]byte(start.Position[p]), &now) == nil &&
			old.Offset != nil && now.Offset != nil && *old.Offset < *now.Offset {
			delete(target, p)
		}
	}
	return target
}

// begin finds where to begin in each queue: where the target stands, else the catalog's position, else start.offset. The
// end of a queue is recorded before anything is read: the next start would otherwise begin at an end that has moved.
func (s *Sink) begin(ctx context.Context) error {
	target := TargetPosition(s.sink, s.job.Start)
	g := newGroup(ctx, s.logger, 8)
	for _, q := range s.job.Reads {
		sq := &sinkQueue{queue: q, partition: partitionOf(q)}
		s.queues = append(s.queues, sq)
		g.Go("puller", func(ctx context.Context) error {
			if err := s.beginQueue(ctx, sq, target); err != nil {
				return fmt.Errorf("begin to read %v: %w", q, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	point := Checkpoint{Position: connector.Position{}}
	for _, q := range s.queues {
		if q.latest {
			point.Position[q.partition] = offsetOf(q.offset, &q.rules)
		}
	}
	if len(point.Position) == 0 {
		return nil
	}
	return s.retry.do(ctx, "commit where to begin", func() error { return s.job.Ledger.Commit(ctx, point) })
}

func (s *Sink) beginQueue(ctx context.Context, q *sinkQueue, target connector.Position) error {
	var start, end int64
	err := s.retry.do(ctx, "look up the offsets of "+q.queue.String(), func() (err error) {
		start, end, err = s.job.Broker.Bounds(ctx, q.queue)
		return err
	})
	if err != nil {
		return err
	}
	doc, known := target[q.partition]
	if !known {
		doc, known = s.job.Start.Position[q.partition]
	}
	if !known {
		q.offset = start
		if s.config.StartOffset == StartLatest && !slices.Contains(s.job.Later, q.queue) {
			q.offset, q.latest = end, true
		}
		return s.learn(ctx, q, start)
	}
	var o sinkOffset
	if err := json.Unmarshal([]byte(doc), &o); err != nil || o.Offset == nil {
		return connector.Permanent(fmt.Errorf("position %s of %s is not of the form {\"rocketmq_offset\":n}", doc, q.partition))
	}
	switch q.offset = *o.Offset; {
	case q.offset < start:
		return fmt.Errorf("%w: it is %d, but offsets %d to %d have expired", errPosition, q.offset, q.offset, start-1)
	case q.offset > end:
		return fmt.Errorf("%w: it is %d, but the queue ends at %d: %w", errPosition, q.offset, end, ErrBrokerLostData)
	case o.Writers == "":
		err := s.learn(ctx, q, start)
		for i := range q.rules.writers {
			q.rules.writers[i].forgiven = true
		}
		return err
	}
	if q.rules, err = parseReaders(o.Writers); err != nil {
		return connector.Permanent(err)
	}
	return nil
}

// learnBehind is how many offsets before its start a reader without state looks at.
const learnBehind = 4096

// learn builds what a reader of the queue must know at its offset, when no position says it: from the fences in the catalog,
// and from the messages just before, which may hold a fence that its writer has not recorded yet.
func (s *Sink) learn(ctx context.Context, q *sinkQueue, start int64) error {
	at := max(start, q.offset-learnBehind)
	var fences []Fence
	err := s.retry.do(ctx, "look up the fences of "+q.queue.String(), func() (err error) {
		fences, err = s.job.Ledger.FencesBefore(ctx, q.queue, at)
		return err
	})
	if err != nil {
		return err
	}
	for _, f := range fences {
		q.rules.raise(f.Writer, generation{f.Epoch, f.Term})
	}
	for at < q.offset {
		var p Pulled
		err := s.retry.do(ctx, "read "+q.queue.String(), func() (err error) {
			p, err = s.job.Broker.Pull(ctx, q.queue, at, pullLimit)
			return err
		})
		if err != nil {
			return err
		}
		for i := range p.Messages {
			if m := &p.Messages[i]; m.Offset < q.offset {
				if st, err := parseStamp(m.Property(stampProperty)); err == nil {
					q.rules.follow(&st)
				}
			}
		}
		at = p.Next
	}
	return nil
}

// writeAll writes what the pullers bring until drain is closed, and commits by the interval.
func (s *Sink) writeAll(ctx context.Context, drain <-chan struct{}) error {
	timer := time.NewTicker(s.config.CheckpointInterval)
	defer timer.Stop()
	var batch []*pulled
	for {
		select {
		case c := <-s.chunks:
			batch = append(batch[:0], c)
			s.fill(ctx, &batch)
			if err := s.write(ctx, batch); err != nil {
				return err
			}
			clear(batch)
		case <-timer.C:
			s.progress.tick()
			if err := s.commit(ctx); err != nil {
				return err
			}
		case <-drain:
			if err := s.commit(ctx); err != nil {
				return err
			}
			s.points.Reached(failpoint.SinkDrained)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fill takes what else is there, until the batch is large enough or linger is over.
func (s *Sink) fill(ctx context.Context, batch *[]*pulled) {
	records, bytes := len((*batch)[0].records), (*batch)[0].bytes
	var linger <-chan time.Time
	for records < s.config.BatchMaxRecords && bytes < int64(s.config.BatchMaxBytes) {
		var c *pulled
		select {
		case c = <-s.chunks:
		default:
			if s.config.Linger == 0 {
				return
			}
			if linger == nil {
				timer := time.NewTimer(s.config.Linger)
				defer timer.Stop()
				linger = timer.C
			}
			select {
			case c = <-s.chunks:
			case <-linger:
				return
			case <-ctx.Done():
				return
			}
		}
		*batch = append(*batch, c)
		records += len(c.records)
		bytes += c.bytes
	}
}

// commit makes what was written durable and moves the catalog's position.
func (s *Sink) commit(ctx context.Context) error {
	if len(s.moved) == 0 {
		return nil
	}
	leave := s.progress.enter(callFlush)
	err := s.sink.Flush(ctx)
	leave()
	if err != nil {
		return fmt.Errorf("flush the target: %w", err)
	}
	s.points.Reached(failpoint.SinkWritten)
	point := Checkpoint{Position: maps.Clone(s.moved), Records: s.written.records, Bytes: s.written.bytes}
	err = s.retry.do(ctx, "commit the position", func() error { return s.job.Ledger.Commit(ctx, point) })
	if err != nil {
		return err
	}
	s.points.Reached(failpoint.SinkCommitted)
	s.progress.committed()
	clear(s.moved)
	s.written = volume{}
	return s.past.committed(ctx, 0)
}
