package failpoint

import "slices"

// Point names a place in the protocol.
type Point string

// The points of a source task, in the order of a copy.
const (
	SourceClaimed      Point = "source/claimed"       // epoch taken, nothing read or opened
	SourceFenced       Point = "source/fenced"        // a fence is stored in a queue, not yet in the catalog
	SourceReadBack     Point = "source/read-back"     // what had arrived is known, nothing sent
	SourceOpened       Point = "source/opened"        // queues recorded as open, nothing sent
	SourceBeforeSend   Point = "source/before-send"   // a batch is encoded, not sent
	SourceSent         Point = "source/sent"          // the broker has stored a batch, the ack is not yet counted
	SourceUnsure       Point = "source/unsure"        // a send's fate is unknown, its fence not yet sent
	SourceBeforeCommit Point = "source/before-commit" // all acked, the position not committed
	SourceCommitted    Point = "source/committed"     // the position committed, the source system not told
	SourceDrained      Point = "source/drained"       // last checkpoint with all queues closed, the lease not released
)

// The points of a sink task, in the order of a copy.
const (
	SinkClaimed   Point = "sink/claimed"   // epoch taken in the catalog, the target not yet claimed
	SinkOpened    Point = "sink/opened"    // the target knows the epoch, nothing pulled
	SinkPulled    Point = "sink/pulled"    // messages pulled, nothing written
	SinkWriting   Point = "sink/writing"   // rows handed to the target, not yet durable there
	SinkWritten   Point = "sink/written"   // durable in the target, the catalog not told
	SinkCommitted Point = "sink/committed" // the catalog's copy of the position moved
	SinkDrained   Point = "sink/drained"   // last position committed, the lease not released
)

// Points is every point, in the order of the protocol.
func Points() []Point {
	return []Point{SourceClaimed, SourceFenced, SourceReadBack, SourceOpened, SourceBeforeSend, SourceSent, SourceUnsure,
		SourceBeforeCommit, SourceCommitted, SourceDrained,
		SinkClaimed, SinkOpened, SinkPulled, SinkWriting, SinkWritten, SinkCommitted, SinkDrained}
}

func known(p Point) bool { return slices.Contains(Points(), p) }
