package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// EventFilter picks events. Empty fields pick all.
type EventFilter struct {
	Connector string // by name: also those of connectors that had the name before
	Kinds     []string
}

const selectEvents = `
	select id, at, uid, connector, task, kind, author, detail from gantry.events
	where (@connector::text = '' or connector = @connector) and (@any_kind::boolean or kind = any(@kinds::text[]))`

func (f EventFilter) args(bound int64, limit int) pgx.StrictNamedArgs {
	kinds := f.Kinds
	if kinds == nil {
		kinds = []string{}
	}
	return pgx.StrictNamedArgs{"connector": f.Connector, "any_kind": len(kinds) == 0, "kinds": kinds, "bound": bound, "limit": limit}
}

// EventsBefore reads events with an id below before, newest first, at most limit; before = 0 begins with the newest.
func (c *Catalog) EventsBefore(ctx context.Context, f EventFilter, before int64, limit int) ([]Event, error) {
	return c.readEvents(ctx, selectEvents+" and (@bound::bigint = 0 or id < @bound) order by id desc limit @limit", f.args(before, limit))
}

// EventsAfter reads events with an id above after, oldest first, at most limit. An event whose transaction takes longer than
// that of one with a higher id appears later: who follows the events reads the last seconds again.
func (c *Catalog) EventsAfter(ctx context.Context, f EventFilter, after int64, limit int) ([]Event, error) {
	return c.readEvents(ctx, selectEvents+" and id > @bound order by id limit @limit", f.args(after, limit))
}

func (c *Catalog) readEvents(ctx context.Context, sql string, args pgx.StrictNamedArgs) ([]Event, error) {
	rows, err := c.pool.Query(ctx, sql, args)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	events, err := pgx.CollectRows(rows, pgx.RowToStructByName[Event])
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return events, nil
}

// LastEvent is the id of the newest event; 0 if there is none.
func (c *Catalog) LastEvent(ctx context.Context) (id int64, err error) {
	if err := c.pool.QueryRow(ctx, "select coalesce(max(id), 0) from gantry.events").Scan(&id); err != nil {
		return 0, fmt.Errorf("read the last event's id: %w", err)
	}
	return id, nil
}
