package rocketmq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	// holdTime is how long the broker may hold a pull that has nothing to return. It looks at held pulls every 5 s, so an answer
	// can take twice as long; a broker that has said nothing after pullTimeout is taken for dead.
	holdTime    = 5 * time.Second
	pullTimeout = 2*holdTime + 5*time.Second

	// retryPause is how long to wait before the broker is asked the same again.
	retryPause = 20 * time.Millisecond
	// overshootPatience bounds the waiting for an index whose broker does not tell how far it is.
	overshootPatience = 10 * time.Second

	// Bits of a pull's sysFlag: hold the request while there is nothing, and take the subscription from it.
	pullSuspend      = 2
	pullSubscription = 4

	maxPull = 65535
)

// Pull returns up to limit messages of a queue from offset on; the broker may give fewer per call. It always asks the master.
// If there is nothing at offset yet, it waits; after 5 to 10 s without a message it returns none, and Next tells where to go on.
// It returns promptly once ctx has ended, with ctx's error. An offset that the queue does not hold is an *OffsetError; an offset
// whose message has been acknowledged is never out of range, though Pull may have to wait until the broker has indexed it.
// Pulls of different queues can run at the same time, also two of one queue.
func (c *Client) Pull(ctx context.Context, q Queue, offset int64, limit int) (Pull, error) {
	const op = "pull"
	if offset < 0 || limit < 1 {
		return Pull{}, newError(op, q, Permanent, fmt.Errorf("offset %d and limit %d make no sense", offset, limit))
	}
	for tried := (pullTries{client: c, queue: q, start: time.Now()}); ; {
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
		if err := tried.wait(ctx, again, addr, offset, p); err != nil {
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
	client *Client
	queue  Queue
	start  time.Time
	resets int

	// An offset beyond the end is first believed to be that of a message which is stored but not indexed yet: with a busy broker
	// that can take seconds. Once everything that had been stored at the first try is indexed, it is out of range for good.
	written int64 // end of the broker's log at the first try, 0 before
	indexed bool  // that far, before the last try
}

func (t *pullTries) wait(ctx context.Context, why retry, addr string, offset int64, p Pull) error {
	pause := retryPause
	switch why {
	case retryNow:
		if t.resets++; t.resets < 100 { // an endless run of them must not spin
			return nil
		}
	case retryStuck:
		pause = 5 * retryPause
	case retryOvershoot:
		if t.indexed {
			return &OffsetError{Queue: t.queue, Offset: offset, Min: p.Min, Max: p.Max}
		}
		t.look(ctx, addr)
	}
	if err := sleep(ctx, pause); err != nil {
		return newError("pull", t.queue, NotStored, err)
	}
	return nil
}

// look finds out whether the index has caught up with the log.
func (t *pullTries) look(ctx context.Context, addr string) {
	written, indexed, err := t.client.logEnd(ctx, addr)
	if err != nil { // it may be forbidden to ask
		t.indexed = time.Since(t.start) > overshootPatience
		return
	}
	if t.written == 0 {
		t.written = written
	}
	t.indexed = indexed >= t.written
}

// logEnd returns up to where, in bytes, a broker has written its log and up to where it has indexed it.
func (c *Client) logEnd(ctx context.Context, addr string) (written, indexed int64, err error) {
	resp, err := c.links.ask(ctx, addr, request{code: reqRuntimeInfo})
	if err != nil {
		return 0, 0, err
	}
	var info struct {
		Table struct {
			Written int64 `json:"commitLogMaxOffset,string"`
			Behind  int64 `json:"dispatchBehindBytes,string"`
		} `json:"table"`
	}
	if err := json.Unmarshal(resp.body, &info); err != nil {
		return 0, 0, fmt.Errorf("read the broker's runtime information: %w", err)
	}
	return info.Table.Written, info.Table.Written - info.Table.Behind, nil
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
	if p.memory, err1 = decodeMessages(q, resp.body); err1 != nil {
		return Pull{}, 0, newError(op, q, NotStored, fmt.Errorf("%s sent messages that cannot be read: %w", addr, err1))
	}
	p.Messages = *p.memory
	for len(p.Messages) > 0 && p.Messages[0].Offset < offset {
		p.Messages = p.Messages[1:]
	}
	if len(p.Messages) == 0 && p.Next > offset {
		return p, retryNow, nil
	}
	return p, 0, nil
}
