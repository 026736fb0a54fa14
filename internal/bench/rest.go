package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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

var errNotFound = errors.New("not found")

func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
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
	switch {
	case err != nil:
		return fmt.Errorf("%s %s: %w", method, path, err)
	case res.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s %s: %w", method, path, errNotFound)
	case res.StatusCode >= 300:
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, bytes.TrimSpace(text))
	case out == nil:
		return nil
	}
	return json.Unmarshal(text, out)
}

func connectorPath(name, rest string) string { return "/connectors/" + url.PathEscape(name) + rest }

// status is what GET /connectors/{name}/status says.
type status struct {
	Connector state
	Tasks     []state
}

type state struct {
	State    string
	WorkerID string `json:"worker_id"`
	Trace    string
}

func (c *client) status(ctx context.Context, name string) (s status, err error) {
	err = c.call(ctx, http.MethodGet, connectorPath(name, "/status"), nil, &s)
	return s, err
}

// failed is why one of the connectors cannot go on, or nil.
func (c *client) failed(ctx context.Context, names ...string) error {
	for _, name := range names {
		s, err := c.status(ctx, name)
		if err != nil {
			return err
		}
		for _, part := range append(s.Tasks, s.Connector) {
			if part.State == "FAILED" {
				return fmt.Errorf("connector %s failed: %s", name, part.Trace)
			}
		}
	}
	return nil
}

func (c *client) put(ctx context.Context, name string, config map[string]string) error {
	return c.call(ctx, http.MethodPut, connectorPath(name, "/config"), config, nil)
}

// delete removes a connector and waits until nobody knows it.
func (c *client) delete(ctx context.Context, name string) error {
	if err := c.call(ctx, http.MethodDelete, connectorPath(name, ""), nil, nil); err != nil {
		return err
	}
	return poll(ctx, startBound, name+" is gone", func() (bool, error) {
		_, err := c.status(ctx, name)
		if errors.Is(err, errNotFound) {
			return true, nil
		}
		return false, err
	})
}
