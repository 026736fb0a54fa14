package api

import (
	"encoding/json"
	"net/http"
	"sync/atomic"
)

// Gate answers in the API's place until it is opened, so that whoever watches a server can tell one that starts from one that
// is not there. The zero value is closed.
type Gate struct{ open atomic.Pointer[http.Handler] }

// Open hands all requests over to the API.
func (g *Gate) Open(api http.Handler) { g.open.Store(&api) }

// ServeHTTP answers 503 while the gate is closed, the health check in its own form.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if api := g.open.Load(); api != nil {
		(*api).ServeHTTP(w, r)
		return
	}
	var body any = errorAt(r.URL.Path, http.StatusServiceUnavailable, "The server is starting; try again in a moment.")
	if r.URL.Path == "/health" || r.URL.Path == "/health/" {
		body = Health{"starting", "Gantry is starting."}
	}
	w.Header().Set("Content-Type", contentType(body))
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
	// The client may be gone; there is nobody else to tell.
	_ = json.NewEncoder(w).Encode(body)
}
