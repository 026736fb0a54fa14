package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Fence is a message in a queue after which a reader drops everything of its writer with a lower (Epoch, Term).
type Fence struct {
	Queue
	Writer uint32
	Epoch  int64
	Term   uint32
	Offset int64 // of the fence in the queue
}

// FencesBefore reads what a reader must know that starts at offset without any state: of each writer the highest
// (epoch, term) among its fences that lie before offset.
func (c *Catalog) FencesBefore(ctx context.Context, q Queue, offset int64) ([]Fence, error) {
	rows, err := c.pool.Query(ctx, `
		select distinct on (writer) topic, broker, queue, writer, epoch, term, "offset"
		from gantry.fences
		where topic = @topic and broker = @broker and queue = @queue and "offset" < @offset
		order by writer, epoch desc, term desc`,
		pgx.StrictNamedArgs{"topic": q.Topic, "broker": q.Broker, "queue": q.ID, "offset": offset})
	if err != nil {
		return nil, fmt.Errorf("read the fences of %s %s/%d before %d: %w", q.Topic, q.Broker, q.ID, offset, err)
	}
	fences, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f Fence, err error) {
		err = row.Scan(&f.Topic, &f.Broker, &f.ID, &f.Writer, &f.Epoch, &f.Term, &f.Offset)
		return f, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the fences of %s %s/%d before %d: %w", q.Topic, q.Broker, q.ID, offset, err)
	}
	return fences, nil
}

// FencedQueues are the queues in which a writer has more than one fence: where PruneFences may find something.
func (c *Catalog) FencedQueues(ctx context.Context) ([]Queue, error) {
	rows, err := c.pool.Query(ctx, `
		select distinct topic, broker, queue from gantry.fences
		group by topic, broker, queue, writer having count(*) > 1 order by topic, broker, queue`)
	if err != nil {
		return nil, fmt.Errorf("list the queues with fences: %w", err)
	}
	queues, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (q Queue, err error) {
		err = row.Scan(&q.Topic, &q.Broker, &q.ID)
		return q, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the queues with fences: %w", err)
	}
	return queues, nil
}

// PruneFences removes the fences of a queue that no reader can need any more, given the lowest offset the queue still
// holds. A reader starts at low or later, so all it needs of a writer is the highest fence before its start. A fence is
// therefore useless once a higher one of the same writer lies before low; that a higher one lies merely behind it is not
// enough, because a reader may start between the two. The last fence of a writer stays for ever: a frozen owner may still
// send, however late.
func (c *Catalog) PruneFences(ctx context.Context, q Queue, low int64) (removed int64, err error) {
	tag, err := c.pool.Exec(ctx, `
		delete from gantry.fences f using gantry.fences n
		where f.topic = @topic and f.broker = @broker and f.queue = @queue
		  and (n.topic, n.broker, n.queue, n.writer) = (f.topic, f.broker, f.queue, f.writer)
		  and (n.epoch, n.term) > (f.epoch, f.term) and n."offset" < @low`,
		pgx.StrictNamedArgs{"topic": q.Topic, "broker": q.Broker, "queue": q.ID, "low": low})
	if err != nil {
		return 0, fmt.Errorf("prune the fences of %s %s/%d: %w", q.Topic, q.Broker, q.ID, err)
	}
	return tag.RowsAffected(), nil
}
