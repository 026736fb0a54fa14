package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// config is a connector's config as users write it.
type config map[string]string

// client speaks Gantry's REST API as any HTTP client would.
type client struct {
	t    *testing.T
	base string
	http http.Client

	token string // sent with every request; empty: none
}

func newClient(t *testing.T, listen string) *client {
	// As long as the API takes at most: a creation waits for the name of a connector whose deletion is under way.
	c := &client{t: t, base: "http://" + listen, http: http.Client{Timeout: time.Minute, Transport: &http.Transport{}}}
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

// answered is an answer other than 2xx.
type answered struct {
	what, text string
	status     int
}

func (a *answered) Error() string { return fmt.Sprintf("%s: %d %s", a.what, a.status, a.text) }

// call returns an *answered for every status but 2xx.
func (c *client) call(method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return &answered{method + " " + path, strings.TrimSpace(string(text)), res.StatusCode}
	}
	if out == nil || len(text) == 0 {
		return nil
	}
	return json.Unmarshal(text, out)
}

// send makes one call and returns its status, for goroutines that must not end the test.
func (c *client) send(method, path string, in any) (status int, text string, err error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return 0, "", err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, body)
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

// must is call for what has to succeed.
func (c *client) must(method, path string, in, out any) {
	c.t.Helper()
	if err := c.call(method, path, in, out); err != nil {
		c.t.Fatal(err)
	}
}

// text is what the API answers, for people.
func (c *client) text(path string) string {
	res, err := c.http.Get(c.base + path)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close() //nolint:errcheck // only read
	b, _ := io.ReadAll(res.Body)
	return string(b)
}

func (c *client) healthy() error { return c.call(http.MethodGet, "/health", nil, nil) }

func connectorPath(name, rest string) string { return "/connectors/" + url.PathEscape(name) + rest }

// put creates a connector or replaces its config.
func (c *client) put(name string, cfg config) {
	c.t.Helper()
	c.must(http.MethodPut, connectorPath(name, "/config"), cfg, nil)
}

// verb is pause, resume or stop.
func (c *client) verb(name, verb string) {
	c.t.Helper()
	c.must(http.MethodPut, connectorPath(name, "/"+verb), nil, nil)
}

func (c *client) restart(name string) {
	c.t.Helper()
	c.must(http.MethodPost, connectorPath(name, "/restart?includeTasks=true"), nil, nil)
}

func (c *client) delete(name string) {
	c.t.Helper()
	c.must(http.MethodDelete, connectorPath(name, ""), nil, nil)
}

type state struct {
	State    string `json:"state"`
	WorkerID string `json:"worker_id"`
	Trace    string `json:"trace"`
}

type status struct {
	Connector state `json:"connector"`
	Tasks     []struct {
		ID int `json:"id"`
		state
	} `json:"tasks"`
}

// status returns an *answered with 404 once the connector is gone.
func (c *client) status(name string) (s status, err error) {
	err = c.call(http.MethodGet, connectorPath(name, "/status"), nil, &s)
	return s, err
}

// awaitStatus waits until ok says nothing is wrong with the connector's status.
func (c *client) awaitStatus(name, what string, ok func(status) error) {
	c.t.Helper()
	await(c.t, name+" "+what, func() error {
		s, err := c.status(name)
		if err != nil {
			return err
		}
		if err := ok(s); err != nil {
			return fmt.Errorf("%w: %+v", err, s)
		}
		return nil
	})
}

// awaitState waits until the connector and all its tasks are in a state.
func (c *client) awaitState(name, want string) {
	c.t.Helper()
	c.awaitStatus(name, "is "+want, func(s status) error {
		for _, t := range s.Tasks {
			if t.State != want {
				return fmt.Errorf("task %d is %s", t.ID, t.State)
			}
		}
		if s.Connector.State != want {
			return errors.New("the connector is not")
		}
		return nil
	})
}

// awaitGone waits until nobody knows the connector and its name is free again: until then its tasks may still be ending.
func (c *client) awaitGone(name string, again config) {
	c.t.Helper()
	await(c.t, "the name "+name+" is free", func() error {
		return c.call(http.MethodPost, "/connectors", map[string]any{"name": name, "config": again, "initial_state": "STOPPED"}, nil)
	})
	c.delete(name)
	await(c.t, name+" is gone", func() error {
		_, err := c.status(name)
		var a *answered
		if errors.As(err, &a) && a.status == http.StatusNotFound {
			return nil
		}
		return fmt.Errorf("its status: %v", err)
	})
}

// trouble is what a task failed with, for good; empty if none has. A connector that could not be planned is no such trouble:
// that is tried again.
func (c *client) trouble(name string) string {
	s, err := c.status(name)
	if err != nil {
		return ""
	}
	for _, t := range s.Tasks {
		if t.State == "FAILED" {
			return fmt.Sprintf("task %d: %s", t.ID, t.Trace)
		}
	}
	return ""
}
