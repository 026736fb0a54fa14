package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/control"
)

// Happenings is what the routes about events need.
type Happenings interface {
	Events(ctx context.Context, q control.EventQuery) (control.Events, error)
	// EventsAfter are the oldest events with an id above after, oldest first: q.Limit or some more, or fewer if these are all.
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
	answer := &huma.Response{Description: "OK", Content: map[string]*huma.MediaType{
		"application/json": {Schema: a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[control.Events](), true, "Events")},
		"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString, Description: "Server-sent events, as the HTML standard defines them."},
			Example: `id: 4711` + "\n" + `data: {"id":4711,"at":"` + exampleTime + `","connector":"flights-in","uid":1856,"kind":"desired","author":"ana","detail":"PAUSED, was RUNNING"}` + "\n\n"},
	}}
	v1(h, a, huma.Operation{OperationID: "v1-list-events", Metadata: access.NeedsFiltered(access.Viewer), Method: http.MethodGet, Path: "/v1/events", Tags: group,
		Summary: "What happened and why", Description: about, Responses: map[string]*huma.Response{"200": answer},
		Errors: []int{http.StatusBadRequest}},
		func(ctx context.Context, in *EventParams) (*huma.StreamResponse, error) {
			return h.events(ctx, "", in)
		})
	v1(h, a, huma.Operation{OperationID: "v1-list-connector-events", Metadata: access.Needs(access.Viewer), Method: http.MethodGet, Path: "/v1/connectors/{name}/events", Tags: group,
		Summary: "What happened to a connector and why", Description: about + " The events of a connector that is gone can be read under its name, too.",
		Responses: map[string]*huma.Response{"200": answer}, Errors: []int{http.StatusBadRequest, http.StatusNotFound}},
		func(ctx context.Context, in *struct {
			Named
			EventParams
		}) (*huma.StreamResponse, error) {
			return h.events(ctx, in.Name, &in.EventParams)
		})
}

func (h *handlers) events(ctx context.Context, connector string, in *EventParams) (*huma.StreamResponse, error) {
	q := control.EventQuery{Page: in.page(), Connector: connector, Kinds: in.Kind}
	if strings.Contains(in.Accept, "text/event-stream") {
		return h.follow(ctx, q, in.LastEventID)
	}
	page, err := h.service.Events(ctx, q)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		hctx.SetHeader("Content-Type", "application/json")
		if err := json.NewEncoder(hctx.BodyWriter()).Encode(page); err != nil {
			h.log.Debug("answer not written", "operation", hctx.Operation().OperationID, "error", err)
		}
	}}, nil
}

const (
	// eventsEvery is the pause between two looks for new events.
	eventsEvery = 500 * time.Millisecond
	// eventsSettle is after how long no event turns up any more whose id is below that of one that was seen.
	eventsSettle = 15 * time.Second
	// eventsQuiet is after how long without an event a stream says that it is alive, so that proxies leave it open.
	eventsQuiet = 15 * time.Second
	// eventsAtOnce is how many events are read in one go.
	eventsAtOnce = 1000
	// eventsProve is how often a stream's reader has to prove their name again, by the credentials that they came with.
	eventsProve = 5 * time.Second
	// eventsWrite is how long a reader may take to read what was sent.
	eventsWrite = 30 * time.Second
)

// follow streams events from now on, or from the one behind lastEventID on.
func (h *handlers) follow(ctx context.Context, q control.EventQuery, lastEventID string) (*huma.StreamResponse, error) {
	q.Limit = eventsAtOnce
	after, err := strconv.ParseInt(strings.TrimSpace(lastEventID), 10, 64)
	switch {
	case strings.TrimSpace(lastEventID) == "":
		if after, err = h.service.LastEvent(ctx); err != nil {
			return nil, err
		}
	case err != nil || after < 0:
		return nil, &control.RequestError{Reason: fmt.Sprintf("Last-Event-ID = %q: must be the id of an event, or 0", lastEventID),
			Field: "Last-Event-ID", Value: lastEventID, Remedy: "Leave it out to follow from now on."}
	}
	// What may be read is found out before the answer begins, so that it can be refused.
	first, err := h.service.EventsAfter(ctx, q, after)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		hctx.SetHeader("Content-Type", "text/event-stream")
		hctx.SetHeader("Cache-Control", "no-store")
		unread(hctx.BodyWriter())
		s := &eventStream{out: hctx.BodyWriter(), sent: map[int64]time.Time{}, floor: after, head: after, headAt: time.Now()}
		if err := h.stream(hctx.Context(), s, q, first); err != nil && hctx.Context().Err() == nil {
			h.log.Debug("stream of events ended", "error", err)
		}
	}}, nil
}

// stream sends events until ctx ends or the client goes away. It reads again what may have been overtaken, and leaves out
// what was sent.
func (h *handlers) stream(ctx context.Context, s *eventStream, q control.EventQuery, events []control.Event) error {
	if err := s.write(": events follow\n\n"); err != nil {
		return err
	}
	tick := time.NewTicker(eventsEvery)
	defer tick.Stop()
	more := make(chan time.Time)
	close(more)
	proved := time.Now()
	for readAt := time.Now(); ; {
		if err := s.send(events, time.Now()); err != nil {
			return err
		}
		next := tick.C
		if len(events) >= q.Limit {
			next = more
		} else if s.rise(readAt) {
			head, err := h.service.LastEvent(ctx)
			if err != nil {
				return err
			}
			s.head, s.headAt = head, time.Now()
		}
		select {
		case <-next:
		case <-h.guard.Stopping:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
		readAt = time.Now()
		var err error
		if time.Since(proved) >= eventsProve {
			if err = stillProved(ctx); err != nil {
				return err // a token that was revoked, or has expired; the client comes back and is told
			}
			proved = time.Now()
		}
		if events, err = h.service.EventsAfter(ctx, q, s.floor); err != nil {
			return err // the client comes back with the last id
		}
	}
}

// eventStream is one client's stream.
type eventStream struct {
	out     io.Writer
	floor   int64               // everything up to this id was sent
	sent    map[int64]time.Time // what was sent above floor, and when
	head    int64               // the newest of all events at headAt, for whomever
	headAt  time.Time
	spokeAt time.Time
}

// rise raises the floor over what is not for this client, too, once it was looked through and nothing turns up there any more:
// it would be read with every look otherwise. It reports whether it is time to see where all events end now.
func (s *eventStream) rise(readAt time.Time) bool {
	if readAt.Sub(s.headAt) < eventsSettle {
		return false
	}
	s.floor = max(s.floor, s.head)
	maps.DeleteFunc(s.sent, func(id int64, _ time.Time) bool { return id <= s.floor })
	return true
}

func (s *eventStream) send(events []control.Event, now time.Time) error {
	for _, e := range events {
		if _, ok := s.sent[e.ID]; ok {
			continue
		}
		data, err := json.Marshal(e)
		if err != nil {
			return err
		}
		if err := s.write(fmt.Sprintf("id: %d\ndata: %s\n\n", e.ID, data)); err != nil {
			return err
		}
		s.sent[e.ID], s.spokeAt = now, now
	}
	s.settle(events, now)
	if now.Sub(s.spokeAt) < eventsQuiet {
		return nil
	}
	s.spokeAt = now
	return s.write(": still here\n\n")
}

// settle raises the floor over events that were sent a while ago, and over a full batch, behind which it could not look
// otherwise.
func (s *eventStream) settle(events []control.Event, now time.Time) {
	for _, e := range events {
		if len(events) < eventsAtOnce && now.Sub(s.sent[e.ID]) < eventsSettle {
			return
		}
		s.floor = e.ID
		delete(s.sent, e.ID)
	}
}

func (s *eventStream) write(text string) error {
	w, ok := s.out.(http.ResponseWriter)
	if !ok {
		_, err := io.WriteString(s.out, text)
		return err
	}
	c := http.NewResponseController(w)
	// The server's deadline for a whole answer gives way to one for each part. Where none can be set, as in tests, there is none.
	_ = c.SetWriteDeadline(time.Now().Add(eventsWrite))
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return c.Flush()
}

// unread lifts the server's deadline for reading from a connection on which an answer takes as long as the client listens.
func unread(out io.Writer) {
	if w, ok := out.(http.ResponseWriter); ok {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // without one, there is none to lift
	}
}
