package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// State is what a connector or a task is in, as Kafka Connect's clients know it.
type State string

// The states; tasks are never Stopped.
const (
	Unassigned State = "UNASSIGNED"
	Running    State = "RUNNING"
	Paused     State = "PAUSED"
	Stopped    State = "STOPPED"
	Failed     State = "FAILED"
	Restarting State = "RESTARTING"
)

// ServerInfo is who the server is.
type ServerInfo struct {
	Version     string `json:"version"`
	Commit      string `json:"commit"`
	Environment string `json:"kafka_cluster_id"` // the environment's id, under the name that Kafka Connect's clients expect
}

// TaskID names a task; tasks are numbered from 0.
type TaskID struct {
	Connector string `json:"connector"`
	Task      int    `json:"task"`
}

// Info is a connector as it was asked for.
type Info struct {
	Name   string            `json:"name"`
	Config map[string]string `json:"config"` // as given: references to secrets are never resolved
	Tasks  []TaskID          `json:"tasks"`
	Type   string            `json:"type"` // source or sink
}

// Instance is how a connector or a task is.
type Instance struct {
	State    State  `json:"state"`
	WorkerID string `json:"worker_id"`         // empty while no worker has it
	Trace    string `json:"trace,omitempty"`   // why it failed, or failed and is tried again
	Version  string `json:"version,omitempty"` // of the connector plugin
}

// TaskStatus is how one task is.
type TaskStatus struct {
	ID int `json:"id"`
	Instance
}

// Status is how a connector and its tasks are.
type Status struct {
	Name      string       `json:"name"`
	Connector Instance     `json:"connector"`
	Tasks     []TaskStatus `json:"tasks"`
	Type      string       `json:"type"`
}

// Failure is why the connector or its first failed task cannot go on; failed is false if they can.
func (s Status) Failure() (reason string, failed bool) {
	if s.Connector.State == Failed {
		return s.Connector.Trace, true
	}
	for _, t := range s.Tasks {
		if t.State == Failed {
			return "task " + strconv.Itoa(t.ID) + ": " + t.Trace, true
		}
	}
	return "", false
}

// TaskConfig is a task with its part of the plan.
type TaskConfig struct {
	ID     TaskID            `json:"id"`
	Config map[string]string `json:"config"`
}

// Expanded is a connector's config and status.
type Expanded struct {
	Status Status `json:"status"`
	Info   Info   `json:"info"`
}

// About says which version the server has and which environment it serves.
func (c *Client) About(ctx context.Context) (info ServerInfo, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: "/", out: &info})
	return info, err
}

// Healthy is nil if the server can do its work.
func (c *Client) Healthy(ctx context.Context) error {
	_, err := c.do(ctx, call{method: http.MethodGet, path: "/health", once: true})
	return err
}

// Names are the connectors' names, sorted.
func (c *Client) Names(ctx context.Context) (names []string, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: "/connectors", out: &names})
	return names, err
}

// Expanded is every connector's config and status, by name.
func (c *Client) Expanded(ctx context.Context) (all map[string]Expanded, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: "/connectors", query: url.Values{"expand": {"info", "status"}}, out: &all})
	return all, err
}

// Infos is every connector as it was asked for, by name.
func (c *Client) Infos(ctx context.Context) (map[string]Info, error) {
	var all map[string]Expanded
	if _, err := c.do(ctx, call{method: http.MethodGet, path: "/connectors", query: url.Values{"expand": {"info"}}, out: &all}); err != nil {
		return nil, err
	}
	infos := make(map[string]Info, len(all))
	for name, e := range all {
		infos[name] = e.Info
	}
	return infos, nil
}

// Connector is one connector as it was asked for.
func (c *Client) Connector(ctx context.Context, name string) (info Info, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: path("connectors", name), out: &info})
	return info, err
}

// PutConfig replaces a connector's config, or creates the connector, which created then tells.
func (c *Client) PutConfig(ctx context.Context, name string, config map[string]string) (info Info, created bool, err error) {
	got, err := c.do(ctx, call{method: http.MethodPut, path: path("connectors", name, "config"), in: config, out: &info})
	return info, got.status == http.StatusCreated, err
}

// PatchConfig sets the keys with a value and removes those whose value is nil. The whole result is validated.
func (c *Client) PatchConfig(ctx context.Context, name string, changes map[string]*string) (info Info, err error) {
	_, err = c.do(ctx, call{method: http.MethodPatch, path: path("connectors", name, "config"), in: changes, out: &info})
	return info, err
}

// Status is how a connector and its tasks are.
func (c *Client) Status(ctx context.Context, name string) (s Status, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: path("connectors", name, "status"), out: &s})
	return s, err
}

// TaskStatus is how one task is.
func (c *Client) TaskStatus(ctx context.Context, name string, task int) (s TaskStatus, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: path("connectors", name, "tasks", strconv.Itoa(task), "status"), out: &s})
	return s, err
}

// Tasks are the connector's tasks with their configs.
func (c *Client) Tasks(ctx context.Context, name string) (tasks []TaskConfig, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: path("connectors", name, "tasks"), out: &tasks})
	return tasks, err
}

// Pause stops the copying and keeps the tasks. It returns before that has happened, as Resume, Stop and Restart do.
func (c *Client) Pause(ctx context.Context, name string) error { return c.verb(ctx, name, "pause") }

// Resume undoes Pause and Stop.
func (c *Client) Resume(ctx context.Context, name string) error { return c.verb(ctx, name, "resume") }

// Stop ends the tasks and keeps the positions.
func (c *Client) Stop(ctx context.Context, name string) error { return c.verb(ctx, name, "stop") }

func (c *Client) verb(ctx context.Context, name, verb string) error {
	_, err := c.do(ctx, call{method: http.MethodPut, path: path("connectors", name, verb)})
	return err
}

// Restart says what to start again; the zero value is the connector without its tasks.
type Restart struct {
	IncludeTasks bool
	OnlyFailed   bool
}

// Restart starts a connector again.
func (c *Client) Restart(ctx context.Context, name string, r Restart) error {
	_, err := c.do(ctx, call{method: http.MethodPost, path: path("connectors", name, "restart"), query: url.Values{
		"includeTasks": {strconv.FormatBool(r.IncludeTasks)}, "onlyFailed": {strconv.FormatBool(r.OnlyFailed)}}})
	return err
}

// RestartTask starts one task again.
func (c *Client) RestartTask(ctx context.Context, name string, task int) error {
	_, err := c.do(ctx, call{method: http.MethodPost, path: path("connectors", name, "tasks", strconv.Itoa(task), "restart")})
	return err
}

// Topics are the topics that the connector has used.
func (c *Client) Topics(ctx context.Context, name string) ([]string, error) {
	var out map[string]struct {
		Topics []string `json:"topics"`
	}
	_, err := c.do(ctx, call{method: http.MethodGet, path: path("connectors", name, "topics"), out: &out})
	return out[name].Topics, err
}

// ResetTopics forgets which topics the connector has used.
func (c *Client) ResetTopics(ctx context.Context, name string) error {
	_, err := c.do(ctx, call{method: http.MethodPut, path: path("connectors", name, "topics", "reset")})
	return err
}
