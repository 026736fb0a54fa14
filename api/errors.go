package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/control"
)

// Error is the body of every answer that is not a success, in the shape of Kafka Connect.
type Error struct {
	Code    int    `json:"error_code" example:"404" doc:"The HTTP status."`
	Message string `json:"message" example:"Connector flights-in not found"`
}

func (e *Error) Error() string { return e.Message }

// GetStatus is the HTTP status, for huma.
func (e *Error) GetStatus() int { return e.Code }

// ContentType makes huma send plain JSON, which Kafka Connect's clients expect of errors too.
func (e *Error) ContentType(string) string { return "application/json" }

// installErrors makes huma's own refusals (bad JSON, missing parameters) look like every other error. huma keeps this
// in a package variable, so it is set once, for all APIs of the process.
var installErrors = sync.OnceFunc(func() {
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		if status == http.StatusUnprocessableEntity {
			status = http.StatusBadRequest // Kafka Connect's clients know 400 for whatever is wrong with a request
		}
		if status == http.StatusUnsupportedMediaType {
			return &Error{Code: status, Message: wantsJSON}
		}
		var b strings.Builder
		b.WriteString(message)
		for _, err := range errs {
			var detail *huma.ErrorDetail
			switch {
			case err == nil:
			case errors.As(err, &detail) && !repeatable(detail):
				fmt.Fprintf(&b, "; %s (%s)", detail.Message, detail.Location)
			default:
				fmt.Fprintf(&b, "; %v", err)
			}
		}
		return &Error{Code: status, Message: b.String()}
	}
})

// wantsJSON tells those who forgot to say what their body is. curl, for one, calls it application/x-www-form-urlencoded by itself.
const wantsJSON = "The body must be JSON and say so: send the header Content-Type: application/json"

// repeatable reports whether the value that was refused can be told: it neither is a config nor lies in one. Objects are never
// told: for a property that nobody knows huma gives all that stands around it.
func repeatable(refused *huma.ErrorDetail) bool {
	switch refused.Value.(type) {
	case nil, map[string]any, []any:
		return false
	}
	return !holdsConfig(refused.Location)
}

// ErrStopping is the cause with which a server that ends cancels the contexts of requests that wait for something. They are told so.
var ErrStopping = errors.New("the server is stopping")

// problem is the answer to err. Errors that no user caused are logged and told apart from the text sent.
func (h *handlers) problem(ctx context.Context, err error) error {
	var (
		notFound *control.NotFoundError
		exists   *control.ExistsError
		conflict *control.ConflictError
		request  *control.RequestError
		config   *control.InvalidConfigError
		denied   *access.DeniedError
		closed   *control.ForbiddenError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &denied):
		return &Error{http.StatusForbidden, denied.Error()}
	case errors.As(err, &notFound):
		return &Error{http.StatusNotFound, notFound.Error()}
	case errors.As(err, &exists):
		return &Error{http.StatusConflict, exists.Error()}
	case errors.As(err, &conflict):
		return &Error{http.StatusConflict, conflict.Error()}
	case errors.As(err, &request):
		return &Error{http.StatusBadRequest, request.Error()}
	case errors.As(err, &closed):
		return &Error{http.StatusForbidden, closed.Error()}
	case errors.As(err, &config):
		return &Error{http.StatusBadRequest, config.Error()}
	case errors.Is(context.Cause(ctx), ErrStopping):
		return &Error{http.StatusServiceUnavailable, "The server is stopping; see what has become of it, and try again."}
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil:
		return &Error{http.StatusServiceUnavailable, "It took longer than api.request-timeout allows; see what has become of it, and try again."}
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return &Error{statusClientGone, "the client went away"} // nobody reads it
	}
	h.log.Error("request failed", "error", err)
	if errors.Is(err, control.ErrUnavailable) {
		return &Error{http.StatusServiceUnavailable, "The catalog cannot be reached; nothing was lost. Try again, and see the server's log."}
	}
	return &Error{http.StatusInternalServerError, "Internal error; see the server's log."}
}

// orError answers requests that no route takes in the same shape as every other error.
func orError(mux *http.ServeMux, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuse, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		answer := refusal{header: w.Header(), status: http.StatusNotFound}
		refuse.ServeHTTP(&answer, r)
		writeError(w, r, log, answer.status, fmt.Sprintf("HTTP %d %s", answer.status, http.StatusText(answer.status)))
	})
}

// refusal takes the status and headers of the mux's own answer (404 or 405 with Allow) and drops its text.
type refusal struct {
	header http.Header
	status int
}

func (r *refusal) Header() http.Header         { return r.header }
func (r *refusal) WriteHeader(status int)      { r.status = status }
func (r *refusal) Write(p []byte) (int, error) { return len(p), nil }
