package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/control"
)

// Queues is what the routes about a source's queues need.
type Queues interface {
	Queues(ctx context.Context, name string) ([]control.TopicQueues, error)
	Requeue(ctx context.Context, name string, r control.Requeue, author string) ([]control.TopicQueues, error)
}

// QueueList is the queues that a source sends to.
type QueueList struct {
	Items []control.TopicQueues `json:"items" nullable:"false"`
}

// NewQueues is the body of POST /v1/connectors/{name}/queues.
type NewQueues struct {
	Topic string `json:"topic,omitempty" maxLength:"127" example:"flights" doc:"Only this topic; if absent, all that the connector has sent to."`
	Force bool   `json:"force,omitempty" doc:"Also while sinks have not read to the end: of some keys, later records may then be read before earlier ones."`
}

func (h *handlers) registerQueues(a huma.API) {
	group := []string{"Queues"}
	v1(h, a, huma.Operation{OperationID: "v1-get-queues", Metadata: access.Needs(access.Viewer), Method: http.MethodGet, Path: "/v1/connectors/{name}/queues", Tags: group,
		Summary: "Which queues a source sends to", Description: "They are frozen when the connector first sends to a topic: queues that a topic gets later stay unused until they are taken up.",
		Errors: []int{http.StatusBadRequest, http.StatusNotFound}},
		func(ctx context.Context, in *Named) (*body[QueueList], error) {
			all, err := h.service.Queues(ctx, in.Name)
			return &body[QueueList]{QueueList{all}}, err
		})
	v1(h, a, huma.Operation{OperationID: "v1-take-up-queues", Metadata: access.Needs(access.Operator), Method: http.MethodPost, Path: "/v1/connectors/{name}/queues", Tags: group, DefaultStatus: http.StatusOK,
		Summary: "Send to the queues that the topics have now", Description: "The source must be stopped and its tasks must have ended, and the sinks of this installation must have read what is there (409). Its keys are then spread over all queues of the topics.",
		Errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict}},
		func(ctx context.Context, in *struct {
			Named
			Body *NewQueues
		}) (*body[QueueList], error) {
			var wanted control.Requeue
			if in.Body != nil {
				wanted = control.Requeue{Topic: in.Body.Topic, Force: in.Body.Force}
			}
			all, err := h.service.Requeue(ctx, in.Name, wanted, by(ctx))
			return &body[QueueList]{QueueList{all}}, err
		})
}
