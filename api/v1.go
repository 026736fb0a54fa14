package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/control"
)

// V1 is what the routes under /v1 need of the service.
type V1 interface {
	Overviews
	Revisions
	Positions
	Probes
	Happenings
	Fleet
	Answers
	Queues
	Bulk(ctx context.Context, b control.Bulk) (control.BulkResult, error)
}

// PageParams ask for a part of a list.
type PageParams struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"At most so many items."`
	Cursor string `query:"cursor" maxLength:"400" doc:"Where to go on: next of the page before."`
}

func (p PageParams) page() control.Page { return control.Page{Limit: p.Limit, Cursor: p.Cursor} }

// IfMatch makes a change depend on nothing else having changed.
type IfMatch struct {
	IfMatch string `header:"If-Match" example:"\"3-k1\"" doc:"The ETag that was read; with another one in force nothing is changed (412). A bare number stands for that version of any connector that has had the name, * for any version."`
}

// DryRun asks only to check.
type DryRun struct {
	DryRun bool `query:"dry_run" doc:"Check everything and change nothing."`
}

// precondition reads If-Match and If-None-Match. Weak tags count as what they name.
func precondition(match, noneMatch string) (control.Precondition, error) {
	var pre control.Precondition
	switch noneMatch = strings.TrimSpace(noneMatch); noneMatch {
	case "":
	case "*":
		pre.Absent = true
	default:
		return pre, &control.RequestError{Reason: fmt.Sprintf("If-None-Match = %s: a change takes only *, which stands for \"there is none yet\"", noneMatch),
			Field: "If-None-Match", Value: noneMatch, Remedy: "To change only what was read, give its ETag as If-Match."}
	}
	if match = strings.TrimSpace(match); match == "" {
		return pre, nil
	}
	for _, tag := range strings.Split(match, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" {
			pre.Exists = true
			continue
		}
		v, ok := parseTag(tag)
		if !ok {
			v.Number = -1 // no version has it: nothing matches
		}
		pre.Match = append(pre.Match, v)
	}
	return pre, nil
}

// etag is the ETag of a version.
func etag(v control.Version) string { return `"` + v.String() + `"` }

func parseTag(tag string) (v control.Version, ok bool) {
	return control.ParseVersion(strings.Trim(strings.TrimPrefix(tag, "W/"), `"`))
}

// unchanged reports whether a reader has this version already.
func unchanged(noneMatch string, now control.Version) bool {
	for _, tag := range strings.Split(noneMatch, ",") {
		tag = strings.TrimSpace(tag)
		if v, ok := parseTag(tag); tag == "*" || ok && v.Is(now) {
			return true
		}
	}
	return false
}

// body is an answer that has nothing but a body.
type body[T any] struct{ Body T }

// registerV1 adds the routes that Kafka Connect does not have.
func (h *handlers) registerV1(a huma.API) {
	installProblems()
	h.registerOverviews(a)
	h.registerRevisions(a)
	h.registerPositions(a)
	h.registerBulk(a)
	h.registerProbes(a)
	h.registerEvents(a)
	h.registerWorkers(a)
	h.registerQueues(a)
}

// v1 registers an operation under /v1. Beside op.Errors every operation may fail for what is nobody's request's fault.
func v1[I, O any](h *handlers, a huma.API, op huma.Operation, f func(context.Context, *I) (*O, error)) {
	if op.Method == http.MethodPost {
		describeKey(&op)
		op.Middlewares = append(op.Middlewares, h.once)
	}
	look(h, a, op, f)
}

// look is v1 for an operation that changes nothing, whatever its method: repeating it does no harm, and its answer is kept nowhere.
func look[I, O any](h *handlers, a huma.API, op huma.Operation, f func(context.Context, *I) (*O, error)) {
	op.Errors = append(op.Errors, http.StatusServiceUnavailable)
	op.Middlewares = append(op.Middlewares, placed)
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = maxBodyBytes
	}
	huma.Register(a, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := f(ctx, in)
		if err != nil {
			return nil, problemV1(ctx, err, h.log)
		}
		return out, nil
	})
}

type instanceKey struct{}

// placed has an operation's problems tell the path that was asked for.
func placed(hctx huma.Context, next func(huma.Context)) {
	next(huma.WithValue(hctx, instanceKey{}, hctx.URL().Path))
}
