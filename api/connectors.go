package api

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/control"
)

// Named is the path of one connector.
type Named struct {
	Name string `path:"name" example:"flights-in" doc:"The connector's name, percent-encoded."`
}

// CreateConnector is the body of POST /connectors.
type CreateConnector struct {
	Name         string `json:"name,omitempty" nullable:"true" example:"flights-in" doc:"Blanks around it are dropped. May stand in the config instead."`
	Config       Config `json:"config"`
	InitialState string `json:"initial_state,omitempty" nullable:"true" doc:"RUNNING (the default), PAUSED or STOPPED, in any case."`
}

// Offsets is the body of the offsets routes.
type Offsets struct {
	Offsets []control.PartitionOffset `json:"offsets" nullable:"false"`
}

var tags = []string{"Connectors"}

func (h *handlers) registerConnectors(a huma.API) {
	huma.Register(a, huma.Operation{OperationID: "list-connectors", Metadata: access.NeedsFiltered(access.Viewer), Method: http.MethodGet, Path: "/connectors", Tags: tags,
		Summary: "The connectors' names, or with expand their status and config", Errors: []int{http.StatusServiceUnavailable}}, h.list)
	huma.Register(a, huma.Operation{OperationID: "create-connector", Metadata: access.NeedsFiltered(access.Editor), Method: http.MethodPost, Path: "/connectors", Tags: tags,
		Summary: "Create a connector", DefaultStatus: http.StatusCreated, MaxBodyBytes: maxBodyBytes,
		Errors: []int{http.StatusBadRequest, http.StatusConflict, http.StatusServiceUnavailable}}, h.create)
	huma.Register(a, huma.Operation{OperationID: "get-connector", Metadata: access.Needs(access.Viewer), Method: http.MethodGet, Path: "/connectors/{name}", Tags: tags,
		Summary: "A connector's config and tasks", Errors: []int{http.StatusNotFound, http.StatusServiceUnavailable}}, h.get)
	huma.Register(a, huma.Operation{OperationID: "get-config", Metadata: access.Needs(access.Viewer), Method: http.MethodGet, Path: "/connectors/{name}/config", Tags: tags,
		Summary: "A connector's config", Errors: []int{http.StatusNotFound, http.StatusServiceUnavailable}}, h.config)
	huma.Register(a, huma.Operation{OperationID: "put-config", Metadata: access.Needs(access.Editor), Method: http.MethodPut, Path: "/connectors/{name}/config", Tags: tags,
		Summary: "Replace a connector's config, or create the connector", MaxBodyBytes: maxBodyBytes,
		Description: "Only tasks whose part of the work changes are started again. A paused or stopped connector stays so.",
		Responses:   also("201", "Created; Location names it"),
		Errors:      []int{http.StatusBadRequest, http.StatusConflict, http.StatusServiceUnavailable}}, h.putConfig)
	huma.Register(a, huma.Operation{OperationID: "delete-connector", Metadata: access.Needs(access.Editor), Method: http.MethodDelete, Path: "/connectors/{name}", Tags: tags,
		Summary: "End a connector and drop its positions", DefaultStatus: http.StatusNoContent,
		Errors: []int{http.StatusNotFound, http.StatusServiceUnavailable}}, h.delete)
	huma.Register(a, huma.Operation{OperationID: "patch-config", Metadata: access.Needs(access.Editor), Method: http.MethodPatch, Path: "/connectors/{name}/config", Tags: tags,
		Summary: "Change single keys of a connector's config", MaxBodyBytes: maxBodyBytes,
		Description: "A key whose value is null is removed. What comes out is checked as a whole.",
		Errors:      []int{http.StatusBadRequest, http.StatusNotFound, http.StatusServiceUnavailable}}, h.patchConfig)
}

type listInput struct {
	Expand   []string `query:"expand,explode" example:"status" doc:"status, info or both; anything else adds nothing."`
	expanded bool     // the parameter is there, whatever it says: the answer is an object
}

// Resolve looks whether anything is to be expanded; huma calls it.
func (in *listInput) Resolve(ctx huma.Context) []error {
	u := ctx.URL()
	in.expanded = u.Query().Has("expand")
	return nil
}

func (h *handlers) list(ctx context.Context, in *listInput) (*struct{ Body any }, error) {
	if in.expanded {
		all, err := h.service.Expand(ctx, slices.Contains(in.Expand, "status"), slices.Contains(in.Expand, "info"))
		if err != nil {
			return nil, h.problem(ctx, err)
		}
		return &struct{ Body any }{all}, nil
	}
	names, err := h.service.List(ctx)
	if err != nil {
		return nil, h.problem(ctx, err)
	}
	return &struct{ Body any }{names}, nil
}

type infoOutput struct {
	Status   int
	Location string `header:"Location"`
	Body     control.Info
}

func location(name string) string { return "/connectors/" + url.PathEscape(name) }

func (h *handlers) create(ctx context.Context, in *struct{ Body CreateConnector }) (*infoOutput, error) {
	name := in.Body.Name
	if name == "" {
		name = in.Body.Config["name"]
	}
	concerns(ctx, name)
	info, err := h.service.Create(ctx, control.Create{Name: name, Config: in.Body.Config, InitialState: in.Body.InitialState, Author: by(ctx)})
	if err != nil {
		return nil, h.problem(ctx, err)
	}
	return &infoOutput{Status: http.StatusCreated, Location: location(info.Name), Body: info}, nil
}

func (h *handlers) get(ctx context.Context, in *Named) (*struct{ Body control.Info }, error) {
	info, err := h.service.Get(ctx, in.Name)
	if err != nil {
		return nil, h.problem(ctx, err)
	}
	return &struct{ Body control.Info }{info}, nil
}

func (h *handlers) config(ctx context.Context, in *Named) (*struct{ Body map[string]string }, error) {
	info, err := h.service.Get(ctx, in.Name)
	if err != nil {
		return nil, h.problem(ctx, err)
	}
	return &struct{ Body map[string]string }{info.Config}, nil
}

func (h *handlers) putConfig(ctx context.Context, in *struct {
	Named
	Body Config
}) (*infoOutput, error) {
	info, created, err := h.service.PutConfig(ctx, in.Name, in.Body, by(ctx))
	if err != nil {
		return nil, h.problem(ctx, err)
	}
	out := &infoOutput{Status: http.StatusOK, Body: info}
	if created {
		out.Status, out.Location = http.StatusCreated, location(info.Name)
	}
	return out, nil
}

func (h *handlers) delete(ctx context.Context, in *Named) (*struct{}, error) {
	return nil, h.problem(ctx, h.service.Delete(ctx, in.Name, by(ctx)))
}

func (h *handlers) patchConfig(ctx context.Context, in *struct {
	Named
	Body ConfigPatch
}) (*struct{ Body control.Info }, error) {
	info, err := h.service.PatchConfig(ctx, in.Name, in.Body, by(ctx))
	if err != nil {
		return nil, h.problem(ctx, err)
	}
	return &struct{ Body control.Info }{info}, nil
}
