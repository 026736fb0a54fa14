package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// EventKind says what happened.
type EventKind string

// What the catalog itself tells of. Others have kinds of their own.
const (
	EventCreated    EventKind = "created"
	EventConfigured EventKind = "configured"
	EventDesired    EventKind = "desired"
	EventRestart    EventKind = "restart"
	EventPlanned    EventKind = "planned"
	EventEdited     EventKind = "position edited"
	EventQueues     EventKind = "queues changed"
	EventFailed     EventKind = "failed"
	EventForgotten  EventKind = "forgotten"
)

// Event is something that happened to a connector or one of its tasks. Events outlive their connector.
type Event struct {
	ID        int64     // set by the catalog; rises
	At        time.Time // set by the catalog
	UID       int64
	Connector string
	Task      *int // nil if it concerns the connector
	Kind      EventKind
	Author    string // empty if nobody asked for it
	Detail    string // why, or what exactly; for people
}

const insertEvent = `insert into gantry.events (uid, connector, task, kind, author, detail)
	values (@uid, @connector, @task, @kind, @author, @detail)`

func (e Event) args() pgx.StrictNamedArgs {
	return pgx.StrictNamedArgs{
		"uid": e.UID, "connector": e.Connector, "task": e.Task, "kind": e.Kind, "author": e.Author, "detail": storable(e.Detail),
	}
}

func queueEvent(b *pgx.Batch, e Event) { b.Queue(insertEvent, e.args()) }

// RecordEvent notes what the catalog cannot know by itself.
func (c *Catalog) RecordEvent(ctx context.Context, e Event) error {
	if _, err := c.pool.Exec(ctx, insertEvent, e.args()); err != nil {
		return fmt.Errorf("record event %q of connector %s: %w", e.Kind, e.Connector, err)
	}
	return nil
}

// Events reads a connector's newest events, newest first, at most limit.
func (c *Catalog) Events(ctx context.Context, uid int64, limit int) ([]Event, error) {
	rows, err := c.pool.Query(ctx, `
		select id, at, uid, connector, task, kind, author, detail
		from gantry.events where uid = @uid order by id desc limit @limit`,
		pgx.StrictNamedArgs{"uid": uid, "limit": limit})
	if err != nil {
		return nil, fmt.Errorf("read the events of connector with uid %d: %w", uid, err)
	}
	events, err := pgx.CollectRows(rows, pgx.RowToStructByName[Event])
	if err != nil {
		return nil, fmt.Errorf("read the events of connector with uid %d: %w", uid, err)
	}
	return events, nil
}

// Prune removes events, and epochs that have ended, that are older than keep by the database's clock, and what else has
// expired.
func (c *Catalog) Prune(ctx context.Context, keep time.Duration) error {
	args := pgx.StrictNamedArgs{"keep": keep}
	b := &pgx.Batch{}
	b.Queue("delete from gantry.events where at < clock_timestamp() - @keep::interval", args)
	b.Queue("delete from gantry.epochs where ended_at < clock_timestamp() - @keep::interval", args)
	pruneRequests(b)
	if err := c.pool.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("prune the history: %w", err)
	}
	return nil
}
