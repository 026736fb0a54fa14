package activities

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/converters"
	"github.com/gantry-connect/gantry/pipeline"
	"github.com/gantry-connect/gantry/probe"
	"github.com/gantry-connect/gantry/secrets"
)

const (
	// previewWithin is how long records are waited for.
	previewWithin = 8 * time.Second
	// previewBytes bounds an answer: it is stored in the catalog for minutes.
	previewBytes = 1 << 20
	// previewRecords bounds how many records are asked for.
	previewRecords = 100
)

// gallery collects records for an answer.
type gallery struct {
	preview probe.Preview
	limit   int
	bytes   int
	value   converters.Converter
	apply   func(rec *connector.Record, seen func(alias string, rec *connector.Record, kept bool, err error)) // nil: no transforms
	check   func(rec *connector.Record) error                                                                 // of what comes out of them; nil: anything goes
	scrub   *secrets.Scrubber                                                                                 // keeps the config's secrets out of what is said of records
}

func (a *Activities) newGallery(limit int) (*gallery, error) {
	value, err := converters.New(converters.JSON, nil, false)
	if err != nil {
		return nil, err
	}
	return &gallery{preview: probe.Preview{Items: []probe.PreviewItem{}, WorkerID: a.config.Worker},
		limit: min(max(limit, 1), previewRecords), value: value}, nil
}

func (g *gallery) full() bool { return len(g.preview.Items) >= g.limit || g.preview.Truncated }

// add shows a record and what the transforms make of it.
func (g *gallery) add(partition json.RawMessage, offset uint64, rec *connector.Record) {
	item := probe.PreviewItem{Partition: partition, Offset: offset, Steps: []probe.PreviewStep{}}
	shown, err := g.show(rec)
	if err != nil {
		item.Error = err.Error()
	} else {
		item.Record = shown
	}
	if g.apply != nil && err == nil {
		item.Steps = g.steps(rec)
	}
	g.put(item)
}

// steps is a record after each transform.
func (g *gallery) steps(rec *connector.Record) []probe.PreviewStep {
	steps := []probe.PreviewStep{}
	g.apply(rec, func(alias string, rec *connector.Record, kept bool, err error) {
		step := probe.PreviewStep{Transform: alias, Kept: kept && err == nil}
		if step.Kept {
			step.Record, err = g.show(rec)
		}
		if err != nil {
			step.Error = err.Error()
		}
		steps = append(steps, step)
	})
	if last := &steps[len(steps)-1]; last.Kept && g.check != nil {
		if err := g.check(rec); err != nil {
			last.Kept, last.Error = false, err.Error()
		}
	}
	return steps
}

func (g *gallery) put(item probe.PreviewItem) {
	item.Error = g.scrub.Text(item.Error)
	for i := range item.Steps {
		item.Steps[i].Error = g.scrub.Text(item.Steps[i].Error)
	}
	text, err := json.Marshal(item)
	if err != nil {
		item.Record, item.Steps, item.Error = nil, []probe.PreviewStep{}, "cannot be shown as JSON: "+err.Error()
	}
	if g.bytes += len(text); g.bytes > previewBytes {
		g.preview.Truncated = true
		return
	}
	g.preview.Items = append(g.preview.Items, item)
}

func (g *gallery) bad(partition json.RawMessage, offset uint64, err error) {
	g.put(probe.PreviewItem{Partition: partition, Offset: offset, Error: err.Error(), Steps: []probe.PreviewStep{}})
}

// show is a record in readable form. It shares nothing with rec, which the next transform changes.
func (g *gallery) show(rec *connector.Record) (*probe.PreviewRecord, error) {
	shown := &probe.PreviewRecord{Topic: rec.Topic, Operation: rec.Op.String()}
	for _, part := range []struct {
		datum connector.Datum
		into  *json.RawMessage
		name  string
	}{{rec.Key, &shown.Key, "key"}, {rec.Before, &shown.Before, "before"}, {rec.After, &shown.After, "after"}} {
		var err error
		if *part.into, err = g.json(part.datum); err != nil {
			return nil, fmt.Errorf("show %s: %w", part.name, err)
		}
	}
	for _, h := range rec.Headers {
		value, err := g.json(h.Value)
		if err != nil {
			return nil, fmt.Errorf("show header %q: %w", h.Name, err)
		}
		shown.Headers = append(shown.Headers, probe.PreviewHeader{Name: h.Name, Value: value})
	}
	if !rec.Time.IsZero() {
		at := rec.Time.UTC()
		shown.EventTime = &at
	}
	return shown, nil
}

func (g *gallery) json(d connector.Datum) (json.RawMessage, error) {
	if !d.Present() {
		return nil, nil
	}
	return g.value.Encode(nil, d)
}

// preview reads the first records that a config would copy.
func (a *Activities) preview(ctx context.Context, q probe.Question) (probe.Preview, error) {
	used, err := a.open(ctx, q.Config)
	if err != nil {
		return probe.Preview{}, used.scrub.Error(err)
	}
	g, err := a.newGallery(q.Limit)
	if err != nil {
		return probe.Preview{}, err
	}
	g.scrub = used.scrub
	if used.chain.Len() > 0 {
		g.apply = used.chain.Steps
	}
	ctx, cancel := context.WithTimeout(ctx, previewWithin)
	defer cancel()
	err = guarded("the connector", func() error { // here, where its secrets are known: a panic may tell them
		if used.source != nil {
			return a.sampleSource(ctx, used, g)
		}
		return a.sampleTopics(ctx, used, g)
	})
	return g.preview, used.scrub.Error(err)
}

// sampleSource reads a source from its beginning, as one task would that has all the work.
func (a *Activities) sampleSource(ctx context.Context, used usable, g *gallery) error {
	configs, err := used.plugin.TaskConfigs(ctx, used.config, 1)
	if err != nil {
		return fmt.Errorf("divide the work into tasks: %w", err)
	}
	if len(configs) == 0 {
		g.preview.Note = "There is no work yet: the connector would have no task."
		return nil
	}
	source, err := used.plugin.OpenSource(ctx, configs[0], connector.Task{Connector: used.common.Name, Logger: used.scrub.Logger(a.log)})
	if err != nil {
		return fmt.Errorf("open the source: %w", err)
	}
	defer closing(a.log, source)
	g.check = func(rec *connector.Record) error {
		if rec.Topic == used.source.Topic {
			return nil // which is checked elsewhere
		}
		return pipeline.CheckTopic(rec.Topic)
	}
	for !g.full() {
		batch, err := source.Read(ctx, g.limit-len(g.preview.Items))
		var bad *connector.RecordError
		switch {
		case errors.As(err, &bad):
			g.bad(nil, 0, bad.Err)
			continue
		case errors.Is(err, io.EOF):
			g.preview.Note = "The source has no more records."
			return nil
		case err != nil && ctx.Err() != nil:
			g.preview.Note = fmt.Sprintf("The source had no more records within %v.", previewWithin)
			return nil
		case err != nil:
			return fmt.Errorf("read the source: %w", err)
		}
		for i := range batch.Records {
			rec := &batch.Records[i]
			if rec.Topic == "" {
				rec.Topic = used.source.Topic
			}
			if !g.full() {
				g.add(json.RawMessage(rec.Partition), rec.Mark.Offset, rec)
			}
		}
	}
	return nil
}

// sampleTopics reads the beginnings of a sink's topics.
func (a *Activities) sampleTopics(ctx context.Context, used usable, g *gallery) error {
	key, value, err := newConverters(used.common, used.config)
	if err != nil {
		return err
	}
	queues, missing, err := a.sinkQueues(ctx, used.sink.TopicNames())
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		g.preview.Note = fmt.Sprintf("Topics that do not exist: %v.", missing)
	}
	return a.sampleQueues(ctx, queues, "earliest", pipeline.NewDecoder(key, value, a.schemas), g)
}

// previewTopic reads records of a topic, as they are.
func (a *Activities) previewTopic(ctx context.Context, q probe.Question) (probe.Preview, error) {
	ctx, cancel := context.WithTimeout(ctx, previewWithin)
	defer cancel()
	g, err := a.newGallery(q.Limit)
	if err != nil {
		return probe.Preview{}, err
	}
	name := q.Converter
	if name == "" {
		name = converters.JSON
	}
	value, err := converters.New(name, nil, false)
	if err != nil {
		return probe.Preview{}, err
	}
	key, err := converters.New(converters.JSON, nil, true)
	if err != nil {
		return probe.Preview{}, err
	}
	queues, err := a.Topics.Queues(ctx, q.Topic)
	if err != nil {
		return probe.Preview{}, fmt.Errorf("look up the queues of topic %s: %w", q.Topic, err)
	}
	err = a.sampleQueues(ctx, queues, q.From, pipeline.NewDecoder(key, value, a.schemas), g)
	return g.preview, err
}

// sample is what is left to look at of one queue: offsets from at to before end.
type sample struct {
	queue   pipeline.Queue
	at, end int64
}

// sampleQueues takes about as much from each queue, from one end or the other, and more from some where others have too little.
func (a *Activities) sampleQueues(ctx context.Context, queues []catalog.Queue, from string, d *pipeline.Decoder, g *gallery) error {
	place := map[string]int{}
	err := a.sampleRounds(ctx, queues, from, d, g, place)
	slices.SortStableFunc(g.preview.Items, func(x, y probe.PreviewItem) int {
		return cmp.Or(cmp.Compare(place[string(x.Partition)], place[string(y.Partition)]), cmp.Compare(x.Offset, y.Offset))
	})
	if err != nil && ctx.Err() != nil && len(g.preview.Items) > 0 {
		g.preview.Note = fmt.Sprintf("Not all queues could be read within %v.", previewWithin)
		return nil
	}
	return err
}

// sampleRounds shares what is asked for among the queues that have more, until there is enough or no more. place gets the order of the
// queues, by the form in which items name them.
func (a *Activities) sampleRounds(ctx context.Context, queues []catalog.Queue, from string, d *pipeline.Decoder, g *gallery, place map[string]int) error {
	left := make([]*sample, len(queues))
	for i, q := range queues {
		left[i] = &sample{queue: pipeline.Queue(q)}
		var err error
		if left[i].at, left[i].end, err = a.Broker.Bounds(ctx, left[i].queue); err != nil {
			return fmt.Errorf("read queue %v: %w", left[i].queue, err)
		}
	}
	for {
		left = slices.DeleteFunc(left, func(s *sample) bool { return s.at >= s.end })
		if g.full() || len(left) == 0 {
			return nil
		}
		for i, s := range left {
			missing := g.limit - len(g.preview.Items)
			if g.full() || missing == 0 {
				return nil
			}
			want := (missing + len(left) - i - 1) / (len(left) - i)
			if err := a.sampleQueue(ctx, s, from, want, d, g, place); err != nil {
				return fmt.Errorf("read queue %v: %w", s.queue, err)
			}
		}
	}
}

// sampleQueue takes up to want records, and leaves in s what it has not looked at.
func (a *Activities) sampleQueue(ctx context.Context, s *sample, from string, want int, d *pipeline.Decoder, g *gallery, place map[string]int) error {
	partition, err := json.Marshal(map[string]any{"rocketmq_topic": s.queue.Topic, "rocketmq_broker": s.queue.Broker, "rocketmq_queue": s.queue.ID})
	if err != nil {
		return err
	}
	if _, known := place[string(partition)]; !known {
		place[string(partition)] = len(place)
	}
	at, end := s.at, s.end
	if from == "latest" {
		at = max(at, end-int64(want))
		s.end = at
	}
	for taken := 0; at < end && taken < want && !g.full(); {
		pulled, err := a.Broker.Pull(ctx, s.queue, at, want-taken)
		if err != nil {
			return err
		}
		next := pulled.Next
		for i := range pulled.Messages {
			m := &pulled.Messages[i]
			if m.Offset >= end {
				break
			}
			rec, isRecord, err := d.Record(ctx, m)
			switch {
			case err != nil:
				g.bad(partition, uint64(m.Offset), err)
				taken++
			case isRecord:
				g.add(partition, uint64(m.Offset), &rec)
				taken++
			}
			if taken == want || g.full() {
				next = m.Offset + 1
				break
			}
		}
		if next <= at {
			next = end // the broker has no more
		}
		at = next
	}
	if from != "latest" {
		s.at = at
	}
	return nil
}

// firstOfEachBroker is one queue of each broker.
func firstOfEachBroker(queues []catalog.Queue) []pipeline.Queue {
	var first []pipeline.Queue
	for _, q := range queues {
		if !slices.ContainsFunc(first, func(f pipeline.Queue) bool { return f.Broker == q.Broker }) {
			first = append(first, pipeline.Queue(q))
		}
	}
	return first
}
