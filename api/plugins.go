package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/control"
)

// ClassPath is the path of one plugin.
type ClassPath struct {
	Class string `path:"class" example:"FileSource" doc:"The plugin's class."`
}

func (h *handlers) registerPlugins(a huma.API) {
	tags := []string{"Plugins"}
	huma.Register(a, huma.Operation{OperationID: "list-plugins", Metadata: access.NeedsOnly(access.Viewer), Method: http.MethodGet, Path: "/connector-plugins", Tags: tags,
		Summary: "The plugins of this installation"},
		func(_ context.Context, in *struct {
			ConnectorsOnly bool `query:"connectorsOnly" default:"true" doc:"false: also converters, transforms and predicates."`
		}) (*struct{ Body []control.PluginInfo }, error) {
			return &struct{ Body []control.PluginInfo }{h.service.PluginList(in.ConnectorsOnly)}, nil
		})
	huma.Register(a, huma.Operation{OperationID: "get-plugin-config", Metadata: access.NeedsOnly(access.Viewer), Method: http.MethodGet, Path: "/connector-plugins/{class}/config", Tags: tags,
		Summary: "The config keys of a plugin", Errors: []int{http.StatusBadRequest, http.StatusNotFound}},
		func(ctx context.Context, in *struct {
			ClassPath
			Version string `query:"version" example:"latest" doc:"The plugin's version, or latest: there is one of each."`
		}) (*struct{ Body []control.KeyInfo }, error) {
			keys, err := h.service.PluginConfig(in.Class, in.Version)
			if err != nil {
				return nil, h.problem(ctx, err)
			}
			return &struct{ Body []control.KeyInfo }{keys}, nil
		})
	huma.Register(a, huma.Operation{OperationID: "validate-config", Metadata: access.NeedsOnly(access.Viewer), Method: http.MethodPut, Path: "/connector-plugins/{class}/config/validate", Tags: tags,
		Summary: "What is right and wrong with a config", Description: "Answers 200 also where the config has errors. Nothing is created or reached.",
		MaxBodyBytes: maxBodyBytes, Errors: []int{http.StatusBadRequest}},
		func(ctx context.Context, in *struct {
			ClassPath
			Body ConfigPatch
		}) (*struct{ Body control.Validation }, error) {
			v, err := h.service.Validate(in.Class, in.Body)
			if err != nil {
				return nil, h.problem(ctx, err)
			}
			return &struct{ Body control.Validation }{v}, nil
		})
}
