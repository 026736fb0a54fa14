package client

import (
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Pauses between attempts: doubled each time, up to a bound; a server that says how long to wait is obeyed up to another.
const (
	firstPause      = 200 * time.Millisecond
	longestPause    = 5 * time.Second
	longestObedient = 30 * time.Second
	// longestHeld bounds how long one call waits in all because of a rate limit or an earlier attempt, which costs it no attempts.
	longestHeld = 2 * time.Minute
)

// codeKeyBusy is the problem that an earlier attempt of the same call is still being carried out.
const codeKeyBusy = "idempotency-key-busy"

// again reports whether a call that ended with err is worth another attempt and may have one, and after which pause. held is
// how long it has waited because of a rate limit.
func (c *Client) again(what call, attempt int, held time.Duration, err error) (time.Duration, bool) {
	switch {
	case err == nil:
		return 0, false
	case limited(err) && c.options.Attempts > 1:
		if held >= longestHeld {
			return 0, false
		}
	case attempt >= c.options.Attempts:
		return 0, false
	}
	pause := min(firstPause<<(attempt-1), longestPause)
	pause = pause/2 + rand.N(pause/2) // spread, so that many clients do not come back together
	var (
		refused *Error
		foreign *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &foreign), errors.Is(err, errTLS), errors.Is(err, errNoTLS):
		return 0, false // neither its certificate nor the URL will be better
	case neverSent(err):
		return pause, true
	case limited(err):
		errors.As(err, &refused)
		return max(pause, min(refused.retryAfter, longestObedient)), true
	case !what.repeatable():
		return 0, false
	case errors.Is(err, ErrUnreachable):
		return pause, true
	case errors.As(err, &refused) && mayPass(refused.Status):
		return max(pause, min(refused.retryAfter, longestObedient)), true
	}
	return 0, false
}

// repeatable reports whether carrying out the call twice is the same as once.
func (w call) repeatable() bool {
	switch {
	case w.once:
		return false
	case w.header.Get(idempotencyKey) != "":
		return true // the server answers the second as it did the first
	case w.header.Get("If-Match") != "" || w.header.Get("If-None-Match") != "":
		return false // the second time the condition would fail because of the first
	}
	return w.method == http.MethodGet || w.method == http.MethodPut || w.method == http.MethodDelete
}

// mayPass tells the answers that another attempt may not get.
func mayPass(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusBadGateway ||
		status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// limited reports whether there is nothing to do but wait: the server refused the call because of a rate limit and has not carried
// it out, or it is still at an earlier attempt of it, as at the creation of a connector whose name is not free yet.
func limited(err error) bool {
	var refused *Error
	return errors.As(err, &refused) && (refused.Status == http.StatusTooManyRequests || refused.Code == codeKeyBusy)
}

// neverSent reports whether the request cannot have reached the server, so that every call may be made again.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

func parseRetryAfter(header string) time.Duration {
	seconds, err := strconv.Atoi(header)
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
