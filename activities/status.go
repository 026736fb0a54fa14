package activities

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/pipeline"
)

// turns are the tasks that are with this worker, and what is still to be told of those that have left.
type turns struct {
	mu   sync.Mutex
	here map[*turn]struct{}
	last []catalog.TaskStatus
}

func newTurns() turns { return turns{here: map[*turn]struct{}{}} }

func (ts *turns) add(t *turn) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.here[t] = struct{}{}
}

func (ts *turns) remove(t *turn) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	delete(ts.here, t)
}

// all are the turns, the youngest first.
func (ts *turns) all() []*turn {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	all := make([]*turn, 0, len(ts.here))
	for t := range ts.here {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b *turn) int { return b.began.Compare(a.began) })
	return all
}

// Running is how many tasks are with this worker.
func (a *Activities) Running() int {
	a.turns.mu.Lock()
	defer a.turns.mu.Unlock()
	return len(a.turns.here)
}

// Unclaimed is how many tasks have come to this worker and have not got a lease yet.
func (a *Activities) Unclaimed() int {
	n := 0
	for _, t := range a.turns.all() {
		if _, lease, _ := t.snapshot(); lease == nil {
			n++
		}
	}
	return n
}

// Orphans is how many tasks with this worker copy on although their attempt counts no more: Temporal was out of reach for
// too long. They go when somebody claims them.
func (a *Activities) Orphans() int {
	n := 0
	for _, t := range a.turns.all() {
		if t.orphan.Load() {
			n++
		}
	}
	return n
}

// Abandoned is how many tasks were left behind because they did not end, and still have not.
func (a *Activities) Abandoned() int64 { return a.abandoned.Load() }

// Shed lets go of up to n tasks, the youngest first, so that other workers can have them. It returns how many it asked.
func (a *Activities) Shed(n int) int {
	asked := 0
	for _, t := range a.turns.all() {
		if asked == n {
			break
		}
		if t.letGo() {
			asked++
		}
	}
	return asked
}

// letGo reports whether the turn was asked now, for the first time, and copies.
func (t *turn) letGo() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.shedded || t.job == nil {
		return false
	}
	t.shedded = true
	close(t.shed)
	return true
}

// TaskInfo is a task that is with this worker.
type TaskInfo struct {
	Connector string
	UID       int64
	Task      int
	Since     time.Time
	Heartbeat Heartbeat
	Progress  pipeline.Snapshot // zero while the task has no lease
	Claimed   bool              // it has a lease
}

// Tasks are the tasks that are with this worker, by connector and number.
func (a *Activities) Tasks() []TaskInfo {
	all := a.turns.all()
	infos := make([]TaskInfo, len(all))
	for i, t := range all {
		s, lease, _ := t.snapshot()
		infos[i] = TaskInfo{t.in.Connector, t.in.UID, t.in.Task, t.began, t.heartbeat(false), s, lease != nil}
	}
	slices.SortFunc(infos, func(a, b TaskInfo) int {
		return cmp.Or(cmp.Compare(a.Connector, b.Connector), cmp.Compare(a.Task, b.Task))
	})
	return infos
}

// status is what the task says of itself; false while it has no epoch to say it under.
func (t *turn) status(state string) (catalog.TaskStatus, bool) {
	s, lease, _ := t.snapshot()
	if lease == nil {
		return catalog.TaskStatus{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	status := catalog.TaskStatus{UID: t.in.UID, Task: t.in.Task, State: state, Worker: t.a.config.Worker,
		Epoch: lease.Start().Epoch, Records: s.Records, Bytes: s.Bytes, LagRecords: s.LagRecords, LagBytes: s.LagBytes,
		RatePerSecond: t.rate.perSecond, Retries: s.Retries, Filtered: s.Filtered, Bad: s.Bad, DeadLetters: s.DeadLetters}
	if s.LastError != nil {
		status.Retrying = fmt.Sprintf("%s is tried again since %s: %v", s.RetryingWhat, s.RetryingSince.UTC().Format(time.RFC3339), s.LastError)
		status.RetryingSince = &s.RetryingSince
	}
	if !s.LastRecordAt.IsZero() {
		status.LastRecordAt = &s.LastRecordAt
	}
	return status, true
}

// say leaves the task's last word to the next report, and returns it.
func (t *turn) say(state string, err error, nextRetry time.Time) catalog.TaskStatus {
	status, ok := t.status(state)
	if !ok { // it never copied: its epoch is not known, and only a failure is worth telling
		if err == nil {
			return status
		}
		status = catalog.TaskStatus{UID: t.in.UID, Task: t.in.Task, State: state, Worker: t.a.config.Worker,
			Epoch: time.Now().UnixMicro(), LagRecords: -1, LagBytes: -1}
	}
	if err != nil {
		status.Trace = err.Error()
	}
	if !nextRetry.IsZero() {
		status.NextRetryAt = &nextRetry
	}
	t.a.turns.mu.Lock()
	defer t.a.turns.mu.Unlock()
	delete(t.a.turns.here, t) // it says no more
	t.a.turns.last = append(t.a.turns.last, status)
	return status
}

// ReportStatuses tells the catalog, in one statement, how all tasks of this worker are. What could not be told about tasks
// that have left is told next time.
func (a *Activities) ReportStatuses(ctx context.Context) error {
	a.turns.mu.Lock()
	last := a.turns.last
	a.turns.last = nil
	a.turns.mu.Unlock()
	rows := slices.Clone(last)
	for _, t := range a.turns.all() {
		if status, ok := t.status(catalog.StatusRunning); ok {
			rows = append(rows, status)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	err := a.Catalog.ReportStatus(ctx, rows)
	if err != nil {
		a.turns.mu.Lock()
		defer a.turns.mu.Unlock()
		a.turns.last = append(last, a.turns.last...)
	}
	return err
}
