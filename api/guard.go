package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"

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
	// Origins are the web origins whose pages may call the API (CORS), such as https://ops.example; none by default.
	Origins []string
}

// NewGuarded is the whole API behind a guard.
func NewGuarded(service Service, log *slog.Logger, guard Guard) http.Handler {
	h := &handlers{service: service, log: log, guard: guard, limits: newLimits(guard.Rate)}
	mux := http.NewServeMux()
	describe(mux, h)
	mux.Handle("GET /docs/", http.StripPrefix("/docs", docs()))
	mux.Handle("GET /docs", http.RedirectHandler("/docs/", http.StatusMovedPermanently))
	inner := lenient(http.MaxBytesHandler(h.authenticated(orError(mux, log)), maxBodyBytes))
	return h.crossOrigin(h.limited(bounded(inner, guard.RequestTimeout)))
}

// crossOrigin answers browsers for pages of the allowed origins; without any, pages of other origins get nothing.
func (h *handlers) crossOrigin(next http.Handler) http.Handler {
	if len(h.guard.Origins) == 0 {
		return next
	}
	return cors.New(cors.Options{AllowedOrigins: h.guard.Origins,
		AllowedMethods: []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		AllowedHeaders: []string{"Authorization", "Content-Type", "If-Match", "If-None-Match", "Idempotency-Key", "Last-Event-ID"},
		ExposedHeaders: []string{"ETag", "Location", "Retry-After"}}).Handler(next)
}

// bounded gives each request a deadline, and streams of events none, neither for the handler nor for writing.
func bounded(next http.Handler, timeout time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
			// A server without deadlines, as in tests, has none to lift.
			_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
			next.ServeHTTP(w, r)
			return
		}
		if timeout > 0 {
			ctx, cancel := context.WithTimeout(r.Context(), timeout)
			defer cancel()
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

// isOurs tells Gantry's own routes from Kafka Connect's: their errors have another shape.
func isOurs(path string) bool { return strings.HasPrefix(path, beyond) }

// writeError answers a request that goes no further, in the shape of its path's routes.
func writeError(w http.ResponseWriter, r *http.Request, log *slog.Logger, status int, message string) {
	body := errorAt(r.URL.Path, status, message)
	w.Header().Set("Content-Type", "application/json")
	if own, ok := body.(huma.ContentTypeFilter); ok {
		w.Header().Set("Content-Type", own.ContentType("application/json"))
	}
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		log.Debug("answer not written", "path", r.URL.Path, "error", err)
	}
}

// writeHumaError is writeError for an operation that huma has found already.
func writeHumaError(hctx huma.Context, log *slog.Logger, status int, message string) {
	r, w := humago.Unwrap(hctx)
	writeError(w, r, log, status, message)
}
