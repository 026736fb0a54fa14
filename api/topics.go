package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/access"
)

// UsedTopics is the topics that a connector has used.
type UsedTopics struct {
	Topics []string `json:"topics" nullable:"false" doc:"Sorted."`
}

func (h *handlers) registerTopics(a huma.API) {
	tags := []string{"Topics"}
	errs := []int{http.StatusForbidden, http.StatusServiceUnavailable}
	huma.Register(a, huma.Operation{OperationID: "get-topics", Metadata: access.Needs(access.Viewer), Method: http.MethodGet,
		Path: "/connectors/{name}/topics", Tags: tags, Summary: "The topics that a connector has used", Errors: errs,
		Description: "Since it was created, or since they were reset. For a connector that does not exist the list is empty, as it is in Kafka Connect. " +
			"The setting topic.tracking.enable turns this off."}, h.topics)
	huma.Register(a, huma.Operation{OperationID: "reset-topics", Metadata: access.Needs(access.Operator), Method: http.MethodPut,
		Path: "/connectors/{name}/topics/reset", Tags: tags, Summary: "Forget which topics a connector has used", Errors: errs,
		DefaultStatus: http.StatusAccepted, Description: "The setting topic.tracking.allow.reset turns this off."},
		func(ctx context.Context, in *Named) (*struct{}, error) {
			return nil, h.problem(ctx, h.service.ResetTopics(ctx, in.Name))
		})
}

func (h *handlers) topics(ctx context.Context, in *Named) (*struct{ Body map[string]UsedTopics }, error) {
	topics, err := h.service.Topics(ctx, in.Name)
	if err != nil {
		return nil, h.problem(ctx, err)
	}
	return &struct{ Body map[string]UsedTopics }{map[string]UsedTopics{in.Name: {topics}}}, nil
}
