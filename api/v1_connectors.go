package api

import (
	"context"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/control"
)

// Overviews is what the routes about connectors as a whole need.
type Overviews interface {
	Overviews(ctx context.Context, q control.OverviewQuery) (control.Overviews, error)
	Overview(ctx context.Context, name string) (control.Overview, error)
	CreateLabelled(ctx context.Context, c control.Create, dryRun bool) (control.Overview, error)
	DeleteWith(ctx context.Context, name string, d control.Deletion, pre control.Precondition, author string) error
	Labels(ctx context.Context, name string) (map[string]string, error)
	PutLabels(ctx context.Context, name string, labels map[string]string, author string) (map[string]string, error)
}

// NewConnector is the body of POST /v1/connectors.
type NewConnector struct {
	Name         string            `json:"name,omitempty" example:"flights-in" doc:"Blanks around it are dropped. May stand in the config instead."`
	Config       Config            `json:"config"`
	Labels       map[string]string `json:"labels,omitempty" doc:"For selectors and access."`
	InitialState string            `json:"initial_state,omitempty" example:"RUNNING" doc:"RUNNING (the default), PAUSED or STOPPED, in any case."`
}

type overviewOutput struct {
	Status   int
	ETag     string `header:"ETag" doc:"The config's revision."`
	Location string `header:"Location"`
	Body     *control.Overview
}

func (h *handlers) registerOverviews(a huma.API) {
	v1(h, a, huma.Operation{OperationID: "v1-list-connectors", Metadata: access.NeedsFiltered(access.Viewer), Method: http.MethodGet, Path: "/v1/connectors", Tags: tags,
		Summary: "Connectors at a glance", Description: "Sorted by name. Connectors that are being deleted are not listed.",
		Errors: []int{http.StatusBadRequest}}, h.listOverviews)
	v1(h, a, huma.Operation{OperationID: "v1-create-connector", Metadata: access.NeedsFiltered(access.Editor), Method: http.MethodPost, Path: "/v1/connectors", Tags: tags,
		Summary: "Create a connector", DefaultStatus: http.StatusCreated, Responses: also("200", "What would be created (dry_run)"),
		Errors: []int{http.StatusBadRequest, http.StatusConflict}}, h.createV1)
	v1(h, a, huma.Operation{OperationID: "v1-get-connector", Metadata: access.Needs(access.Viewer), Method: http.MethodGet, Path: "/v1/connectors/{name}", Tags: tags,
		Summary: "A connector at a glance", Description: "The ETag is the config's, for If-Match.",
		Errors: []int{http.StatusNotFound}}, h.getOverview)
	v1(h, a, huma.Operation{OperationID: "v1-delete-connector", Metadata: access.Needs(access.Editor), Method: http.MethodDelete, Path: "/v1/connectors/{name}", Tags: tags,
		Summary: "End a connector", DefaultStatus: http.StatusNoContent,
		Description: "The answer comes at once; the name is free when the tasks have ended. Positions go with the connector unless told otherwise, topics stay unless told otherwise.",
		Errors:      []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed}}, h.deleteV1)
	v1(h, a, huma.Operation{OperationID: "v1-get-labels", Metadata: access.Needs(access.Viewer), Method: http.MethodGet, Path: "/v1/connectors/{name}/labels", Tags: tags,
		Summary: "A connector's labels", Errors: []int{http.StatusNotFound}},
		func(ctx context.Context, in *Named) (*body[map[string]string], error) {
			labels, err := h.service.Labels(ctx, in.Name)
			return &body[map[string]string]{labels}, err
		})
	v1(h, a, huma.Operation{OperationID: "v1-put-labels", Metadata: access.Needs(access.Editor), Method: http.MethodPut, Path: "/v1/connectors/{name}/labels", Tags: tags,
		Summary: "Replace a connector's labels", Description: "Labels change nothing about the copying. Keys and values are those of Kubernetes: up to 63 letters, digits, -, _ and ., keys with an optional prefix and a slash before them.",
		Errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict}},
		func(ctx context.Context, in *struct {
			Named
			Body map[string]string
		}) (*body[map[string]string], error) {
			labels, err := h.service.PutLabels(ctx, in.Name, in.Body, by(ctx))
			return &body[map[string]string]{labels}, err
		})
	v1(h, a, huma.Operation{OperationID: "get-progress", Metadata: access.Needs(access.Viewer), Method: http.MethodGet, Path: "/v1/connectors/{name}/progress", Tags: []string{"Tasks"},
		Summary: "Records, rate, lag and troubles of every task", Errors: []int{http.StatusNotFound}},
		func(ctx context.Context, in *Named) (*body[[]control.TaskProgress], error) {
			all, err := h.service.Progress(ctx, in.Name)
			return &body[[]control.TaskProgress]{all}, err
		})
}

func (h *handlers) listOverviews(ctx context.Context, in *struct {
	PageParams
	Selector string          `query:"selector" maxLength:"4000" example:"team=ops,env in (prod,test),!legacy" doc:"Labels that connectors must have: a=b, a!=b, a in (b,c), a notin (b,c), a, !a, separated by commas."`
	State    []control.State `query:"state" enum:"UNASSIGNED,RUNNING,PAUSED,STOPPED,FAILED,RESTARTING" doc:"Only these states."`
	Kind     connector.Kind  `query:"kind" enum:"source,sink" doc:"Only this kind."`
}) (*body[control.Overviews], error) {
	page, err := h.service.Overviews(ctx, control.OverviewQuery{Page: in.page(), Selector: in.Selector, States: in.State, Kind: in.Kind})
	return &body[control.Overviews]{page}, err
}

func (h *handlers) createV1(ctx context.Context, in *struct {
	DryRun
	Body NewConnector
}) (*overviewOutput, error) {
	name := in.Body.Name
	if name == "" {
		name = in.Body.Config["name"]
	}
	concerns(ctx, name)
	made, err := h.service.CreateLabelled(ctx, control.Create{Name: name, Config: in.Body.Config, Labels: in.Body.Labels,
		InitialState: in.Body.InitialState, Author: by(ctx)}, in.DryRun.DryRun)
	if err != nil {
		return nil, err
	}
	if in.DryRun.DryRun {
		return &overviewOutput{Status: http.StatusOK, Body: &made}, nil
	}
	return &overviewOutput{Status: http.StatusCreated, ETag: etag(made.Tag), Location: locationV1(made.Name), Body: &made}, nil
}

func locationV1(name string) string { return "/v1/connectors/" + url.PathEscape(name) }

func (h *handlers) getOverview(ctx context.Context, in *Named) (*overviewOutput, error) {
	o, err := h.service.Overview(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	// The ETag is of the config: what else is told changes without it, so a reader is never told that nothing has.
	return &overviewOutput{Status: http.StatusOK, ETag: etag(o.Tag), Body: &o}, nil
}

func (h *handlers) deleteV1(ctx context.Context, in *struct {
	Named
	IfMatch
	Topics    bool `query:"topics" default:"false" doc:"Also delete the topics that a source has written to, once its tasks have ended."`
	Positions bool `query:"positions" default:"true" doc:"Also drop the positions. If false, a connector of the same kind that is created under the name later goes on there."`
}) (*struct{}, error) {
	pre, err := precondition(in.IfMatch.IfMatch, "")
	if err != nil {
		return nil, err
	}
	return nil, h.service.DeleteWith(ctx, in.Name, control.Deletion{Topics: in.Topics, Positions: in.Positions}, pre, by(ctx))
}
