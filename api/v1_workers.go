package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/control"
)

// Fleet is what the routes about workers need.
type Fleet interface {
	Workers(ctx context.Context) (control.Workers, error)
	Worker(ctx context.Context, id string) (control.Worker, error)
	Cordon(ctx context.Context, id string, cordoned bool, author string) (control.Worker, error)
	Rebalance(ctx context.Context, author string) (control.Rebalance, error)
}

// WorkerPath is the path of one worker.
type WorkerPath struct {
	ID string `path:"id" example:"host-1-4711" doc:"The worker's id, percent-encoded."`
}

func (h *handlers) registerWorkers(a huma.API) {
	group := []string{"Workers"}
	v1(h, a, huma.Operation{OperationID: "v1-list-workers", Metadata: access.NeedsFiltered(access.Viewer), Method: http.MethodGet, Path: "/v1/workers", Tags: group,
		Summary: "The workers and what they run", Description: "Also those that went silent within the last hour."},
		func(ctx context.Context, _ *struct{}) (*body[control.Workers], error) {
			all, err := h.service.Workers(ctx)
			return &body[control.Workers]{all}, err
		})
	v1(h, a, huma.Operation{OperationID: "v1-get-worker", Metadata: access.NeedsFiltered(access.Viewer), Method: http.MethodGet, Path: "/v1/workers/{id}", Tags: group,
		Summary: "A worker and what it runs", Errors: []int{http.StatusNotFound}},
		func(ctx context.Context, in *WorkerPath) (*body[control.Worker], error) {
			w, err := h.service.Worker(ctx, in.ID)
			return &body[control.Worker]{w}, err
		})
	for _, verb := range []struct {
		name, summary, description string
		cordoned                   bool
	}{
		{"drain", "Have a worker hand over its tasks", "It lets go of its tasks, one by one, and takes none until undrain or its end. Its process goes on.", true},
		{"undrain", "Let a worker take tasks again", "", false},
	} {
		v1(h, a, huma.Operation{OperationID: "v1-" + verb.name + "-worker", Metadata: access.Needs(access.Admin), Method: http.MethodPost, Path: "/v1/workers/{id}/" + verb.name, Tags: group,
			Summary: verb.summary, Description: verb.description, DefaultStatus: http.StatusAccepted, Errors: []int{http.StatusNotFound}},
			func(ctx context.Context, in *WorkerPath) (*body[control.Worker], error) {
				w, err := h.service.Cordon(ctx, in.ID, verb.cordoned, by(ctx))
				return &body[control.Worker]{w}, err
			})
	}
	v1(h, a, huma.Operation{OperationID: "v1-rebalance", Metadata: access.Needs(access.Admin), Method: http.MethodPost, Path: "/v1/workers/rebalance", Tags: group,
		Summary: "Have the workers share the tasks evenly now", Description: "They do so by themselves, slowly; this is for who does not want to wait.",
		DefaultStatus: http.StatusAccepted},
		func(ctx context.Context, _ *struct{}) (*body[control.Rebalance], error) {
			r, err := h.service.Rebalance(ctx, by(ctx))
			return &body[control.Rebalance]{r}, err
		})
}
