package control

// Verb is what a bulk operation does to each connector.
type Verb string

// The verbs.
const (
	VerbPause   Verb = "pause"
	VerbResume  Verb = "resume"
	VerbStop    Verb = "stop"
	VerbRestart Verb = "restart"
	VerbDelete  Verb = "delete"
)

// Verbs are all verbs.
var Verbs = []Verb{VerbPause, VerbResume, VerbStop, VerbRestart, VerbDelete}

// Bulk asks for one verb on many connectors.
type Bulk struct {
	Verb     Verb
	Selector string // of labels
	Names    []string
	All      bool // needed where neither a selector nor names are given
	DryRun   bool
	Author   string
	Allowed  func(name string, labels map[string]string) bool // nil: everything
}

// BulkItem is what became of one connector.
type BulkItem struct {
	Name    string `json:"name" example:"flights-in"`
	Outcome string `json:"outcome" enum:"accepted,unchanged,would change,failed" doc:"unchanged: it was like that already."`
	Code    string `json:"code,omitempty" example:"deleting" doc:"Of the problem, where it failed."`
	Detail  string `json:"detail,omitempty" doc:"Why it failed."`
}

// BulkResult is what became of all.
type BulkResult struct {
	Verb    Verb       `json:"verb" enum:"pause,resume,stop,restart,delete"`
	DryRun  bool       `json:"dry_run"`
	Matched int        `json:"matched" example:"1"`
	Failed  int        `json:"failed"`
	Items   []BulkItem `json:"items" nullable:"false" doc:"By name."`
}
