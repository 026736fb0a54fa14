package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/control"
)

var bulkSummaries = map[control.Verb]string{
	control.VerbPause: "Pause connectors", control.VerbResume: "Resume connectors", control.VerbStop: "Stop connectors",
	control.VerbRestart: "Start connectors and their tasks again", control.VerbDelete: "End connectors and drop their positions",
}

// bulkRoles are what the verbs take on a single connector, too.
var bulkRoles = map[control.Verb]access.Role{
	control.VerbPause: access.Operator, control.VerbResume: access.Operator, control.VerbStop: access.Operator,
	control.VerbRestart: access.Operator, control.VerbDelete: access.Editor,
}

func (h *handlers) registerBulk(a huma.API) {
	for _, verb := range control.Verbs {
		v1(h, a, huma.Operation{OperationID: "v1-bulk-" + string(verb), Metadata: access.NeedsFiltered(bulkRoles[verb]), Method: http.MethodPost, Path: "/v1/connectors/bulk/" + string(verb),
			Tags: []string{"Bulk"}, Summary: bulkSummaries[verb],
			Description: "Takes those that match the selector and, where names are given, are named. Each connector is changed on its own: some may fail while others do not.",
			Errors:      []int{http.StatusBadRequest}},
			func(ctx context.Context, in *struct {
				DryRun
				Selector string   `query:"selector" maxLength:"4000" example:"team=ops" doc:"Labels that connectors must have."`
				Name     []string `query:"name,explode" doc:"Names of connectors; may be repeated."`
				All      bool     `query:"all" doc:"Needed where neither a selector nor a name is given: every connector."`
			}) (*body[control.BulkResult], error) {
				r, err := h.service.Bulk(ctx, control.Bulk{Verb: verb, Selector: in.Selector, Names: in.Name, All: in.All,
					DryRun: in.DryRun.DryRun, Author: by(ctx)})
				concernsEach(ctx, r)
				return &body[control.BulkResult]{r}, err
			})
	}
}
