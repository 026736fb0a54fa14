package control

import (
	"encoding/json"
	"time"
)

// PreviewRequest asks for the first records that a config would copy.
type PreviewRequest struct {
	Config map[string]string
	Limit  int
	Author string
}

// TopicPreviewRequest asks for records of a topic.
type TopicPreviewRequest struct {
	Topic     string
	Limit     int
	From      string // earliest or latest
	Converter string // of values; empty is json
	Author    string
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
	Partition map[string]any `json:"partition,omitempty" doc:"Where it was read."`
	Offset    map[string]any `json:"offset,omitempty" doc:"Where reading would go on behind it."`
	Record    *PreviewRecord `json:"record,omitempty" doc:"As it was read."`
	Error     string         `json:"error,omitempty" doc:"Why it could not be read."`
	Steps     []PreviewStep  `json:"steps" nullable:"false"`
}

// Preview is what a worker read. Nothing was written or committed.
type Preview struct {
	Items     []PreviewItem `json:"items" nullable:"false"`
	Truncated bool          `json:"truncated" doc:"There was more than the answer has room for."`
	Note      string        `json:"note,omitempty" doc:"What to know about the preview, such as why it has fewer records than asked for."`
	WorkerID  string        `json:"worker_id" example:"host-1-4711"`
}
