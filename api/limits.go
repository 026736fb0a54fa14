package api

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits of the limiter itself.
const (
	burstSeconds   = 2         // so many seconds' worth of requests may come at once
	maxCallers     = 10_000    // that are remembered; it takes about 2 MB
	forgetAfter    = time.Hour // without a request; by then any bucket is full again
	retryAfterHint = "1"       // seconds
)

// limits hold a bucket of requests for each caller.
type limits struct {
	rate  float64 // a second; 0: unlimited
	now   func() time.Time
	mu    sync.Mutex
	known map[string]*caller
}

type caller struct {
	bucket *rate.Limiter
	seen   time.Time
}

func newLimits(perSecond float64) *limits {
	return &limits{rate: perSecond, now: time.Now, known: map[string]*caller{}}
}

// admit takes a request out of the caller's bucket; false if there is none.
func (l *limits) admit(who string) bool {
	if l.rate <= 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	c := l.known[who]
	if c == nil {
		l.makeRoom(now)
		c = &caller{bucket: rate.NewLimiter(rate.Limit(l.rate), max(1, int(l.rate*burstSeconds)))}
		l.known[who] = c
	}
	c.seen = now
	return c.bucket.AllowN(now, 1)
}

// makeRoom forgets callers that were silent for long. If that is not enough, as under an attack from many addresses, it
// forgets all: they get a full bucket once more, and memory stays bounded.
func (l *limits) makeRoom(now time.Time) {
	if len(l.known) < maxCallers {
		return
	}
	for who, c := range l.known {
		if now.Sub(c.seen) > forgetAfter {
			delete(l.known, who)
		}
	}
	if len(l.known) >= maxCallers {
		clear(l.known)
	}
}

// limited bounds the requests of an address, also of those that prove no name: guessing tokens is slow.
func (h *handlers) limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !h.limits.admit("address " + clientAddress(r)) {
			tooMany(w, r, h.log)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func tooMany(w http.ResponseWriter, r *http.Request, log *slog.Logger) {
	w.Header().Set("Retry-After", retryAfterHint)
	writeError(w, r, log, http.StatusTooManyRequests, "Too many requests; wait a second and try again (setting api.rate-limit).")
}
