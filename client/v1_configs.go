package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Revision is one version of a connector's config.
type Revision struct {
	Number  int64     `json:"number"` // from 1
	Class   string    `json:"class"`
	Author  string    `json:"author"`
	At      time.Time `json:"at"`
	Current bool      `json:"current"`
	Changed []string  `json:"changed"` // the keys that differ from the revision before
}

// RevisionConfig is a revision with its config.
type RevisionConfig struct {
	Revision
	Config map[string]string `json:"config"`
}

// KeyChange is one key that differs between two revisions.
type KeyChange struct {
	Key  string  `json:"key"`
	Kind string  `json:"kind"` // added, removed or changed
	Old  *string `json:"old,omitempty"`
	New  *string `json:"new,omitempty"`
}

// RevisionDiff is what changed from one revision to another.
type RevisionDiff struct {
	From    int64       `json:"from"` // 0 is the empty config before the first revision
	To      int64       `json:"to"`
	Changes []KeyChange `json:"changes"`
}

// Config is the config in force and its revision.
func (c *Client) Config(ctx context.Context, name string) (config map[string]string, revision int64, err error) {
	got, err := c.do(ctx, call{method: http.MethodGet, path: path("v1", "connectors", name, "config"), out: &config})
	return config, got.version(), err
}

// Replacement says how to replace a config.
type Replacement struct {
	IfRevision int64 // only if this one is in force still ([ErrConflict]); 0: any
	IfAbsent   bool  // only if there is no such connector yet
	DryRun     bool  // check everything, change nothing
}

// ReplaceConfig replaces a connector's config, or creates the connector. It returns the revision then in force, which is
// the old one where nothing changed; of a dry run, the one that would be.
func (c *Client) ReplaceConfig(ctx context.Context, name string, config map[string]string, r Replacement) (revision int64, created bool, err error) {
	header := match(nil, r.IfRevision)
	if r.IfAbsent {
		header = http.Header{"If-None-Match": {"*"}}
	}
	got, err := c.do(ctx, call{method: http.MethodPut, path: path("v1", "connectors", name, "config"), query: dry(r.DryRun), header: header, in: config})
	return got.version(), got.status == http.StatusCreated, err
}

// Revisions lists the configs that a connector has had, newest first, at most limit of them; 0 is all.
func (c *Client) Revisions(ctx context.Context, name string, limit int) ([]Revision, error) {
	return collect[Revision](ctx, c, path("v1", "connectors", name, "revisions"), nil, limit)
}

// Revision is one config that a connector has had.
func (c *Client) Revision(ctx context.Context, name string, number int64) (r RevisionConfig, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: revisionPath(name, number), out: &r})
	return r, err
}

// DiffRevisions is what changed from one revision to another; from -1 is the one before.
func (c *Client) DiffRevisions(ctx context.Context, name string, from, to int64) (d RevisionDiff, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: revisionPath(name, to) + "/diff",
		query: url.Values{"against": {strconv.FormatInt(from, 10)}}, out: &d})
	return d, err
}

// Rollback puts an old config into force again, as a new revision.
func (c *Client) Rollback(ctx context.Context, name string, number, ifRevision int64) (r RevisionConfig, err error) {
	_, err = c.do(ctx, call{method: http.MethodPost, path: revisionPath(name, number) + "/rollback",
		header: match(change(), ifRevision), out: &r})
	return r, err
}

func revisionPath(name string, number int64) string {
	return path("v1", "connectors", name, "revisions", strconv.FormatInt(number, 10))
}

// Positions is how far a connector has come.
type Positions struct {
	Generation int64             `json:"generation"` // raised by each edit
	Offsets    []PartitionOffset `json:"offsets"`
}

// PositionVersion is a point in a connector's position history: an edit, what an edit found, or a checkpoint that was kept.
type PositionVersion struct {
	Version    int64             `json:"version"`
	At         time.Time         `json:"at"`
	Task       *int              `json:"task,omitempty"`   // whose checkpoint it is
	Author     string            `json:"author,omitempty"` // who edited
	Generation int64             `json:"generation"`
	Changed    []PartitionOffset `json:"changed"` // a nil offset: the partition was removed
}

// Positions is how far a connector has come.
func (c *Client) Positions(ctx context.Context, name string) (p Positions, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: path("v1", "connectors", name, "offsets"), out: &p})
	return p, err
}

// EditPositions changes the partitions named, of a stopped connector; a nil offset removes its partition. With a
// generation other than -1 only if that is in force still ([ErrConflict]).
func (c *Client) EditPositions(ctx context.Context, name string, edits []PartitionOffset, ifGeneration int64) (p Positions, err error) {
	_, err = c.do(ctx, call{method: http.MethodPatch, path: path("v1", "connectors", name, "offsets"),
		header: ifUnchanged(nil, ifGeneration), in: offsetsBody{edits}, out: &p})
	return p, err
}

// ResetPositions forgets how far everything has been copied, of a stopped connector.
func (c *Client) ResetPositions(ctx context.Context, name string, ifGeneration int64) (p Positions, err error) {
	_, err = c.do(ctx, call{method: http.MethodDelete, path: path("v1", "connectors", name, "offsets"),
		header: ifUnchanged(nil, ifGeneration), out: &p})
	return p, err
}

// PositionHistory are the points of the history, newest first.
func (c *Client) PositionHistory(ctx context.Context, name string, limit int) ([]PositionVersion, error) {
	var out page[PositionVersion]
	_, err := c.do(ctx, call{method: http.MethodGet, path: path("v1", "connectors", name, "offsets", "history"),
		query: url.Values{"limit": {strconv.Itoa(limit)}}, out: &out})
	return out.Items, err
}

// UndoPositions goes back to an older position, of a stopped connector; version 0 is the one before the last edit.
func (c *Client) UndoPositions(ctx context.Context, name string, version, ifGeneration int64) (p Positions, err error) {
	body := struct {
		Version int64 `json:"version,omitempty"`
	}{version}
	_, err = c.do(ctx, call{method: http.MethodPost, path: path("v1", "connectors", name, "offsets", "undo"),
		header: ifUnchanged(change(), ifGeneration), in: body, out: &p})
	return p, err
}

// ifUnchanged is match for generations, which begin at 0.
func ifUnchanged(h http.Header, generation int64) http.Header {
	if generation < 0 {
		return h
	}
	if h == nil {
		h = http.Header{}
	}
	h.Set("If-Match", strconv.Quote(strconv.FormatInt(generation, 10)))
	return h
}

// TopicQueues is the queues that a source sends to in one topic.
type TopicQueues struct {
	Topic   string         `json:"topic"`
	Version int            `json:"version"` // raised by each change
	Queues  []QueueAddress `json:"queues"`  // a key's hash modulo their number is the index of the key's queue
}

// QueueAddress names a queue of a topic.
type QueueAddress struct {
	Broker string `json:"broker"`
	Queue  int    `json:"queue"`
}

// Queues is the queues that a source sends to, by topic.
func (c *Client) Queues(ctx context.Context, name string) ([]TopicQueues, error) {
	var out page[TopicQueues]
	_, err := c.do(ctx, call{method: http.MethodGet, path: path("v1", "connectors", name, "queues"), out: &out})
	return out.Items, err
}

// TakeUpQueues spreads a stopped source's keys over the queues that a topic, or without one all its topics, have now. With
// force also while sinks have not read to the end, so that later records of a key may be read before earlier ones.
func (c *Client) TakeUpQueues(ctx context.Context, name, topic string, force bool) ([]TopicQueues, error) {
	body := struct {
		Topic string `json:"topic,omitempty"`
		Force bool   `json:"force,omitempty"`
	}{topic, force}
	var out page[TopicQueues]
	_, err := c.do(ctx, call{method: http.MethodPost, path: path("v1", "connectors", name, "queues"), header: change(), in: body, out: &out})
	return out.Items, err
}
