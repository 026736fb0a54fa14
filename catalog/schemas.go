package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// PutSchema stores a schema's JSON form under its fingerprint, byte for byte. A fingerprint that is there already is left
// alone: equal fingerprints mean equal schemas.
func (c *Catalog) PutSchema(ctx context.Context, fingerprint string, body []byte) error {
	_, err := c.pool.Exec(ctx, `
		insert into gantry.schemas (fingerprint, body) values (@fingerprint, @body) on conflict (fingerprint) do nothing`,
		pgx.StrictNamedArgs{"fingerprint": fingerprint, "body": json.RawMessage(body)})
	if err != nil {
		return fmt.Errorf("put schema %s: %w", fingerprint, err)
	}
	return nil
}

// SchemaDue reports whether a schema that was put has not been written to the schema topic for so long, or never.
func (c *Catalog) SchemaDue(ctx context.Context, fingerprint string, every time.Duration) (due bool, err error) {
	err = c.pool.QueryRow(ctx, `
		select exists (select from gantry.schemas
			where fingerprint = @fingerprint and (published_at is null or published_at < clock_timestamp() - @every::interval))`,
		pgx.StrictNamedArgs{"fingerprint": fingerprint, "every": every}).Scan(&due)
	if err != nil {
		return false, fmt.Errorf("look when schema %s was published: %w", fingerprint, err)
	}
	return due, nil
}

// NoteSchemaPublished notes that a schema has been written to the schema topic just now.
func (c *Catalog) NoteSchemaPublished(ctx context.Context, fingerprint string) error {
	_, err := c.pool.Exec(ctx, "update gantry.schemas set published_at = clock_timestamp() where fingerprint = @fingerprint",
		pgx.StrictNamedArgs{"fingerprint": fingerprint})
	if err != nil {
		return fmt.Errorf("note that schema %s was published: %w", fingerprint, err)
	}
	return nil
}

// Schema reads a schema's JSON form as it was put; ErrNotFound.
func (c *Catalog) Schema(ctx context.Context, fingerprint string) ([]byte, error) {
	var body string
	err := c.pool.QueryRow(ctx, "select body::text from gantry.schemas where fingerprint = @fingerprint",
		pgx.StrictNamedArgs{"fingerprint": fingerprint}).Scan(&body)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read schema %s: %w", fingerprint, err)
	}
	return []byte(body), nil
}
