package postgres

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/gantry-connect/gantry/connector"
)

// encode appends one value that is not null in Postgres's binary form, without the length before it.
type encode func(dst []byte, v connector.Value) ([]byte, error)

// Object ids of the built-in types that values are encoded for; they are the same in every Postgres.
const (
	oidBool        = 16
	oidBytea       = 17
	oidName        = 19
	oidInt8        = 20
	oidInt2        = 21
	oidInt4        = 23
	oidText        = 25
	oidJSON        = 114
	oidXML         = 142
	oidFloat4      = 700
	oidFloat8      = 701
	oidBpchar      = 1042
	oidVarchar     = 1043
	oidDate        = 1082
	oidTime        = 1083
	oidTimestamp   = 1114
	oidTimestamptz = 1184
	oidNumeric     = 1700
	oidUUID        = 2950
	oidJSONB       = 3802
)

// appendDatum appends a value with its length before it, the form it has both in COPY and within an array.
func appendDatum(dst []byte, v connector.Value, enc encode) ([]byte, error) {
	if v.IsNull() {
		return append(dst, 0xff, 0xff, 0xff, 0xff), nil
	}
	at := len(dst)
	dst, err := enc(append(dst, 0, 0, 0, 0), v)
	if err != nil {
		return dst, err
	}
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst, nil
}

// encoder chooses how values of schema s are encoded for a column; nil if they cannot be stored there without loss.
func encoder(s *connector.Schema, c *column) encode {
	if c.kind == 'e' { // an enum's binary form is its label
		if s.Type == connector.String || s.Type == connector.Enum {
			return encodeText
		}
		return nil
	}
	if c.elem != 0 {
		return arrayEncoder(s, c)
	}
	switch c.base {
	case oidInt2, oidInt4, oidInt8, oidFloat8, oidNumeric:
		return numberEncoder(s.Type, c)
	case oidFloat4:
		if s.Type == connector.Float32 {
			return encodeFloat4
		}
	case oidText, oidVarchar, oidBpchar, oidName, oidXML:
		return textEncoder(s.Type)
	case oidJSON, oidJSONB:
		return documentEncoder(s, c.base)
	case oidBool:
		if s.Type == connector.Bool {
			return encodeBool
		}
	case oidBytea:
		if s.Type == connector.Bytes {
			return encodeBytes
		}
	case oidUUID:
		switch s.Type {
		case connector.UUID:
			return encodeUUID
		case connector.String:
			return encodeUUIDText
		}
	default:
		return momentEncoder(s.Type, c)
	}
	return nil
}

func momentEncoder(t connector.Type, c *column) encode {
	switch {
	case c.base == oidDate && t == connector.Date:
		return encodeDate
	case c.base == oidTime && t == connector.Time:
		return encodeTime
	case c.base == oidTimestamp && t == connector.Timestamp, c.base == oidTimestamptz && t == connector.TimestampTZ:
		return encodeTimestamp
	case c.kind == 'b' && c.typ == "citext" && t == connector.String:
		return encodeText
	}
	return nil
}

func numberEncoder(t connector.Type, c *column) encode {
	switch t {
	case connector.Int8, connector.Int16, connector.Int32, connector.Int64:
		switch c.base {
		case oidInt2:
			return encodeInt2
		case oidInt4:
			return encodeInt4
		case oidInt8:
			return encodeInt8
		case oidFloat8:
			return encodeIntAsFloat8
		}
		return encodeIntAsNumeric
	case connector.Float32, connector.Float64:
		if c.base == oidFloat8 {
			return encodeFloat8
		}
	case connector.Decimal:
		if c.base == oidNumeric {
			return decimalEncoder(c.typ)
		}
	}
	return nil
}

func textEncoder(t connector.Type) encode {
	switch t {
	case connector.String, connector.Enum, connector.JSON, connector.Decimal:
		return encodeText
	case connector.UUID:
		return func(dst []byte, v connector.Value) ([]byte, error) { return appendUUIDText(dst, v.Bytes()), nil }
	}
	return nil
}

func documentEncoder(s *connector.Schema, oid uint32) encode {
	var version []byte
	if oid == oidJSONB {
		version = []byte{1}
	}
	switch s.Type {
	case connector.JSON:
		return func(dst []byte, v connector.Value) ([]byte, error) {
			return append(append(dst, version...), v.Text()...), nil
		}
	case connector.Array, connector.Map, connector.Struct:
		return func(dst []byte, v connector.Value) ([]byte, error) {
			return appendJSON(append(dst, version...), v, s)
		}
	}
	return nil
}

// arrayEncoder writes one-dimensional arrays.
func arrayEncoder(s *connector.Schema, c *column) encode {
	if s.Type != connector.Array {
		return nil
	}
	item := encoder(s.Elem, &column{oid: c.elem, base: c.elem, kind: c.elemKind, typ: strings.TrimSuffix(c.typ, "[]")})
	if item == nil {
		return nil
	}
	elem := c.elem
	return func(dst []byte, v connector.Value) ([]byte, error) {
		return appendArray(dst, v.List(), elem, item)
	}
}

func appendArray(dst []byte, items []connector.Value, elem uint32, item encode) ([]byte, error) {
	dimensions, nulls := uint32(1), uint32(0)
	if len(items) == 0 {
		dimensions = 0
	}
	for _, v := range items {
		if v.IsNull() {
			nulls = 1
		}
	}
	dst = binary.BigEndian.AppendUint32(dst, dimensions)
	dst = binary.BigEndian.AppendUint32(dst, nulls)
	dst = binary.BigEndian.AppendUint32(dst, elem)
	if len(items) == 0 {
		return dst, nil
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(items)))
	dst = binary.BigEndian.AppendUint32(dst, 1) // the first subscript
	var err error
	for i, v := range items {
		if dst, err = appendDatum(dst, v, item); err != nil {
			return dst, fmt.Errorf("element %d: %w", i+1, err)
		}
	}
	return dst, nil
}

func encodeBool(dst []byte, v connector.Value) ([]byte, error) {
	if v.Bool() {
		return append(dst, 1), nil
	}
	return append(dst, 0), nil
}

func encodeInt2(dst []byte, v connector.Value) ([]byte, error) {
	n := v.Int()
	if n != int64(int16(n)) {
		return dst, fmt.Errorf("%d does not fit smallint", n)
	}
	return binary.BigEndian.AppendUint16(dst, uint16(n)), nil
}

func encodeInt4(dst []byte, v connector.Value) ([]byte, error) {
	n := v.Int()
	if n != int64(int32(n)) {
		return dst, fmt.Errorf("%d does not fit integer", n)
	}
	return binary.BigEndian.AppendUint32(dst, uint32(n)), nil
}

func encodeInt8(dst []byte, v connector.Value) ([]byte, error) {
	return binary.BigEndian.AppendUint64(dst, uint64(v.Int())), nil
}

func encodeIntAsFloat8(dst []byte, v connector.Value) ([]byte, error) {
	n := v.Int()
	if n > 1<<53 || n < -1<<53 {
		return dst, fmt.Errorf("%d cannot be stored in double precision exactly", n)
	}
	return binary.BigEndian.AppendUint64(dst, math.Float64bits(float64(n))), nil
}

func encodeFloat4(dst []byte, v connector.Value) ([]byte, error) {
	return binary.BigEndian.AppendUint32(dst, math.Float32bits(float32(v.Float()))), nil
}

func encodeFloat8(dst []byte, v connector.Value) ([]byte, error) {
	return binary.BigEndian.AppendUint64(dst, math.Float64bits(v.Float())), nil
}

var errNUL = errors.New("the text holds the character U+0000, which Postgres cannot store in text")

func encodeText(dst []byte, v connector.Value) ([]byte, error) {
	text := v.Text()
	if strings.IndexByte(text, 0) >= 0 {
		return dst, errNUL
	}
	return append(dst, text...), nil
}

func encodeBytes(dst []byte, v connector.Value) ([]byte, error) {
	return append(dst, v.Bytes()...), nil
}

func encodeUUID(dst []byte, v connector.Value) ([]byte, error) {
	if len(v.Bytes()) != 16 {
		return dst, fmt.Errorf("a uuid of %d bytes", len(v.Bytes()))
	}
	return append(dst, v.Bytes()...), nil
}

func encodeUUIDText(dst []byte, v connector.Value) ([]byte, error) {
	digits := strings.ReplaceAll(v.Text(), "-", "")
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != 16 {
		return dst, fmt.Errorf("%q is no uuid", v.Text())
	}
	return append(dst, raw...), nil
}

func appendUUIDText(dst, id []byte) []byte {
	for i, b := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, []byte{b})
	}
	return dst
}

// Postgres counts dates and timestamps from 2000-01-01; its ranges end where its own input functions end them
// (datatype/timestamp.h). The outermost 64-bit and 32-bit values mean infinity there, which no record can hold.
const (
	epochDays    = 10957
	epochSeconds = epochDays * 86400
	minDays      = -2451545            // 4714-11-24 BC, from 2000-01-01
	endDays      = 2145031949          // 5874898-01-01
	minMicros    = -211813488000000000 // 4714-11-24 BC 00:00
	endMicros    = 9223371331200000000 // 294277-01-01 00:00
)

func encodeDate(dst []byte, v connector.Value) ([]byte, error) {
	days := v.Int()
	if days < minDays+epochDays || days >= endDays+epochDays {
		return dst, fmt.Errorf("the date %d days from 1970-01-01 is outside Postgres's range (4714 BC to 5874897)", days)
	}
	return binary.BigEndian.AppendUint32(dst, uint32(int32(days-epochDays))), nil
}

func encodeTime(dst []byte, v connector.Value) ([]byte, error) {
	nanos := v.Int()
	if nanos < 0 || nanos > 86400*1e9 {
		return dst, fmt.Errorf("the time %d ns after midnight is no time of a day", nanos)
	}
	return binary.BigEndian.AppendUint64(dst, uint64(nanos/1000)), nil
}

// encodeTimestamp drops what is below a microsecond, which Postgres does not keep.
func encodeTimestamp(dst []byte, v connector.Value) ([]byte, error) {
	seconds, nanos := v.Timestamp()
	if seconds < minMicros/1e6+epochSeconds || seconds >= endMicros/1e6+epochSeconds {
		return dst, fmt.Errorf("the time %d s from 1970-01-01 is outside Postgres's range (4714 BC to 294276)", seconds)
	}
	micros := (seconds-epochSeconds)*1e6 + int64(nanos/1000)
	return binary.BigEndian.AppendUint64(dst, uint64(micros)), nil
}
