package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/access"
)

// Change is an operation that changed something, or was meant to.
type Change struct {
	At        time.Time // when it was answered
	Principal string
	Address   string // where the request came from
	Operation string // the operation's id in the OpenAPI document
	Method    string
	Path      string // as sent, without the query
	Connector string // empty if the path names none
	Status    int    // of the answer
}

// Trail keeps what was changed.
type Trail interface {
	RecordChange(ctx context.Context, c Change) error
}

// auditBudget is how long the trail may take to write a line: the change has been made by then, and its sender waits.
const auditBudget = 5 * time.Second

// audit records an operation that takes more than reading. A line that cannot be stored is in the log all the same.
func (h *handlers) audit(hctx huma.Context, principal access.Principal, requirement access.Requirement) {
	if h.guard.Trail == nil || requirement.Role <= access.Viewer || hctx.Method() == http.MethodGet {
		return
	}
	url := hctx.URL()
	c := Change{At: time.Now(), Principal: principal.Name, Address: hostOf(hctx.RemoteAddr()), Operation: hctx.Operation().OperationID,
		Method: hctx.Method(), Path: url.EscapedPath(), Status: hctx.Status()}
	if namesConnector(hctx.Operation().Path) {
		c.Connector = hctx.Param("name")
	}
	h.log.Info("audit", "principal", c.Principal, "address", c.Address, "operation", c.Operation, "connector", c.Connector, "status", c.Status)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(hctx.Context()), auditBudget)
	defer cancel()
	if err := h.guard.Trail.RecordChange(ctx, c); err != nil {
		h.log.Error("a change is not in the audit trail", "principal", c.Principal, "operation", c.Operation, "connector", c.Connector,
			"status", c.Status, "error", err)
	}
}
