package pipeline

import (
	"context"

	"github.com/gantry-connect/gantry/connector"
)

// Decoder makes records of single messages, for who looks at a topic without copying from it: it judges no owner and misses
// no number. It is not for concurrent use.
type Decoder struct {
	maker recordMaker
	queue Queue // that maker's partition is of
	props properties
}

// NewDecoder makes a Decoder.
func NewDecoder(key, value Converter, schemas Schemas) *Decoder {
	return &Decoder{maker: recordMaker{key: key, value: value, schemas: schemas, known: map[string]*connector.Schema{}}}
}

// Record makes the record of a message. isRecord is false for what owners write to each other. The error says at which stage
// the message turned out bad, or that its schema could not be looked up.
func (d *Decoder) Record(ctx context.Context, m *Received) (rec connector.Record, isRecord bool, err error) {
	d.props.read(m.Properties)
	if d.props.stamp != "" {
		s, err := parseStamp(d.props.stamp)
		if err != nil || s.Kind == stampFence {
			return connector.Record{}, false, err
		}
	}
	if m.Queue != d.queue {
		d.queue, d.maker.partition = m.Queue, partitionOf(m.Queue)
	}
	rec, err = d.maker.record(ctx, m, &d.props)
	return rec, true, err
}
