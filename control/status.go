package control

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
)

// Status is how a connector and its tasks are. What was asked for shows at once: a connector that was just paused is
// PAUSED here, also while its tasks are still finishing.
func (s *Service) Status(ctx context.Context, name string) (Status, error) {
	v, err := s.connectors.View(ctx, name)
	if errors.Is(err, catalog.ErrNotFound) {
		return Status{}, &NotFoundError{fmt.Sprintf("No status found for connector %s", name)}
	}
	if err != nil {
		return Status{}, translate(err, name)
	}
	return s.statusOf(v), nil
}

func (s *Service) statusOf(v catalog.View) Status {
	version := ""
	if plugin, err := s.plugins.Find(v.Class); err == nil {
		version = plugin.Version
	}
	tasks := tasksOf(v)
	st := Status{Name: v.Name, Type: connector.Kind(v.Kind), Tasks: make([]TaskStatus, len(tasks)),
		Connector: InstanceStatus{State: connectorState(v.Desired, v.Status), WorkerID: v.Status.Worker, Version: version}}
	if st.Connector.State != Paused && st.Connector.State != Stopped {
		st.Connector.Trace = v.Status.Trace // also while planning is tried again
	}
	for i, row := range tasks {
		st.Tasks[i] = taskStatus(row.Task, v.Desired, row, version)
	}
	return st
}

// tasksOf is the tasks that a connector has, by number: none once it is stopped, until it runs again, as Kafka Connect's
// clients expect.
func tasksOf(v catalog.View) []catalog.TaskStatus {
	if hasNoTasks(v.Connector) {
		return nil
	}
	return v.Tasks
}

// Expanded is a connector in a list, with what was asked for.
type Expanded struct {
	Status *Status `json:"status,omitempty"`
	Info   *Info   `json:"info,omitempty"`
}

// Expand is every connector that the caller may see, by name, with its status, its info, or both.
func (s *Service) Expand(ctx context.Context, status, info bool) (map[string]Expanded, error) {
	out := map[string]Expanded{}
	err := s.eachView(ctx, "", func(v catalog.View) bool {
		var e Expanded
		if status {
			st := s.statusOf(v)
			e.Status = &st
		}
		if info {
			i := infoOf(v.Connector, numbersOf(v))
			e.Info = &i
		}
		out[v.Name] = e
		return true
	})
	return out, err
}

func numbersOf(v catalog.View) []int {
	tasks := tasksOf(v)
	numbers := make([]int, len(tasks))
	for i, t := range tasks {
		numbers[i] = t.Task
	}
	return numbers
}

// TaskStatus is how one task is.
func (s *Service) TaskStatus(ctx context.Context, name string, task int) (TaskStatus, error) {
	missing := &NotFoundError{fmt.Sprintf("No status found for task %s-%d", name, task)}
	st, err := s.Status(ctx, name)
	var none *NotFoundError
	if errors.As(err, &none) {
		return TaskStatus{}, missing
	}
	if err != nil {
		return TaskStatus{}, err
	}
	for _, t := range st.Tasks {
		if t.ID == task {
			return t, nil
		}
	}
	return TaskStatus{}, missing
}

// Progress is how far a connector's tasks have come and how fast they are, beyond what Kafka Connect's status has room
// for.
func (s *Service) Progress(ctx context.Context, name string) ([]TaskProgress, error) {
	c, err := s.find(ctx, name)
	if err != nil {
		return nil, err
	}
	rows, err := s.progress.TaskStatuses(ctx, c.UID)
	if err != nil {
		return nil, translate(err, name)
	}
	plan, err := s.progress.Plan(ctx, c.UID) // of a stopped connector, too: it tells how far the tasks have come
	if err != nil {
		return nil, translate(err, name)
	}
	rows = tasksToShow(rows, plan, c)
	out := make([]TaskProgress, len(rows))
	for i, r := range rows {
		state := taskStatus(r.Task, c.Desired, r, "").State
		if c.Desired == catalog.StateStopped {
			state = Stopped
		}
		shown := state
		if r.State == string(Running) {
			shown = Running // it is still ending
		}
		out[i] = TaskProgress{Task: r.Task, State: shown, WorkerID: r.Worker, Records: r.CommittedRecords, Bytes: r.CommittedBytes,
			LagRecords: r.LagRecords, LagBytes: r.LagBytes, LagSeconds: lagSeconds(r), RecordsPerSecond: r.RatePerSecond,
			Filtered: r.Filtered, Bad: r.Bad, DeadLetters: r.DeadLetters, Retries: r.Retries, Retrying: r.Retrying,
			LastRecordAt: r.LastRecordAt, NextRetryAt: r.NextRetryAt, UpdatedAt: r.UpdatedAt}
		out[i].Health, out[i].Reason = taskHealth(state, r)
	}
	return out, nil
}

// tasksToShow are the tasks of the plan, and those of older plans that still run.
func tasksToShow(rows []catalog.TaskStatus, plan []catalog.PlannedTask, c catalog.Connector) []catalog.TaskStatus {
	planned := map[int]bool{}
	for _, t := range plan {
		planned[t.Number] = true
	}
	show := slices.DeleteFunc(slices.Clone(rows), func(r catalog.TaskStatus) bool { return !planned[r.Task] && r.State != string(Running) })
	for _, t := range plan {
		if !slices.ContainsFunc(rows, func(r catalog.TaskStatus) bool { return r.Task == t.Number }) {
			show = append(show, catalog.TaskStatus{Task: t.Number, UpdatedAt: c.Updated, LagRecords: -1, LagBytes: -1}) // nobody has taken it up yet
		}
	}
	slices.SortFunc(show, func(a, b catalog.TaskStatus) int { return a.Task - b.Task })
	return show
}

func connectorState(desired catalog.State, own catalog.ConnectorStatus) State {
	switch desired {
	case catalog.StatePaused:
		return Paused
	case catalog.StateStopped:
		return Stopped
	}
	switch State(own.State) {
	case Running, Failed, Restarting:
		return State(own.State)
	}
	return Unassigned
}

func taskStatus(number int, desired catalog.State, row catalog.TaskStatus, version string) TaskStatus {
	t := TaskStatus{ID: number, InstanceStatus: InstanceStatus{State: State(row.State), WorkerID: row.Worker, Version: version}}
	switch {
	case row.State == string(Failed):
		t.Trace = row.Trace // a pause hides no failure
	case desired == catalog.StatePaused:
		t.State = Paused // also if it was being tried again: nothing is, until it is resumed
	case row.State == string(Restarting):
		t.Trace = row.Trace
	case row.State == "" || row.State == string(Paused) || row.State == string(Stopped):
		t.State = Unassigned // wanted, and nobody has it yet
	}
	return t
}
