package activities

import (
	"context"
	"errors"
	"time"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/pipeline"
)

// Events of tasks, beside the catalog's own.
const (
	eventDoubt     catalog.EventKind = "guarantee in doubt" // messages were lost, or may be doubled, and the task went on
	eventWentBack  catalog.EventKind = "went back"          // messages were lost, and the task sends again what is missing
	eventUnsettled catalog.EventKind = "not settled"        // a task's end was not settled, and things went on
)

// eventOf is the kind of event that a problem of a task which goes on is.
func eventOf(problem error) catalog.EventKind {
	var back *pipeline.WentBackError
	if errors.As(problem, &back) {
		return eventWentBack
	}
	return eventDoubt
}

// noteWithin bounds bookkeeping about trouble.
const noteWithin = 2 * time.Second

// note stores an event of a task. That it could not be is only logged: what it tells is in the log as well.
func (a *Activities) note(ctx context.Context, p plan, kind catalog.EventKind, detail string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteWithin)
	defer cancel()
	task := p.task.Number
	err := a.Catalog.RecordEvent(ctx, catalog.Event{UID: p.conn.UID, Connector: p.conn.Name, Task: &task, Kind: kind, Detail: detail})
	if err != nil {
		p.log.Warn("record an event", "kind", kind, "detail", detail, "error", err)
	}
}
