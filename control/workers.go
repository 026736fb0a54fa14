package control

import "time"

// WorkerTask is a task that a worker has.
type WorkerTask struct {
	Connector string  `json:"connector" example:"flights-in"`
	Task      int     `json:"task"`
	State     State   `json:"state" enum:"UNASSIGNED,RUNNING,PAUSED,STOPPED,FAILED,RESTARTING"`
	Rate      float64 `json:"rate" doc:"Records per second."`
}

// Worker is a process that runs tasks.
type Worker struct {
	ID       string       `json:"id" example:"host-1-4711"`
	Host     string       `json:"host" example:"host-1"`
	Group    string       `json:"group" doc:"Workers of one group share tasks."`
	Version  string       `json:"version" example:"0.1.0" doc:"Of Gantry."`
	Alive    bool         `json:"alive" doc:"It gave a sign of life in the last three seconds."`
	Draining bool         `json:"draining" doc:"It hands its tasks over and takes none."`
	Cordoned bool         `json:"cordoned" doc:"An operator asked it to drain; undrain takes that back."`
	Capacity int          `json:"capacity" example:"100" doc:"Tasks that it can run."`
	Running  int          `json:"running" example:"3" doc:"Tasks that it runs."`
	Load     float64      `json:"load" example:"0.03" doc:"Running divided by capacity."`
	Rate     float64      `json:"rate" doc:"Records per second, all its tasks together."`
	Since    time.Time    `json:"since" doc:"When it came."`
	SeenAt   time.Time    `json:"seen_at" doc:"Its last sign of life."`
	Tasks    []WorkerTask `json:"tasks" nullable:"false"`
}

// Workers is all workers, by id.
type Workers struct {
	Items []Worker `json:"items" nullable:"false"`
}

// Rebalance tells what was asked for.
type Rebalance struct {
	Workers int `json:"workers" example:"3" doc:"How many workers were asked to compare their share."`
	Tasks   int `json:"tasks" example:"12" doc:"How many tasks they share."`
}
