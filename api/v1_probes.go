package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/control"
	"github.com/gantry-connect/gantry/probe"
)

// Probes is what the routes need that look at external systems.
type Probes interface {
	CheckConfig(ctx context.Context, config map[string]string) (probe.CheckResult, error)
	CheckConnector(ctx context.Context, name string) (probe.CheckResult, error)
	Preview(ctx context.Context, config map[string]string, limit int) (probe.Preview, error)
	PreviewTopic(ctx context.Context, p control.TopicPreview) (probe.Preview, error)
}

// CheckBody is the body of POST /v1/check.
type CheckBody struct {
	Config Config `json:"config"`
}

// PreviewBody is the body of POST /v1/preview.
type PreviewBody struct {
	Config Config `json:"config"`
	Limit  int    `json:"limit,omitempty" minimum:"1" maximum:"100" default:"10" doc:"At most so many records."`
}

func (h *handlers) registerProbes(a huma.API) {
	group := []string{"Check and preview"}
	about := "A worker does it, with the real credentials. Nothing is written, and nothing that is read stays anywhere for longer than minutes."
	look(h, a, huma.Operation{OperationID: "v1-check", Metadata: access.NeedsFiltered(access.Editor), Method: http.MethodPost, Path: "/v1/check", Tags: group,
		Summary: "Whether a config would work, and what is missing", Description: about + " Keys that are wrong are findings as well.",
		Errors: []int{http.StatusBadRequest}},
		func(ctx context.Context, in *struct{ Body CheckBody }) (*body[probe.CheckResult], error) {
			concerns(ctx, in.Body.Config["name"])
			r, err := h.service.CheckConfig(ctx, in.Body.Config)
			return &body[probe.CheckResult]{r}, err
		})
	look(h, a, huma.Operation{OperationID: "v1-check-connector", Metadata: access.Needs(access.Operator), Method: http.MethodPost, Path: "/v1/connectors/{name}/check", Tags: group,
		Summary: "Whether a connector's config works, and what is missing", Description: about, Errors: []int{http.StatusNotFound}},
		func(ctx context.Context, in *Named) (*body[probe.CheckResult], error) {
			r, err := h.service.CheckConnector(ctx, in.Name)
			return &body[probe.CheckResult]{r}, err
		})
	look(h, a, huma.Operation{OperationID: "v1-preview", Metadata: access.NeedsFiltered(access.Editor), Method: http.MethodPost, Path: "/v1/preview", Tags: group,
		Summary:     "The first records that a config would copy, before and after each transform",
		Description: about + " A source is read from its beginning; for a sink its topics are.", Errors: []int{http.StatusBadRequest, http.StatusConflict}},
		func(ctx context.Context, in *struct{ Body PreviewBody }) (*body[probe.Preview], error) {
			concerns(ctx, in.Body.Config["name"])
			p, err := h.service.Preview(ctx, in.Body.Config, in.Body.Limit)
			return &body[probe.Preview]{p}, err
		})
	look(h, a, huma.Operation{OperationID: "v1-preview-topic", Metadata: access.Needs(access.Editor), Method: http.MethodGet, Path: "/v1/topics/{topic}/preview", Tags: group,
		Summary: "Records of a topic", Description: about, Errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict}},
		func(ctx context.Context, in *struct {
			Topic     string `path:"topic" maxLength:"127" pattern:"^[%|a-zA-Z0-9_-]+$" patternDescription:"letters, digits, _, -, % and |" example:"flights" doc:"The topic's name."`
			Limit     int    `query:"limit" minimum:"1" maximum:"100" default:"10" doc:"At most so many records."`
			From      string `query:"from" enum:"earliest,latest" default:"earliest" doc:"From which end of the queues."`
			Converter string `query:"converter" enum:"json,string,bytes" default:"json" doc:"How the values became bytes."`
		}) (*body[probe.Preview], error) {
			p, err := h.service.PreviewTopic(ctx, control.TopicPreview{Topic: in.Topic, Limit: in.Limit, From: in.From, Converter: in.Converter})
			return &body[probe.Preview]{p}, err
		})
}
