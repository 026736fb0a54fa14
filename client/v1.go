package client

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const idempotencyKey = "Idempotency-Key"

// largestPage is what one page holds at most.
const largestPage = 1000

// change is the header of a POST that changes something: its key lets the call be repeated without doing it twice.
func change() http.Header { return http.Header{idempotencyKey: {rand.Text()}} }

// match adds If-Match for a version that a change depends on; 0 depends on nothing.
func match(h http.Header, version int64) http.Header {
	if version == 0 {
		return h
	}
	if h == nil {
		h = http.Header{}
	}
	h.Set("If-Match", strconv.Quote(strconv.FormatInt(version, 10)))
	return h
}

// version reads the ETag of an answer; 0 if it has none.
func (a answer) version() int64 {
	number, _, _ := strings.Cut(strings.Trim(strings.TrimPrefix(a.header.Get("ETag"), "W/"), `"`), "-") // what follows tells connectors of one name apart
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// page is a part of a list; next is the cursor of the part that follows.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

// collect reads pages until limit items are there, or all if limit is 0.
func collect[T any](ctx context.Context, c *Client, path string, query url.Values, limit int) ([]T, error) {
	if query == nil {
		query = url.Values{}
	}
	all := []T{}
	for {
		size := largestPage
		if limit > 0 {
			size = min(size, limit-len(all))
		}
		query.Set("limit", strconv.Itoa(size))
		var p page[T]
		if _, err := c.do(ctx, call{method: http.MethodGet, path: path, query: query, out: &p}); err != nil {
			return nil, err
		}
		all = append(all, p.Items...)
		if p.Next == "" || limit > 0 && len(all) >= limit {
			return all, nil
		}
		if p.Next == query.Get("cursor") {
			return nil, fmt.Errorf("GET %s: the server answers the same page again", path)
		}
		query.Set("cursor", p.Next)
	}
}

// TaskCounts counts a connector's tasks by state.
type TaskCounts struct {
	Total      int `json:"total"`
	Running    int `json:"running"`
	Paused     int `json:"paused"`
	Failed     int `json:"failed"`
	Unassigned int `json:"unassigned"`
	Restarting int `json:"restarting"`
}

// Overview is a connector at a glance.
type Overview struct {
	Name         string            `json:"name"`
	Kind         string            `json:"kind"` // source or sink
	Class        string            `json:"class"`
	Version      string            `json:"version,omitempty"`
	Guarantee    string            `json:"guarantee,omitempty"`
	State        State             `json:"state"`
	Desired      State             `json:"desired"`
	Health       string            `json:"health"` // running, idle, stalled, unassigned, restarting, paused, stopped or failed
	Reason       string            `json:"reason,omitempty"`
	Labels       map[string]string `json:"labels"`
	Tasks        TaskCounts        `json:"tasks"`
	Records      int64             `json:"records"` // committed since the connector was created
	Bytes        int64             `json:"bytes"`
	Rate         float64           `json:"rate"`        // records per second
	LagRecords   int64             `json:"lag_records"` // -1: unknown, as the other lags
	LagBytes     int64             `json:"lag_bytes"`
	LagSeconds   float64           `json:"lag_seconds"`
	LastRecordAt *time.Time        `json:"last_record_at,omitempty"`
	Revision     int64             `json:"revision"`         // of the config, from 1
	Planned      int64             `json:"planned_revision"` // that the tasks were planned from; 0 before the first plan
	CreatedAt    time.Time         `json:"created_at"`
	UpdatedAt    time.Time         `json:"updated_at"`
}

// Query says which connectors to list; empty fields take all.
type Query struct {
	Selector string // of labels: a=b, a!=b, a in (b,c), a notin (b,c), a, !a
	States   []State
	Kind     string // source or sink
}

// Overviews lists connectors by name.
func (c *Client) Overviews(ctx context.Context, q Query) ([]Overview, error) {
	query := url.Values{}
	if q.Selector != "" {
		query.Set("selector", q.Selector)
	}
	if q.Kind != "" {
		query.Set("kind", q.Kind)
	}
	if len(q.States) > 0 {
		states := make([]string, len(q.States))
		for i, s := range q.States {
			states[i] = string(s)
		}
		query.Set("state", strings.Join(states, ","))
	}
	return collect[Overview](ctx, c, "/v1/connectors", query, 0)
}

// Overview is one connector at a glance.
func (c *Client) Overview(ctx context.Context, name string) (o Overview, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: path("v1", "connectors", name), out: &o})
	return o, err
}

// NewConnector asks for a new connector.
type NewConnector struct {
	Name         string            `json:"name,omitempty"`
	Config       map[string]string `json:"config"`
	Labels       map[string]string `json:"labels,omitempty"`
	InitialState string            `json:"initial_state,omitempty"` // RUNNING (also if empty), PAUSED or STOPPED
}

// Create makes a connector, or with dryRun only tells what it would be.
func (c *Client) Create(ctx context.Context, n NewConnector, dryRun bool) (o Overview, err error) {
	_, err = c.do(ctx, call{method: http.MethodPost, path: "/v1/connectors", query: dry(dryRun), header: change(), in: n, out: &o})
	return o, err
}

// Deletion says what goes with a connector.
type Deletion struct {
	Topics        bool  // also the topics that a source has written to
	KeepPositions bool  // a connector that is created under the name later goes on there
	IfRevision    int64 // only if the config still has this revision; 0: any
}

// Delete ends a connector. The name is free a moment later, when its tasks have ended.
func (c *Client) Delete(ctx context.Context, name string, d Deletion) error {
	query := url.Values{"topics": {strconv.FormatBool(d.Topics)}, "positions": {strconv.FormatBool(!d.KeepPositions)}}
	_, err := c.do(ctx, call{method: http.MethodDelete, path: path("v1", "connectors", name), query: query, header: match(nil, d.IfRevision)})
	return err
}

// Labels are a connector's labels.
func (c *Client) Labels(ctx context.Context, name string) (labels map[string]string, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: path("v1", "connectors", name, "labels"), out: &labels})
	return labels, err
}

// PutLabels replaces a connector's labels.
func (c *Client) PutLabels(ctx context.Context, name string, labels map[string]string) error {
	if labels == nil {
		labels = map[string]string{}
	}
	_, err := c.do(ctx, call{method: http.MethodPut, path: path("v1", "connectors", name, "labels"), in: labels})
	return err
}

// BulkItem is what became of one connector.
type BulkItem struct {
	Name    string `json:"name"`
	Outcome string `json:"outcome"` // accepted, unchanged, would change or failed
	Code    string `json:"code,omitempty"`
	Detail  string `json:"detail,omitempty"` // why it failed
}

// BulkResult is what became of all.
type BulkResult struct {
	Verb    string     `json:"verb"`
	DryRun  bool       `json:"dry_run"`
	Matched int        `json:"matched"`
	Failed  int        `json:"failed"`
	Items   []BulkItem `json:"items"`
}

// Bulk asks for one verb on many connectors: those that match the selector and, where names are given, are named.
type Bulk struct {
	Verb     string // pause, resume, stop, restart or delete
	Selector string
	Names    []string
	All      bool // needed where neither a selector nor names are given
	DryRun   bool
}

// Bulk does it. Some connectors may fail while others do not: that is no error, the items tell.
func (c *Client) Bulk(ctx context.Context, b Bulk) (r BulkResult, err error) {
	query := dry(b.DryRun)
	if b.Selector != "" {
		query.Set("selector", b.Selector)
	}
	if len(b.Names) > 0 {
		query["name"] = b.Names
	}
	if b.All {
		query.Set("all", "true")
	}
	_, err = c.do(ctx, call{method: http.MethodPost, path: path("v1", "connectors", "bulk", b.Verb), query: query, header: change(), out: &r})
	return r, err
}

func dry(run bool) url.Values {
	if !run {
		return url.Values{}
	}
	return url.Values{"dry_run": {"true"}}
}
