package rocketmq

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
	"unsafe"

	"github.com/klauspost/compress/zstd"
)

// The stored form of a message, from RocketMQ's MessageDecoder.java.
const (
	magicV1 = 0xDAA320A7 // topic length in one byte
	magicV2 = 0xDAA320AB // in two

	flagCompressed   = 1 << 0
	flagBornHostV6   = 1 << 4
	flagStoreHostV6  = 1 << 5
	flagInnerBatch   = 1<<6 | 1<<7 // several messages under one offset, from a Java producer to a batch topic
	compressionShift = 8
	compressionMask  = 7

	compressionLZ4  = 1
	compressionZstd = 2
	compressionZlib = 3

	// minStored is the smallest possible message, so that a count of messages can be bounded by the bytes at hand.
	minStored = 88
	// inflateLimit bounds what a compressed body may grow to.
	inflateLimit = 128 << 20
)

var errShort = errors.New("message is cut short")

// cursor reads big-endian fields. Past the end it yields zeros and remembers that it did.
type cursor struct {
	b     []byte
	short bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.short = true
		c.b = nil
		return nil
	}
	taken := c.b[:n:n]
	c.b = c.b[n:]
	return taken
}

func (c *cursor) u16() uint16 {
	if b := c.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) i64() int64 {
	if b := c.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// decodeMessages reads the body of a pull's answer, which the messages then alias.
func decodeMessages(q Queue, body []byte) (*[]Received, error) {
	count, err := countMessages(body)
	if err != nil {
		return nil, err
	}
	memory := receivedSlice(count)
	messages := *memory
	for i := range messages {
		size := binary.BigEndian.Uint32(body)
		messages[i].Queue = q
		if err := decodeMessage(&messages[i], body[:size]); err != nil {
			return nil, fmt.Errorf("message %d of the answer: %w", i, err)
		}
		body = body[size:]
	}
	return memory, nil
}

// countMessages is how many messages an answer holds, all of them within its bytes.
func countMessages(body []byte) (count int, err error) {
	for ; len(body) > 0; count++ {
		if len(body) < minStored {
			return 0, errShort
		}
		size := int(binary.BigEndian.Uint32(body))
		if size < minStored || size > len(body) {
			return 0, fmt.Errorf("message size %d where %d bytes are left", size, len(body))
		}
		body = body[size:]
	}
	return count, nil
}

func decodeMessage(m *Received, stored []byte) error {
	c := cursor{b: stored}
	c.take(4) // size
	magic := c.u32()
	c.take(4 + 4 + 4) // body CRC, queue id, flag
	m.Offset = c.i64()
	c.take(8) // physical offset
	flags := c.u32()
	m.Born = time.UnixMilli(c.i64())
	c.take(hostLength(flags, flagBornHostV6))
	m.Stored = time.UnixMilli(c.i64())
	c.take(hostLength(flags, flagStoreHostV6))
	c.take(4 + 8) // times reconsumed, offset of a prepared transaction
	m.Body = c.take(int(int32(c.u32())))
	switch magic {
	case magicV1:
		if n := c.take(1); n != nil {
			c.take(int(n[0]))
		}
	case magicV2:
		c.take(int(c.u16()))
	default:
		return fmt.Errorf("unknown magic number %#x", magic)
	}
	properties := c.take(int(int16(c.u16())))
	if c.short {
		return errShort
	}
	// The buffer is never written again, so its bytes can be read as a string without copying them.
	m.Properties = Properties(unsafe.String(unsafe.SliceData(properties), len(properties)))
	m.readNames()
	if flags&flagInnerBatch != 0 {
		m.Err = errors.New("an inner batch, which only RocketMQ's Java client can take apart; send to a topic of another type")
	} else if flags&flagCompressed != 0 {
		m.inflate(int(flags >> compressionShift & compressionMask))
	}
	return nil
}

func hostLength(flags, v6 uint32) int {
	if flags&v6 != 0 {
		return 16 + 4
	}
	return 4 + 4
}

// readNames finds key and tag in one walk.
func (m *Received) readNames() {
	for name, value := range m.Properties.All() {
		switch name {
		case keysProperty:
			m.Key = value
		case tagsProperty:
			m.Tag = value
		}
	}
}

func (m *Received) inflate(how int) {
	body, err := inflate(m.Body, how)
	if err != nil {
		m.Err = fmt.Errorf("inflate the body: %w", err)
		return
	}
	m.Body = body
}

func inflate(body []byte, how int) ([]byte, error) {
	var r io.Reader
	switch how {
	case 0, compressionZlib: // 0: producers before 4.9.4 knew only zlib
		z, err := zlib.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	case compressionZstd:
		z, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(inflateLimit))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	case compressionLZ4:
		return nil, errors.New("LZ4 is not supported; let the producer compress with ZLIB or ZSTD")
	default:
		return nil, fmt.Errorf("unknown compression %d", how)
	}
	inflated, err := io.ReadAll(io.LimitReader(r, inflateLimit+1))
	if err == nil && len(inflated) > inflateLimit {
		err = fmt.Errorf("it grows beyond %d bytes", inflateLimit)
	}
	return inflated, err
}
