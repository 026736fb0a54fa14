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

// RecordAudit adds an entry to the audit trail.
func (c *Catalog) RecordAudit(ctx context.Context, e AuditEntry) error {
	_, err := c.pool.Exec(ctx, `
		insert into gantry.audit (principal, address, operation, method, path, connector, status)
		values (@principal, @address, @operation, @method, @path, @connector, @status)`,
		pgx.StrictNamedArgs{
			"principal": storable(e.Principal), "address": e.Address, "operation": e.Operation, "method": e.Method,
			"path": storable(e.Path), "connector": storable(e.Connector), "status": e.Status,
		})
	if err != nil {
		return fmt.Errorf("record %s by %s in the audit trail: %w", e.Operation, e.Principal, err)
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
