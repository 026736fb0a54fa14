package file

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-connect/gantry/connector"
)

// Sink is the FileSink plugin.
var Sink = connector.NewSink(connector.SinkSpec[SinkConfig]{
	Class: "FileSink", Version: "0.1.0",
	Doc: "Writes the values of records to files as JSON lines, CSV rows or plain lines. Beside each task's files lies its " +
		"position (<file>.gantry), so that after any crash the files hold exactly the records up to it.",
	Check:     (*SinkConfig).check,
	Guarantee: func(*SinkConfig) connector.Guarantee { return connector.ExactlyOnce },
	Probe:     probeSink,
	Open:      openSink,
})

// SinkConfig is the config of a FileSink.
type SinkConfig struct {
	File         string        `config:"file" required:"true" doc:"Path of the file. ${topic} and ${task} in it stand for the record's topic and the task's number; without ${task}, tasks after the first add -<number> to the name. When rolling, a number such as -000001 is added too. Folders are made."`
	Format       string        `config:"format" default:"json" enum:"json,csv,lines" importance:"high" doc:"json: each value is a JSON document on a line. csv: each struct is a row. lines: each text, number or byte string is a line."`
	RollBytes    int64         `config:"roll.bytes" default:"0" min:"0" doc:"Begin a new file when the present one has this many bytes; 0: never. A start after a crash copies the present file once, so this bounds its time."`
	RollInterval time.Duration `config:"roll.interval.ms" default:"0" min:"0" doc:"Begin a new file, at the next write, when the present one is this old; 0: never."`
	Header       bool          `config:"csv.header" default:"true" group:"CSV" doc:"Whether each file begins with the columns' names."`
	Delimiter    string        `config:"csv.delimiter" default:"," group:"CSV" doc:"One ASCII character between fields, or the word tab."`
	Null         string        `config:"csv.null" default:"" group:"CSV" doc:"What null is written as, without quotes; a text that looks the same is written with quotes."`

	delimiter byte
}

func (c *SinkConfig) check() error {
	var errs connector.ConfigErrors
	rest := strings.NewReplacer("${topic}", "", "${task}", "").Replace(c.File)
	if strings.Contains(rest, "${") {
		errs = append(errs, &connector.ConfigError{Field: "file", Value: c.File, Reason: "only ${topic} and ${task} can stand in it"})
	}
	if strings.HasSuffix(c.File, "/") {
		errs = append(errs, &connector.ConfigError{Field: "file", Value: c.File, Reason: "must name a file, not a folder"})
	}
	var ok bool
	if c.delimiter, ok = delimiterOf(c.Delimiter); !ok {
		errs = append(errs, &connector.ConfigError{Field: "csv.delimiter", Value: c.Delimiter, Reason: delimiterRule})
	}
	if strings.ContainsAny(c.Null, "\"\r\n") || (ok && strings.IndexByte(c.Null, c.delimiter) >= 0) {
		errs = append(errs, &connector.ConfigError{Field: "csv.null", Value: c.Null, Reason: "must hold no quote, delimiter or line end"})
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

func (c *SinkConfig) rolls() bool { return c.RollBytes > 0 || c.RollInterval > 0 }

// taskPath is the file's path for a task; ${topic} is still in it.
func (c *SinkConfig) taskPath(task int) string {
	number := strconv.Itoa(task)
	if strings.Contains(c.File, "${task}") {
		return strings.ReplaceAll(c.File, "${task}", number)
	}
	if task == 0 {
		return c.File
	}
	return withSuffix(c.File, number)
}

// withSuffix puts -suffix before the file's extension.
func withSuffix(path, suffix string) string {
	ext := filepath.Ext(path)
	return strings.TrimSuffix(path, ext) + "-" + suffix + ext
}

// sink writes one task's files. Names and the sidecar change by claims only, so never after a newer owner has come; rows are
// written without a look, to files that a newer owner has replaced by copies of its own.
type sink struct {
	cfg      *SinkConfig
	task     connector.Task
	log      *slog.Logger
	path     string // with ${topic}
	side     sidecar
	state    state              // as in the sidecar
	pending  connector.Position // behind what was written
	segments map[string]*segment
	broken   error // after an error in writing nobody knows what the files hold: only a new start does
}

func openSink(ctx context.Context, c *SinkConfig, task connector.Task) (connector.Sink, error) {
	s := &sink{cfg: c, task: task, log: task.Logger, path: c.taskPath(task.Number), segments: map[string]*segment{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.side.path = strings.ReplaceAll(s.path, "${topic}", "topic") + ".gantry"
	s.side.claims = claims{folder: s.side.path + ".d", epoch: task.Epoch, reached: func(step string) { task.At("file/" + step) }}
	if err := s.takeOver(ctx); err != nil {
		s.closeFiles()
		return nil, fmt.Errorf("open %s: %w", s.path, err)
	}
	s.pending = maps.Clone(s.state.Position)
	return s, nil
}

// takeOver makes this epoch the only one that can change the files. Unless the last owner left in order, each file is
// copied up to its committed length and the copy takes its name; what a late owner still writes goes to the old inode.
func (s *sink) takeOver(ctx context.Context) error {
	if _, err := s.inherit(); err != nil { // a stranger's files are not claimed
		return err
	}
	if err := s.side.claims.claim(); err != nil {
		return err
	}
	st, err := s.inherit() // nobody else changes it any more
	if err != nil {
		return err
	}
	inOrder := st.Clean
	st.Epoch, st.Clean = s.task.Epoch, false
	for topic, f := range st.Files {
		seg := s.segment(topic, f)
		if err := seg.prepare(ctx, &s.side.claims, inOrder); err != nil {
			return err
		}
	}
	if err := s.side.write(st); err != nil {
		return err
	}
	s.state = st
	for _, seg := range s.segments {
		if err := seg.install(&s.side.claims); err != nil {
			return err
		}
	}
	return nil
}

// inherit is the state that the last owner has left.
func (s *sink) inherit() (state, error) {
	st, found, err := s.side.read()
	if err != nil {
		return state{}, err
	}
	if !found {
		st = state{UID: s.task.UID, Connector: s.task.Connector, Task: s.task.Number, Generation: s.task.Generation, Position: maps.Clone(s.task.Position), Files: map[string]fileState{}}
	}
	switch {
	case st.UID != s.task.UID || st.Task != s.task.Number:
		return state{}, connector.Permanent(fmt.Errorf("the file belongs to task %d of connector %q (uid %d); choose another path, or move the file and %s away",
			st.Task, st.Connector, st.UID, s.side.path))
	case st.Epoch > s.task.Epoch:
		return state{}, fmt.Errorf("epoch %d, and %s has %d: %w", s.task.Epoch, s.side.path, st.Epoch, connector.ErrFenced)
	}
	if s.task.Generation > st.Generation {
		st.Generation, st.Position = s.task.Generation, maps.Clone(s.task.Position)
	}
	return st, nil
}

// segment is the present file of a topic; "" stands for all topics.
func (s *sink) segment(topic string, f fileState) *segment {
	path := strings.ReplaceAll(s.path, "${topic}", topic)
	if f.Numbered {
		path = withSuffix(path, fmt.Sprintf("%06d", f.Segment))
	}
	seg := &segment{path: path, fileState: f, written: f.Length}
	s.segments[topic] = seg
	return seg
}

// segmentOf is where a record goes.
func (s *sink) segmentOf(r *connector.Record) *segment {
	topic := ""
	if strings.Contains(s.path, "${topic}") {
		topic = r.Topic
	}
	if seg := s.segments[topic]; seg != nil {
		return seg
	}
	return s.segment(topic, fileState{Segment: 1, Numbered: s.cfg.rolls()})
}

// Position is the sidecar's; see connector.Sink.
func (s *sink) Position() connector.Position { return maps.Clone(s.state.Position) }

var _ connector.TaskPositioner = (*sink)(nil)

// PositionByTask implements connector.TaskPositioner: each task has a sidecar.
func (s *sink) PositionByTask() {}

// Write takes all of a batch or, when one record is at fault, none of it.
func (s *sink) Write(ctx context.Context, b connector.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.broken != nil {
		return s.broken
	}
	if err := s.roll(ctx); err != nil {
		return err
	}
	if err := s.encode(b.Records); err != nil {
		return err
	}
	for topic, seg := range s.segments {
		if len(seg.buf) < spillBytes {
			continue
		}
		if err := s.spill(topic, seg); err != nil {
			return s.failed(err)
		}
	}
	if s.pending == nil {
		s.pending = connector.Position{}
	}
	maps.Copy(s.pending, b.Next)
	return nil
}

const spillBytes = 256 << 10 // held back before rows go to the file

// encode appends the records to their segments' buffers, all or none.
func (s *sink) encode(records []connector.Record) error {
	type mark struct {
		seg     *segment
		length  int
		columns []string
	}
	var marks []mark
	for i := range records {
		seg := s.segmentOf(&records[i])
		if !slices.ContainsFunc(marks, func(m mark) bool { return m.seg == seg }) {
			marks = append(marks, mark{seg, len(seg.buf), seg.Columns})
		}
		if err := seg.append(s.cfg, &records[i]); err != nil {
			for _, m := range marks {
				m.seg.buf, m.seg.Columns, m.seg.schema = m.seg.buf[:m.length], m.columns, nil
			}
			return &connector.RecordError{Index: i, Err: err}
		}
	}
	return nil
}

// spill writes a segment's buffer to its file, which it creates if need be.
func (s *sink) spill(topic string, seg *segment) error {
	if seg.file == nil {
		if err := s.create(topic, seg); err != nil {
			return err
		}
	}
	return seg.spill()
}

// create makes a segment's file. The sidecar knows of it first, so that a start after a crash can tell leftovers of
// ours, which it drops, from a stranger's file.
func (s *sink) create(topic string, seg *segment) error {
	if err := s.fenced(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(seg.path), 0o755); err != nil {
		return err
	}
	if _, ours := s.state.Files[topic]; !ours {
		if info, err := os.Stat(seg.path); err == nil && info.Size() > 0 {
			return connector.Permanent(fmt.Errorf("%s exists and was not written by this connector; move it away or choose another path", seg.path))
		}
		st := s.state.clone()
		st.Files[topic] = fileState{Segment: seg.Segment, Numbered: seg.Numbered}
		if err := s.side.write(st); err != nil {
			return err
		}
		s.state = st
	}
	seg.Since = time.Now().UnixMilli()
	return seg.create(&s.side.claims)
}

// fenced looks whether a newer owner has taken over.
func (s *sink) fenced() error {
	st, found, err := s.side.read()
	switch {
	case err != nil:
		return err
	case !found:
		return fmt.Errorf("%s is gone: whoever removed it must stop this task first", s.side.path)
	case st.Epoch > s.task.Epoch:
		return fmt.Errorf("epoch %d, and %s has %d: %w", s.task.Epoch, s.side.path, st.Epoch, connector.ErrFenced)
	}
	return s.side.claims.check()
}

// Flush makes what was written durable, and the position behind it, in that order.
func (s *sink) Flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.broken != nil {
		return s.broken
	}
	st := s.state.clone()
	st.Position = maps.Clone(s.pending)
	changed := !maps.Equal(st.Position, s.state.Position)
	for topic, seg := range s.segments {
		if len(seg.buf) > 0 {
			if err := s.spill(topic, seg); err != nil {
				return s.failed(err)
			}
		}
		if seg.file != nil {
			changed = changed || seg.written != seg.Length
			f := seg.fileState
			f.Length = seg.written
			st.Files[topic] = f
		}
	}
	if !changed {
		return s.fenced()
	}
	s.task.At("sink/writing")
	for _, seg := range s.segments {
		if err := seg.sync(); err != nil {
			return s.failed(err)
		}
	}
	return s.commit(ctx, st)
}

func (s *sink) commit(ctx context.Context, st state) error {
	err := s.fenced()
	if err == nil {
		err = s.side.write(st)
	}
	if err != nil {
		return s.failed(err)
	}
	s.state = st
	for topic, f := range st.Files {
		if seg := s.segments[topic]; seg != nil {
			seg.fileState = f
		}
	}
	return nil
}

// failed remembers an error after which the files' content is not known.
func (s *sink) failed(err error) error {
	if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		s.broken = fmt.Errorf("write %s: %w", s.path, err)
		return s.broken
	}
	return err
}

// roll ends the segments that are large or old enough, at a committed position.
func (s *sink) roll(ctx context.Context) error {
	due := func(seg *segment) bool {
		return (s.cfg.RollBytes > 0 && seg.written+int64(len(seg.buf)) >= s.cfg.RollBytes) ||
			(s.cfg.RollInterval > 0 && seg.Since > 0 && time.Since(time.UnixMilli(seg.Since)) >= s.cfg.RollInterval)
	}
	var topics []string
	for topic, seg := range s.segments {
		if due(seg) {
			topics = append(topics, topic)
		}
	}
	if len(topics) == 0 {
		return nil
	}
	if err := s.Flush(ctx); err != nil {
		return err
	}
	st := s.state.clone()
	for _, topic := range topics {
		st.Files[topic] = fileState{Segment: s.state.Files[topic].Segment + 1, Numbered: true}
	}
	if err := s.commit(ctx, st); err != nil {
		return err
	}
	for _, topic := range topics {
		s.segments[topic].close()
		s.segment(topic, st.Files[topic])
	}
	return nil
}

// Close drops what was not flushed and leaves the files in order, so that the next owner need not copy them.
func (s *sink) Close() error {
	defer s.closeFiles()
	if s.broken != nil {
		return nil
	}
	if err := s.tidy(); err != nil {
		s.log.Debug("file sink not left in order: the next start copies its files", "file", s.path, "error", err)
	}
	s.broken = errClosed
	return nil
}

func (s *sink) tidy() error {
	if err := s.fenced(); err != nil {
		return err
	}
	for topic, seg := range s.segments {
		if err := seg.cut(s.state.Files[topic].Length); err != nil {
			return err
		}
	}
	st := s.state.clone()
	st.Clean = true
	return s.side.write(st)
}

var errClosed = errors.New("the sink is closed")

func (s *sink) closeFiles() {
	for _, seg := range s.segments {
		seg.close()
	}
}
