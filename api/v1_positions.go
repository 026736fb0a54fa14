package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/control"
)

// Positions is what the routes about positions need.
type Positions interface {
	Positions(ctx context.Context, name string) (control.Positions, error)
	EditPositions(ctx context.Context, name string, edits []control.PartitionOffset, pre control.Precondition, author string) (control.Positions, error)
	ResetPositions(ctx context.Context, name string, pre control.Precondition, author string) (control.Positions, error)
	PositionHistory(ctx context.Context, name string, limit int) (control.PositionHistory, error)
	UndoPositions(ctx context.Context, name string, version int64, pre control.Precondition, author string) (control.Positions, error)
}

// PositionEdits is the body of PATCH /v1/connectors/{name}/offsets.
type PositionEdits struct {
	Offsets []control.PartitionOffset `json:"offsets" nullable:"false" doc:"The partitions to change, as GET shows them; one whose offset is null begins afresh. Others stay."`
}

// Undo is the body of POST /v1/connectors/{name}/offsets/undo.
type Undo struct {
	Version int64 `json:"version,omitempty" minimum:"1" example:"41" doc:"Of GET …/offsets/history. If absent, the position before the last edit."`
}

type positionsOutput struct {
	ETag string `header:"ETag" doc:"The position's generation: raised by edits, not by progress."`
	Body control.Positions
}

func positionsAnswer(p control.Positions, err error) (*positionsOutput, error) {
	return &positionsOutput{ETag: etag(p.Tag), Body: p}, err
}

func (h *handlers) registerPositions(a huma.API) {
	group := []string{"Positions"}
	edit := []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed}
	rule := "The connector must be stopped and its tasks must have ended (409). For sinks with transactions the edit is written to the target when the connector starts."
	v1(h, a, huma.Operation{OperationID: "v1-get-offsets", Metadata: access.Needs(access.Viewer), Method: http.MethodGet, Path: "/v1/connectors/{name}/offsets", Tags: group,
		Summary: "How far every partition has been copied", Errors: []int{http.StatusNotFound}},
		func(ctx context.Context, in *Named) (*positionsOutput, error) {
			return positionsAnswer(h.service.Positions(ctx, in.Name))
		})
	v1(h, a, huma.Operation{OperationID: "v1-patch-offsets", Metadata: access.Needs(access.Operator), Method: http.MethodPatch, Path: "/v1/connectors/{name}/offsets", Tags: group,
		Summary: "Change how far partitions have been copied", Description: rule, Errors: edit},
		func(ctx context.Context, in *struct {
			Named
			IfMatch
			Body PositionEdits
		}) (*positionsOutput, error) {
			pre, err := precondition(in.IfMatch.IfMatch, "")
			if err != nil {
				return nil, err
			}
			return positionsAnswer(h.service.EditPositions(ctx, in.Name, in.Body.Offsets, pre, by(ctx)))
		})
	v1(h, a, huma.Operation{OperationID: "v1-reset-offsets", Metadata: access.Needs(access.Operator), Method: http.MethodDelete, Path: "/v1/connectors/{name}/offsets", Tags: group,
		Summary: "Forget how far everything has been copied", Description: rule, Errors: edit},
		func(ctx context.Context, in *struct {
			Named
			IfMatch
		}) (*positionsOutput, error) {
			pre, err := precondition(in.IfMatch.IfMatch, "")
			if err != nil {
				return nil, err
			}
			return positionsAnswer(h.service.ResetPositions(ctx, in.Name, pre, by(ctx)))
		})
	v1(h, a, huma.Operation{OperationID: "v1-offsets-history", Metadata: access.Needs(access.Viewer), Method: http.MethodGet, Path: "/v1/connectors/{name}/offsets/history", Tags: group,
		Summary: "Older positions, newest first", Description: "What each edit found and made, and checkpoints of tasks, the older the fewer. Each item shows what it changed; going back to it restores everything as it was.", Errors: []int{http.StatusNotFound}},
		func(ctx context.Context, in *struct {
			Named
			Limit int `query:"limit" minimum:"1" maximum:"1000" default:"20" doc:"At most so many items."`
		}) (*body[control.PositionHistory], error) {
			all, err := h.service.PositionHistory(ctx, in.Name, in.Limit)
			return &body[control.PositionHistory]{all}, err
		})
	v1(h, a, huma.Operation{OperationID: "v1-undo-offsets", Metadata: access.Needs(access.Operator), Method: http.MethodPost, Path: "/v1/connectors/{name}/offsets/undo", Tags: group,
		Summary: "Go back to an older position", Description: rule, Errors: edit},
		func(ctx context.Context, in *struct {
			Named
			IfMatch
			Body *Undo
		}) (*positionsOutput, error) {
			pre, err := precondition(in.IfMatch.IfMatch, "")
			if err != nil {
				return nil, err
			}
			var version int64
			if in.Body != nil {
				version = in.Body.Version
			}
			return positionsAnswer(h.service.UndoPositions(ctx, in.Name, version, pre, by(ctx)))
		})
}
