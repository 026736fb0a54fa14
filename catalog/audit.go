package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// AuditEntry is one change that somebody asked for.
type AuditEntry struct {
	ID        int64     // set by the catalog; rises
	At        time.Time // set by the catalog
	Principal string    // who
	Address   string    // from where; empty for the command line
	Operation string    // what
	Method    string    // of HTTP; empty for the command line
	Path      string    // of HTTP; empty for the command line
	Connector string    // empty if it concerns no single one
	Status    int       // HTTP status of the answer
}

// AuditFilter narrows a look at the audit trail; the zero value of a field does not.
type AuditFilter struct {
	Connector string
	Principal string
	Before    int64 // only entries with a lower ID
	Limit     int   // required
}

// RecordAudit adds entries to the audit trail: all of them or, with an error, none.
func (c *Catalog) RecordAudit(ctx context.Context, entries ...AuditEntry) error {
	err := pgx.BeginFunc(ctx, c.pool, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		for _, e := range entries {
			b.Queue(`
				insert into gantry.audit (principal, address, operation, method, path, connector, status)
				values (@principal, @address, @operation, @method, @path, @connector, @status)`,
				pgx.StrictNamedArgs{
					"principal": storable(e.Principal), "address": e.Address, "operation": e.Operation, "method": e.Method,
					"path": storable(e.Path), "connector": storable(e.Connector), "status": e.Status,
				})
		}
		return tx.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return fmt.Errorf("record %d entries in the audit trail: %w", len(entries), err)
	}
	return nil
}

// Audit reads the audit trail, newest first.
func (c *Catalog) Audit(ctx context.Context, f AuditFilter) ([]AuditEntry, error) {
	rows, err := c.pool.Query(ctx, `
		select id, at, principal, address, operation, method, path, connector, status from gantry.audit
		where (@connector::text = '' or connector = @connector) and (@principal::text = '' or principal = @principal)
		  and (@before::bigint = 0 or id < @before)
		order by id desc limit @limit`,
		pgx.StrictNamedArgs{"connector": f.Connector, "principal": f.Principal, "before": f.Before, "limit": f.Limit})
	if err != nil {
		return nil, fmt.Errorf("read the audit trail: %w", err)
	}
	entries, err := pgx.CollectRows(rows, pgx.RowToStructByName[AuditEntry])
	if err != nil {
		return nil, fmt.Errorf("read the audit trail: %w", err)
	}
	return entries, nil
}

// PruneAudit removes entries that are older than keep by the database's clock, and says how many.
func (c *Catalog) PruneAudit(ctx context.Context, keep time.Duration) (removed int64, err error) {
	tag, err := c.pool.Exec(ctx, "delete from gantry.audit where at < clock_timestamp() - @keep::interval",
		pgx.StrictNamedArgs{"keep": keep})
	if err != nil {
		return 0, fmt.Errorf("prune the audit trail: %w", err)
	}
	return tag.RowsAffected(), nil
}
