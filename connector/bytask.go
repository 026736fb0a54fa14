package connector

// TaskPositioner is a Sink that keeps a position of its own for each task in the target, rather than one for the connector. Once
// a new plan has moved a partition to another task, that position stays behind; when the partition comes back, the catalog's
// counts if it is further.
type TaskPositioner interface {
	Sink
	// PositionByTask says so; it is never called.
	PositionByTask()
}
