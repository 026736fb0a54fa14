package control

import "time"

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
