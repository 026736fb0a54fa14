package pipeline

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/gantry-connect/gantry/connector"
)

// The properties of a record's message, beside its stamp.
const (
	schemaProperty    = "gantry-schema"     // fingerprint of the body's schema
	keySchemaProperty = "gantry-key-schema" // fingerprint of the key's schema
	keyProperty       = "gantry-key"        // base64url after "b", for keys that RocketMQ's KEYS property cannot hold
	opProperty        = "gantry-op"         // absent for an insert
	bodyProperty      = "gantry-body"       // absent: the body is After
	timeProperty      = "gantry-time"       // microseconds since 1970
	txProperty        = "gantry-tx"         // index in the transaction, colon, the transaction's id
	headerPrefix      = "gantry-h-"

	bodyBefore = "before" // the body is Before
	bodyBoth   = "both"   // the body is {"before":…,"after":…}
	bodyEmpty  = "empty"  // the body stands for no bytes at all, which RocketMQ does not store
	bodyNone   = "none"   // there is no value; the body is a placeholder
)

// placeholder is the body of messages without a value.
var placeholder = []byte("null")

// Converter makes bytes of values and back. It is used by one goroutine at a time.
type Converter interface {
	// Encode appends d's bytes to dst.
	Encode(dst []byte, d connector.Datum) ([]byte, error)
	// Decode reads a value; s is its schema, nil if none travelled. The value may share data's memory.
	Decode(data []byte, s *connector.Schema) (connector.Datum, error)
	// ByReference reports that the bytes mean something only with their schema, which travels as a fingerprint.
	ByReference() bool
}

// The stages of a record's way, as error messages and dead letters name them.
const (
	stageRead           = "read"
	stageKeyConverter   = "key converter"
	stageValueConverter = "value converter"
	stageHeaders        = "header converter"
	stageTransform      = "transform"
	stageSend           = "send"
	stageWrite          = "write"
)

// stageError says at which stage a record turned out bad.
type stageError struct {
	stage string
	err   error
}

func (e *stageError) Error() string { return e.stage + ": " + e.err.Error() }
func (e *stageError) Unwrap() error { return e.err }

var errTooLarge = errors.New("larger than the broker accepts")

// messageMaker turns records into messages. Its buffers belong to the parcel at hand.
type messageMaker struct {
	key, value Converter
	both       bool // the value converter can hold before and after
	schemas    Schemas
	known      map[*connector.Schema]string // fingerprints of schemas that Schemas has
	pairs      map[[2]*connector.Schema]*connector.Schema
	maxBytes   int // of one message
}

// parcel is the memory of one batch's messages. Messages point into it, so it is reused only once all are acknowledged.
// Slices that had to grow leave older messages pointing at the old array, which nobody changes.
type parcel struct {
	body  []byte
	text  []byte
	props []Property

	msgs    []Message // grouped by lane
	records []int     // their records' indexes
	sizes   []int
	chunks  []share
}

func (p *parcel) reset() {
	p.body, p.text = p.body[:0], p.text[:0]
	clear(p.msgs)
	clear(p.props)
	p.props = p.props[:0]
}

// textFrom is what was appended to text since start, without copying it.
func (p *parcel) textFrom(start int) string {
	b := p.text[start:]
	return unsafe.String(unsafe.SliceData(b), len(b))
}

func (p *parcel) add(name, value string) {
	p.props = append(p.props, Property{Name: name, Value: value})
}

// message makes the message of a record, with room for the stamp in its first property. size is Message.size with the stamp;
// hashed is the text that chooses the queue, empty for records without a key. A *stageError says that the record is bad; other errors are the catalog's.
func (m *messageMaker) message(ctx context.Context, p *parcel, rec *connector.Record) (msg Message, size int, hashed string, err error) {
	firstProp, firstBody := len(p.props), len(p.body)
	p.add(stampProperty, "")
	if msg.Key, hashed, err = m.addKey(ctx, p, rec); err != nil {
		return Message{}, 0, "", err
	}
	if err := m.addBody(ctx, p, rec); err != nil {
		return Message{}, 0, "", err
	}
	if err := addNotes(p, rec); err != nil {
		return Message{}, 0, "", err
	}
	msg.Body = p.body[firstBody:len(p.body):len(p.body)]
	msg.Properties = p.props[firstProp:len(p.props):len(p.props)]
	size = msg.size()
	if size > m.maxBytes {
		return Message{}, 0, "", &stageError{stageSend, fmt.Errorf("the message takes %d bytes, the limit is %d: %w", size, m.maxBytes, errTooLarge)}
	}
	if properties := size - messageOverhead - len(msg.Body); properties > maxPropertyBytes {
		return Message{}, 0, "", &stageError{stageSend, fmt.Errorf("key and headers take %d bytes, the limit is %d: %w", properties, maxPropertyBytes, errTooLarge)}
	}
	return msg, size, hashed, nil
}

const (
	messageOverhead  = 300   // of one message in a batch, as sent and as stored
	maxPropertyBytes = 31000 // the broker's limit is 32,767, of which it needs some itself
)

func (m *Message) propertiesSize() int {
	n := len(m.Key) + len(m.Tag)
	for i := range m.Properties {
		n += len(m.Properties[i].Name) + len(m.Properties[i].Value) + 2
	}
	return n + 64 // room for the stamp
}

// size is about what the message takes on its way and in the broker.
func (m *Message) size() int { return messageOverhead + len(m.Body) + m.propertiesSize() }

func (m *messageMaker) addKey(ctx context.Context, p *parcel, rec *connector.Record) (key, hashed string, err error) {
	if !rec.Key.Present() || rec.Key.Value.IsNull() {
		return "", "", nil
	}
	if m.key.ByReference() {
		print, err := m.reference(ctx, rec.Key.Schema)
		if err != nil {
			return "", "", err
		}
		p.add(keySchemaProperty, print)
	}
	start := len(p.text)
	text, err := m.key.Encode(p.text, rec.Key)
	if err != nil {
		return "", "", &stageError{stageKeyConverter, err}
	}
	p.text = text
	if key = p.textFrom(start); plain(key) {
		return key, key, nil
	}
	raw := []byte(key)
	p.text = append(p.text[:start], 'b')
	p.text = base64.RawURLEncoding.AppendEncode(p.text, raw)
	hashed = p.textFrom(start)
	p.add(keyProperty, hashed)
	return "", hashed, nil
}

// plain reports whether RocketMQ keeps text as it is in a property.
func plain(text string) bool {
	return text != "" && strings.IndexByte(text, 1) < 0 && strings.IndexByte(text, 2) < 0 && utf8.ValidString(text)
}

func (m *messageMaker) addBody(ctx context.Context, p *parcel, rec *connector.Record) error {
	if rec.Op != connector.Insert {
		p.add(opProperty, rec.Op.String())
	}
	d, kind := m.valueOf(rec)
	if !d.Present() {
		p.add(bodyProperty, bodyNone)
		p.body = append(p.body, placeholder...)
		return nil
	}
	if m.value.ByReference() {
		print, err := m.reference(ctx, d.Schema)
		if err != nil {
			return err
		}
		p.add(schemaProperty, print)
	}
	start := len(p.body)
	body, err := m.value.Encode(p.body, d)
	if err != nil {
		return &stageError{stageValueConverter, err}
	}
	p.body = body
	if len(body) == start {
		p.body = append(body, placeholder...)
		kind = strings.TrimLeft(kind+" "+bodyEmpty, " ")
	}
	if kind != "" {
		p.add(bodyProperty, kind)
	}
	return nil
}

// valueOf is what of a record travels in the body.
func (m *messageMaker) valueOf(rec *connector.Record) (connector.Datum, string) {
	switch {
	case rec.Op == connector.Tombstone || rec.Op == connector.Truncate:
		return connector.Datum{}, ""
	case rec.After.Present() && rec.Before.Present() && m.both:
		pair := [2]*connector.Schema{rec.Before.Schema, rec.After.Schema}
		s := m.pairs[pair]
		if s == nil {
			s = connector.StructOf("", connector.Field{Name: "before", Schema: pair[0]}, connector.Field{Name: "after", Schema: pair[1]})
			m.pairs[pair] = s
		}
		return connector.Datum{Schema: s, Value: connector.ListValue([]connector.Value{rec.Before.Value, rec.After.Value})}, bodyBoth
	case rec.After.Present():
		return rec.After, ""
	case rec.Before.Present():
		return rec.Before, bodyBefore
	}
	return connector.Datum{}, ""
}

// reference returns a schema's fingerprint, once the catalog has the schema.
func (m *messageMaker) reference(ctx context.Context, s *connector.Schema) (string, error) {
	if print, ok := m.known[s]; ok {
		return print, nil
	}
	if err := m.schemas.Put(ctx, s); err != nil {
		return "", fmt.Errorf("store schema %s (%s): %w", s.Name, s.Fingerprint(), err)
	}
	if len(m.known) >= maxKnownSchemas {
		clear(m.known) // a source that makes a new schema for each record must not fill the memory
		clear(m.pairs)
	}
	m.known[s] = s.Fingerprint()
	return m.known[s], nil
}

const maxKnownSchemas = 1000

// addNotes adds what a record carries beside key and value.
func addNotes(p *parcel, rec *connector.Record) error {
	if !rec.Time.IsZero() {
		start := len(p.text)
		p.text = strconv.AppendInt(p.text, rec.Time.UnixMicro(), 10)
		p.add(timeProperty, p.textFrom(start))
	}
	if rec.TxID != "" {
		start := len(p.text)
		p.text = strconv.AppendUint(p.text, rec.TxIndex, 10)
		p.text = appendEscaped(append(p.text, ':'), rec.TxID)
		p.add(txProperty, p.textFrom(start))
	}
	for i := range rec.Headers {
		h := &rec.Headers[i]
		start := len(p.text)
		text, err := appendHeader(p.text, h.Value)
		if err == nil && !plain(h.Name) {
			err = errors.New("the name must be text without control characters 1 and 2")
		}
		if err != nil {
			return &stageError{stageHeaders, fmt.Errorf("header %q: %w", h.Name, err)}
		}
		p.text = text
		p.add(headerPrefix+h.Name, p.textFrom(start))
	}
	return nil
}
