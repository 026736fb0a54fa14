package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/control"
)

// OffsetChange is how far one partition shall have been copied.
type OffsetChange struct {
	Partition control.Document `json:"partition" required:"false" nullable:"true" doc:"As GET shows it. For sinks also kafka_topic and kafka_partition, where the topic lives on one broker."`
	Offset    control.Document `json:"offset" required:"false" nullable:"true" doc:"As GET shows it; null to begin afresh. For sinks also kafka_offset."`
}

// OffsetChanges is the body of PATCH /connectors/{name}/offsets.
type OffsetChanges struct {
	Offsets []OffsetChange `json:"offsets" required:"false" nullable:"true"`
}

// Done says that something has been done.
type Done struct {
	Message string `json:"message" example:"The offsets for this connector have been altered successfully"`
}

func (h *handlers) registerOffsets(a huma.API) {
	const path = "/connectors/{name}/offsets"
	tags := []string{"Offsets"}
	huma.Register(a, huma.Operation{OperationID: "get-offsets", Metadata: access.Needs(access.Viewer), Method: http.MethodGet, Path: path, Tags: tags,
		Summary: "How far every partition has been copied", Errors: []int{http.StatusNotFound, http.StatusServiceUnavailable}}, h.offsets)
	huma.Register(a, huma.Operation{OperationID: "alter-offsets", Metadata: access.Needs(access.Operator), Method: http.MethodPatch, Path: path, Tags: tags,
		Summary: "Say how far partitions have been copied", Description: "The connector has to be STOPPED. Partitions that are not named stay as they are; " +
			"one whose offset is null begins afresh. It waits a moment for tasks that are still ending.", MaxBodyBytes: maxBodyBytes,
		Errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable}}, h.alterOffsets)
	huma.Register(a, huma.Operation{OperationID: "reset-offsets", Metadata: access.Needs(access.Operator), Method: http.MethodDelete, Path: path, Tags: tags,
		Summary: "Let every partition begin afresh", Description: "The connector has to be STOPPED.", DefaultStatus: http.StatusOK,
		Errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable}}, h.resetOffsets)
}

func (h *handlers) offsets(ctx context.Context, in *Named) (*struct{ Body Offsets }, error) {
	all, err := h.service.Offsets(ctx, in.Name)
	if err != nil {
		return nil, h.problem(ctx, err)
	}
	return &struct{ Body Offsets }{Offsets{all}}, nil
}

func (h *handlers) alterOffsets(ctx context.Context, in *struct {
	Named
	Body OffsetChanges
}) (*struct{ Body Done }, error) {
	offsets := make([]control.PartitionOffset, len(in.Body.Offsets))
	for i, o := range in.Body.Offsets {
		offsets[i] = control.PartitionOffset{Partition: o.Partition, Offset: o.Offset}
	}
	if err := h.service.AlterOffsets(ctx, in.Name, offsets, by(ctx)); err != nil {
		return nil, h.problem(ctx, err)
	}
	return &struct{ Body Done }{Done{"The offsets for this connector have been altered successfully"}}, nil
}

func (h *handlers) resetOffsets(ctx context.Context, in *Named) (*struct{ Body Done }, error) {
	if err := h.service.ResetOffsets(ctx, in.Name, by(ctx)); err != nil {
		return nil, h.problem(ctx, err)
	}
	return &struct{ Body Done }{Done{"The offsets for this connector have been reset successfully"}}, nil
}
