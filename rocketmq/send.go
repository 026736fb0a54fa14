package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// maxKeptBuffer bounds the encode buffers that are kept for the next batch.
const maxKeptBuffer = 8 << 20

var batchBuffers = sync.Pool{New: func() any { return new([]byte) }}

// BatchFits reports whether count messages to a topic, with so many bytes in sum (Message.Size), can be sent as one batch.
func (c *Client) BatchFits(topic string, count, bytes int) bool {
	return batchFits(count, bytes, len(topic), c.cfg.MaxMessageBytes)
}

// Send stores messages in a queue as one batch, all or none, and returns the offset of the first: message i has offset base+i.
// For order, keep one Send in flight per queue. It never splits: a batch above the limit (see BatchFits) is refused with
// ErrTooLarge. A ctx that ends before the batch is on its way prevents the send; later it changes nothing, and the outcome is
// known at most SendTimeout after the call.
//
// Errors are *Error: NotStored (send it again), Unsure (find out whether it is there before sending it again) or Permanent.
func (c *Client) Send(ctx context.Context, q Queue, msgs []Message) (base int64, err error) {
	const op = "send to"
	if len(msgs) == 0 {
		return 0, newError(op, q, Permanent, errors.New("the batch has no messages"))
	}
	buffer := batchBuffers.Get().(*[]byte)
	defer func() {
		if cap(*buffer) <= maxKeptBuffer {
			batchBuffers.Put(buffer)
		}
	}()
	body, index, err := appendBatch((*buffer)[:0], q.Topic, msgs, c.cfg.MaxMessageBytes)
	*buffer = body
	if err != nil {
		return 0, &Error{Op: op, Queue: q, Kind: Permanent, Index: index, Err: err}
	}
	// The library would look for the topic by itself, but falls back to creating it with default settings.
	addr, err := c.routes.master(ctx, q)
	if err != nil {
		return 0, newError(op, q, NotStored, err)
	}
	p, err := c.producers.get(q, addr)
	if err != nil {
		return 0, newError(op, q, NotStored, err)
	}
	defer p.sending.Done()
	if err := ctx.Err(); err != nil {
		return 0, newError(op, q, NotStored, err)
	}
	result, err := p.send(q, body)
	if err == nil && result.Status == primitive.SendOK {
		return result.QueueOffset, nil
	}
	if err == nil {
		err = statusError(result.Status, addr)
	} else {
		err = libraryError(err, addr)
	}
	c.routes.expire(q.Topic)
	return 0, newError(op, q, kindOfSend(err), err)
}

// statusError is for answers that say "stored, but": the master has the batch, and a crash may still take it away.
func statusError(status primitive.SendStatus, addr string) error {
	code := codeSystemError
	switch status {
	case primitive.SendFlushDiskTimeout:
		code = codeFlushDiskTimeout
	case primitive.SendFlushSlaveTimeout:
		code = codeFlushSlaveTimeout
	case primitive.SendSlaveNotAvailable:
		code = codeSlaveNotAvailable
	}
	return &responseError{code: code, addr: addr}
}

// libraryAnswer is how the library reports a response code: as text.
var libraryAnswer = regexp.MustCompile(`(?s)^CODE: (-?\d+), DESC: (.*)$`)

func libraryError(err error, addr string) error {
	if m := libraryAnswer.FindStringSubmatch(err.Error()); m != nil {
		if code, convErr := strconv.Atoi(m[1]); convErr == nil {
			return &responseError{code: code, remark: m[2], addr: addr}
		}
	}
	return fmt.Errorf("%s: %w", addr, err)
}

func codeOf(err error) int {
	var resp *responseError
	if errors.As(err, &resp) {
		return resp.code
	}
	return codeSuccess
}

// kindOfSend decides what a failed send means. In doubt it is Unsure, which costs a look into the queue, never a message.
func kindOfSend(err error) Kind {
	switch codeOf(err) {
	case codeSystemBusy: // taken out of the broker's request queue, or refused at its door: never run
		return NotStored
	case codeNotAvailable: // the store refuses before it appends
		return NotStored
	case codeTopicNotExist: // checked before anything is stored; the topic may be created
		return NotStored
	case codeMessageIllegal, codeNoPermission, codeIllegalParameter: // checked before anything is stored
		return Permanent
	case codeSystemError:
		if errors.Is(err, ErrTooLarge) {
			return Permanent
		}
		return Unsure // covers whatever threw, before the append or after it
	case codeSuccess: // no answer
		// A write that fails has not handed over the end of the frame, and never will: the library gives the connection up.
		// Without its end, the broker does not see the frame at all.
		var netErr *net.OpError
		if errors.As(err, &netErr) && (netErr.Op == "dial" || netErr.Op == "set" || netErr.Op == "write") {
			return NotStored
		}
		if strings.Contains(err.Error(), "route info not found") { // the library knew no address
			return NotStored
		}
		return Unsure
	}
	// Stored but not flushed or copied, or a code we do not know.
	return Unsure
}
