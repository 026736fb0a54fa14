package rocketmq

import (
	"context"
	"errors"
	"time"
)

// Bounds returns the offsets that a queue holds: min is the first, max the one after the last, equal if it is empty. A message
// is counted once the broker has indexed it: usually a millisecond after its acknowledgement, with a busy broker seconds later. So
// max can be below an offset that Send has returned; only Pull can tell that an offset is lost, and ExactBounds waits.
func (c *Client) Bounds(ctx context.Context, q Queue) (minimum, maximum int64, err error) {
	const op = "look up the bounds of"
	if minimum, err = c.offset(ctx, op, q, reqMinOffset); err != nil {
		return 0, 0, err
	}
	if maximum, err = c.offset(ctx, op, q, reqMaxOffset); err != nil {
		return 0, 0, err
	}
	return minimum, maximum, nil
}

// ExactBounds is Bounds once the broker has indexed all that it had stored when it was asked: no message acknowledged before the
// call lies at or behind max. From a broker that does not tell how far its index is, it is no more than Bounds.
func (c *Client) ExactBounds(ctx context.Context, q Queue) (minimum, maximum int64, err error) {
	const op = "look up the bounds of"
	for first := int64(0); ; {
		addr, err := c.routes.master(ctx, q)
		if err != nil {
			return 0, 0, newError(op, q, NotStored, err)
		}
		written, indexed, err := c.logEnd(ctx, addr)
		if refused := new(responseError); errors.As(err, &refused) {
			return c.Bounds(ctx, q)
		}
		if err != nil {
			c.routes.expire(q.Topic)
			return 0, 0, newError(op, q, NotStored, err)
		}
		if first == 0 || written < first { // a log that became shorter is another broker's
			first = written
		}
		if indexed >= first {
			return c.Bounds(ctx, q)
		}
		if err := sleep(ctx, retryPause); err != nil {
			return 0, 0, newError(op, q, NotStored, err)
		}
	}
}

// OffsetAt returns the offset of the first message that the broker stored at or after t, or the queue's end if there is none.
func (c *Client) OffsetAt(ctx context.Context, q Queue, t time.Time) (int64, error) {
	return c.offset(ctx, "look up an offset by time in", q, reqOffsetByTime, intField("timestamp", t.UnixMilli()))
}

func (c *Client) offset(ctx context.Context, op string, q Queue, code int, extra ...field) (int64, error) {
	resp, err := c.askMaster(ctx, op, q, code, extra...)
	if err != nil {
		return 0, err
	}
	offset, err := resp.int("offset")
	if err != nil {
		return 0, newError(op, q, NotStored, err)
	}
	return max(offset, 0), nil // -1: nothing there yet
}

// CommitGroupOffset tells the broker how far a consumer group has come in a queue, so that RocketMQ's dashboards show its lag.
// Gantry itself never reads it back.
func (c *Client) CommitGroupOffset(ctx context.Context, group string, q Queue, offset int64) error {
	const op = "commit a group's offset in"
	if err := checkName("group", group, maxGroupName); err != nil {
		return newError(op, q, Permanent, err)
	}
	_, err := c.askMaster(ctx, op, q, reqCommitOffset, field{"consumerGroup", group}, intField("commitOffset", offset))
	return err
}

// askMaster sends a request about a queue to the broker that holds it.
func (c *Client) askMaster(ctx context.Context, op string, q Queue, code int, extra ...field) (*response, error) {
	addr, err := c.routes.master(ctx, q)
	if err != nil {
		return nil, newError(op, q, NotStored, err)
	}
	fields := append([]field{{"topic", q.Topic}, intField("queueId", int64(q.ID))}, extra...)
	resp, err := c.links.ask(ctx, addr, request{code: code, fields: fields})
	if err != nil {
		c.routes.expire(q.Topic)
		return nil, newError(op, q, kindOfAnswer(err), err)
	}
	return resp, nil
}

// kindOfAnswer classifies the failure of a request that stores no message: only refusals for good are permanent.
func kindOfAnswer(err error) Kind {
	switch codeOf(err) {
	case codeMessageIllegal, codeNoPermission, codeIllegalParameter:
		return Permanent
	}
	return NotStored
}
