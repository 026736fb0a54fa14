package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"

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

// QueueMap is the newest map of a topic, with its version.
type QueueMap struct {
	Topic   string
	Version int
	Queues  []Queue
}

// QueueMaps reads the newest map of each topic that a connector has one of, by topic.
func (c *Catalog) QueueMaps(ctx context.Context, uid int64) ([]QueueMap, error) {
	rows, err := c.pool.Query(ctx, `
		select distinct on (topic) topic, version, queues from gantry.queue_maps where uid = @uid order by topic, version desc`,
		pgx.StrictNamedArgs{"uid": uid})
	if err != nil {
		return nil, fmt.Errorf("read the queue maps of connector with uid %d: %w", uid, err)
	}
	maps, err := pgx.CollectRows(rows, pgx.RowToStructByName[QueueMap])
	if err != nil {
		return nil, fmt.Errorf("read the queue maps of connector with uid %d: %w", uid, err)
	}
	return maps, nil
}

// InstallQueueMap makes queues the next version of a topic's map, and returns the version that is in force; one that is the same as
// the newest changes nothing. It raises the position's generation, because no task may go back to where keys had other queues.
// ErrNotFound if there is no such connector, or no map yet; ErrNotSettled as in EditPositions.
func (c *Catalog) InstallQueueMap(ctx context.Context, uid int64, topic string, queues []Queue, author string) (version int, err error) {
	_, err = c.change(ctx, "uid", uid, func(tx pgx.Tx, conn *Connector) error {
		if err := requireSettled(ctx, tx, conn); err != nil {
			return err
		}
		var old []Queue
		err := tx.QueryRow(ctx, `
			select version, queues from gantry.queue_maps where uid = @uid and topic = @topic order by version desc limit 1`,
			pgx.StrictNamedArgs{"uid": uid, "topic": topic}).Scan(&version, &old)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil || slices.Equal(old, queues) {
			return err
		}
		version++
		b := &pgx.Batch{}
		b.Queue("insert into gantry.queue_maps (uid, topic, version, queues) values (@uid, @topic, @version, @queues)",
			pgx.StrictNamedArgs{"uid": uid, "topic": topic, "version": version, "queues": queues})
		b.Queue(`update gantry.connectors
			set position_generation = position_generation + 1, author = @author, updated_at = clock_timestamp() where uid = @uid`,
			pgx.StrictNamedArgs{"uid": uid, "author": author})
		queueEvent(b, Event{UID: uid, Connector: conn.Name, Kind: EventQueues, Author: author,
			Detail: fmt.Sprintf("topic %s, version %d: %d queues, were %d", topic, version, len(queues), len(old))})
		return tx.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return 0, fmt.Errorf("install the queues of topic %s for connector with uid %d: %w", topic, uid, err)
	}
	return version, nil
}
