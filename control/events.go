package control

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/catalog"
)

// Event is something that happened to a connector or one of its tasks.
type Event struct {
	ID        int64     `json:"id" example:"4711" doc:"Rises; the id of the SSE event."`
	At        time.Time `json:"at"`
	Connector string    `json:"connector" example:"flights-in"`
	UID       int64     `json:"uid" doc:"Of the connector: tells it from others of the same name before or after it."`
	Task      *int      `json:"task,omitempty" doc:"Absent where it concerns the whole connector."`
	Kind      string    `json:"kind" example:"desired" doc:"What happened: created, configured, desired, restart, planned, failed, …"`
	Author    string    `json:"author,omitempty" example:"ana" doc:"Absent where nobody asked for it."`
	Detail    string    `json:"detail" example:"PAUSED, was RUNNING" doc:"Why, or what exactly; for people."`
}

// Events is a page of events, newest first.
type Events struct {
	Items []Event `json:"items" nullable:"false"`
	Next  string  `json:"next,omitempty" doc:"The cursor of the next page; absent on the last."`
}

// EventQuery says which events to read.
type EventQuery struct {
	Page
	Connector string // empty: of all
	Kinds     []string
}

// eventsAtOnce is how many events are read in one go while a page is being filled.
const eventsAtOnce = 500

// Events is a page of the events that q asks for and that the caller may see, newest first. The events of a connector that
// is gone can be read as long as they are kept.
func (s *Service) Events(ctx context.Context, q EventQuery) (Events, error) {
	before, err := cursorNumber(q.Cursor)
	if err != nil {
		return Events{}, err
	}
	out, sees := Events{Items: []Event{}}, s.eventScope(ctx)
	for {
		batch, err := s.connectors.EventsBefore(ctx, catalog.EventFilter{Connector: q.Connector, Kinds: q.Kinds}, before, eventsAtOnce)
		if err != nil {
			return Events{}, translate(err, "")
		}
		for _, e := range batch {
			before = e.ID
			may, err := sees(e.Connector)
			if err != nil {
				return Events{}, err
			}
			if !may {
				continue
			}
			if len(out.Items) == q.Limit {
				out.Next = strconv.FormatInt(out.Items[q.Limit-1].ID, 10)
				return out, nil
			}
			out.Items = append(out.Items, eventOf(e))
		}
		if len(batch) < eventsAtOnce {
			break
		}
	}
	if len(out.Items) == 0 && q.Connector != "" && q.Cursor == "" {
		err = s.everKnown(ctx, q.Connector)
	}
	return out, err
}

// everKnown is nil if there is a connector of the name, or are events of one that is gone.
func (s *Service) everKnown(ctx context.Context, name string) error {
	_, err := s.find(ctx, name)
	var missing *NotFoundError
	if !errors.As(err, &missing) {
		return err
	}
	events, ferr := s.connectors.EventsBefore(ctx, catalog.EventFilter{Connector: name}, 0, 1)
	switch {
	case ferr != nil:
		return translate(ferr, name)
	case len(events) > 0:
		return nil
	}
	return err
}

// EventsAfter are the oldest events behind an id that the caller may see, oldest first: q.Limit or some more, or fewer if these are all.
func (s *Service) EventsAfter(ctx context.Context, q EventQuery, after int64) ([]Event, error) {
	sees := s.eventScope(ctx)
	events := []Event{}
	for {
		batch, err := s.connectors.EventsAfter(ctx, catalog.EventFilter{Connector: q.Connector, Kinds: q.Kinds}, after, q.Limit)
		if err != nil {
			return nil, translate(err, "")
		}
		for _, e := range batch {
			after = e.ID
			may, err := sees(e.Connector)
			if err != nil {
				return nil, err
			}
			if may {
				events = append(events, eventOf(e))
			}
		}
		if len(batch) < q.Limit || len(events) >= q.Limit {
			return events, nil
		}
	}
}

// LastEvent is the id of the newest event, 0 if there is none.
func (s *Service) LastEvent(ctx context.Context) (int64, error) {
	id, err := s.connectors.LastEvent(ctx)
	return id, translate(err, "")
}

// eventScope tells whether the caller may see a connector's events. Nobody knows the labels of one that is gone: it is in no
// scope that goes by them.
func (s *Service) eventScope(ctx context.Context) func(name string) (bool, error) {
	known := map[string]bool{}
	p, scoped := access.From(ctx)
	scoped = scoped && !p.Scope.IsAll()
	return func(name string) (bool, error) {
		may, ok := known[name]
		if !scoped || ok {
			return !scoped || may, nil
		}
		labels, err := s.connectors.ConnectorLabels(ctx, name)
		if err != nil {
			return false, translate(err, name)
		}
		gone := labels == nil
		known[name] = access.Sees(ctx, name, labels) && !(gone && p.Scope.ByLabel())
		return known[name], nil
	}
}

func eventOf(e catalog.Event) Event {
	return Event{ID: e.ID, At: e.At, Connector: e.Connector, UID: e.UID, Task: e.Task, Kind: string(e.Kind), Author: e.Author, Detail: e.Detail}
}
