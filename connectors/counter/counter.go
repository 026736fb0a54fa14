package counter

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-connect/gantry/connector"
)

// Plugin is the connector.
var Plugin = connector.NewSource(connector.SourceSpec[Config]{
	Class: "CounterSource", Version: "1.0",
	Doc:       "Makes records up: numbers in order. For demos, tests and measurements.",
	Guarantee: func(*Config) connector.Guarantee { return connector.ExactlyOnce },
	Plan:      plan, CheckOffset: checkOffset, Open: open,
})

// Config is what users say.
type Config struct {
	Count      int64         `config:"counter.count" default:"0" min:"0" doc:"How many numbers each partition has; 0 is no end."`
	Partitions int           `config:"counter.partitions" default:"1" min:"1" max:"10000" doc:"How many rows of numbers there are. Tasks share them."`
	Keys       int64         `config:"counter.keys" default:"0" min:"0" doc:"How many different keys the records have: the key is number modulo keys. 0 is no key."`
	Bytes      int           `config:"counter.bytes" default:"0" min:"0" max:"3000000" doc:"Length of a text that is added to each record."`
	Interval   time.Duration `config:"counter.interval.ms" default:"0" min:"0" max:"3600000" doc:"Pause before each record."`

	Mine []string `config:"counter.mine" internal:"true" doc:"The task's partitions."`
}

func plan(_ context.Context, c *Config, limit int) ([]map[string]string, error) {
	tasks := make([][]string, min(limit, c.Partitions))
	for p := range c.Partitions {
		tasks[p%len(tasks)] = append(tasks[p%len(tasks)], strconv.Itoa(p))
	}
	configs := make([]map[string]string, len(tasks))
	for i := range tasks {
		configs[i] = map[string]string{"counter.mine": strings.Join(tasks[i], ",")}
	}
	return configs, nil
}

var (
	keySchema    = connector.Of(connector.Int64)
	plainSchema  = connector.StructOf("counter", connector.Field{Name: "partition", Schema: connector.Of(connector.Int32)}, connector.Field{Name: "number", Schema: connector.Of(connector.Int64)})
	filledSchema = connector.StructOf("counter", append(plainSchema.Fields[:2:2], connector.Field{Name: "filler", Schema: connector.Of(connector.String)})...)
)

type source struct {
	task   connector.Task
	config Config
	filler connector.Value
	rows   []row
	turn   int
}

// row is one partition.
type row struct {
	number    int64
	partition connector.Partition
	next      int64 // the number that comes next, from 0
}

func open(_ context.Context, c *Config, task connector.Task) (connector.Source, error) {
	s := &source{task: task, config: *c, filler: connector.TextValue(strings.Repeat("x", c.Bytes))}
	for _, name := range c.Mine {
		n, err := strconv.ParseInt(name, 10, 32)
		if err != nil {
			return nil, &connector.ConfigError{Field: "counter.mine", Value: name, Reason: "must be the number of a partition"}
		}
		r := row{number: n}
		if r.partition, err = connector.MakePartition(map[string]any{"counter": n}); err != nil {
			return nil, err
		}
		if at, ok := task.Position[r.partition]; ok {
			if r.next, err = parseOffset(at); err != nil {
				return nil, connector.Permanent(fmt.Errorf("position of partition %s: %w", r.partition, err))
			}
		}
		s.rows = append(s.rows, r)
	}
	return s, nil
}

func checkOffset(p connector.Partition, o connector.Offset) error {
	var doc struct {
		Counter *int64 `json:"counter"`
	}
	if err := json.Unmarshal([]byte(p), &doc); err != nil || doc.Counter == nil || *doc.Counter < 0 {
		return fmt.Errorf("partition %s is not of the form {\"counter\":n}", p)
	}
	_, err := parseOffset(o)
	return err
}

func parseOffset(o connector.Offset) (int64, error) {
	var doc struct {
		Next *int64 `json:"next"`
	}
	if err := json.Unmarshal([]byte(o), &doc); err != nil {
		return 0, err
	}
	if doc.Next == nil || *doc.Next < 0 {
		return 0, fmt.Errorf("%s is not of the form {\"next\":n}", o)
	}
	return *doc.Next, nil
}

// Read implements connector.Source: partitions take turns.
func (s *source) Read(ctx context.Context, limit int) (connector.Batch, error) {
	if err := ctx.Err(); err != nil {
		return connector.Batch{}, err
	}
	if s.config.Interval > 0 {
		if err := s.task.Wait(ctx, s.config.Interval); err != nil {
			return connector.Batch{}, err
		}
		limit = 1
	}
	b := connector.Batch{Records: make([]connector.Record, 0, limit), Next: connector.Position{}}
	values := make([]connector.Value, 0, 3*limit)
	for range s.rows {
		r := &s.rows[s.turn]
		s.turn = (s.turn + 1) % len(s.rows)
		from := r.next
		for len(b.Records) < limit && (s.config.Count == 0 || r.next < s.config.Count) {
			first := len(values)
			values = append(values, connector.IntValue(r.number), connector.IntValue(r.next))
			if s.config.Bytes > 0 {
				values = append(values, s.filler)
			}
			b.Records = append(b.Records, s.record(r, connector.ListValue(values[first:len(values):len(values)])))
			r.next++
		}
		if r.next == from {
			continue
		}
		o, err := connector.MakeOffset(map[string]any{"next": r.next})
		if err != nil {
			return connector.Batch{}, err
		}
		b.Next[r.partition] = o
	}
	if len(b.Records) == 0 {
		return connector.Batch{}, io.EOF
	}
	return b, nil
}

func (s *source) record(r *row, value connector.Value) connector.Record {
	rec := connector.Record{After: connector.Datum{Schema: plainSchema, Value: value}, Partition: r.partition,
		Mark: connector.Mark{Offset: uint64(r.next)}, Size: s.config.Bytes + 200}
	if s.config.Bytes > 0 {
		rec.After.Schema = filledSchema
	}
	if s.config.Keys > 0 {
		rec.Key = connector.Datum{Schema: keySchema, Value: connector.IntValue(r.next % s.config.Keys)}
	}
	return rec
}

// Close implements connector.Source.
func (s *source) Close() error { return nil }
