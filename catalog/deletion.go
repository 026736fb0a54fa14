package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Deletion says what goes with a connector.
type Deletion struct {
	KeepPositions bool  // they wait for the next connector of the name and kind
	DropTopics    bool  // the topics that a source wrote to go, too
	UID           int64 // of the connector that the caller has seen; 0 is any
	Expected      int64 // the revision that the caller has seen; 0 is any
}

// Delete is DeleteConnector with a say in what goes along. ErrNotFound; ErrDeleting if it is being deleted already, and
// ErrChanged if it is another one, or its revision is.
func (c *Catalog) Delete(ctx context.Context, name string, d Deletion, author string) error {
	_, err := c.change(ctx, "name", name, func(tx pgx.Tx, conn *Connector) error {
		switch {
		case conn.Desired == StateDeleted:
			return ErrDeleting
		case d.UID != 0 && d.UID != conn.UID:
			return fmt.Errorf("expected the connector with uid %d, it has %d: %w", d.UID, conn.UID, ErrChanged)
		case d.Expected != 0 && d.Expected != conn.Revision:
			return fmt.Errorf("expected revision %d, it is %d: %w", d.Expected, conn.Revision, ErrChanged)
		}
		b := &pgx.Batch{}
		b.Queue(`update gantry.connectors
			set desired = @desired, keeps_positions = @keep, drops_topics = @drop, author = @author, updated_at = clock_timestamp()
			where uid = @uid`, pgx.StrictNamedArgs{"uid": conn.UID, "desired": StateDeleted, "keep": d.KeepPositions,
			"drop": d.DropTopics, "author": author})
		queueEvent(b, Event{UID: conn.UID, Connector: conn.Name, Kind: EventDesired, Author: author,
			Detail: fmt.Sprintf("%s, was %s; positions kept: %t, topics dropped: %t", StateDeleted, conn.Desired, d.KeepPositions, d.DropTopics)})
		return tx.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return fmt.Errorf("delete connector %s: %w", name, err)
	}
	return nil
}

// queueKeep copies the positions of a connector that is to leave them behind.
func queueKeep(b *pgx.Batch, uid int64) {
	args := pgx.StrictNamedArgs{"uid": uid}
	b.Queue(`delete from gantry.kept_positions k using gantry.connectors c
		where c.uid = @uid and c.keeps_positions and k.connector = c.name and k.kind = c.kind`, args)
	b.Queue(`insert into gantry.kept_positions (connector, kind, partition, "offset")
		select c.name, c.kind, p.partition, p."offset" from gantry.connectors c join gantry.positions p using (uid)
		where c.uid = @uid and c.keeps_positions`, args)
}

// TopicsToDrop are the topics that have to go with a deleted source: those it wrote to that no other connector has used.
func (c *Catalog) TopicsToDrop(ctx context.Context, uid int64) ([]string, error) {
	rows, err := c.pool.Query(ctx, `
		select u.topic from gantry.used_topics u join gantry.connectors c using (uid)
		where uid = @uid and c.drops_topics and c.kind = 'source' and not exists (
			select from gantry.used_topics o where o.topic = u.topic and o.uid <> u.uid)
		order by u.topic`, pgx.StrictNamedArgs{"uid": uid})
	if err != nil {
		return nil, fmt.Errorf("read the topics that go with connector with uid %d: %w", uid, err)
	}
	topics, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read the topics that go with connector with uid %d: %w", uid, err)
	}
	return topics, nil
}

// TopicDone takes a topic off those that have to go, and records what became of it.
func (c *Catalog) TopicDone(ctx context.Context, topic string, e Event) error {
	b := &pgx.Batch{} // one transaction
	b.Queue("delete from gantry.used_topics where uid = @uid and topic = @topic", pgx.StrictNamedArgs{"uid": e.UID, "topic": topic})
	queueEvent(b, e)
	if err := c.pool.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("record what became of topic %s: %w", topic, err)
	}
	return nil
}
