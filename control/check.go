package control

import "time"

// Finding is something that a check found.
type Finding struct {
	Severity string `json:"severity" enum:"ok,info,warning,error" doc:"An error keeps the connector from working."`
	Code     string `json:"code" example:"missing-privilege" doc:"Stable, for scripts."`
	Subject  string `json:"subject" example:"schema public" doc:"What it is about."`
	Message  string `json:"message" example:"The user gantry may not create tables."`
	Remedy   string `json:"remedy,omitempty" example:"GRANT CREATE ON SCHEMA public TO gantry;" doc:"The command that mends it, or what to do."`
}

// CheckResult is what a worker found out about a config.
type CheckResult struct {
	OK        bool      `json:"ok" doc:"No finding is an error."`
	Findings  []Finding `json:"findings" nullable:"false" doc:"Errors first."`
	WorkerID  string    `json:"worker_id" example:"host-1-4711" doc:"Who looked."`
	CheckedAt time.Time `json:"checked_at"`
}
