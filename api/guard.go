package api

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/rs/cors"
)

// Guard is what stands before the routes. The zero value lets everybody do everything, for servers that only this machine
// reaches, and limits nothing but bodies.
type Guard struct {
	// Authenticator names the sender of each request; nil: there is no authentication.
	Authenticator Authenticator
	// Challenges are the WWW-Authenticate headers of a 401.
	Challenges []string
	// Public are paths that need no credentials, such as /health; /docs stands for all below it and the OpenAPI document.
	Public []string
	// Labels are asked where a principal's scope goes by labels; nil: connectors have none.
	Labels Labels
	// Trail gets what changes something; nil: nothing is recorded.
	Trail Trail
	// Rate is how many requests a second one principal, and one address, may make in the long run; 0: any number.
	Rate float64
	// RequestTimeout bounds one request, streams of events excepted; 0: nothing does.
	RequestTimeout time.Duration
	// Stopping is closed when the server is to end: streams of events, which have no end of their own, then end. nil: they do not.
	Stopping <-chan struct{}
	// Origins are the web origins whose pages may call the API (CORS), such as https://ops.example; none by default.
	Origins []string
	// ThisMachineOnly refuses requests that name another host than an address or localhost. A page whose own name has been
	// pointed at 127.0.0.1 is of the same origin to a browser; where nobody has to prove a name, its name gives it away.
	ThisMachineOnly bool
}

// NewGuarded is the whole API behind a guard.
func NewGuarded(service Service, log *slog.Logger, guard Guard) http.Handler {
	h := &handlers{service: service, log: log, guard: guard, limits: newLimits(guard.Rate)}
	mux := http.NewServeMux()
	describe(mux, h)
	mux.Handle("GET /docs/", http.StripPrefix("/docs", docs()))
	mux.Handle("GET /docs", http.RedirectHandler("/docs/", http.StatusMovedPermanently))
	inner := lenient(h.legible(http.MaxBytesHandler(h.authenticated(h.survived(orError(mux, log))), maxBodyBytes)))
	return h.crossOrigin(h.limited(bounded(inner, guard.RequestTimeout)))
}

// crossOrigin answers browsers for pages of the allowed origins; pages of other origins get nothing. Not letting them read
// answers would not do: a browser sends for any page what takes no asking first, such as a POST without a body, with the
// credentials that it remembers, or from a machine that needs none.
func (h *handlers) crossOrigin(next http.Handler) http.Handler {
	allowed := func(*http.Request) bool { return false }
	answer := func(next http.Handler) http.Handler { return next }
	if len(h.guard.Origins) > 0 {
		c := cors.New(cors.Options{AllowedOrigins: h.guard.Origins,
			AllowedMethods: []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
			AllowedHeaders: []string{"Authorization", "Content-Type", "If-Match", "If-None-Match", "Idempotency-Key", "Last-Event-ID"},
			ExposedHeaders: []string{"ETag", "Location", "Retry-After"}})
		allowed, answer = c.OriginAllowed, c.Handler
	}
	var same http.CrossOriginProtection
	return answer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case h.guard.ThisMachineOnly && !isThisMachine(r.Host):
			writeError(w, r, h.log, http.StatusForbidden, fmt.Sprintf("The request is for the host %q: without authentication only 127.0.0.1, localhost and other addresses are answered; use one of them, or see api.auth and api.allow-unauthenticated-remote.", r.Host))
		case same.Check(r) != nil && !allowed(r):
			h.log.Warn("request of a page of another origin", "address", clientAddress(r), "origin", r.Header.Get("Origin"), "method", r.Method, "path", r.URL.Path)
			writeError(w, r, h.log, http.StatusForbidden, "A page of another origin has sent this request; api.cors.origins says which origins may.")
		default:
			next.ServeHTTP(w, r)
		}
	}))
}

// isThisMachine reports whether a Host header names no name but localhost. Names can be pointed anywhere, addresses cannot.
func isThisMachine(host string) bool {
	name := strings.Trim(hostOf(host), "[]")
	return name == "" || name == "localhost" || strings.HasSuffix(name, ".localhost") || net.ParseIP(name) != nil
}

// isStream reports whether a request is for a stream of events, which lasts as long as its reader.
func isStream(r *http.Request) bool {
	path := strings.TrimSuffix(r.URL.Path, "/")
	return r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/event-stream") &&
		(path == "/v1/events" || strings.HasPrefix(path, "/v1/connectors/") && strings.HasSuffix(path, "/events"))
}

// bounded gives each request a deadline, streams of events excepted.
func bounded(next http.Handler, timeout time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if timeout > 0 && !isStream(r) {
			ctx, cancel := context.WithTimeout(r.Context(), timeout)
			defer cancel()
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

// legible refuses what no operation can make sense of: texts that the catalog cannot hold, and under /v1 a query of which a part would
// be left out. A selector that is dropped silently would leave an operation without it.
func (h *handlers) legible(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := url.ParseQuery(r.URL.RawQuery)
		switch {
		case !isText(r.URL.Path):
			writeError(w, r, h.log, http.StatusBadRequest, "The path must be UTF-8 without NUL")
			return
		case err != nil && isOurs(r.URL.Path):
			writeError(w, r, h.log, http.StatusBadRequest, fmt.Sprintf("The query cannot be read: %v; percent-encode what is not a letter or digit", err))
			return
		}
		for name, values := range query {
			if !isText(name) || slices.ContainsFunc(values, func(v string) bool { return !isText(v) }) {
				writeError(w, r, h.log, http.StatusBadRequest, fmt.Sprintf("The parameter %q must be UTF-8 without NUL", name))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// survived answers for an operation that panics: whatever a connector's code does when it is asked about a config or an offset, its
// caller gets an answer. What was panicked with may hold secrets, unless it is the runtime's own error; the stack has none.
func (h *handlers) survived(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler {
				panic(v) // meant to end the connection
			}
			what := fmt.Sprintf("a %T", v)
			if err, ok := v.(runtime.Error); ok {
				what = err.Error()
			}
			h.log.Error("a request panicked", "method", r.Method, "path", r.URL.Path, "panic", what, "stack", string(debug.Stack()))
			writeError(w, r, h.log, http.StatusInternalServerError, "Internal error; see the server's log.")
		}()
		next.ServeHTTP(w, r)
	})
}

// isOurs tells Gantry's own routes from Kafka Connect's: their errors have another shape.
func isOurs(path string) bool { return strings.HasPrefix(path, beyond) }

// writeError answers a request that goes no further, in the shape of its path's routes.
func writeError(w http.ResponseWriter, r *http.Request, log *slog.Logger, status int, message string) {
	body := errorAt(r.URL.Path, status, message)
	w.Header().Set("Content-Type", contentType(body))
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		log.Debug("answer not written", "path", r.URL.Path, "error", err)
	}
}

// contentType is what a body says of itself, JSON otherwise.
func contentType(body any) string {
	if own, ok := body.(huma.ContentTypeFilter); ok {
		return own.ContentType("application/json")
	}
	return "application/json"
}

// writeHumaError is writeError for an operation that huma has found already.
func writeHumaError(hctx huma.Context, log *slog.Logger, status int, message string) {
	r, w := humago.Unwrap(hctx)
	writeError(w, r, log, status, message)
}
