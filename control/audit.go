package control

import (
	"context"
	"time"

	"github.com/gantry-connect/gantry/catalog"
)

// AuditEntry is something that somebody asked for, with what became of it.
type AuditEntry struct {
	ID        int64     `json:"id" doc:"Rises; before takes it."`
	At        time.Time `json:"at"`
	Principal string    `json:"principal" example:"ci" doc:"Who asked for it."`
	Address   string    `json:"address" example:"192.0.2.7" doc:"Where the request came from; empty for the command line on the catalog."`
	Operation string    `json:"operation" example:"put-config" doc:"The operation's id in this document."`
	Method    string    `json:"method" example:"PUT"`
	Path      string    `json:"path" example:"/connectors/flights-in/config" doc:"With the parameters that the operation knows."`
	Connector string    `json:"connector" example:"flights-in" doc:"Empty if it concerns no single one: a bulk operation has such an entry, and one for each connector."`
	Status    int       `json:"status" example:"200" doc:"Of the answer, or for the connectors of a bulk operation what each would have got: 2xx was done, the others were not."`
}

// AuditFilter narrows a look at the audit trail; the zero value of a field does not.
type AuditFilter struct {
	Connector, Principal string
	Before               int64 // only changes with a lower ID
	Limit                int   // required
}

// AuditStore keeps the audit trail; *catalog.Catalog does.
type AuditStore interface {
	RecordAudit(ctx context.Context, entries ...catalog.AuditEntry) error
	Audit(ctx context.Context, f catalog.AuditFilter) ([]catalog.AuditEntry, error)
}

// Trail is the record of every change that somebody asked for.
type Trail struct{ Store AuditStore }

// Record adds what was asked for with one request; IDs and times are the store's.
func (t Trail) Record(ctx context.Context, entries ...AuditEntry) error {
	rows := make([]catalog.AuditEntry, len(entries))
	for i, e := range entries {
		rows[i] = catalog.AuditEntry(e)
	}
	return t.Store.RecordAudit(ctx, rows...)
}

// Entries are the newest changes that fit the filter, newest first.
func (t Trail) Entries(ctx context.Context, f AuditFilter) ([]AuditEntry, error) {
	entries, err := t.Store.Audit(ctx, catalog.AuditFilter(f))
	if err != nil {
		return nil, translate(err, f.Connector)
	}
	out := make([]AuditEntry, len(entries))
	for i, e := range entries {
		out[i] = AuditEntry(e)
	}
	return out, nil
}
