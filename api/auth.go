package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/access"
)

// Authenticator tells who sends a request.
type Authenticator interface {
	// Authenticate names the sender. An *access.UnauthenticatedError says that the request proves nobody's name; any other
	// error that it could not be found out.
	Authenticate(r *http.Request) (access.Principal, error)
}

// Labels reads a connector's labels, for scopes that go by them; nil without an error for one that does not exist.
type Labels interface {
	ConnectorLabels(ctx context.Context, name string) (map[string]string, error)
}

// by is the name under which what a request changes is recorded.
func by(ctx context.Context) string { return access.Author(ctx, author) }

// authenticated puts the sender into the request's context, or refuses the request.
func (h *handlers) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		principal := access.Anonymous
		if h.guard.Authenticator != nil && !h.guard.isPublic(r.URL.Path) {
			var err error
			if principal, err = h.guard.Authenticator.Authenticate(r); err != nil {
				h.refuseUnknown(w, r, err)
				return
			}
		} else if h.guard.Authenticator != nil {
			principal = access.Principal{Name: access.Anonymous.Name, Role: access.Viewer}
		}
		if known := h.guard.Authenticator != nil && principal.Name != access.Anonymous.Name; known && !h.limits.admit("principal "+principal.Name) {
			tooMany(w, r, h.log)
			return
		}
		ctx := access.With(r.Context(), principal)
		if h.guard.Authenticator != nil && !h.guard.isPublic(r.URL.Path) {
			ctx = context.WithValue(ctx, proofKey{}, func() error { return h.sameStill(r, principal) })
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// proofKey is under what a request's context holds how its sender proves their name again.
type proofKey struct{}

// stillProved is nil if the credentials of a request that takes long are worth what they were when it came.
func stillProved(ctx context.Context) error {
	if prove, ok := ctx.Value(proofKey{}).(func() error); ok {
		return prove()
	}
	return nil
}

func (h *handlers) sameStill(r *http.Request, was access.Principal) error {
	now, err := h.guard.Authenticator.Authenticate(r)
	if err == nil && (now.Name != was.Name || now.Role != was.Role || now.Scope.String() != was.Scope.String()) {
		err = errors.New("the credentials have got another meaning")
	}
	return err
}

func (h *handlers) refuseUnknown(w http.ResponseWriter, r *http.Request, err error) {
	var unknown *access.UnauthenticatedError
	if !errors.As(err, &unknown) {
		h.log.Error("a request's sender could not be found out", "error", err)
		writeError(w, r, h.log, http.StatusServiceUnavailable, "It cannot be found out now who sends this request; see the server's log.")
		return
	}
	h.log.Info("request without valid credentials", "address", clientAddress(r), "method", r.Method, "path", r.URL.Path, "reason", unknown.Reason)
	for _, c := range h.guard.Challenges {
		w.Header().Add("WWW-Authenticate", c)
	}
	writeError(w, r, h.log, http.StatusUnauthorized, unknown.Error())
}

// authorized lets a request through if its sender may do what the operation needs, and tells the audit trail of what
// changes something, or was to.
func (h *handlers) authorized(hctx huma.Context, next func(huma.Context)) {
	op, ctx := hctx.Operation(), hctx.Context()
	principal, known := access.From(ctx)
	requirement, _ := access.RequirementOf(op.Metadata)
	named := namesConnector(op.Path)
	err := errUnnamed
	if known {
		err = requirement.Judge(principal, named)
	}
	if err == nil && named && requirement.Reach == access.ReachNamed {
		err = h.within(ctx, principal, hctx.Param("name"))
	}
	var denied *access.DeniedError
	var about concern
	status := http.StatusForbidden
	defer func() { h.audit(hctx, principal, requirement, about, status) }() // also of what panics: it may have changed something before
	switch {
	case err == nil:
		status = http.StatusInternalServerError // unless next returns
		next(huma.WithValue(hctx, concernKey{}, &about))
		status = hctx.Status()
	case errors.As(err, &denied):
		writeHumaError(hctx, h.log, status, denied.Error())
	default:
		h.log.Error("a request could not be judged", "operation", op.OperationID, "error", err)
		status = http.StatusServiceUnavailable
		writeHumaError(hctx, h.log, status, "It cannot be found out now whether this is allowed; see the server's log.")
	}
}

// errUnnamed keeps a route that was built without authenticated from being open to everybody.
var errUnnamed = errors.New("the request has no principal")

// within is nil if the principal's scope covers the connector; blanks around the name count as none, as they do later.
func (h *handlers) within(ctx context.Context, p access.Principal, name string) error {
	name = strings.TrimSpace(name)
	var labels map[string]string
	if p.Scope.ByLabel() && h.guard.Labels != nil {
		var err error
		if labels, err = h.guard.Labels.ConnectorLabels(ctx, name); err != nil {
			return err
		}
	}
	return access.Check(ctx, name, labels)
}

// namesConnector reports whether a route's {name} is a connector's.
func namesConnector(path string) bool {
	path = strings.TrimPrefix(path, "/v1")
	return strings.HasPrefix(path, "/connectors/{name}")
}

func clientAddress(r *http.Request) string { return hostOf(r.RemoteAddr) }

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}

// secure writes into the document what each operation needs: its role, and what is answered to those who lack it.
func secure(doc *huma.OpenAPI) {
	doc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer", Description: "A token made by `gantry token create`, or a JWT of the OpenID provider."},
		"basic":  {Type: "http", Scheme: "basic", Description: "A token's name and the token, or a user of the htpasswd file."},
	}
	// The empty requirement: a server may run without authentication.
	doc.Security = []map[string][]string{{"bearer": {}}, {"basic": {}}, {}}
	for _, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch} {
			if op == nil {
				continue
			}
			requirement, _ := access.RequirementOf(op.Metadata)
			if op.Extensions == nil {
				op.Extensions = map[string]any{}
			}
			op.Extensions["x-gantry-role"] = requirement.Role.String()
			op.Extensions["x-gantry-scope"] = scopeOf(requirement, op.Path)
			for status, description := range map[string]string{"401": "Credentials are missing or wrong", "403": "The role or the scope does not allow it",
				"429": "Too many requests; Retry-After says when to try again", "503": "It cannot be found out now who sends the request"} {
				if op.Responses[status] == nil {
					op.Responses[status] = errorResponse(doc, op.Path, description)
				}
			}
		}
	}
}

// scopeOf says in the document what a caller's scope means for an operation.
func scopeOf(r access.Requirement, path string) string {
	switch {
	case r.Reach == access.ReachNothing:
		return "any"
	case r.Reach == access.ReachFiltered:
		return "filtered"
	case namesConnector(path):
		return "connector"
	}
	return "all connectors"
}

// errorResponse documents an error in the shape that its path has.
func errorResponse(doc *huma.OpenAPI, path, description string) *huma.Response {
	media, schema := "application/json", "Error"
	if isOurs(path) {
		media, schema = "application/problem+json", "Problem"
	}
	if _, known := doc.Components.Schemas.Map()[schema]; !known {
		return &huma.Response{Description: description}
	}
	content := &huma.MediaType{Schema: &huma.Schema{Ref: "#/components/schemas/" + schema}}
	return &huma.Response{Description: description, Content: map[string]*huma.MediaType{media: content}}
}

func (g Guard) isPublic(path string) bool {
	return slices.ContainsFunc(g.Public, func(public string) bool {
		return path == public || (public != "/" && strings.HasPrefix(path, strings.TrimSuffix(public, "/")+"/")) ||
			(public == "/docs" && strings.HasPrefix(path, "/openapi"))
	})
}
