package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gantry-connect/gantry/connector"
)

// Ledger is a task's page in the catalog under one epoch. Every call that changes something fails with an error that wraps
// ErrFenced once a newer epoch exists, and then has changed nothing. A call whose outcome is unknown may be repeated.
type Ledger interface {
	// OpenQueues records, before the first send, from where on each queue may hold messages that no position covers. A queue
	// that is open already keeps what is recorded of it.
	OpenQueues(ctx context.Context, queues []OpenQueue) error
	// Commit moves the position and what is recorded of the open queues, all or nothing.
	Commit(ctx context.Context, c Checkpoint) error
	// RecordFence remembers where a fence of this or an earlier epoch lies. Recording it twice is not an error.
	RecordFence(ctx context.Context, f Fence) error
	// FencesBefore returns, of every writer, the highest recorded fence that lies in q below offset.
	FencesBefore(ctx context.Context, q Queue, offset int64) ([]Fence, error)
}

// OpenQueue says of one queue where a read-back has to begin.
type OpenQueue struct {
	Queue
	Low int64  // no record that the committed position does not cover lies below it
	Seq uint64 // the number that the writer's first message at or behind Low carries; 0 is unknown
	// Tail is where the writer's message TailSeq lies, the newest known that the committed position covers. While it is there, the
	// broker has lost nothing that is covered. TailSeq 0: none is known.
	Tail    int64
	TailSeq uint64
}

// Fence is a message that ends everything its writer sends under a lower (epoch, term) into its queue.
type Fence struct {
	Queue
	Writer uint32
	Epoch  int64
	Term   uint32
	Offset int64
}

// Checkpoint is one commit.
type Checkpoint struct {
	Position connector.Position // the partitions that moved since the last commit
	Queues   []OpenQueue        // those that are open, and those of Close with where they end
	Close    []Queue            // have nothing in flight and nothing uncovered
	Records  int64              // since the last commit
	Bytes    int64
}

// Lease says until when the task may send and write.
type Lease interface {
	// Deadline is the time past which nothing is sent. It is called before every send and costs nothing.
	Deadline() time.Time
	// Wait returns once Deadline lies ahead again; an error that wraps ErrFenced says that it never will.
	Wait(ctx context.Context) error
}

// Start is where a task goes on.
type Start struct {
	Writer   uint32
	Epoch    int64
	Position connector.Position
	// Elsewhere is the partitions of Position that another task of the connector, or an operator, has committed last.
	Elsewhere  []connector.Partition
	Generation int64
	Open       []OpenQueue // not empty: the last owner stopped uncleanly
	// Closed is where queues ended when they were closed, as far as the ledger remembers: numbers then go on instead of
	// starting at 1, and what a queue has lost since is noticed.
	Closed []OpenQueue
}

// Schemas keeps the schemas that travel by reference.
type Schemas interface {
	// Put returns once every reader can get the schema.
	Put(ctx context.Context, s *connector.Schema) error
	// Get finds a schema; ErrNoSchema says that there is none.
	Get(ctx context.Context, fingerprint string) (*connector.Schema, error)
}

// ErrNoSchema says that a message refers to a schema that is nowhere to be found: the message is bad.
var ErrNoSchema = errors.New("there is no such schema")

// ErrFenced says that a newer epoch owns the task: this owner commits nothing more, and may claim again.
var ErrFenced = errors.New("a newer epoch owns the task")

// ErrBrokerLostData says that a queue no longer holds what the broker acknowledged. errors.As with *LostError tells what.
var ErrBrokerLostData = errors.New("the broker lost acknowledged messages")

// LostError is ErrBrokerLostData with what is missing: messages by their writer's numbers, or a range of offsets.
type LostError struct {
	Queue    Queue
	Writer   uint32 // 0 if the loss shows by offsets alone
	Offset   int64  // where it was noticed
	Expected uint64 // number or offset
	Found    uint64 // number or offset; number 0: message Expected was acknowledged at Offset, and is not there any more
	Covered  bool   // records that the committed position covers are missing: reading on from there does not give them again
}

func (e *LostError) Error() string {
	if e.Writer == 0 {
		return fmt.Sprintf("queue %v at offset %d: %v: expected offset %d or higher, found %d", e.Queue, e.Offset, ErrBrokerLostData,
			e.Expected, e.Found)
	}
	if e.Found == 0 {
		return fmt.Sprintf("queue %v: %v: writer %d's message %d, acknowledged at offset %d, is not there any more", e.Queue,
			ErrBrokerLostData, e.Writer, e.Expected, e.Offset)
	}
	return fmt.Sprintf("queue %v at offset %d: %v: writer %d's message %d should come next, found %d", e.Queue, e.Offset,
		ErrBrokerLostData, e.Writer, e.Expected, e.Found)
}

// Unwrap returns ErrBrokerLostData.
func (e *LostError) Unwrap() error { return ErrBrokerLostData }
