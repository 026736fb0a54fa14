package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gantry-connect/gantry/catalog"
)

// Positions is how far a connector has come.
type Positions struct {
	Tag        Version           `json:"-"`
	Generation int64             `json:"generation" example:"2" doc:"Raised by each edit by an operator; the ETag begins with it."`
	Offsets    []PartitionOffset `json:"offsets" nullable:"false"`
}

// PositionVersion is a point in a connector's position history.
type PositionVersion struct {
	Version    int64             `json:"version" example:"41" doc:"To be given to undo."`
	At         time.Time         `json:"at"`
	Task       *int              `json:"task,omitempty" doc:"Whose checkpoint it is; absent for an edit, and for what an edit found."`
	Author     string            `json:"author,omitempty" example:"ana" doc:"Who edited; absent for a checkpoint, and for what an edit found."`
	Generation int64             `json:"generation" example:"1"`
	Changed    []PartitionOffset `json:"changed" nullable:"false" doc:"What it changed against older points that are still known; an offset is null where the partition was removed."`
}

// PositionHistory is the points of the history, newest first.
type PositionHistory struct {
	Items []PositionVersion `json:"items" nullable:"false"`
}

// Positions is how far a connector has come.
func (s *Service) Positions(ctx context.Context, name string) (Positions, error) {
	c, err := s.find(ctx, name)
	if err != nil {
		return Positions{}, err
	}
	positions, err := s.progress.Positions(ctx, c.UID)
	if err != nil {
		return Positions{}, translate(err, name)
	}
	offsets, err := offsetsOf(c, positions)
	return Positions{Tag: positionVersion(c), Generation: c.PositionGeneration, Offsets: offsets}, err
}

// EditPositions is AlterOffsets for a caller who says which generation they have seen.
func (s *Service) EditPositions(ctx context.Context, name string, edits []PartitionOffset, pre Precondition, author string) (Positions, error) {
	c, err := s.findEditable(ctx, name, pre)
	if err != nil {
		return Positions{}, err
	}
	if len(edits) == 0 {
		return Positions{}, &RequestError{Reason: "offsets: give at least one partition with its offset", Field: "offsets",
			Remedy: "Take the partitions from GET; to forget all of them, use DELETE."}
	}
	changes, err := s.positionEdits(ctx, c, edits)
	if err != nil {
		return Positions{}, err
	}
	if err := s.editPositions(ctx, c, pre.generation(c), false, changes, author); err != nil {
		return Positions{}, err
	}
	return s.Positions(ctx, name)
}

// ResetPositions is ResetOffsets for a caller who says which generation they have seen.
func (s *Service) ResetPositions(ctx context.Context, name string, pre Precondition, author string) (Positions, error) {
	c, err := s.findEditable(ctx, name, pre)
	if err != nil {
		return Positions{}, err
	}
	if err := s.editPositions(ctx, c, pre.generation(c), true, nil, author); err != nil {
		return Positions{}, err
	}
	return s.Positions(ctx, name)
}

// findEditable finds a stopped connector whose position is what the caller expects.
func (s *Service) findEditable(ctx context.Context, name string, pre Precondition) (catalog.Connector, error) {
	c, err := s.find(ctx, name)
	if err != nil {
		return c, err
	}
	if !pre.matches(positionVersion(c)) {
		return c, positionsChanged(c.PositionGeneration)
	}
	if c.Desired != catalog.StateStopped {
		return c, &ConflictError{fmt.Sprintf("Connector %s has to be stopped before its position can be changed; it is wanted %s", name, c.Desired)}
	}
	return c, nil
}

func positionsChanged(generation int64) error {
	return &ChangedError{fmt.Sprintf("The position has been edited: generation %d is in force, and another was expected", generation)}
}

// generation is the one that the catalog is to expect.
func (p Precondition) generation(c catalog.Connector) int64 {
	if len(p.Match) == 0 || p.Exists {
		return catalog.AnyGeneration
	}
	return c.PositionGeneration
}

// PositionHistory is a connector's older positions, newest first, at most limit.
func (s *Service) PositionHistory(ctx context.Context, name string, limit int) (PositionHistory, error) {
	c, err := s.find(ctx, name)
	if err != nil {
		return PositionHistory{}, err
	}
	points, err := s.connectors.PositionHistory(ctx, c.UID, limit)
	if err != nil {
		return PositionHistory{}, translate(err, name)
	}
	out := PositionHistory{Items: make([]PositionVersion, len(points))}
	for i, p := range points {
		changed, err := changesOf(c, p.Changed)
		if err != nil {
			return PositionHistory{}, err
		}
		out.Items[i] = PositionVersion{Version: p.Version, At: p.At, Task: p.Task, Author: p.Author, Generation: p.Generation, Changed: changed}
	}
	return out, nil
}

// changesOf is offsetsOf with the partitions that were removed.
func changesOf(c catalog.Connector, changed map[string]*string) ([]PartitionOffset, error) {
	there := map[string]string{}
	var gone []string
	for partition, offset := range changed {
		if offset == nil {
			gone = append(gone, partition)
		} else {
			there[partition] = *offset
		}
	}
	out, err := offsetsOf(c, there)
	if err != nil {
		return nil, err
	}
	slices.Sort(gone)
	for _, partition := range gone {
		var po PartitionOffset
		if err := json.Unmarshal([]byte(partition), &po.Partition); err != nil {
			return nil, fmt.Errorf("partition %s of %s: %w", partition, c.Name, err)
		}
		out = append(out, po)
	}
	return out, nil
}

// editsLookedAt is how far back an undo without a version looks for the last edit.
const editsLookedAt = 1000

// UndoPositions goes back to a point of the history; version 0 is the one before the last edit.
func (s *Service) UndoPositions(ctx context.Context, name string, version int64, pre Precondition, author string) (Positions, error) {
	c, err := s.findEditable(ctx, name, pre)
	if err != nil {
		return Positions{}, err
	}
	if version == 0 {
		if version, err = s.beforeLastEdit(ctx, c); err != nil {
			return Positions{}, err
		}
	}
	known := true
	err = s.whenSettled(ctx, c, func() error {
		_, err := s.connectors.UndoPositions(ctx, c.UID, pre.generation(c), version, author)
		known = !errors.Is(err, catalog.ErrNotFound)
		return err
	})
	if !known {
		return Positions{}, &NotFoundError{fmt.Sprintf("Connector %s has no version %d in its position history, or not any more", name, version)}
	}
	if err != nil {
		return Positions{}, err
	}
	return s.Positions(ctx, name)
}

func (s *Service) beforeLastEdit(ctx context.Context, c catalog.Connector) (int64, error) {
	points, err := s.connectors.PositionHistory(ctx, c.UID, editsLookedAt)
	if err != nil {
		return 0, translate(err, c.Name)
	}
	for i, p := range points {
		if p.Author != "" && i+1 < len(points) {
			return points[i+1].Version, nil
		}
	}
	return 0, &ConflictError{fmt.Sprintf("The position of connector %s has not been edited: there is nothing to undo. To go back to a checkpoint, give its version.", c.Name)}
}
