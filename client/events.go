package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Event is something that happened to a connector or one of its tasks.
type Event struct {
	ID        int64     `json:"id"` // rises
	At        time.Time `json:"at"`
	Connector string    `json:"connector"`
	UID       int64     `json:"uid"`            // tells the connector from others that had the name
	Task      *int      `json:"task,omitempty"` // nil: it concerns the whole connector
	Kind      string    `json:"kind"`
	Author    string    `json:"author,omitempty"`
	Detail    string    `json:"detail"`
}

// EventQuery says which events to read.
type EventQuery struct {
	Connector string // empty: of all
	Kinds     []string
}

func (q EventQuery) call() call {
	what := call{method: http.MethodGet, path: "/v1/events", query: url.Values{}}
	if q.Connector != "" {
		what.path = path("v1", "connectors", q.Connector, "events")
	}
	if len(q.Kinds) > 0 {
		what.query["kind"] = q.Kinds
	}
	return what
}

// Events are the newest events, newest first, at most limit; 0 is all that are kept.
func (c *Client) Events(ctx context.Context, q EventQuery, limit int) ([]Event, error) {
	what := q.call()
	return collect[Event](ctx, c, what.path, what.query, limit)
}

// AuditEntry is a change that somebody asked for.
type AuditEntry struct {
	ID        int64     `json:"id"` // rises
	At        time.Time `json:"at"`
	Principal string    `json:"principal"` // who asked for it
	Address   string    `json:"address"`   // where from; empty for the command line on the catalog
	Operation string    `json:"operation"`
	Method    string    `json:"method"`
	Path      string    `json:"path"`
	Connector string    `json:"connector"` // empty if it concerns no single one
	Status    int       `json:"status"`    // of the answer: 2xx was done, the others were not
}

// AuditQuery narrows a look at the audit trail; empty fields do not.
type AuditQuery struct {
	Connector, Principal string
	Before               int64 // only what is older than this id
	Limit                int   // 1 to 1000
}

// Audit is the audit trail, newest first.
func (c *Client) Audit(ctx context.Context, q AuditQuery) ([]AuditEntry, error) {
	query := url.Values{"limit": {strconv.Itoa(q.Limit)}}
	if q.Connector != "" {
		query.Set("connector", q.Connector)
	}
	if q.Principal != "" {
		query.Set("principal", q.Principal)
	}
	if q.Before > 0 {
		query.Set("before", strconv.FormatInt(q.Before, 10))
	}
	var out struct {
		Items []AuditEntry `json:"items"`
	}
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/audit", query: query, out: &out})
	return out.Items, err
}

// Bounds of a stream: an event's line, and how long a broken stream is tried again before Follow gives up.
const (
	maxLineBytes = 1 << 20
	streamPause  = time.Second
	streamBudget = 2 * time.Minute
)

// Follow hands over every event with an id above after as it happens, oldest first, until ctx ends, which is no error, or
// each returns one. With after -1 it begins with what happens from now on, with 0 at the beginning. A stream that breaks is
// taken up again behind the last event that it brought, if any; Follow gives up once the server has been away for two minutes.
func (c *Client) Follow(ctx context.Context, q EventQuery, after int64, each func(Event) error) error {
	seen := time.Now()
	for {
		err := c.openStream(ctx, q, after, func(e Event) error {
			after, seen = e.ID, time.Now()
			return each(e)
		})
		if ctx.Err() != nil {
			return nil
		}
		broken := &brokenStream{}
		if err == nil || errors.As(err, &broken) && broken.opened {
			seen = time.Now()
		} else if !errors.Is(err, ErrUnreachable) && !errors.Is(err, ErrUnavailable) || time.Since(seen) > streamBudget {
			return err
		}
		timer := time.NewTimer(streamPause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// brokenStream is a stream that ended without being asked to; opened if the server had answered at all.
type brokenStream struct {
	opened bool
	cause  error
}

func (e *brokenStream) Error() string { return fmt.Sprintf("the stream of events broke: %v", e.cause) }
func (e *brokenStream) Unwrap() error { return e.cause }

// openStream reads one stream until it ends.
func (c *Client) openStream(ctx context.Context, q EventQuery, after int64, each func(Event) error) error {
	what := q.call()
	what.header = http.Header{"Accept": {"text/event-stream"}}
	if after >= 0 {
		what.header.Set("Last-Event-ID", strconv.FormatInt(after, 10))
	}
	sign, err := c.signature(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience := time.AfterFunc(c.options.Timeout, func() { cancel(&silentError{c.options.Timeout}) }) // until the stream begins
	defer patience.Stop()
	req, err := c.request(ctx, what, nil, sign)
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(ctx, what, err)
	}
	patience.Stop()
	defer res.Body.Close() //nolint:errcheck // only read
	if res.StatusCode != http.StatusOK {
		text, err := io.ReadAll(io.LimitReader(res.Body, maxLineBytes))
		if err != nil {
			return c.unreachable(ctx, what, err)
		}
		return newError(what, res, text)
	}
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); kind != "text/event-stream" {
		return &Error{Method: what.method, Path: what.path, Status: res.StatusCode, Code: "not-gantry",
			Message: fmt.Sprintf("%s answers with %q instead of a stream of events: is it a Gantry server, or does a proxy keep streams away?",
				c.base.Redacted(), res.Header.Get("Content-Type"))}
	}
	return readEvents(res.Body, each)
}

// readEvents parses server-sent events, of which Gantry's have their JSON in data; other fields are not needed, for the
// JSON has the id, too.
func readEvents(r io.Reader, each func(Event) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), maxLineBytes)
	var data []string
	for lines.Scan() {
		line := lines.Text()
		if value, ok := strings.CutPrefix(line, "data:"); ok {
			data = append(data, strings.TrimPrefix(value, " "))
			continue
		}
		if line != "" || len(data) == 0 {
			continue
		}
		var e Event
		if err := json.Unmarshal([]byte(strings.Join(data, "\n")), &e); err != nil {
			return fmt.Errorf("an event is not what this client knows: %w", err)
		}
		data = nil
		if err := each(e); err != nil {
			return err
		}
	}
	err := lines.Err()
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return &brokenStream{opened: true, cause: err}
}
