package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// probesKept is how long a question and its answer stay at most.
const probesKept = 5 * time.Minute

// Ask stores a question that a worker is to answer, and returns the id under which it finds it. Question and answer are gone
// after five minutes.
func (c *Catalog) Ask(ctx context.Context, request json.RawMessage) (id string, err error) {
	b := &pgx.Batch{}
	b.Queue("delete from gantry.probes where expires_at < clock_timestamp()")
	b.Queue(`insert into gantry.probes (request, expires_at) values (@request, clock_timestamp() + @kept::interval) returning id::text`,
		pgx.StrictNamedArgs{"request": request, "kept": probesKept}).
		QueryRow(func(row pgx.Row) error { return row.Scan(&id) })
	if err := c.pool.SendBatch(ctx, b).Close(); err != nil {
		return "", fmt.Errorf("store a question to the workers: %w", err)
	}
	return id, nil
}

// Question reads what was asked; ErrNotFound if it has expired.
func (c *Catalog) Question(ctx context.Context, id string) (json.RawMessage, error) {
	var request json.RawMessage
	err := c.pool.QueryRow(ctx, "select request from gantry.probes where id = @id::uuid and expires_at > clock_timestamp()",
		pgx.StrictNamedArgs{"id": id}).Scan(&request)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read question %s: %w", id, err)
	}
	return request, nil
}

// Reply stores the answer to a question; it does nothing if the question has gone.
func (c *Catalog) Reply(ctx context.Context, id string, answer json.RawMessage) error {
	_, err := c.pool.Exec(ctx, "update gantry.probes set answer = @answer where id = @id::uuid",
		pgx.StrictNamedArgs{"id": id, "answer": answer})
	if err != nil {
		return fmt.Errorf("store the answer to question %s: %w", id, err)
	}
	return nil
}

// TakeReply reads the answer to a question and removes both; ErrNotFound if there is none.
func (c *Catalog) TakeReply(ctx context.Context, id string) (json.RawMessage, error) {
	var answer json.RawMessage
	err := c.pool.QueryRow(ctx, "delete from gantry.probes where id = @id::uuid and answer is not null returning answer",
		pgx.StrictNamedArgs{"id": id}).Scan(&answer)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read the answer to question %s: %w", id, err)
	}
	return answer, nil
}

// pruneRequests forgets questions and kept answers whose time is over.
func pruneRequests(b *pgx.Batch) {
	b.Queue("delete from gantry.probes where expires_at < clock_timestamp()")
	b.Queue("delete from gantry.kept_answers where taken_at < clock_timestamp() - @kept::interval",
		pgx.StrictNamedArgs{"kept": answersKept})
}
