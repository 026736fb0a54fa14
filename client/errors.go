package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// Kinds of failure, for errors.Is. Every answer that is no success is an [*Error] and matches one of them at most.
var (
	ErrNotFound     = errors.New("not found")                       // 404
	ErrConflict     = errors.New("conflict")                        // 409, 412, 423
	ErrInvalid      = errors.New("invalid request")                 // 400, 413, 415, 422
	ErrUnauthorized = errors.New("not authenticated")               // 401
	ErrForbidden    = errors.New("not allowed")                     // 403
	ErrUnavailable  = errors.New("the server cannot serve for now") // 429, 502, 503, 504
	ErrServer       = errors.New("the server failed")               // other 5xx
	// ErrUnreachable is wrapped when no answer came: the connection failed or broke, or the attempt timed out.
	ErrUnreachable = errors.New("the server cannot be reached")
)

// Error is an answer that is no success.
type Error struct {
	Method, Path string
	Status       int
	// Code is the stable name that routes under /v1 give the problem, such as "changed"; empty on Kafka Connect's.
	Code    string
	Message string
	// Field, Value and Remedy say what exactly is wrong and what mends it, where the server says so.
	Field, Value, Remedy string
	// Errors are the parts of a problem that has several.
	Errors []FieldError

	retryAfter time.Duration
}

// FieldError is one of several things that are wrong with a request.
type FieldError struct {
	Field   string `json:"field"`
	Value   string `json:"value"`
	Message string `json:"message"`
}

func (e *Error) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("%s %s: %d %s", e.Method, e.Path, e.Status, http.StatusText(e.Status))
	}
	return e.Message
}

// Is makes the kinds of failure work with errors.Is.
func (e *Error) Is(target error) bool { return target == kindOf(e.Status) }

func kindOf(status int) error {
	switch {
	case status == http.StatusNotFound:
		return ErrNotFound
	case status == http.StatusConflict || status == http.StatusPreconditionFailed || status == http.StatusLocked:
		return ErrConflict
	case status == http.StatusUnauthorized:
		return ErrUnauthorized
	case status == http.StatusForbidden:
		return ErrForbidden
	case mayPass(status):
		return ErrUnavailable
	case status >= http.StatusInternalServerError:
		return ErrServer
	case status >= http.StatusBadRequest:
		return ErrInvalid
	}
	return nil
}

// newError reads both shapes of error body: RFC 9457's and Kafka Connect's.
func newError(what call, res *http.Response, body []byte) *Error {
	e := &Error{Method: what.method, Path: what.path, Status: res.StatusCode, retryAfter: parseRetryAfter(res.Header.Get("Retry-After"))}
	var both struct {
		Message string       `json:"message"`
		Title   string       `json:"title"`
		Detail  string       `json:"detail"`
		Code    string       `json:"code"`
		Field   string       `json:"field"`
		Value   string       `json:"value"`
		Remedy  string       `json:"remedy"`
		Errors  []FieldError `json:"errors"`
	}
	if to, err := res.Location(); err == nil && res.StatusCode < http.StatusBadRequest {
		e.Message = fmt.Sprintf("%s://%s redirects to %s://%s: name that server instead if it is right", res.Request.URL.Scheme, res.Request.URL.Host, to.Scheme, to.Host)
		return e
	}
	if json.Unmarshal(body, &both) != nil {
		if kind := res.Header.Get("Content-Type"); strings.HasPrefix(kind, "text/plain") && len(body) < 1000 {
			e.Message = strings.TrimSpace(string(body)) // of a proxy, most likely
		}
		return e
	}
	e.Code, e.Field, e.Value, e.Remedy, e.Errors = both.Code, both.Field, both.Value, both.Remedy, both.Errors
	for _, text := range []string{both.Detail, both.Message, both.Title} {
		if text != "" {
			e.Message = text
			break
		}
	}
	return e
}

// What is wrong with a URL that begins with the other of http and https.
var (
	errNoTLS = errors.New("it does not speak TLS: begin the URL with http:// if that is meant")
	errTLS   = errors.New("it speaks TLS: begin the URL with https://")
)

// wantsTLS tells the answer that a Go server and others give to those who speak no TLS.
func wantsTLS(status int, body []byte) bool {
	return status == http.StatusBadRequest && (bytes.Contains(body, []byte("HTTP request to an HTTPS server")) ||
		bytes.Contains(body, []byte("plain HTTP request was sent to HTTPS port")))
}

// unreachableError keeps the cause and adds the server.
type unreachableError struct {
	server string
	cause  error
}

func (e *unreachableError) Error() string {
	return fmt.Sprintf("%s cannot be reached: %s", e.server, plain(e.cause))
}

func (e *unreachableError) Unwrap() []error { return []error{ErrUnreachable, e.cause} }

// silentError is why an attempt was given up.
type silentError struct{ after time.Duration }

func (e *silentError) Error() string { return fmt.Sprintf("no answer within %s", e.after) }

// unreachable is the error of an attempt that brought no answer.
func (c *Client) unreachable(ctx context.Context, what call, err error) error {
	var silent *silentError
	if errors.As(context.Cause(ctx), &silent) {
		return &unreachableError{c.base.Redacted(), silent}
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s %s: %w", what.method, what.path, context.Canceled)
	}
	for _, words := range []string{"server gave HTTP response to HTTPS client", "first record does not look like a TLS handshake"} {
		if strings.Contains(err.Error(), words) {
			err = errNoTLS
		}
	}
	return &unreachableError{c.base.Redacted(), err}
}

// plain is the part of an error of the network that tells people something: they know the method and the server, and need not
// know which calls of the system were made.
func plain(err error) string {
	var (
		call   *url.Error
		lookup *net.DNSError
		errno  syscall.Errno
	)
	if errors.As(err, &call) {
		err = call.Err
	}
	switch {
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return "there is no host " + lookup.Name
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, io.EOF):
		return "it ended the connection without an answer"
	}
	return err.Error()
}
