package api

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/control"
)

// Trail keeps who changed what.
type Trail interface {
	Record(ctx context.Context, entries ...control.AuditEntry) error
	Entries(ctx context.Context, f control.AuditFilter) ([]control.AuditEntry, error)
}

// AuditPage is a part of the audit trail.
type AuditPage struct {
	Items []control.AuditEntry `json:"items" nullable:"false" doc:"Newest first."`
	Next  int64                `json:"next,omitempty" doc:"What before takes to go on; absent at the end."`
}

// AuditParams say which part of the audit trail to read.
type AuditParams struct {
	Connector string `query:"connector" maxLength:"255" doc:"Only what concerned this connector."`
	Principal string `query:"principal" maxLength:"255" doc:"Only what they asked for."`
	Before    int64  `query:"before" minimum:"0" doc:"Only what is older than this id."`
	Limit     int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"At most so many items."`
}

func (h *handlers) registerAudit(a huma.API) {
	v1(h, a, huma.Operation{OperationID: "v1-list-audit", Metadata: access.Needs(access.Admin), Method: http.MethodGet, Path: "/v1/audit", Tags: []string{"Access"},
		Summary: "Who changed what", Description: "Every change that was asked for over REST or on the command line, with its outcome, refused ones included.",
		Errors: []int{http.StatusBadRequest}},
		func(ctx context.Context, in *AuditParams) (*body[AuditPage], error) {
			if h.guard.Trail == nil {
				return &body[AuditPage]{AuditPage{Items: []control.AuditEntry{}}}, nil
			}
			entries, err := h.guard.Trail.Entries(ctx, control.AuditFilter{Connector: in.Connector, Principal: in.Principal, Before: in.Before, Limit: in.Limit})
			if err != nil {
				return nil, err
			}
			page := AuditPage{Items: entries}
			if len(entries) == in.Limit {
				page.Next = entries[len(entries)-1].ID
			}
			return &body[AuditPage]{page}, nil
		})
}

// concern is which connectors a request turns out to concern, where its path does not tell.
type concern struct {
	connector string             // that its body names
	each      []control.BulkItem // what became of many
}

// concernKey is under what a request's context has the place for its concern.
type concernKey struct{}

// concerns notes for the audit trail the connector that a request's body names.
func concerns(ctx context.Context, name string) {
	if c, ok := ctx.Value(concernKey{}).(*concern); ok {
		c.connector = strings.TrimSpace(name)
	}
}

// concernsEach notes what became of the connectors of a bulk operation.
func concernsEach(ctx context.Context, r control.BulkResult) {
	if c, ok := ctx.Value(concernKey{}).(*concern); ok && !r.DryRun {
		c.each = r.Items
	}
}

// itemStatus is what a connector of a bulk operation that failed would have got by itself.
var itemStatus = map[string]int{codeNotFound: http.StatusNotFound, codeConflict: http.StatusConflict, codeUnavailable: http.StatusServiceUnavailable}

// asked is a request's path with those of its parameters that the operation knows: they say what was to be done, as a bulk
// operation's selector does. Others may hold what is nobody's business, such as a token in the wrong place.
func asked(hctx huma.Context) string {
	u := hctx.URL()
	given, known := u.Query(), url.Values{}
	for _, p := range hctx.Operation().Parameters {
		if values, ok := given[p.Name]; ok && p.In == "query" {
			known[p.Name] = values
		}
	}
	if len(known) == 0 {
		return u.EscapedPath()
	}
	return u.EscapedPath() + "?" + known.Encode()
}

// auditBudget is how long the trail may take to write a line: the change has been made by then, and its sender waits.
const auditBudget = 5 * time.Second

// audit records an operation that takes more than reading. What cannot be stored is in the log all the same.
func (h *handlers) audit(hctx huma.Context, principal access.Principal, requirement access.Requirement, about concern, status int) {
	if h.guard.Trail == nil || requirement.Role <= access.Viewer || hctx.Method() == http.MethodGet {
		return
	}
	e := control.AuditEntry{Principal: principal.Name, Address: hostOf(hctx.RemoteAddr()), Operation: hctx.Operation().OperationID,
		Method: hctx.Method(), Path: asked(hctx), Connector: about.connector, Status: status}
	if namesConnector(hctx.Operation().Path) {
		e.Connector = hctx.Param("name")
	}
	entries := []control.AuditEntry{e}
	for _, item := range about.each {
		e.Connector, e.Status = item.Name, status
		if item.Code != "" {
			e.Status = cmp.Or(itemStatus[item.Code], http.StatusInternalServerError)
		}
		entries = append(entries, e)
	}
	for _, e := range entries {
		h.log.Info("audit", "principal", e.Principal, "address", e.Address, "operation", e.Operation, "connector", e.Connector, "status", e.Status)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(hctx.Context()), auditBudget)
	defer cancel()
	if err := h.guard.Trail.Record(ctx, entries...); err != nil {
		h.log.Error("a change is not in the audit trail", "principal", e.Principal, "operation", e.Operation, "connector", e.Connector,
			"status", status, "error", err)
	}
}
