package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/control"
)

// beyond is where the routes begin that Kafka Connect does not have. Their errors are problems as in RFC 9457.
const beyond = "/v1/"

// Problem is the body of every answer under /v1 that is not a success, as RFC 9457 has it. Clients go by Code: it never
// changes, while titles and details may.
type Problem struct {
	Type     string         `json:"type" example:"urn:gantry:problem:not-found" doc:"The code as a URI."`
	Title    string         `json:"title" example:"Not Found" doc:"The HTTP status in words."`
	Status   int            `json:"status" example:"404" doc:"The HTTP status."`
	Detail   string         `json:"detail" example:"Connector flights-in not found" doc:"What is wrong here; for people."`
	Instance string         `json:"instance,omitempty" example:"/v1/connectors/flights-in" doc:"The path that was asked for."`
	Code     string         `json:"code" example:"not-found" doc:"What is wrong, for programs."`
	Field    string         `json:"field,omitempty" example:"tasks.max" doc:"The config key or parameter at fault, where it is one."`
	Value    string         `json:"value,omitempty" example:"many" doc:"What was given there; never a secret."`
	Remedy   string         `json:"remedy,omitempty" doc:"What to do."`
	Errors   []FieldProblem `json:"errors,omitempty" doc:"Everything that is wrong, where it is more than one thing."`
}

// FieldProblem is one of several things that are wrong with a request.
type FieldProblem struct {
	Field   string `json:"field" example:"tasks.max"`
	Value   string `json:"value,omitempty" example:"many"`
	Message string `json:"message" example:"must be a whole number"`
}

// The codes of problems. They are part of the API.
const (
	codeInvalidRequest = "invalid-request"
	codeInvalidConfig  = "invalid-config"
	codeNotFound       = "not-found"
	codeNotAllowed     = "method-not-allowed"
	codeExists         = "exists"
	codeConflict       = "conflict"
	codeChanged        = "changed"
	codeKeyReused      = "idempotency-key-reused"
	codeKeyBusy        = "idempotency-key-busy"
	codeTooLarge       = "too-large"
	codeMediaType      = "unsupported-media-type"
	codeNoWorker       = "no-worker"
	codeUnavailable    = "unavailable"
	codeInternal       = "internal"
	codeClientGone     = "client-gone"
)

func (p *Problem) Error() string { return p.Detail }

// GetStatus is the HTTP status, for huma.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is RFC 9457's.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

func newProblem(status int, code, detail string) *Problem {
	title := http.StatusText(status)
	if title == "" {
		title = "Client Closed Request" // 499 is nginx's number
	}
	return &Problem{Type: "urn:gantry:problem:" + code, Title: title, Status: status, Detail: detail, Code: code}
}

// codeOf is the code of a problem that is known by its HTTP status alone.
func codeOf(status int) string {
	switch status {
	case http.StatusNotFound:
		return codeNotFound
	case http.StatusMethodNotAllowed:
		return codeNotAllowed
	case http.StatusConflict:
		return codeConflict
	case http.StatusPreconditionFailed:
		return codeChanged
	case http.StatusRequestEntityTooLarge:
		return codeTooLarge
	case http.StatusUnsupportedMediaType:
		return codeMediaType
	case http.StatusServiceUnavailable:
		return codeUnavailable
	case http.StatusUnauthorized:
		return "unauthenticated"
	case http.StatusForbidden:
		return "forbidden"
	case http.StatusTooManyRequests:
		return "too-many-requests"
	}
	if status >= http.StatusInternalServerError {
		return codeInternal
	}
	return codeInvalidRequest
}

// errorAt is an error in the shape of the path's routes: a Problem under /v1, else Kafka Connect's.
func errorAt(path string, status int, detail string) huma.StatusError {
	if !strings.HasPrefix(path, beyond) {
		return &Error{status, detail}
	}
	p := newProblem(status, codeOf(status), detail)
	p.Instance = path
	return p
}

// installProblems makes huma's own refusals under /v1 problems, too; see installErrors.
var installProblems = sync.OnceFunc(func() {
	huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
		if ctx == nil || !strings.HasPrefix(ctx.URL().Path, beyond) {
			return huma.NewError(status, message, errs...)
		}
		if status == http.StatusUnprocessableEntity {
			status = http.StatusBadRequest
		}
		if status == http.StatusUnsupportedMediaType {
			message, errs = wantsJSON, nil
		}
		p := newProblem(status, codeOf(status), message)
		p.Instance = ctx.URL().Path
		for _, err := range errs {
			if err != nil {
				p.Errors = append(p.Errors, fieldProblem(err))
			}
		}
		if len(p.Errors) == 1 {
			one := p.Errors[0]
			p.Detail, p.Field, p.Value, p.Errors = message+": "+one.Message, one.Field, one.Value, nil
		}
		return p
	}
})

func fieldProblem(err error) FieldProblem {
	var detailer huma.ErrorDetailer
	if errors.As(err, &detailer) {
		d := detailer.ErrorDetail()
		f := FieldProblem{Field: d.Location, Message: d.Message}
		if !holdsConfig(d.Location) {
			switch d.Value.(type) {
			case string, bool, int, int32, int64, float64:
				f.Value = fmt.Sprint(d.Value)
			}
		}
		return f
	}
	return FieldProblem{Message: err.Error()}
}

// holdsConfig reports whether what lies at a place in a request may hold secrets: they are not repeated.
func holdsConfig(location string) bool {
	return location == "body" || strings.HasPrefix(location, "body.config")
}

// problemV1 is the answer to err under /v1. Errors that no user caused are logged and told apart from the text sent.
func problemV1(ctx context.Context, err error, log *slog.Logger) error {
	if err == nil {
		return nil
	}
	p := knownProblem(err)
	if p == nil {
		p = failure(ctx, err, log)
	}
	if p.Instance == "" {
		p.Instance, _ = ctx.Value(instanceKey{}).(string)
	}
	return p
}

// failure is the problem of an error that does not say itself what is wrong.
func failure(ctx context.Context, err error, log *slog.Logger) *Problem {
	if errors.Is(context.Cause(ctx), ErrStopping) {
		p := newProblem(http.StatusServiceUnavailable, codeUnavailable, "The server is stopping.")
		p.Remedy = "See what has become of it, and try again."
		return p
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return newProblem(statusClientGone, codeClientGone, "the client went away") // nobody reads it
	}
	log.Error("request failed", "error", err)
	switch {
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil:
		p := newProblem(http.StatusServiceUnavailable, codeUnavailable, "It took longer than api.request-timeout allows.")
		p.Remedy = "See what has become of it, and try again."
		return p
	case errors.Is(err, control.ErrUnavailable):
		p := newProblem(http.StatusServiceUnavailable, codeUnavailable, "The catalog cannot be reached.")
		p.Remedy = "Nothing was lost. Try again, and see the server's log."
		return p
	}
	return newProblem(http.StatusInternalServerError, codeInternal, "Internal error; see the server's log.")
}

// knownProblem is the problem of an error that says itself what is wrong, or nil.
func knownProblem(err error) *Problem {
	var (
		problem  *Problem
		notFound *control.NotFoundError
		exists   *control.ExistsError
		conflict *control.ConflictError
		changed  *control.ChangedError
		request  *control.RequestError
		config   *control.InvalidConfigError
		worker   *control.NoWorkerError
		denied   *access.DeniedError
	)
	switch {
	case errors.As(err, &denied):
		return newProblem(http.StatusForbidden, codeOf(http.StatusForbidden), denied.Error())
	case errors.As(err, &problem):
		return problem
	case errors.As(err, &notFound):
		return newProblem(http.StatusNotFound, codeNotFound, notFound.Error())
	case errors.As(err, &exists):
		p := newProblem(http.StatusConflict, codeExists, exists.Error())
		p.Field, p.Value, p.Remedy = "name", exists.Name, "Choose another name, or change the connector that has it."
		return p
	case errors.As(err, &conflict):
		return newProblem(http.StatusConflict, codeConflict, conflict.Error())
	case errors.As(err, &changed):
		p := newProblem(http.StatusPreconditionFailed, codeChanged, changed.Error())
		p.Remedy = "Read it again, and repeat the change with the new ETag."
		return p
	case errors.As(err, &request):
		p := newProblem(http.StatusBadRequest, codeInvalidRequest, request.Error())
		p.Field, p.Value, p.Remedy = request.Field, request.Value, request.Remedy
		return p
	case errors.As(err, &config):
		return configProblem(config)
	case errors.As(err, &worker):
		p := newProblem(http.StatusServiceUnavailable, codeNoWorker, worker.Error())
		p.Remedy = "Start a worker, or look why none answers: gantry get workers."
		return p
	}
	return nil
}

func configProblem(err *control.InvalidConfigError) *Problem {
	p := newProblem(http.StatusBadRequest, codeInvalidConfig, "The config cannot work.")
	for _, e := range err.Problems {
		p.Errors = append(p.Errors, FieldProblem{Field: e.Field, Value: e.Value, Message: e.Reason})
	}
	if len(p.Errors) == 1 {
		one := p.Errors[0]
		p.Detail, p.Field, p.Value, p.Errors = err.Problems[0].Error(), one.Field, one.Value, nil
	}
	return p
}

// writeProblem answers an operation that has not begun.
func (h *handlers) writeProblem(hctx huma.Context, p *Problem) {
	hctx.SetHeader("Content-Type", p.ContentType(""))
	hctx.SetStatus(p.Status)
	if err := json.NewEncoder(hctx.BodyWriter()).Encode(p); err != nil {
		h.log.Debug("answer not written", "operation", hctx.Operation().OperationID, "error", err)
	}
}

// documentProblems describes the errors of all operations under /v1 as what they are: huma takes them for Error.
func documentProblems(doc *huma.OpenAPI) {
	schema := doc.Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	for path, item := range doc.Paths {
		if !strings.HasPrefix(path, beyond) {
			continue
		}
		for _, op := range operations(item) {
			if takesKey(op) {
				op.Responses["422"] = &huma.Response{Description: "The " + keyHeader + " was used for another request"}
			}
			for status, response := range op.Responses {
				if status >= "400" && status < "600" {
					response.Content = map[string]*huma.MediaType{"application/problem+json": {Schema: schema}}
				}
			}
		}
	}
}

// takesKey reports whether an operation is carried out once for each Idempotency-Key.
func takesKey(op *huma.Operation) bool {
	return slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool { return p.Name == keyHeader })
}

// operations are those of one path.
func operations(item *huma.PathItem) []*huma.Operation {
	all := []*huma.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch}
	return slices.DeleteFunc(all, func(op *huma.Operation) bool { return op == nil })
}
