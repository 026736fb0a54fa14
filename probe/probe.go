package probe

import (
	"encoding/json"
	"time"
)

// Kind says what is asked.
type Kind string

// The kinds.
const (
	KindCheck   Kind = "check"   // would the config work? answered by a CheckResult
	KindPreview Kind = "preview" // what would the config copy first? answered by a Preview
	KindTopic   Kind = "topic"   // what does the topic hold? answered by a Preview
)

// Question is what a worker is asked.
type Question struct {
	Kind   Kind              `json:"kind"`
	Config map[string]string `json:"config,omitempty"` // of check and preview; references to secrets are not resolved
	Limit  int               `json:"limit,omitempty"`  // of records

	Topic     string `json:"topic,omitempty"` // of topic
	From      string `json:"from,omitempty"`  // earliest or latest
	Converter string `json:"converter,omitempty"`
}

// Answer is what the worker says. Problem is set where the question could not be answered, and says why.
type Answer struct {
	Check   *CheckResult `json:"check,omitempty"`
	Preview *Preview     `json:"preview,omitempty"`
	Problem string       `json:"problem,omitempty"`
	Missing bool         `json:"missing,omitempty"` // the topic that was asked for does not exist
}

// The severities of findings, from bad to good.
const (
	SeverityError   = "error" // keeps the connector from working
	SeverityWarning = "warning"
	SeverityInfo    = "info"
	SeverityOK      = "ok"
)

// Finding is something that a check found.
type Finding struct {
	Severity string `json:"severity" enum:"ok,info,warning,error" doc:"An error keeps the connector from working."`
	Code     string `json:"code" example:"missing-privilege" doc:"Stable, for scripts."`
	Subject  string `json:"subject" example:"schema public" doc:"What it is about."`
	Message  string `json:"message" example:"The role gantry may not create tables."`
	Remedy   string `json:"remedy,omitempty" example:"GRANT CREATE ON SCHEMA public TO gantry;" doc:"The command that mends it, or what to do."`
}

// CheckResult is what a worker found out about a config.
type CheckResult struct {
	OK        bool      `json:"ok" doc:"No finding is an error."`
	Findings  []Finding `json:"findings" nullable:"false" doc:"Errors first."`
	WorkerID  string    `json:"worker_id,omitempty" example:"host-1-4711" doc:"Who looked; absent where the config is wrong in itself, so that nobody had to."`
	CheckedAt time.Time `json:"checked_at"`
}

// PreviewHeader is one header of a record.
type PreviewHeader struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
}

// PreviewRecord is a record in readable form. What is absent is not in the record.
type PreviewRecord struct {
	Topic     string          `json:"topic,omitempty" example:"flights" doc:"Where it would go, or where it lies."`
	Operation string          `json:"operation" example:"insert"`
	Key       json.RawMessage `json:"key,omitempty"`
	Before    json.RawMessage `json:"before,omitempty" doc:"The row before an update or delete."`
	After     json.RawMessage `json:"after,omitempty" doc:"The row, or the value."`
	Headers   []PreviewHeader `json:"headers,omitempty"`
	EventTime *time.Time      `json:"event_time,omitempty"`
}

// PreviewStep is a record after one transform.
type PreviewStep struct {
	Transform string         `json:"transform" example:"mask" doc:"The transform's alias."`
	Kept      bool           `json:"kept" doc:"False where the transform dropped the record; the steps end there."`
	Error     string         `json:"error,omitempty" doc:"Why the transform failed; the steps end there."`
	Record    *PreviewRecord `json:"record,omitempty"`
}

// PreviewItem is one record on its way through the transforms.
type PreviewItem struct {
	Partition json.RawMessage `json:"partition,omitempty" doc:"The part of the source, or the queue, that it was read from."`
	Offset    uint64          `json:"offset" doc:"Where in the partition it stands: for a queue the queue offset, else what the source counts by."`
	Record    *PreviewRecord  `json:"record,omitempty" doc:"As it was read."`
	Error     string          `json:"error,omitempty" doc:"Why it could not be read."`
	Steps     []PreviewStep   `json:"steps" nullable:"false"`
}

// Preview is what a worker read. Nothing was written or committed.
type Preview struct {
	Items     []PreviewItem `json:"items" nullable:"false"`
	Truncated bool          `json:"truncated" doc:"There was more than the answer has room for."`
	Note      string        `json:"note,omitempty" doc:"What to know about the preview, such as why it has fewer records than asked for."`
	WorkerID  string        `json:"worker_id" example:"host-1-4711"`
}
