package workflows

import (
	"fmt"
	"time"
)

// The names under which workers register and clients start what runs.
const (
	ControlTaskQueue = "gantry-control" // workflows and short activities
	TaskTaskQueue    = "gantry-task"    // RunTask only

	ConnectorType = "Connector"
	TaskType      = "Task"

	// ScheduleID is the schedule that runs Reconcile.
	ScheduleID    = "gantry-reconcile"
	ReconcileType = "Reconcile"

	ProbeType = "Probe"

	// ErrorTypeTurnedAway is the type of the error with which a worker leaves an activity to the workers of another group.
	ErrorTypeTurnedAway = "TurnedAway"
)

// StepTimeout is how long a worker may take for one step of a workflow, which takes milliseconds. Another worker goes on after that,
// so it is what a worker that dies within a step costs; Temporal's default is 10 s.
const StepTimeout = 5 * time.Second

// InGroup is the queue beside queue that only workers of a group poll. Workers without a group, and what concerns
// connectors without one, use queue itself.
func InGroup(queue, group string) string {
	if group == "" {
		return queue
	}
	return queue + "." + group
}

// ConnectorWorkflowID is the workflow id of a connector; its name may hold any character.
func ConnectorWorkflowID(connector string) string { return "connector/" + connector }

// ProbeWorkflowID is the workflow id under which a question to the workers is answered.
func ProbeWorkflowID(question string) string { return "probe/" + question }

// TaskWorkflowID is the workflow id of a connector's task.
func TaskWorkflowID(connector string, task int) string {
	return fmt.Sprintf("connector/%s/task/%d", connector, task)
}

// Signals to a connector. Each may be sent without input; those that change what is wanted take a Verb.
const (
	SignalReconcile = "reconcile" // the catalog has changed: look
	SignalPause     = "pause"
	SignalResume    = "resume"
	SignalStop      = "stop"
	SignalRestart   = "restart"
	SignalDelete    = "delete"
	SignalRoll      = "roll" // drain and continue as new

	// SignalTask is sent by a task to its connector when its state changes (TaskReport).
	SignalTask = "task"
)

// Signals to a task beside SignalRestart, which takes a TaskRestart.
const SignalYield = "yield" // hand the task over to whichever worker has room

// SignalProgress tells a task (TaskProgress) or a connector (ConnectorProgress) what to show. Each costs about four events of
// its history, so workers send it at changes and every few minutes only.
const SignalProgress = "progress"

// Queries.
const (
	QueryStatus = "status" // ConnectorStatus or TaskState
	QueryPlan   = "plan"   // []PlannedTask, connectors only
)

// Activities, by the names they are registered under.
const (
	ActivityLoadConnector      = "LoadConnector"
	ActivityPlanTasks          = "PlanTasks"
	ActivitySetDesired         = "SetDesired"
	ActivitySettleTask         = "SettleTask"
	ActivityFinishDelete       = "FinishDelete"
	ActivityRunTask            = "RunTask"
	ActivityWatchConnector     = "WatchConnector"
	ActivityReconcileAll       = "ReconcileAll"
	ActivitySetConnectorStatus = "SetConnectorStatus"
	ActivityProbe              = "Probe"
)

// Search attributes. All are keywords but AttributeTaskNumber, which is an integer.
const (
	AttributeConnectorName  = "ConnectorName"
	AttributeConnectorClass = "ConnectorClass"
	AttributeConnectorKind  = "ConnectorKind"
	AttributeConnectorState = "ConnectorState"
	AttributeTaskState      = "TaskState"
	AttributeTaskNumber     = "TaskNumber"
)

// The error types (temporal.ApplicationError.Type) by which a workflow tells failures apart.
const (
	ErrorTypeNotFound  = "NotFound"  // the catalog has no such connector
	ErrorTypeRefused   = "Refused"   // what was asked cannot be done; the message says why
	ErrorTypePermanent = "Permanent" // no retry mends it: a wrong config, a missing table
)

// Desired is the state that the catalog wants a connector in.
type Desired string

// The desired states.
const (
	DesiredRunning Desired = "RUNNING"
	DesiredPaused  Desired = "PAUSED"
	DesiredStopped Desired = "STOPPED"
	DesiredDeleted Desired = "DELETED"
)

// State is a state of a connector or task, as REST and search attributes show it.
type State string

// The states.
const (
	Unassigned State = "UNASSIGNED" // not settled yet: starting, or waiting for something it needs
	Running    State = "RUNNING"
	Paused     State = "PAUSED"
	Stopped    State = "STOPPED" // connectors only
	Failed     State = "FAILED"
	Restarting State = "RESTARTING"
)

// ConnectorState is all that a connector's workflow knows: its only argument, also when it continues as new.
type ConnectorState struct {
	Name      string `json:"name"`
	TaskQueue string `json:"taskQueue,omitempty"` // where RunTask runs; empty means TaskTaskQueue

	UID        int64   `json:"uid,omitempty"` // 0 until the catalog has been read
	Kind       string  `json:"kind,omitempty"`
	Class      string  `json:"class,omitempty"`
	Desired    Desired `json:"desired,omitempty"`
	Revision   int64   `json:"revision,omitempty"`   // of the config that Tasks were planned from; 0 asks for a new plan
	Generation int64   `json:"generation,omitempty"` // of the saved plan
	RestartSeq int64   `json:"restartSeq,omitempty"` // of the last restart that was obeyed
	Watched    bool    `json:"watched,omitempty"`    // the connector has a watcher that may ask for a new plan
	Note       string  `json:"note,omitempty"`       // what the plan lacks
	Unwatched  string  `json:"unwatched,omitempty"`  // why the watcher does not run
	Group      string  `json:"group,omitempty"`      // of the workers that run the tasks of the plan

	State   State       `json:"state,omitempty"`
	Reason  string      `json:"reason,omitempty"`  // why the state is what it is, where that is not plain
	Refusal string      `json:"refusal,omitempty"` // the last signal that could not be obeyed, and why
	Tasks   []TaskEntry `json:"tasks,omitempty"`   // by number

	Progress *ConnectorProgress `json:"progress,omitempty"` // as last told, for people
}

// TaskEntry is a task in its connector's state.
type TaskEntry struct {
	PlannedTask
	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"`
	// Settled says that the task's last owner ended with everything committed. It is false from the start of the task
	// on, and while nothing is known.
	Settled bool `json:"settled"`
	// GoOn says that a new plan may replace the task although it is not settled; see SettleTaskResult.GoOn.
	GoOn bool `json:"goOn,omitempty"`
}

// PlannedTask is one task of a plan. Equal hashes mean equal task configs and queues.
type PlannedTask struct {
	Number int    `json:"number"`
	Hash   string `json:"hash"`
}

// ConnectorStatus answers QueryStatus of a connector.
type ConnectorStatus = ConnectorState

// Verb is the optional input of the signals that change what is wanted. The fields beside Author concern restart.
type Verb struct {
	Author     string `json:"author,omitempty"`     // for the catalog's history; "signal" if empty
	Task       *int   `json:"task,omitempty"`       // only this task
	OnlyFailed bool   `json:"onlyFailed,omitempty"` // only what has failed
	// Tasks says whether a restart without Task takes the tasks along; unset means yes.
	Tasks *bool `json:"tasks,omitempty"`
}

// Restart is a restart that was asked for, as the catalog keeps it.
type Restart struct {
	Connector  bool `json:"connector,omitempty"` // plan again
	AllTasks   bool `json:"allTasks,omitempty"`
	Task       *int `json:"task,omitempty"`
	OnlyFailed bool `json:"onlyFailed,omitempty"`
}

// TaskRestart is the optional input of SignalRestart to a task.
type TaskRestart struct {
	OnlyFailed bool `json:"onlyFailed,omitempty"` // leave the task alone unless it has failed
}

// TaskReport is the input of SignalTask.
type TaskReport struct {
	Number int    `json:"number"`
	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"`
}

// LoadConnectorInput names the connector, and the last restart that was obeyed.
type LoadConnectorInput struct {
	Name       string `json:"name"`
	RestartSeq int64  `json:"restartSeq"`
}

// LoadConnectorResult is what the catalog wants, without any config.
type LoadConnectorResult struct {
	Found      bool          `json:"found"` // false: there is no such connector (any more)
	UID        int64         `json:"uid,omitempty"`
	Kind       string        `json:"kind,omitempty"`
	Class      string        `json:"class,omitempty"`
	Desired    Desired       `json:"desired,omitempty"`
	Revision   int64         `json:"revision,omitempty"`
	Generation int64         `json:"generation,omitempty"`
	Plan       []PlannedTask `json:"plan,omitempty"` // the saved plan
	RestartSeq int64         `json:"restartSeq,omitempty"`
	Restarts   []Restart     `json:"restarts,omitempty"` // asked for since LoadConnectorInput.RestartSeq, oldest first
	// Group is the group of workers that the newest config asks for, PlanGroup that of the saved plan.
	Group     string `json:"group,omitempty"`
	PlanGroup string `json:"planGroup,omitempty"`
	// Lonely says that no worker of Group is alive; empty if one is.
	Lonely string `json:"lonely,omitempty"`
	// Deserted says that no worker of PlanGroup is alive.
	Deserted bool `json:"deserted,omitempty"`
	// Shown is the state that the catalog shows. One that differs from the workflow's is written again.
	Shown State `json:"shown,omitempty"`
	// KeepsPositions says of a deleted connector that the next one of its name goes on at its positions.
	KeepsPositions bool `json:"keepsPositions,omitempty"`
}

// PlanTasksInput asks for a plan of the newest config.
type PlanTasksInput struct {
	Name string `json:"name"`
	UID  int64  `json:"uid"`
	// Busy are the tasks that run or are not settled. A plan that changes or drops one of them is not saved.
	Busy []PlannedTask `json:"busy,omitempty"`
	// Patience is set by workflows that want to hear of failures that may pass, see PlanTasksResult.Trouble. Without it they
	// end the activity with an error.
	Patience *Patience `json:"patience,omitempty"`
}

// Patience is what is known of failures in a row that may pass.
type Patience struct {
	State State `json:"state"` // of the connector meanwhile: Running or Unassigned
	// Trouble is the last failure that the workflow was told of; empty if there was none.
	Trouble  string        `json:"trouble,omitempty"`
	Told     int           `json:"told,omitempty"`     // how often the workflow was told
	Failures int           `json:"failures,omitempty"` // in a row
	Pause    time.Duration `json:"pause,omitempty"`    // before the next try, in nanoseconds
}

// PlanTasksResult is the plan. When it was not saved, the busy tasks in its way have to be stopped and settled first.
type PlanTasksResult struct {
	Revision   int64         `json:"revision"`
	Generation int64         `json:"generation"`
	Tasks      []PlannedTask `json:"tasks"` // by number
	Saved      bool          `json:"saved"`
	Watched    bool          `json:"watched"`         // the connector has a watcher
	Group      string        `json:"group,omitempty"` // of the workers that run its tasks
	// Moved are the numbers of busy tasks that the plan drops, or whose share of the work it changes. The others in the way
	// only get another config.
	Moved []int `json:"moved,omitempty"`
	// Note says what the plan lacks, such as a topic that does not exist yet.
	Note string `json:"note,omitempty"`
	// Trouble says that there is no plan yet, because of a failure that may pass: plan again, with this patience. Workflows
	// are told when the failure is another one than they know, and not for ever; otherwise the activity just goes on trying,
	// which costs their history nothing.
	Trouble *Patience `json:"trouble,omitempty"`
}

// SetDesiredInput is a signal that an operator sent.
type SetDesiredInput struct {
	Name   string `json:"name"`
	Signal string `json:"signal"` // SignalPause, SignalResume, SignalStop, SignalRestart or SignalDelete
	Verb   Verb   `json:"verb"`
}

// SettleTaskInput names a task that does not run and that may have ended uncleanly.
type SettleTaskInput struct {
	Connector string `json:"connector"`
	UID       int64  `json:"uid"`
	Task      int    `json:"task"`
	Replan    bool   `json:"replan,omitempty"` // it is in a new plan's way; else the connector is to rest
	Moved     bool   `json:"moved,omitempty"`  // see PlanTasksResult.Moved
}

// SettleTaskResult says whether the task now counts as settled. Reason says why not, or at what price.
type SettleTaskResult struct {
	Settled bool   `json:"settled"`
	Reason  string `json:"reason,omitempty"`
	// GoOn says that a new plan need not wait: the task's next start settles first, by itself.
	GoOn bool `json:"goOn,omitempty"`
}

// ProbeInput names a question that the catalog holds.
type ProbeInput struct {
	Question string `json:"question"`
	About    string `json:"about,omitempty"` // for people: what is looked at
	Group    string `json:"group,omitempty"` // of the workers that have the plugin; empty: those without a group
}

// FinishDeleteInput names a connector none of whose tasks runs any more.
type FinishDeleteInput struct {
	Name string `json:"name"`
	UID  int64  `json:"uid"`
}

// SetConnectorStatusInput is the state that REST shows.
type SetConnectorStatusInput struct {
	UID    int64  `json:"uid"`
	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"`
}

// WatchConnectorInput names a source connector whose watcher is to run.
type WatchConnectorInput struct {
	Name     string `json:"name"`
	UID      int64  `json:"uid"`
	Revision int64  `json:"revision"`
}

// WatchConnectorResult ends one turn of a watcher.
type WatchConnectorResult struct {
	Changed bool `json:"changed"` // a new plan may be needed
}

// TaskState is all that a task's workflow knows: its only argument, also when it continues as new.
type TaskState struct {
	Connector string `json:"connector"`
	UID       int64  `json:"uid"`
	Task      int    `json:"task"`
	Hash      string `json:"hash"`
	Class     string `json:"class,omitempty"`
	Kind      string `json:"kind,omitempty"`
	TaskQueue string `json:"taskQueue,omitempty"` // where RunTask runs; empty means TaskTaskQueue

	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"`
	Turns  int64  `json:"turns"` // how often RunTask has ended

	Progress *TaskProgress `json:"progress,omitempty"` // as last told, for people
}

// TaskProgress is how far a task is and where it runs, at one moment: for people, decisions never depend on it.
type TaskProgress struct {
	Task   int       `json:"task"`
	At     time.Time `json:"at"`
	State  State     `json:"state"`  // Running, Restarting (waits for its next try) or Unassigned (between two workers)
	Worker string    `json:"worker"` // that has it, or had it last
	Since  time.Time `json:"since,omitzero"`

	Records      int64     `json:"records"` // copied by this owner
	Bytes        int64     `json:"bytes"`
	Rate         float64   `json:"recordsPerSecond"`
	LagRecords   int64     `json:"lagRecords"` // -1 unknown
	LagBytes     int64     `json:"lagBytes"`   // -1 unknown
	LastRecordAt time.Time `json:"lastRecordAt,omitzero"`

	Retries   int64             `json:"retries,omitempty"`
	Trouble   string            `json:"trouble,omitempty"`  // why something is tried again
	NextTryAt time.Time         `json:"nextTryAt,omitzero"` // of the task as a whole
	Position  map[string]string `json:"position,omitempty"` // a few partitions of it, cut short
}

// ConnectorProgress is the progress of a connector's tasks, by number; see TaskProgress.
type ConnectorProgress struct {
	At    time.Time      `json:"at"`
	Tasks []TaskProgress `json:"tasks"` // the first ones only, if there are many
}

// TaskResult is what a task's workflow leaves behind.
type TaskResult struct {
	Settled bool `json:"settled"` // see TaskEntry.Settled
}

// RunTaskInput names the task; everything else is in the catalog.
type RunTaskInput struct {
	Connector string `json:"connector"`
	UID       int64  `json:"uid"`
	Task      int    `json:"task"`
	Hash      string `json:"hash"` // of the plan that the task belongs to
}

// RunTaskResult says that the task was released and may run again anywhere. It is also the detail of the cancellation
// error that ends a cancelled RunTask.
type RunTaskResult struct {
	Release Release `json:"release,omitempty"`
	Settled bool    `json:"settled"` // see TaskEntry.Settled
	// Progress is how far the task was at its end; nil if it copied nothing.
	Progress *TaskProgress `json:"progress,omitempty"`
}

// Release is why a task was released.
type Release string

// The reasons.
const (
	ReleaseWorkerStop Release = "worker stop"
	ReleaseShed       Release = "shed"        // the worker had more than its fair share
	ReleaseTurn       Release = "turn over"   // the activity ran for its hour
	ReleaseWanted     Release = "wanted"      // another attempt waits for the task
	ReleaseUnwanted   Release = "not desired" // the catalog does not want it to run, or not with this plan
)

// ReconcileAllResult counts what ReconcileAll did.
type ReconcileAllResult struct {
	Connectors int `json:"connectors"`
	Signalled  int `json:"signalled"` // asked to look, and started where they did not run
}
