package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// client speaks Gantry's REST API.
type client struct {
	base string
	http http.Client
}

func newClient(listen string) *client {
	return &client{base: "http://" + listen, http: http.Client{Timeout: 10 * time.Second}}
}

// task is one task's line of GET /v1/connectors/{name}/progress.
type task struct {
	Task             int       `json:"task"`
	State            string    `json:"state"`
	Records          int64     `json:"records"`
	RecordsPerSecond float64   `json:"records_per_second"`
	LagRecords       int64     `json:"lag_records"`
	LagBytes         int64     `json:"lag_bytes"`
	UpdatedAt        time.Time `json:"updated_at"`
}

func (c *client) put(ctx context.Context, name string, config map[string]string) error {
	body, err := json.Marshal(config)
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPut, "/connectors/"+url.PathEscape(name)+"/config", body, nil)
}

func (c *client) progress(ctx context.Context, name string) (tasks []task, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/connectors/"+url.PathEscape(name)+"/progress", nil, &tasks)
	return tasks, err
}

// failure is why a connector cannot go on, or nothing.
func (c *client) failure(ctx context.Context, name string) (string, error) {
	var status struct {
		Connector struct{ State, Trace string }
		Tasks     []struct {
			ID           int
			State, Trace string
		}
	}
	if err := c.call(ctx, http.MethodGet, "/connectors/"+url.PathEscape(name)+"/status", nil, &status); err != nil {
		return "", err
	}
	if status.Connector.State == "FAILED" {
		return status.Connector.Trace, nil
	}
	for _, t := range status.Tasks {
		if t.State == "FAILED" {
			return fmt.Sprintf("task %d: %s", t.ID, t.Trace), nil
		}
	}
	return "", nil
}

func (c *client) healthy(ctx context.Context) error {
	return c.call(ctx, http.MethodGet, "/health", nil, nil)
}

func (c *client) call(ctx context.Context, method, path string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if res.StatusCode >= 300 {
		var problem struct{ Message string }
		if json.Unmarshal(text, &problem) == nil && problem.Message != "" {
			return fmt.Errorf("%s %s: %s", method, path, problem.Message)
		}
		return fmt.Errorf("%s %s: %s", method, path, res.Status)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}
