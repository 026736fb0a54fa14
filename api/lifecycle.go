package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/control"
)

func (h *handlers) registerLifecycle(a huma.API) {
	for _, verb := range []struct {
		name, summary string
		status        int
		do            func(ctx context.Context, name, author string) error
	}{
		{"pause", "Stop the copying, keep the tasks", http.StatusAccepted, func(ctx context.Context, n, by string) error { return h.service.Pause(ctx, n, by) }},
		{"resume", "Go on after pause or stop", http.StatusAccepted, func(ctx context.Context, n, by string) error { return h.service.Resume(ctx, n, by) }},
		{"stop", "End the tasks, keep the positions", http.StatusNoContent, func(ctx context.Context, n, by string) error { return h.service.Stop(ctx, n, by) }},
	} {
		huma.Register(a, huma.Operation{OperationID: verb.name + "-connector", Metadata: access.Needs(access.Operator), Method: http.MethodPut,
			Path: "/connectors/{name}/" + verb.name, Tags: tags, Summary: verb.summary, DefaultStatus: verb.status,
			Errors: []int{http.StatusNotFound, http.StatusServiceUnavailable}},
			func(ctx context.Context, in *Named) (*struct{}, error) {
				return nil, h.problem(ctx, verb.do(ctx, in.Name, by(ctx)))
			})
	}
	huma.Register(a, huma.Operation{OperationID: "restart-connector", Metadata: access.Needs(access.Operator), Method: http.MethodPost, Path: "/connectors/{name}/restart", Tags: tags,
		Summary: "Start a connector again", Description: "Without parameters 204 and the connector alone; otherwise 202 and what will be started again.",
		DefaultStatus: http.StatusAccepted, Responses: also("204", "The connector alone is started again"),
		Errors: []int{http.StatusNotFound, http.StatusServiceUnavailable}}, h.restart)
}

type restartOutput struct {
	Status int
	Body   *control.Status
}

func (h *handlers) restart(ctx context.Context, in *struct {
	Named
	IncludeTasks bool `query:"includeTasks" doc:"Also its tasks."`
	OnlyFailed   bool `query:"onlyFailed" doc:"Only what is FAILED."`
}) (*restartOutput, error) {
	st, err := h.service.Restart(ctx, in.Name, control.Restart{IncludeTasks: in.IncludeTasks, OnlyFailed: in.OnlyFailed}, by(ctx))
	if err != nil {
		return nil, h.problem(ctx, err)
	}
	if !in.IncludeTasks && !in.OnlyFailed {
		return &restartOutput{Status: http.StatusNoContent}, nil
	}
	return &restartOutput{Status: http.StatusAccepted, Body: &st}, nil
}
