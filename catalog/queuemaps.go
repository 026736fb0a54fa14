package catalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// QueueMap reads the newest map from keys to queues of a connector's topic: a key's hash picks an index. ErrNotFound if
// none is frozen yet.
func (c *Catalog) QueueMap(ctx context.Context, uid int64, topic string) ([]Queue, error) {
	queues, err := c.queueMap(ctx, uid, topic)
	if err != nil {
		return nil, fmt.Errorf("read the queue map of topic %s for connector with uid %d: %w", topic, uid, err)
	}
	return queues, nil
}

func (c *Catalog) queueMap(ctx context.Context, uid int64, topic string) (queues []Queue, err error) {
	err = c.pool.QueryRow(ctx, `
		select queues from gantry.queue_maps where uid = @uid and topic = @topic order by version desc limit 1`,
		pgx.StrictNamedArgs{"uid": uid, "topic": topic}).Scan(&queues)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	return queues, err
}

// FreezeQueueMap makes queues the first version of the map, unless there is one already, and returns the map that counts:
// of several that freeze at once, the first wins and all get its map.
func (c *Catalog) FreezeQueueMap(ctx context.Context, uid int64, topic string, queues []Queue) ([]Queue, error) {
	what := fmt.Sprintf("freeze the queue map of topic %s for connector with uid %d", topic, uid)
	if len(queues) == 0 {
		return nil, fmt.Errorf("%s: it has no queue", what)
	}
	_, err := c.pool.Exec(ctx, `
		insert into gantry.queue_maps (uid, topic, version, queues) values (@uid, @topic, 1, @queues)
		on conflict (uid, topic, version) do nothing`,
		pgx.StrictNamedArgs{"uid": uid, "topic": topic, "queues": queues})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if queues, err = c.queueMap(ctx, uid, topic); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return queues, nil
}
