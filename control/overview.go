package control

import (
	"time"

	"github.com/gantry-connect/gantry/connector"
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
	Revision     int64               `json:"revision" example:"3" doc:"Of the config, from 1; also the ETag."`
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

// NewConnector asks for a new connector.
type NewConnector struct {
	Name         string
	Config       map[string]string
	Labels       map[string]string
	InitialState string // RUNNING, PAUSED or STOPPED in any case; empty is RUNNING
	Author       string
	DryRun       bool // only check
}

// Precondition is what a change expects to find. The zero value expects nothing.
type Precondition struct {
	Match  []int64 // one of these versions; nil: any
	Exists bool    // any version, but there is one (If-Match: *)
	Absent bool    // there is none yet (If-None-Match: *)
}

// Deletion says what goes with a connector.
type Deletion struct {
	Topics    bool // also the topics that a source wrote to
	Positions bool // also the positions: a connector that is later created under the name starts afresh
}
