package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// NoteTopics records that a connector uses topics: a source sends to them, a sink reads them. It does nothing for a
// connector that is gone.
func (c *Catalog) NoteTopics(ctx context.Context, uid int64, topics []string) error {
	if len(topics) == 0 {
		return nil
	}
	_, err := c.pool.Exec(ctx, `
		insert into gantry.used_topics (uid, topic)
		select distinct c.uid, t.topic from gantry.connectors c, unnest(@topics::text[]) as t(topic) where c.uid = @uid
		on conflict (uid, topic) do update set used_at = clock_timestamp()`,
		pgx.StrictNamedArgs{"uid": uid, "topics": topics})
	if err != nil {
		return fmt.Errorf("note the topics of connector with uid %d: %w", uid, err)
	}
	return nil
}

// Topics are the topics that a connector has used since they were last reset, sorted: those that tasks have noted, those of
// queues that are open, and those of which a sink has committed a position.
func (c *Catalog) Topics(ctx context.Context, uid int64) ([]string, error) {
	rows, err := c.pool.Query(ctx, `
		select topic from gantry.used_topics join gantry.connectors using (uid) where uid = @uid and used_at > topics_reset_at
		union
		select topic from gantry.open_queues where uid = @uid
		union
		select p.partition::json ->> 'rocketmq_topic' from gantry.positions p join gantry.connectors c using (uid)
		where uid = @uid and c.kind = 'sink' and p.epoch is not null and p.committed_at > c.topics_reset_at
		  and p.partition::json ->> 'rocketmq_topic' is not null
		order by 1`, pgx.StrictNamedArgs{"uid": uid})
	if err != nil {
		return nil, fmt.Errorf("read the topics of connector with uid %d: %w", uid, err)
	}
	topics, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read the topics of connector with uid %d: %w", uid, err)
	}
	return topics, nil
}

// ResetTopics forgets which topics a connector has used. It does nothing for a connector that is gone.
func (c *Catalog) ResetTopics(ctx context.Context, uid int64) error {
	_, err := c.pool.Exec(ctx, "update gantry.connectors set topics_reset_at = clock_timestamp() where uid = @uid",
		pgx.StrictNamedArgs{"uid": uid})
	if err != nil {
		return fmt.Errorf("reset the topics of connector with uid %d: %w", uid, err)
	}
	return nil
}
