package catalog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// BindEnvironment ties the catalog to a Temporal namespace at its first use, and returns the environment's id, a UUID.
// Later it checks: ErrEnvironment, naming both, if the catalog belongs to another namespace.
func (c *Catalog) BindEnvironment(ctx context.Context, namespace string) (id string, err error) {
	var bound string
	b := &pgx.Batch{}
	b.Queue("insert into gantry.environment (namespace) values (@namespace) on conflict (only_row) do nothing",
		pgx.StrictNamedArgs{"namespace": namespace})
	b.Queue("select id::text, namespace from gantry.environment").
		QueryRow(func(row pgx.Row) error { return row.Scan(&id, &bound) })
	if err := c.pool.SendBatch(ctx, b).Close(); err != nil {
		return "", fmt.Errorf("bind the catalog to Temporal namespace %s: %w", namespace, err)
	}
	if bound != namespace {
		return "", fmt.Errorf("%w: it is bound to Temporal namespace %q, this process is configured for %q; use that namespace, or another database",
			ErrEnvironment, bound, namespace)
	}
	return id, nil
}
