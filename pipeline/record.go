package pipeline

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/gantry-connect/gantry/connector"
)

// recordMaker turns the messages of one queue back into records. It is not for concurrent use.
type recordMaker struct {
	key, value Converter
	schemas    Schemas
	known      map[string]*connector.Schema // by fingerprint
	partition  connector.Partition          // of the queue
	transform  Transformer                  // nil: none
}

// properties are the properties of one message that mean something here.
type properties struct {
	stamp, schema, keySchema, key, op, body, time, tx string
	headers                                           []Property
}

func (ps *properties) read(p Properties) {
	headers := ps.headers[:0]
	*ps = properties{}
	for name, value, rest := p.next(); name != ""; name, value, rest = rest.next() {
		if !strings.HasPrefix(name, "gantry-") {
			continue
		}
		switch name {
		case stampProperty:
			ps.stamp = value
		case schemaProperty:
			ps.schema = value
		case keySchemaProperty:
			ps.keySchema = value
		case keyProperty:
			ps.key = value
		case opProperty:
			ps.op = value
		case bodyProperty:
			ps.body = value
		case timeProperty:
			ps.time = value
		case txProperty:
			ps.tx = value
		default:
			if h, ok := strings.CutPrefix(name, headerPrefix); ok {
				headers = append(headers, Property{Name: h, Value: value})
			}
		}
	}
	ps.headers = headers
}

// record makes the record of a message. A *stageError says that the message is bad; other errors are the catalog's.
func (r *recordMaker) record(ctx context.Context, m *Received, ps *properties) (connector.Record, error) {
	rec := connector.Record{Topic: m.Topic, Partition: r.partition, Mark: connector.Mark{Offset: uint64(m.Offset)},
		Time: m.Born, Size: len(m.Body) + len(m.Key) + len(m.Properties) + 256}
	if m.Err != nil {
		return rec, &stageError{stageRead, m.Err}
	}
	if err := r.readKey(ctx, &rec, m, ps); err != nil {
		return rec, err
	}
	op, err := parseOp(ps.op)
	if err != nil {
		return rec, &stageError{stageValueConverter, err}
	}
	rec.Op = op
	if err := r.readBody(ctx, &rec, m, ps); err != nil {
		return rec, err
	}
	return rec, readNotes(&rec, ps)
}

func parseOp(text string) (connector.Op, error) {
	if text == "" {
		return connector.Insert, nil
	}
	for op := connector.Insert; op <= connector.Tombstone; op++ {
		if op.String() == text {
			return op, nil
		}
	}
	return 0, fmt.Errorf("unknown operation %q", text)
}

func (r *recordMaker) readKey(ctx context.Context, rec *connector.Record, m *Received, ps *properties) error {
	data := unsafe.Slice(unsafe.StringData(m.Key), len(m.Key))
	if ps.key != "" {
		var err error
		if data, err = base64.RawURLEncoding.DecodeString(strings.TrimPrefix(ps.key, "b")); err != nil {
			return &stageError{stageKeyConverter, err}
		}
	} else if m.Key == "" {
		return nil
	}
	s, err := r.schema(ctx, ps.keySchema, stageKeyConverter)
	if err != nil {
		return err
	}
	if rec.Key, err = r.key.Decode(data, s); err != nil {
		return &stageError{stageKeyConverter, err}
	}
	return nil
}

func (r *recordMaker) readBody(ctx context.Context, rec *connector.Record, m *Received, ps *properties) error {
	body, kind := m.Body, ps.body
	switch {
	case kind == bodyNone:
		return nil
	case kind == bodyEmpty || strings.HasSuffix(kind, " "+bodyEmpty):
		body, kind = nil, strings.TrimSuffix(strings.TrimSuffix(kind, bodyEmpty), " ")
	}
	s, err := r.schema(ctx, ps.schema, stageValueConverter)
	if err != nil {
		return err
	}
	d, err := r.value.Decode(body, s)
	if err != nil {
		return &stageError{stageValueConverter, err}
	}
	switch kind {
	case "":
		rec.After = d
	case bodyBefore:
		rec.Before = d
	case bodyBoth:
		if d.Schema == nil || d.Schema.Type != connector.Struct || len(d.Schema.Fields) != 2 || d.Value.IsNull() {
			return &stageError{stageValueConverter, errors.New("the body does not hold before and after")}
		}
		values := d.Value.List()
		rec.Before = connector.Datum{Schema: d.Schema.Fields[0].Schema, Value: values[0]}
		rec.After = connector.Datum{Schema: d.Schema.Fields[1].Schema, Value: values[1]}
	default:
		return &stageError{stageValueConverter, fmt.Errorf("unknown %s %q", bodyProperty, kind)}
	}
	return nil
}

// schema looks a fingerprint up for a stage; none is no schema.
func (r *recordMaker) schema(ctx context.Context, print, stage string) (*connector.Schema, error) {
	if print == "" {
		return nil, nil
	}
	if s := r.known[print]; s != nil {
		return s, nil
	}
	s, err := r.schemas.Get(ctx, print)
	if errors.Is(err, ErrNoSchema) {
		return nil, &stageError{stage, err}
	}
	if err != nil {
		return nil, err
	}
	if len(r.known) >= maxKnownSchemas {
		clear(r.known)
	}
	r.known[strings.Clone(print)] = s
	return s, nil
}

func readNotes(rec *connector.Record, ps *properties) error {
	if ps.time != "" {
		micros, err := strconv.ParseInt(ps.time, 10, 64)
		if err != nil {
			return &stageError{stageHeaders, fmt.Errorf("%s: %w", timeProperty, err)}
		}
		rec.Time = time.UnixMicro(micros)
	}
	if ps.tx != "" {
		index, id, _ := strings.Cut(ps.tx, ":")
		n, err := strconv.ParseUint(index, 10, 64)
		if err != nil {
			return &stageError{stageHeaders, fmt.Errorf("%s: %w", txProperty, err)}
		}
		rec.TxID, rec.TxIndex = unescape(id), n
	}
	if len(ps.headers) == 0 {
		return nil
	}
	rec.Headers = slices.Grow(rec.Headers, len(ps.headers))
	for _, h := range ps.headers {
		d, err := parseHeader(h.Value)
		if err != nil {
			return &stageError{stageHeaders, fmt.Errorf("header %q: %w", h.Name, err)}
		}
		rec.Headers = append(rec.Headers, connector.Header{Name: h.Name, Value: d})
	}
	return nil
}
