package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gantry-connect/gantry/connector"
)

// Source is the FileSource plugin.
var Source = connector.NewSource(sourceSpec)

var sourceSpec = connector.SourceSpec[SourceConfig]{
	Class: "FileSource", Version: "0.1.0",
	Doc: "Reads files as lines, CSV rows or JSON documents, plain or compressed, in byte order. Each file is a partition " +
		"and is known by its inode and content, not by its path; the position is a byte offset in the uncompressed stream.",
	Check:     (*SourceConfig).check,
	Guarantee: func(*SourceConfig) connector.Guarantee { return connector.ExactlyOnce },
	Plan:      plan, CheckOffset: checkOffset, Probe: probeSource, Open: openSource,
}

// SourceConfig is the config of a FileSource.
type SourceConfig struct {
	File        string        `config:"file" required:"true" doc:"Path of the file, or a pattern with *, ? and [ ] such as /data/*.csv. Each matching file is read."`
	Format      string        `config:"format" default:"lines" enum:"lines,bytes,csv,json" importance:"high" doc:"lines: each line is a text. bytes: each line is bytes, in any encoding. csv: each row is a struct. json: each line is one JSON document."`
	Compression string        `config:"compression" default:"auto" enum:"auto,none,gzip,xz,zstd" doc:"How the files are compressed; auto tells by their first bytes."`
	Follow      bool          `config:"follow" default:"false" importance:"medium" doc:"true: wait for files to grow and for new files, survive rotation; a line counts once its line end is there. false: read what is there, then be done; a last line without line end counts."`
	Poll        time.Duration `config:"poll.interval.ms" default:"500" min:"10" max:"60000" doc:"How often to look for growth and new files when following."`
	Truncated   string        `config:"truncated" default:"fail" enum:"fail,restart" doc:"What to do when a file is shorter than what was read of it, or holds other content before the position: fail, or restart it from its beginning as a new partition."`
	RotateWait  time.Duration `config:"rotate.wait.ms" default:"60000" min:"0" max:"86400000" doc:"How long to wait for late writes to a file that was renamed or deleted while it was followed."`
	MaxLine     int           `config:"max.line.bytes" default:"1048576" min:"2" max:"4194304" doc:"Longest line or CSV row in bytes, line end included; a longer one is a bad record. The broker takes messages up to 4 MiB."`
	ShardBytes  int64         `config:"shard.bytes" default:"0" min:"0" doc:"Cut uncompressed files into partitions of this many bytes, which several tasks can read at once; 0: never. Order then holds within a shard only."`
	SchemaName  string        `config:"schema.name" doc:"Name of the rows' schema (csv); by default the file's base name up to its first dot."`
	KeyFields   []string      `config:"key.fields" importance:"medium" doc:"Names of the fields (csv: columns; json: top-level members) that make the key; one gives a scalar key, several a struct. None: records have no key."`

	Header    bool     `config:"csv.header" default:"true" group:"CSV" doc:"Whether the first row names the columns."`
	Delimiter string   `config:"csv.delimiter" default:"," group:"CSV" doc:"One ASCII character between fields, or the word tab."`
	Null      string   `config:"csv.null" default:"" group:"CSV" doc:"What null looks like: texts between commas, compared with unquoted fields. The default is the empty field; NA makes NA null and nothing else; ',NA' makes both null."`
	Columns   []string `config:"csv.columns" group:"CSV" doc:"The columns' names, instead of those of a header."`
	Types     string   `config:"csv.types" default:"infer" group:"CSV" doc:"infer, or column:type pairs such as year:int32,time_hour:timestamptz; columns that are not named are inferred. Types: bool, int8, int16, int32, int64, float32, float64, decimal, string, date, time, timestamp, timestamptz, uuid, json."`
	InferRows int64    `config:"csv.infer.rows" default:"0" min:"0" group:"CSV" doc:"How many rows to look at for types; 0: all of the file's first 256 MiB."`
	MultiLine bool     `config:"csv.multiline" default:"true" group:"CSV" doc:"Whether quoted fields may contain line breaks. Must be false to cut CSV files into shards."`

	Units string `config:"file.units" internal:"true" doc:"The files and shards of this task."`
	Share string `config:"file.share" internal:"true" doc:"Which share of the files this task follows, as number/count."`

	delimiter  byte
	nulls      []string
	types      map[string]connector.Type
	blockBytes int // how much is read at once; tests make it tiny
}

func (c *SourceConfig) check() error {
	var errs connector.ConfigErrors
	bad := func(field, value, reason string) {
		errs = append(errs, &connector.ConfigError{Field: field, Value: value, Reason: reason})
	}
	if _, err := filepath.Match(c.File, ""); err != nil {
		bad("file", c.File, "is no valid pattern: a [ without ]")
	}
	var ok bool
	if c.delimiter, ok = delimiterOf(c.Delimiter); !ok {
		bad("csv.delimiter", c.Delimiter, delimiterRule)
	}
	c.nulls = strings.Split(c.Null, ",")
	types, err := parseTypes(c.Types)
	if err != nil {
		bad("csv.types", c.Types, err.Error())
	}
	c.types = types
	if !c.Header && len(c.Columns) == 0 && c.Format == "csv" {
		bad("csv.columns", "", "must name the columns when csv.header = false")
	}
	if len(c.KeyFields) > 0 && c.Format != "csv" && c.Format != "json" {
		bad("key.fields", strings.Join(c.KeyFields, ","), "needs format csv or json: a line has no fields")
	}
	if c.ShardBytes > 0 {
		c.checkShards(bad)
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

func (c *SourceConfig) checkShards(bad func(field, value, reason string)) {
	value := fmt.Sprint(c.ShardBytes)
	switch {
	case c.Follow:
		bad("shard.bytes", value, "needs follow = false: a file that grows is one partition")
	case c.Format == "csv" && c.MultiLine:
		bad("shard.bytes", value, "needs csv.multiline = false: a row may otherwise begin anywhere")
	}
}

const delimiterRule = "must be one ASCII character that is no quote and no line end, or the word tab"

// delimiterOf reads a csv.delimiter.
func delimiterOf(text string) (byte, bool) {
	if text == "tab" || text == `\t` {
		return '\t', true
	}
	return (text + "\n")[0], len(text) == 1 && text[0] < 0x80 && !strings.Contains("\"\r\n", text)
}

const scanInterval = 5 * time.Second // for new files, while the known ones keep the source busy

// source reads the units of one task: one after the other, or in turns when following.
type source struct {
	cfg    *SourceConfig
	task   connector.Task
	log    *slog.Logger
	roster roster
	units  []*unit // in the order in which to read them; those that are done are taken off
	turn   int     // index of the unit that reads next
	scan   time.Time
	left   atomic.Int64 // bytes, for Lag
}

func openSource(ctx context.Context, c *SourceConfig, task connector.Task) (connector.Source, error) {
	log := task.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &source{cfg: c, task: task, log: log}
	var err error
	if s.roster, err = newRoster(c, task.Position, log); err != nil {
		return nil, err
	}
	if s.units, err = s.roster.scan(nil); err != nil {
		return nil, err
	}
	s.scan = time.Now()
	s.countLeft()
	return s, ctx.Err()
}

// errIdle says that a unit has nothing more at the moment.
var errIdle = errors.New("no more data yet")

// Read returns records of one partition at a time. See connector.Source.
func (s *source) Read(ctx context.Context, limit int) (connector.Batch, error) {
	for {
		if err := ctx.Err(); err != nil {
			return connector.Batch{}, err
		}
		if err := s.rescan(); err != nil {
			return connector.Batch{}, err
		}
		b, err := s.pass(ctx, limit)
		if !errors.Is(err, errIdle) {
			s.countLeft()
			return b, err
		}
		if !s.cfg.Follow {
			if len(s.units) == 0 {
				s.left.Store(0)
				return connector.Batch{}, io.EOF
			}
			continue
		}
		if err := s.wait(ctx); err != nil {
			return connector.Batch{}, err
		}
	}
}

// pass gives each unit its turn until one has something to say; errIdle if none has.
func (s *source) pass(ctx context.Context, limit int) (connector.Batch, error) {
	for tried := 0; tried < len(s.units); tried++ {
		s.turn %= len(s.units)
		u := s.units[s.turn]
		if u.after != nil && !u.after.drained {
			s.turn++
			continue
		}
		u.alive = s.task.Alive
		b, err := u.read(ctx, limit)
		switch {
		case errors.Is(err, io.EOF):
			s.retire(s.turn)
			tried--
		case errors.Is(err, errIdle):
			s.turn++
		default:
			if s.cfg.Follow {
				s.turn++
			}
			return b, err
		}
	}
	return connector.Batch{}, errIdle
}

// retire takes unit i off the list: all of it has been read and told.
func (s *source) retire(i int) {
	s.units[i].close()
	s.units[i].drained = true
	s.roster.remember(s.units[i])
	s.units = append(s.units[:i], s.units[i+1:]...)
}

// rescan looks for new and renamed files when following and it is time to.
func (s *source) rescan() error {
	if !s.cfg.Follow || time.Since(s.scan) < min(scanInterval, s.cfg.Poll) {
		return nil
	}
	s.scan = time.Now()
	units, err := s.roster.scan(s.units)
	if err != nil {
		return err
	}
	s.units = units
	return nil
}

func (s *source) wait(ctx context.Context) error {
	s.countLeft()
	return s.task.Wait(ctx, s.cfg.Poll)
}

func (s *source) countLeft() {
	var left int64
	for _, u := range s.units {
		left += u.left()
	}
	s.left.Store(left)
}

// Lag is the number of bytes not yet read; for compressed files an estimate of their uncompressed bytes.
func (s *source) Lag() connector.Lag { return connector.Lag{Records: -1, Bytes: s.left.Load()} }

// Close closes the files.
func (s *source) Close() error {
	for _, u := range s.units {
		u.close()
	}
	s.units = nil
	return nil
}
