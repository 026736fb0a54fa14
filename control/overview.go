package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/pipeline"
)

// Health says in one word how a connector or a task gets on, beyond what its state tells.
type Health string

// The healths, from bad to good. A connector's is the worst of its tasks'.
const (
	HealthFailed     Health = "failed"     // given up: an operator has to act
	HealthStalled    Health = "stalled"    // wants to copy and cannot for now; it is being tried again
	HealthUnassigned Health = "unassigned" // wanted, and no worker has it
	HealthRestarting Health = "restarting"
	HealthRunning    Health = "running" // records flow
	HealthIdle       Health = "idle"    // nothing is left to copy
	HealthPaused     Health = "paused"
	HealthStopped    Health = "stopped"
)

// TaskCounts counts a connector's tasks by state.
type TaskCounts struct {
	Total      int `json:"total" example:"4"`
	Running    int `json:"running" example:"4"`
	Paused     int `json:"paused"`
	Failed     int `json:"failed"`
	Unassigned int `json:"unassigned"`
	Restarting int `json:"restarting"`
}

// Overview is a connector at a glance.
type Overview struct {
	Name         string              `json:"name" example:"flights-in"`
	Kind         connector.Kind      `json:"kind" enum:"source,sink"`
	Class        string              `json:"class" example:"FileSource"`
	Version      string              `json:"version,omitempty" example:"0.1.0" doc:"Of the connector plugin; absent where this installation lacks it."`
	Guarantee    connector.Guarantee `json:"guarantee,omitempty" enum:"at least once,exactly once" doc:"What the connector promises under its config."`
	State        State               `json:"state" enum:"UNASSIGNED,RUNNING,PAUSED,STOPPED,FAILED,RESTARTING"`
	Desired      string              `json:"desired" enum:"RUNNING,PAUSED,STOPPED" doc:"What was asked for."`
	Health       Health              `json:"health" enum:"running,idle,stalled,unassigned,restarting,paused,stopped,failed" doc:"The worst of its tasks."`
	Reason       string              `json:"reason,omitempty" doc:"Why the health is what it is, where that is not plain."`
	Labels       map[string]string   `json:"labels" doc:"For selectors."`
	Tasks        TaskCounts          `json:"tasks"`
	Records      int64               `json:"records" example:"1200000" doc:"Copied and committed since the connector was created."`
	Bytes        int64               `json:"bytes" example:"150000000"`
	Rate         float64             `json:"rate" example:"52000.5" doc:"Records per second, all tasks together."`
	LagRecords   int64               `json:"lag_records" example:"310" doc:"Left to copy; -1 if unknown."`
	LagBytes     int64               `json:"lag_bytes" example:"38750" doc:"Left to copy; -1 if unknown."`
	LagSeconds   float64             `json:"lag_seconds" example:"0.01" doc:"About how long copying what is left takes at the present rate, or, while nothing moves, how long ago the last record was copied; of the slowest task. 0 if nothing is left, -1 if unknown."`
	LastRecordAt *time.Time          `json:"last_record_at,omitempty" doc:"When the last record was copied."`
	Revision     int64               `json:"revision" example:"3" doc:"Of the config, from 1; the ETag begins with it."`
	Tag          Version             `json:"-"` // of the config
	Planned      int64               `json:"planned_revision" example:"3" doc:"The revision that the tasks were planned from, 0 before the first plan. Where it is behind revision, a new plan is being made, or could not be."`
	CreatedAt    time.Time           `json:"created_at"`
	UpdatedAt    time.Time           `json:"updated_at" doc:"When what is wanted of the connector was last changed."`
}

// Page asks for a part of a list.
type Page struct {
	Limit  int    // at most so many items
	Cursor string // where the page before ended; empty for the first
}

// OverviewQuery says which connectors to list. Empty fields take all.
type OverviewQuery struct {
	Page
	Selector string // of labels
	States   []State
	Kind     connector.Kind
}

// Overviews is a page of connectors by name.
type Overviews struct {
	Items []Overview `json:"items" nullable:"false"`
	Next  string     `json:"next,omitempty" doc:"The cursor of the next page; absent on the last."`
}

// Deletion says what goes with a connector.
type Deletion struct {
	Topics    bool // also the topics that a source wrote to
	Positions bool // also the positions: a connector that is later created under the name starts afresh
}

// Views is where connectors are read together with how they get on.
type Views interface {
	Views(ctx context.Context, after string, limit int) ([]catalog.View, error)
	View(ctx context.Context, name string) (catalog.View, error)
	PutLabels(ctx context.Context, name string, labels map[string]string, author string) (catalog.Connector, error)
	Delete(ctx context.Context, name string, d catalog.Deletion, author string) error
}

// viewsAtOnce is how many connectors are read in one go.
const viewsAtOnce = 500

// Overviews is a page of the connectors that q asks for and that the caller may see.
func (s *Service) Overviews(ctx context.Context, q OverviewQuery) (Overviews, error) {
	sel, err := parseSelector(q.Selector)
	if err != nil {
		return Overviews{}, err
	}
	out := Overviews{Items: []Overview{}}
	err = s.eachView(ctx, q.Cursor, func(v catalog.View) bool {
		if !sel.Matches(v.Labels) || (q.Kind != "" && q.Kind != connector.Kind(v.Kind)) {
			return true
		}
		o := s.overview(v)
		if len(q.States) > 0 && !slices.Contains(q.States, o.State) {
			return true
		}
		if len(out.Items) == q.Limit {
			out.Next = out.Items[q.Limit-1].Name
			return false
		}
		out.Items = append(out.Items, o)
		return true
	})
	if err != nil {
		return Overviews{}, err
	}
	return out, nil
}

// eachView calls do with every connector behind a name that the caller may see, by name, until do returns false.
func (s *Service) eachView(ctx context.Context, after string, do func(v catalog.View) bool) error {
	for {
		views, err := s.connectors.Views(ctx, after, viewsAtOnce)
		if err != nil {
			return translate(err, "")
		}
		for _, v := range views {
			after = v.Name
			if sees(ctx, v.Connector) && !do(v) {
				return nil
			}
		}
		if len(views) < viewsAtOnce {
			return nil
		}
	}
}

// Overview is one connector at a glance.
func (s *Service) Overview(ctx context.Context, name string) (Overview, error) {
	v, err := s.connectors.View(ctx, name)
	if err != nil {
		return Overview{}, translate(err, name)
	}
	return s.overview(v), nil
}

func (s *Service) overview(v catalog.View) Overview {
	o := Overview{Name: v.Name, Kind: connector.Kind(v.Kind), Class: v.Class, Desired: string(v.Desired), Labels: v.Labels,
		State: connectorState(v.Desired, v.Status), Records: v.Records, Bytes: v.Bytes, Tag: configVersion(v.Connector), Revision: v.Revision, Planned: v.PlannedRevision,
		CreatedAt: v.Created, UpdatedAt: v.Updated}
	if o.Labels == nil {
		o.Labels = map[string]string{}
	}
	if plugin, err := s.plugins.Find(v.Class); err == nil {
		config, _, err := pipeline.ResolveAliases(v.Config)
		if err != nil {
			config = v.Config
		}
		o.Version, o.Guarantee = plugin.Version, plugin.Guarantee(config)
	}
	o.addTasks(tasksOf(v), v.Desired)
	o.judge(v)
	return o
}

// addTasks sums the tasks up. What one of them does not know of its lag is not known of the whole.
func (o *Overview) addTasks(tasks []catalog.TaskStatus, desired catalog.State) {
	for _, row := range tasks {
		t := taskStatus(row.Task, desired, row, "")
		o.Tasks.add(t.State)
		o.Rate += row.RatePerSecond
		o.LagRecords, o.LagBytes = addKnown(o.LagRecords, row.LagRecords), addKnown(o.LagBytes, row.LagBytes)
		if lag := lagSeconds(row); lag < 0 || o.LagSeconds < 0 {
			o.LagSeconds = -1
		} else {
			o.LagSeconds = max(o.LagSeconds, lag)
		}
		if row.LastRecordAt != nil && (o.LastRecordAt == nil || row.LastRecordAt.After(*o.LastRecordAt)) {
			o.LastRecordAt = row.LastRecordAt
		}
		health, reason := taskHealth(t.State, row)
		if o.Health == "" || rank(health) < rank(o.Health) {
			o.Health, o.Reason = health, reason
			if reason != "" {
				o.Reason = fmt.Sprintf("task %d: %s", row.Task, reason)
			}
		}
	}
	if len(tasks) == 0 {
		o.LagRecords, o.LagBytes, o.LagSeconds = -1, -1, -1
	}
}

// judge takes what is known of the connector itself into account.
func (o *Overview) judge(v catalog.View) {
	switch {
	case o.State == Failed:
		o.Health, o.Reason = HealthFailed, v.Status.Trace
	case o.Health == HealthFailed:
	case o.State == Paused:
		o.Health, o.Reason = HealthPaused, ""
	case o.State == Stopped:
		o.Health, o.Reason = HealthStopped, ""
	case o.Health == "":
		o.Health, o.Reason = HealthUnassigned, v.Status.Trace
		if o.Reason == "" {
			o.Reason = "its tasks are not planned yet"
		}
	case o.State == Restarting:
		o.Health = HealthRestarting
	}
}

func (c *TaskCounts) add(state State) {
	c.Total++
	switch state {
	case Running:
		c.Running++
	case Paused:
		c.Paused++
	case Failed:
		c.Failed++
	case Restarting:
		c.Restarting++
	default:
		c.Unassigned++
	}
}

func addKnown(sum, n int64) int64 {
	if sum < 0 || n < 0 {
		return -1
	}
	return sum + n
}

// DeleteWith ends a connector, with a say in what goes along.
func (s *Service) DeleteWith(ctx context.Context, name string, d Deletion, pre Precondition, author string) error {
	c, err := s.find(ctx, name)
	if err != nil {
		return err
	}
	if err := pre.check(name, configVersion(c), true); err != nil {
		return err
	}
	deletion := catalog.Deletion{KeepPositions: !d.Positions, DropTopics: d.Topics}
	if len(pre.Match) > 0 {
		deletion.UID, deletion.Expected = c.UID, c.Revision
	}
	err = s.connectors.Delete(ctx, name, deletion, author)
	if err != nil {
		return translate(err, name)
	}
	s.tell(ctx, name)
	return nil
}
