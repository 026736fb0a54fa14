package control

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gantry-connect/gantry/connector"
)

// State is what a connector or a task is reported to be in. The set is closed: clients parse it.
type State string

// The states, as Kafka Connect's clients know them.
const (
	Unassigned State = "UNASSIGNED" // wanted, and no worker has it yet
	Running    State = "RUNNING"
	Paused     State = "PAUSED"
	Stopped    State = "STOPPED" // connectors only
	Failed     State = "FAILED"
	Restarting State = "RESTARTING"
)

// TaskID names a task.
type TaskID struct {
	Connector string `json:"connector" doc:"Name of the connector."`
	Task      int    `json:"task" doc:"Number of the task, from 0."`
}

// Info is a connector as it was asked for.
type Info struct {
	Name   string            `json:"name" example:"flights-in"`
	Config map[string]string `json:"config" doc:"As given; references to secrets are never resolved."`
	Tasks  []TaskID          `json:"tasks" nullable:"false"`
	Type   connector.Kind    `json:"type" enum:"source,sink"`
}

// Status is how a connector is.
type Status struct {
	Name      string         `json:"name"`
	Connector InstanceStatus `json:"connector"`
	Tasks     []TaskStatus   `json:"tasks" nullable:"false" doc:"Sorted by id."`
	Type      connector.Kind `json:"type" enum:"source,sink"`
}

// InstanceStatus is how the connector itself is, apart from its tasks.
type InstanceStatus struct {
	State    State  `json:"state" enum:"UNASSIGNED,RUNNING,PAUSED,STOPPED,FAILED,RESTARTING"`
	WorkerID string `json:"worker_id" doc:"Empty while no worker has it."`
	Trace    string `json:"trace,omitempty" doc:"Why it failed, or failed and is tried again."`
	Version  string `json:"version,omitempty" doc:"Of the connector plugin."`
}

// TaskStatus is how one task is.
type TaskStatus struct {
	ID int `json:"id" doc:"Number of the task, from 0."`
	InstanceStatus
}

// TaskInfo is a task with the config that the plan gave it.
type TaskInfo struct {
	ID     TaskID            `json:"id"`
	Config map[string]string `json:"config"`
}

// Create asks for a new connector.
type Create struct {
	Name         string
	Config       map[string]string
	Labels       map[string]string
	InitialState string // RUNNING, PAUSED or STOPPED in any case; empty is RUNNING
	Author       string
}

// Restart says what to start again; the zero value is the connector without its tasks.
type Restart struct {
	IncludeTasks bool
	OnlyFailed   bool
}

// Document is a JSON object whose numbers keep all their digits, as json.Number.
type Document map[string]any

// UnmarshalJSON takes an object or null.
func (d *Document) UnmarshalJSON(data []byte) error {
	var doc map[string]any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&doc); err != nil {
		return fmt.Errorf("must be a JSON object: %w", err)
	}
	*d = doc
	return nil
}

// PartitionOffset is how far one partition has been copied.
type PartitionOffset struct {
	Partition Document `json:"partition"`
	Offset    Document `json:"offset" nullable:"true" doc:"null, in a change: begin afresh."`
}

// PluginInfo describes a plugin: a connector class, or what connectors can be combined with.
type PluginInfo struct {
	Class   string `json:"class" example:"FileSource"`
	Type    string `json:"type" enum:"source,sink,converter,header_converter,transformation,predicate"`
	Version string `json:"version,omitempty"`
}

// KeyInfo describes one config key, in Kafka Connect's terms.
type KeyInfo struct {
	Name          string   `json:"name"`
	Type          string   `json:"type" enum:"BOOLEAN,STRING,INT,SHORT,LONG,DOUBLE,LIST,CLASS,PASSWORD"`
	Required      bool     `json:"required"`
	DefaultValue  *string  `json:"default_value" nullable:"true"`
	Importance    string   `json:"importance" enum:"HIGH,MEDIUM,LOW"`
	Documentation string   `json:"documentation"`
	Group         string   `json:"group"`
	OrderInGroup  int      `json:"order_in_group"`
	Order         int      `json:"order" doc:"The same as order_in_group, for clients of Kafka Connect before 4.2."`
	Width         string   `json:"width" enum:"NONE,SHORT,MEDIUM,LONG"`
	DisplayName   string   `json:"display_name"`
	Dependents    []string `json:"dependents" nullable:"false"`
}

// KeyValue is the value given for a config key and what is wrong with it.
type KeyValue struct {
	Name              string   `json:"name"`
	Value             *string  `json:"value" nullable:"true"`
	RecommendedValues []string `json:"recommended_values" nullable:"false"`
	Errors            []string `json:"errors" nullable:"false"`
	Visible           bool     `json:"visible"`
}

// KeyResult is a config key with its value. Definition is nil for a key that nothing defines and that has errors.
type KeyResult struct {
	Definition *KeyInfo `json:"definition"`
	Value      KeyValue `json:"value"`
}

// Validation is what is right and wrong with a config.
type Validation struct {
	Name       string      `json:"name" doc:"The connector class as given."`
	ErrorCount int         `json:"error_count"`
	Groups     []string    `json:"groups" nullable:"false"`
	Configs    []KeyResult `json:"configs" nullable:"false"`
}

// TaskProgress is how far a task has come and how fast it is.
type TaskProgress struct {
	Task             int        `json:"task"`
	State            State      `json:"state" enum:"UNASSIGNED,RUNNING,PAUSED,STOPPED,FAILED,RESTARTING"`
	WorkerID         string     `json:"worker_id"`
	Records          int64      `json:"records" doc:"Copied and committed since the connector was created."`
	Bytes            int64      `json:"bytes"`
	RecordsPerSecond float64    `json:"records_per_second"`
	LagRecords       int64      `json:"lag_records" doc:"Left to copy; -1 if unknown."`
	LagBytes         int64      `json:"lag_bytes" doc:"Left to copy; -1 if unknown."`
	LagSeconds       float64    `json:"lag_seconds" doc:"About how long copying what is left takes at the present rate, or, while nothing moves, how long ago the last record was copied. 0 if nothing is left, -1 if unknown."`
	LastRecordAt     *time.Time `json:"last_record_at,omitempty" doc:"When the last record was copied."`
	Health           Health     `json:"health" enum:"running,idle,stalled,unassigned,restarting,paused,stopped,failed"`
	Reason           string     `json:"reason,omitempty" doc:"Why the health is what it is, where that is not plain."`
	Filtered         int64      `json:"filtered" doc:"Records that a transform has dropped, by the present owner."`
	Bad              int64      `json:"bad" doc:"Records that were given up, dead letters included, by the present owner."`
	DeadLetters      int64      `json:"dead_letters" doc:"Records that were sent to the dead-letter topic, by the present owner."`
	Retries          int64      `json:"retries" doc:"Calls that were tried again, by the present owner."`
	Retrying         string     `json:"retrying,omitempty" doc:"What is being tried again, and why."`
	NextRetryAt      *time.Time `json:"next_retry_at,omitempty" doc:"When the failed task starts again."`
	UpdatedAt        time.Time  `json:"updated_at"`
}
