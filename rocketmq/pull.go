package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// holdTime is how long the broker may hold a pull that has nothing to return. It looks at held pulls every 5 s, so an answer
	// can take twice as long; a broker that has said nothing after pullTimeout is taken for dead.
	holdTime    = 5 * time.Second
	pullTimeout = 2*holdTime + 5*time.Second

	// overshootPatience is how long an offset beyond the end is asked for again: a message can be acknowledged before it is
	// indexed, usually by less than a millisecond.
	overshootPatience = time.Second
	overshootPause    = 20 * time.Millisecond

	// Bits of a pull's sysFlag: hold the request while there is nothing, and take the subscription from it.
	pullSuspend      = 2
	pullSubscription = 4

	maxPull = 65535
)

// Pull returns up to limit messages of a queue from offset on; the broker may give fewer per call. It always asks the master.
// If there is nothing at offset yet, it waits; after 5 to 10 s without a message it returns none, and Next tells where to go on.
// It returns promptly once ctx has ended, with ctx's error. An offset that the queue does not hold is an *OffsetError.
// Pulls of different queues can run at the same time, also two of one queue.
func (c *Client) Pull(ctx context.Context, q Queue, offset int64, limit int) (Pull, error) {
	const op = "pull"
	if offset < 0 || limit < 1 {
		return Pull{}, newError(op, q, Permanent, fmt.Errorf("offset %d and limit %d make no sense", offset, limit))
	}
	for tried := (pullTries{start: time.Now()}); ; {
		if err := ctx.Err(); err != nil {
			return Pull{}, newError(op, q, NotStored, err)
		}
		addr, err := c.routes.master(ctx, q)
		if err != nil {
			return Pull{}, newError(op, q, NotStored, err)
		}
		resp, err := c.links.call(ctx, addr, c.pullSlot(q), c.pullRequest(q, offset, limit), pullTimeout)
		if err != nil {
			if !isContext(err) {
				c.routes.expire(q.Topic)
			}
			return Pull{}, newError(op, q, NotStored, err)
		}
		p, again, err := readPull(q, offset, addr, resp)
		if err != nil || again == 0 {
			return p, err
		}
		offset = p.Next
		if err := tried.wait(ctx, again, q, offset, p); err != nil {
			return Pull{}, err
		}
	}
}

// pullSlot returns the connection that a queue's pulls use. Slot 0 is for other requests, so that large answers never delay them.
func (c *Client) pullSlot(q Queue) int { return 1 + q.ID%c.cfg.Connections }

func (c *Client) pullRequest(q Queue, offset int64, limit int) request {
	return request{code: reqPull, fields: []field{
		{"consumerGroup", c.cfg.Group},
		{"topic", q.Topic},
		intField("queueId", int64(q.ID)),
		intField("queueOffset", offset),
		intField("maxMsgNums", int64(min(limit, maxPull))),
		intField("sysFlag", pullSuspend|pullSubscription),
		{"commitOffset", "0"},
		intField("suspendTimeoutMillis", holdTime.Milliseconds()),
		{"subscription", "*"},
		{"subVersion", "0"},
		{"expressionType", "TAG"},
	}}
}

// retry says why a pull is to be sent again; 0 for not at all.
type retry uint8

const (
	retryNow       retry = iota + 1 // the offset moved, or an operator's reset was in the way
	retryStuck                      // nothing to return and the offset did not move
	retryOvershoot                  // the offset is beyond the end
)

// pullTries bounds how often one pull is sent again.
type pullTries struct {
	start  time.Time
	resets int
}

func (t *pullTries) wait(ctx context.Context, why retry, q Queue, offset int64, p Pull) error {
	pause := time.Duration(0)
	switch why {
	case retryNow:
		// An endless run of resets would spin, so it slows down.
		if t.resets++; t.resets > 100 {
			pause = overshootPause
		}
	case retryStuck:
		pause = 5 * overshootPause
	case retryOvershoot:
		if time.Since(t.start) > overshootPatience {
			return &OffsetError{Queue: q, Offset: offset, Min: p.Min, Max: p.Max}
		}
		pause = overshootPause
	}
	if pause == 0 {
		return nil
	}
	if err := sleep(ctx, pause); err != nil {
		return newError("pull", q, NotStored, err)
	}
	return nil
}

// readPull turns an answer into a Pull, or says why to ask again.
func readPull(q Queue, offset int64, addr string, resp *response) (Pull, retry, error) {
	const op = "pull"
	switch resp.Code {
	case codeSuccess, codePullNotFound, codePullRetryNow, codePullOffsetMoved:
	default:
		err := &responseError{code: resp.Code, remark: resp.Remark, addr: addr}
		return Pull{}, 0, newError(op, q, kindOfAnswer(err), err)
	}
	next, err1 := resp.int("nextBeginOffset")
	minimum, err2 := resp.int("minOffset")
	maximum, err3 := resp.int("maxOffset")
	if err := errors.Join(err1, err2, err3); err != nil {
		return Pull{}, 0, newError(op, q, NotStored, fmt.Errorf("%s: %w", addr, err))
	}
	p := Pull{Next: max(next, offset), Min: minimum, Max: maximum}
	switch {
	case resp.Code == codePullOffsetMoved && offset < minimum:
		return Pull{}, 0, &OffsetError{Queue: q, Offset: offset, Min: minimum, Max: maximum}
	case resp.Code == codePullOffsetMoved:
		p.Next = offset // never where the broker would like us to be
		if offset > maximum {
			return p, retryOvershoot, nil
		}
		return p, retryNow, nil // an operator reset the group's offset, which is not ours to follow; the broker says so once
	case resp.Code == codePullNotFound:
		return p, 0, nil
	case resp.Code == codePullRetryNow && p.Next == offset:
		return p, retryStuck, nil
	case resp.Code == codePullRetryNow:
		return p, retryNow, nil
	}
	p.Messages, err1 = decodeMessages(q, resp.body)
	if err1 != nil {
		return Pull{}, 0, newError(op, q, NotStored, fmt.Errorf("%s sent messages that cannot be read: %w", addr, err1))
	}
	for len(p.Messages) > 0 && p.Messages[0].Offset < offset {
		p.Messages = p.Messages[1:]
	}
	if len(p.Messages) == 0 && p.Next > offset {
		return p, retryNow, nil
	}
	return p, 0, nil
}
