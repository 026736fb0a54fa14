package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

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
