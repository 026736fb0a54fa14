package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/control"
)

// LoggerPath is the path of one component's logger.
type LoggerPath struct {
	Logger string `path:"logger" example:"workers" doc:"The component: root, one of the list, or connectors.<name> for a single connector."`
}

// LoggerChange is the body of PUT /admin/loggers/{logger}.
type LoggerChange struct {
	Level string `json:"level,omitempty" example:"DEBUG" doc:"TRACE, DEBUG, INFO, WARN, ERROR, FATAL or OFF, in any case."`
}

// loggersOutput has no body where all processes were told.
type loggersOutput struct {
	Status int
	Body   []string
}

func (h *handlers) registerLoggers(a huma.API) {
	const path = "/admin/loggers/{logger}"
	tags := []string{"Loggers"}
	huma.Register(a, huma.Operation{OperationID: "list-loggers", Metadata: access.NeedsOnly(access.Viewer), Method: http.MethodGet,
		Path: "/admin/loggers", Tags: tags, Summary: "How much each component of this process logs"},
		func(context.Context, *struct{}) (*struct {
			Body map[string]control.LoggerLevel
		}, error) {
			return &struct {
				Body map[string]control.LoggerLevel
			}{h.service.Loggers()}, nil
		})
	huma.Register(a, huma.Operation{OperationID: "get-logger", Metadata: access.NeedsOnly(access.Viewer), Method: http.MethodGet,
		Path: path, Tags: tags, Summary: "How much a component of this process logs", Errors: []int{http.StatusNotFound}},
		func(ctx context.Context, in *LoggerPath) (*struct{ Body control.LoggerLevel }, error) {
			level, err := h.service.Logger(in.Logger)
			if err != nil {
				return nil, h.problem(ctx, err)
			}
			return &struct{ Body control.LoggerLevel }{level}, nil
		})
	huma.Register(a, huma.Operation{OperationID: "set-logger", Metadata: access.Needs(access.Admin), Method: http.MethodPut,
		Path: path, Tags: tags, Summary: "Say how much a component logs", MaxBodyBytes: maxBodyBytes,
		Description: "It holds for what is below the component too, until the process ends. With scope=worker, the default, for the process that answers: 200 with the components concerned; " +
			"with scope=cluster for every worker and API process, within seconds: 204.",
		Responses: also("204", "Every process has been told"),
		Errors:    []int{http.StatusBadRequest, http.StatusNotFound, http.StatusServiceUnavailable}}, h.setLogger)
}

func (h *handlers) setLogger(ctx context.Context, in *struct {
	LoggerPath
	Scope string `query:"scope" example:"cluster" doc:"worker or cluster, in any case; anything else is worker."`
	Body  LoggerChange
}) (*loggersOutput, error) {
	everywhere := strings.EqualFold(in.Scope, "cluster")
	names, err := h.service.SetLogger(ctx, in.Logger, in.Body.Level, everywhere)
	if err != nil {
		return nil, h.problem(ctx, err)
	}
	if everywhere {
		return &loggersOutput{Status: http.StatusNoContent}, nil
	}
	return &loggersOutput{Status: http.StatusOK, Body: names}, nil
}
