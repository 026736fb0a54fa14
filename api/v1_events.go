package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/control"
)

// Happenings is what the routes about events need.
type Happenings interface {
	Events(ctx context.Context, q control.EventQuery) (control.Events, error)
	// EventsAfter are the oldest events with an id above after, oldest first, at most limit.
	EventsAfter(ctx context.Context, q control.EventQuery, after int64) ([]control.Event, error)
	// LastEvent is the id of the newest event, 0 if there is none.
	LastEvent(ctx context.Context) (int64, error)
}

// EventParams say which events to read, and how.
type EventParams struct {
	PageParams
	Kind        []string `query:"kind,explode" doc:"Only these kinds; may be repeated."`
	Accept      string   `header:"Accept" example:"text/event-stream" doc:"text/event-stream asks for the events from now on, as they happen."`
	LastEventID string   `header:"Last-Event-ID" example:"4711" doc:"With text/event-stream: the last event that was seen. 0 is from the beginning."`
}

func (h *handlers) registerEvents(a huma.API) {
	group := []string{"Events"}
	about := "As JSON newest first. With `Accept: text/event-stream` as a stream, oldest first: each event's data is an item of the JSON answer, its id the one to come back with in Last-Event-ID after an interruption. Events are kept for 30 days."
	v1(h, a, huma.Operation{OperationID: "v1-list-events", Metadata: access.NeedsFiltered(access.Viewer), Method: http.MethodGet, Path: "/v1/events", Tags: group,
		Summary: "What happened and why", Description: about, Errors: []int{http.StatusBadRequest}},
		func(ctx context.Context, in *EventParams) (*body[control.Events], error) {
			page, err := h.service.Events(ctx, control.EventQuery{Page: in.page(), Kinds: in.Kind})
			return &body[control.Events]{page}, err
		})
	v1(h, a, huma.Operation{OperationID: "v1-list-connector-events", Metadata: access.Needs(access.Viewer), Method: http.MethodGet, Path: "/v1/connectors/{name}/events", Tags: group,
		Summary: "What happened to a connector and why", Description: about + " The events of a connector that is gone can be read under its name, too.",
		Errors: []int{http.StatusBadRequest, http.StatusNotFound}},
		func(ctx context.Context, in *struct {
			Named
			EventParams
		}) (*body[control.Events], error) {
			page, err := h.service.Events(ctx, control.EventQuery{Page: in.page(), Connector: in.Name, Kinds: in.Kind})
			return &body[control.Events]{page}, err
		})
}
