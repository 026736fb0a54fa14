package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Finding is something that a check found.
type Finding struct {
	Severity string `json:"severity"` // ok, info, warning or error
	Code     string `json:"code"`
	Subject  string `json:"subject"`
	Message  string `json:"message"`
	Remedy   string `json:"remedy,omitempty"`
}

// CheckResult is what a worker found out about a config.
type CheckResult struct {
	OK        bool      `json:"ok"` // no finding is an error
	Findings  []Finding `json:"findings"`
	WorkerID  string    `json:"worker_id,omitempty"` // empty where the config is wrong in itself, so that nobody had to look
	CheckedAt time.Time `json:"checked_at"`
}

// Check has a worker try a config on the real systems.
func (c *Client) Check(ctx context.Context, config map[string]string) (r CheckResult, err error) {
	_, err = c.do(ctx, call{method: http.MethodPost, path: "/v1/check", in: map[string]any{"config": config}, out: &r, slow: true})
	return r, err
}

// CheckConnector has a worker try a connector's config on the real systems.
func (c *Client) CheckConnector(ctx context.Context, name string) (r CheckResult, err error) {
	_, err = c.do(ctx, call{method: http.MethodPost, path: path("v1", "connectors", name, "check"), out: &r, slow: true})
	return r, err
}

// PreviewHeader is one header of a record.
type PreviewHeader struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
}

// PreviewRecord is a record in readable form.
type PreviewRecord struct {
	Topic     string          `json:"topic,omitempty"`
	Operation string          `json:"operation"`
	Key       json.RawMessage `json:"key,omitempty"`
	Before    json.RawMessage `json:"before,omitempty"`
	After     json.RawMessage `json:"after,omitempty"`
	Headers   []PreviewHeader `json:"headers,omitempty"`
	EventTime *time.Time      `json:"event_time,omitempty"`
}

// PreviewStep is a record after one transform.
type PreviewStep struct {
	Transform string         `json:"transform"`
	Kept      bool           `json:"kept"`
	Error     string         `json:"error,omitempty"`
	Record    *PreviewRecord `json:"record,omitempty"`
}

// PreviewItem is one record on its way through the transforms.
type PreviewItem struct {
	Partition json.RawMessage `json:"partition,omitempty"` // the part of the source, or the queue, that it was read from
	Offset    uint64          `json:"offset"`              // where in the partition it stands
	Record    *PreviewRecord  `json:"record,omitempty"`
	Error     string          `json:"error,omitempty"`
	Steps     []PreviewStep   `json:"steps"`
}

// Preview is what a worker read; nothing was written or committed.
type Preview struct {
	Items     []PreviewItem `json:"items"`
	Truncated bool          `json:"truncated"`
	Note      string        `json:"note,omitempty"`
	WorkerID  string        `json:"worker_id"`
}

// Preview reads the first records that a config would copy, at most limit.
func (c *Client) Preview(ctx context.Context, config map[string]string, limit int) (p Preview, err error) {
	_, err = c.do(ctx, call{method: http.MethodPost, path: "/v1/preview", in: map[string]any{"config": config, "limit": limit}, out: &p, slow: true})
	return p, err
}

// TopicPreview says what to read of a topic.
type TopicPreview struct {
	Limit     int
	From      string // earliest or latest
	Converter string // json, string or bytes
}

// PreviewTopic reads records of a topic.
func (c *Client) PreviewTopic(ctx context.Context, topic string, t TopicPreview) (p Preview, err error) {
	query := url.Values{"limit": {strconv.Itoa(t.Limit)}}
	if t.From != "" {
		query.Set("from", t.From)
	}
	if t.Converter != "" {
		query.Set("converter", t.Converter)
	}
	_, err = c.do(ctx, call{method: http.MethodGet, path: path("v1", "topics", topic, "preview"), query: query, out: &p, slow: true, once: true})
	return p, err
}

// WorkerTask is a task that a worker has.
type WorkerTask struct {
	Connector string  `json:"connector"`
	Task      int     `json:"task"`
	State     State   `json:"state"`
	Rate      float64 `json:"rate"` // records per second
}

// Worker is a process that runs tasks.
type Worker struct {
	ID       string       `json:"id"`
	Host     string       `json:"host"`
	Group    string       `json:"group"`
	Version  string       `json:"version"`
	Alive    bool         `json:"alive"`
	Draining bool         `json:"draining"` // it hands its tasks over and takes none
	Cordoned bool         `json:"cordoned"` // an operator asked it to
	Capacity int          `json:"capacity"`
	Running  int          `json:"running"`
	Load     float64      `json:"load"` // running divided by capacity
	Rate     float64      `json:"rate"`
	Since    time.Time    `json:"since"`
	SeenAt   time.Time    `json:"seen_at"`
	Tasks    []WorkerTask `json:"tasks"`
}

// Rebalance tells what was asked for.
type Rebalance struct {
	Workers int `json:"workers"`
	Tasks   int `json:"tasks"`
}

// Workers lists the workers, also those that went silent within the last hour.
func (c *Client) Workers(ctx context.Context) ([]Worker, error) {
	var out page[Worker]
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/workers", out: &out})
	return out.Items, err
}

// Worker is one worker.
func (c *Client) Worker(ctx context.Context, id string) (w Worker, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: path("v1", "workers", id), out: &w})
	return w, err
}

// Drain has a worker hand over its tasks and take none.
func (c *Client) Drain(ctx context.Context, id string) (w Worker, err error) {
	_, err = c.do(ctx, call{method: http.MethodPost, path: path("v1", "workers", id, "drain"), header: change(), out: &w})
	return w, err
}

// Undrain lets a worker take tasks again.
func (c *Client) Undrain(ctx context.Context, id string) (w Worker, err error) {
	_, err = c.do(ctx, call{method: http.MethodPost, path: path("v1", "workers", id, "undrain"), header: change(), out: &w})
	return w, err
}

// Rebalance has the workers share the tasks evenly now.
func (c *Client) Rebalance(ctx context.Context) (r Rebalance, err error) {
	_, err = c.do(ctx, call{method: http.MethodPost, path: "/v1/workers/rebalance", header: change(), out: &r})
	return r, err
}

// TaskProgress is how far a task has come and how it gets on.
type TaskProgress struct {
	Task             int        `json:"task"`
	State            State      `json:"state"`
	WorkerID         string     `json:"worker_id"`
	Records          int64      `json:"records"` // copied and committed since the connector was created
	Bytes            int64      `json:"bytes"`
	RecordsPerSecond float64    `json:"records_per_second"`
	LagRecords       int64      `json:"lag_records"` // -1: unknown, as the other lags
	LagBytes         int64      `json:"lag_bytes"`
	LagSeconds       float64    `json:"lag_seconds"`
	LastRecordAt     *time.Time `json:"last_record_at,omitempty"`
	Health           string     `json:"health"` // running, idle, stalled, unassigned, restarting, paused, stopped or failed
	Reason           string     `json:"reason,omitempty"`
	Filtered         int64      `json:"filtered"`     // records that a transform has dropped; this and what follows by the present owner
	Bad              int64      `json:"bad"`          // records that were given up
	DeadLetters      int64      `json:"dead_letters"` // records that were sent to the dead-letter topic
	Retries          int64      `json:"retries"`
	Retrying         string     `json:"retrying,omitempty"` // what is being tried again, and why
	NextRetryAt      *time.Time `json:"next_retry_at,omitempty"`
	UpdatedAt        time.Time  `json:"updated_at"`
}

// Progress is how far a connector's tasks have come.
func (c *Client) Progress(ctx context.Context, name string) (tasks []TaskProgress, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: path("v1", "connectors", name, "progress"), out: &tasks})
	return tasks, err
}
