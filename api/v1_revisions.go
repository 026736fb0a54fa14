package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/control"
)

// Revisions is what the routes about configs and their history need.
type Revisions interface {
	ConfigAt(ctx context.Context, name string) (control.RevisionConfig, error)
	ReplaceConfig(ctx context.Context, name string, config map[string]string, pre control.Precondition, dryRun bool, author string) (made control.RevisionConfig, created bool, err error)
	Revisions(ctx context.Context, name string, p control.Page) (control.Revisions, error)
	Revision(ctx context.Context, name string, number int64) (control.RevisionConfig, error)
	DiffRevisions(ctx context.Context, name string, from, to int64) (control.Diff, error)
	Rollback(ctx context.Context, name string, number int64, pre control.Precondition, author string) (control.RevisionConfig, error)
}

// RevisionPath is the path of one config revision.
type RevisionPath struct {
	Named
	Number int64 `path:"number" minimum:"1" example:"2" doc:"Of the revision, from 1."`
}

type configOutput struct {
	Status   int
	ETag     string `header:"ETag" doc:"The config's revision."`
	Location string `header:"Location"`
	Body     map[string]string
}

type revisionOutput struct {
	ETag string `header:"ETag" doc:"The number of the revision that is in force now."`
	Body control.RevisionConfig
}

func (h *handlers) registerRevisions(a huma.API) {
	group := []string{"Configs"}
	v1(h, a, huma.Operation{OperationID: "v1-get-config", Metadata: access.Needs(access.Viewer), Method: http.MethodGet, Path: "/v1/connectors/{name}/config", Tags: group,
		Summary: "A connector's config", Responses: also("304", "The ETag given is in force"),
		Errors: []int{http.StatusNotFound}}, h.getConfigV1)
	v1(h, a, huma.Operation{OperationID: "v1-put-config", Metadata: access.Needs(access.Editor), Method: http.MethodPut, Path: "/v1/connectors/{name}/config", Tags: group,
		Summary: "Replace a connector's config, or create the connector",
		Description: "With If-Match only if the config is still the one that was read; with If-None-Match: * only if there is no connector yet. " +
			"Only tasks whose part of the work changes are started again. A paused or stopped connector stays so. " +
			"With dry_run the ETag is the revision that would be in force, which tells whether a hidden secret is the same.",
		Responses: also("201", "Created, or with dry_run it would be; Location names it"),
		Errors:    []int{http.StatusBadRequest, http.StatusConflict, http.StatusPreconditionFailed}}, h.putConfigV1)
	v1(h, a, huma.Operation{OperationID: "v1-list-revisions", Metadata: access.Needs(access.Viewer), Method: http.MethodGet, Path: "/v1/connectors/{name}/revisions", Tags: group,
		Summary: "Every config that a connector has had, newest first", Errors: []int{http.StatusBadRequest, http.StatusNotFound}},
		func(ctx context.Context, in *struct {
			Named
			PageParams
		}) (*body[control.Revisions], error) {
			all, err := h.service.Revisions(ctx, in.Name, in.page())
			return &body[control.Revisions]{all}, err
		})
	v1(h, a, huma.Operation{OperationID: "v1-get-revision", Metadata: access.Needs(access.Viewer), Method: http.MethodGet, Path: "/v1/connectors/{name}/revisions/{number}", Tags: group,
		Summary: "One config that a connector has had", Errors: []int{http.StatusNotFound}},
		func(ctx context.Context, in *RevisionPath) (*body[control.RevisionConfig], error) {
			r, err := h.service.Revision(ctx, in.Name, in.Number)
			return &body[control.RevisionConfig]{r}, err
		})
	v1(h, a, huma.Operation{OperationID: "v1-diff-revisions", Metadata: access.Needs(access.Viewer), Method: http.MethodGet, Path: "/v1/connectors/{name}/revisions/{number}/diff", Tags: group,
		Summary: "What a revision changed", Errors: []int{http.StatusNotFound}}, h.diff)
	v1(h, a, huma.Operation{OperationID: "v1-rollback", Metadata: access.Needs(access.Editor), Method: http.MethodPost, Path: "/v1/connectors/{name}/revisions/{number}/rollback", Tags: group,
		Summary: "Put an old config into force again", Description: "Makes a new revision with the old one's config. Where that is the config in force already, nothing changes.",
		Errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed}}, h.rollback)
}

func (h *handlers) getConfigV1(ctx context.Context, in *struct {
	Named
	IfNoneMatch string `header:"If-None-Match" doc:"An ETag that is known already: answered 304 if it is in force."`
}) (*configOutput, error) {
	r, err := h.service.ConfigAt(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	if unchanged(in.IfNoneMatch, r.Tag) {
		return &configOutput{Status: http.StatusNotModified, ETag: etag(r.Tag)}, nil
	}
	return &configOutput{Status: http.StatusOK, ETag: etag(r.Tag), Body: r.Config}, nil
}

func (h *handlers) putConfigV1(ctx context.Context, in *struct {
	Named
	IfMatch
	IfNoneMatch string `header:"If-None-Match" example:"*" doc:"* creates the connector only if there is none (412)."`
	DryRun
	Body Config
}) (*configOutput, error) {
	pre, err := precondition(in.IfMatch.IfMatch, in.IfNoneMatch)
	if err != nil {
		return nil, err
	}
	made, created, err := h.service.ReplaceConfig(ctx, in.Name, in.Body, pre, in.DryRun.DryRun, by(ctx))
	if err != nil {
		return nil, err
	}
	out := &configOutput{Status: http.StatusOK, ETag: etag(made.Tag), Body: made.Config}
	if created {
		out.Status, out.Location = http.StatusCreated, locationV1(made.Config["name"])
	}
	return out, nil
}

func (h *handlers) diff(ctx context.Context, in *struct {
	RevisionPath
	Against int64 `query:"against" minimum:"-1" default:"-1" doc:"The revision to compare with; the one before if absent, 0 is the empty config."`
}) (*body[control.Diff], error) {
	from := in.Against
	if from < 0 {
		from = in.Number - 1
	}
	d, err := h.service.DiffRevisions(ctx, in.Name, from, in.Number)
	return &body[control.Diff]{d}, err
}

func (h *handlers) rollback(ctx context.Context, in *struct {
	RevisionPath
	IfMatch
}) (*revisionOutput, error) {
	pre, err := precondition(in.IfMatch.IfMatch, "")
	if err != nil {
		return nil, err
	}
	r, err := h.service.Rollback(ctx, in.Name, in.Number, pre, by(ctx))
	if err != nil {
		return nil, err
	}
	return &revisionOutput{ETag: etag(r.Tag), Body: r}, nil
}
