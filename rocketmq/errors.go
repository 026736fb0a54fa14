package rocketmq

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Sentinels, to be tested with errors.Is.
var (
	// ErrNoTopic means that brokers are up and none of them has the topic.
	ErrNoTopic = errors.New("topic does not exist; create it first")
	// ErrOffsetOutOfRange means that the queue does not hold the offset asked for; errors.As with *OffsetError gives the range.
	ErrOffsetOutOfRange = errors.New("offset is outside the queue")
	// ErrTooLarge means that a message, or a batch as a whole, is above the broker's limit.
	ErrTooLarge = errors.New("larger than the broker accepts")
	// ErrEmptyBody means that a message has no body, which RocketMQ does not store.
	ErrEmptyBody = errors.New("RocketMQ refuses messages with an empty body; encode a tombstone as something else")
	// ErrClosed means that the client has been closed.
	ErrClosed = errors.New("the RocketMQ client is closed")
)

// Kind says what an error means for what was asked.
type Kind uint8

const (
	// NotStored: certainly nothing was stored or changed, and the same call may succeed later. All errors of reading calls
	// that may pass are of this kind.
	NotStored Kind = iota + 1
	// Unsure: the broker may or may not have stored the batch, now or in a moment.
	Unsure
	// Permanent: nothing was stored, and the same call will fail again.
	Permanent
)

// String returns the kind in words.
func (k Kind) String() string {
	switch k {
	case NotStored:
		return "not stored"
	case Unsure:
		return "unsure"
	case Permanent:
		return "permanent"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Error is what every failed call to RocketMQ returns, except for offsets out of range (*OffsetError).
type Error struct {
	Op    string // what was tried: "send", "pull", "create topic", …
	Queue Queue  // on what; only Topic is set where the call is about a topic, nothing where it is about the cluster
	Code  int    // the broker's response code, 0 if there was no response
	Kind  Kind
	Index int // the message of the batch that is at fault, -1 if none in particular is
	Err   error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("rocketmq: " + e.Op)
	switch {
	case e.Queue.Broker != "":
		b.WriteString(" " + e.Queue.String())
	case e.Queue.Topic != "":
		b.WriteString(" " + e.Queue.Topic)
	}
	if e.Index >= 0 {
		fmt.Fprintf(&b, ": message %d of the batch", e.Index)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	if e.Kind == Unsure {
		b.WriteString(" (the batch may have been stored)")
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// OffsetError is ErrOffsetOutOfRange with the numbers.
type OffsetError struct {
	Queue    Queue
	Offset   int64 // asked for
	Min, Max int64 // what the queue holds: Min to Max-1; Max can be asked for too, and waits for the next message
}

func (e *OffsetError) Error() string {
	return fmt.Sprintf("rocketmq: pull %v at %d: %v, which holds %d to %d", e.Queue, e.Offset, ErrOffsetOutOfRange, e.Min, e.Max)
}

// Unwrap returns ErrOffsetOutOfRange.
func (e *OffsetError) Unwrap() error { return ErrOffsetOutOfRange }

// IsUnsure reports whether a batch may have been stored although its send failed.
func IsUnsure(err error) bool { return kindOf(err) == Unsure }

// IsPermanent reports whether the same call would fail again.
func IsPermanent(err error) bool { return kindOf(err) == Permanent }

// IsNotStored reports whether certainly nothing was stored and the same call may succeed later.
func IsNotStored(err error) bool { return kindOf(err) == NotStored }

func kindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return 0
}

// newError says what was tried on what, and takes the response code from the cause if it has one.
func newError(op string, q Queue, kind Kind, err error) *Error {
	var resp *responseError
	code := 0
	if errors.As(err, &resp) {
		code = resp.code
	}
	return &Error{Op: op, Queue: q, Code: code, Kind: kind, Index: -1, Err: err}
}

// The response codes that Gantry tells apart, from RocketMQ's ResponseCode.java.
const (
	codeSuccess           = 0
	codeSystemError       = 1
	codeSystemBusy        = 2
	codeFlushDiskTimeout  = 10
	codeSlaveNotAvailable = 11
	codeFlushSlaveTimeout = 12
	codeMessageIllegal    = 13
	codeNotAvailable      = 14
	codeNoPermission      = 16
	codeTopicNotExist     = 17
	codePullNotFound      = 19
	codePullRetryNow      = 20
	codePullOffsetMoved   = 21
	codeNoGroup           = 26
	codeIllegalParameter  = 29
)

// responseError is an answer with a code other than success.
type responseError struct {
	code   int
	remark string
	addr   string
}

func (e *responseError) Error() string {
	text := fmt.Sprintf("%s answered code %d", e.addr, e.code)
	if hint := codeHints[e.code]; hint != "" {
		text += " (" + hint + ")"
	}
	if remark, _, _ := strings.Cut(e.remark, "\n"); remark != "" {
		text += ": " + remark
	}
	return text
}

// Unwrap lets a missing topic and an oversize message be recognized whoever reported them.
func (e *responseError) Unwrap() error {
	switch {
	case e.code == codeTopicNotExist:
		return ErrNoTopic
	case e.code == codeSystemError && encoderRefusal.MatchString(e.remark):
		return ErrTooLarge
	}
	return nil
}

// encoderRefusal is how a broker words that its own limit is below ours: its encoder throws, before anything is appended.
var encoderRefusal = regexp.MustCompile(`message (body )?size exceeded.*MessageExtEncoder`)

var codeHints = map[int]string{
	codeSystemError:       "system error; the broker's log says more",
	codeSystemBusy:        "the broker is too busy; retry, or raise its waitTimeMillsInSendQueue",
	codeFlushDiskTimeout:  "stored, but not yet flushed to disk",
	codeSlaveNotAvailable: "stored, but no slave is there to copy it",
	codeFlushSlaveTimeout: "stored, but the slave has not confirmed it",
	codeMessageIllegal:    "illegal message",
	codeNotAvailable:      "the broker does not take messages now: disk full, shutting down, or a slave",
	codeNoPermission:      "no permission; check the topic's perm and the access key",
	codeTopicNotExist:     "no such topic; create it first",
	codeIllegalParameter:  "illegal parameter, such as a queue the topic does not have",
	codeNoGroup:           "no such consumer group; create it, or set autoCreateSubscriptionGroup=true on the broker",
}
