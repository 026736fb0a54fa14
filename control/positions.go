package control

import "time"

// Positions is how far a connector has come.
type Positions struct {
	Generation int64             `json:"generation" example:"2" doc:"Raised by each edit by an operator; also the ETag."`
	Offsets    []PartitionOffset `json:"offsets" nullable:"false"`
}

// PositionVersion is a position that a connector once had.
type PositionVersion struct {
	Version    int64             `json:"version" example:"41" doc:"To be given to undo."`
	Generation int64             `json:"generation" example:"1"`
	At         time.Time         `json:"at"`
	Author     string            `json:"author,omitempty" example:"ana" doc:"Who edited the position next; empty for a checkpoint that was kept."`
	Offsets    []PartitionOffset `json:"offsets" nullable:"false"`
}

// PositionHistory is a list of older positions, newest first.
type PositionHistory struct {
	Items []PositionVersion `json:"items" nullable:"false"`
}
