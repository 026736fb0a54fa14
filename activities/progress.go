package activities

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/workflows"
)

// How often workflows are told of progress, so that Temporal's Web UI shows it. A word to a task's workflow costs about four
// events of its history: some 30 an hour with the hourly turn, and a new history every five or six days.
const (
	tellEvery  = 10 * time.Minute // while nothing but the figures changes
	tellPause  = 30 * time.Second // at least, between two words of this worker to one workflow
	tellWithin = 2 * time.Second  // one word; the next one makes up for one that is lost

	// tellConnectors is the same for connectors, whose workflows are told by ReconcileAll: some 16 events an hour.
	tellConnectors = 15 * time.Minute
	// A connector that has just changed is told of at every reconciling.
	tellChanged = 2 * time.Minute
	// tellTasks bounds what a connector is told of: some 300 bytes each.
	tellTasks = 60
)

// word is something to tell a task's workflow.
type word struct {
	workflow, run string
	progress      workflows.TaskProgress
}

// words are what workflows are still to be told; the last word about a task replaces those before it.
type words struct {
	mu      sync.Mutex
	pending map[string]word      // by workflow
	said    map[string]time.Time // when a workflow was last told
}

func newWords() words { return words{pending: map[string]word{}, said: map[string]time.Time{}} }

func (w *words) put(say word) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending[say.workflow] = say
}

// take takes what may be said now.
func (w *words) take(now time.Time) []word {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.said, func(_ string, at time.Time) bool { return now.Sub(at) >= tellPause })
	var ready []word
	for id, say := range w.pending {
		if _, wait := w.said[id]; !wait {
			ready = append(ready, say)
			delete(w.pending, id)
			w.said[id] = now
		}
	}
	return ready
}

// TellProgress tells workflows how far their tasks are, where that is due. It is to be called every second or so.
func (a *Activities) TellProgress(ctx context.Context) {
	now := time.Now()
	for _, t := range a.turns.all() {
		if p, due := t.news(now); due {
			a.words.put(word{t.info.WorkflowExecution.ID, t.info.WorkflowExecution.RunID, p})
		}
	}
	for _, say := range a.words.take(now) {
		tctx, cancel := context.WithTimeout(ctx, tellWithin)
		err := a.Starter.Tell(tctx, say.workflow, say.run, say.progress)
		cancel()
		if err != nil {
			a.log.Debug("tell a workflow of progress", "workflow", say.workflow, "error", err)
			return // Temporal is out of reach: what is lost is told the next time
		}
	}
}

// news is what the task's workflow should know now: where the task runs, and when something begins or ceases to be tried
// again; else the figures every now and then.
func (t *turn) news(now time.Time) (workflows.TaskProgress, bool) {
	if t.orphan.Load() {
		return workflows.TaskProgress{}, false
	}
	p, ok := t.progress(workflows.Running)
	t.mu.Lock()
	defer t.mu.Unlock()
	trouble := p.Trouble != ""
	if !ok || (!t.toldAt.IsZero() && trouble == t.toldTrouble && now.Sub(t.toldAt) < t.tellNext) {
		return p, false
	}
	t.toldAt, t.toldTrouble, t.tellNext = now, trouble, jittered(tellEvery)
	return p, true
}

// tellRetry tells the workflow that the task waits for its next try; not of every try, because they may go on for ever.
func (t *turn) tellRetry(status catalog.TaskStatus, failures int) {
	if failures&(failures-1) != 0 {
		return
	}
	p := progressOf(status)
	p.At = time.Now().UTC()
	t.a.words.put(word{t.info.WorkflowExecution.ID, t.info.WorkflowExecution.RunID, p})
}

// lastProgress is how far the task was when it left; nil if it copied nothing.
func (t *turn) lastProgress() *workflows.TaskProgress {
	p, ok := t.progress(workflows.Unassigned)
	if !ok {
		return nil
	}
	return &p
}

// tellConnector tells a connector's workflow of its tasks, every quarter of an hour and after changes.
func (a *Activities) tellConnector(ctx context.Context, conn catalog.Connector, status catalog.ConnectorStatus) error {
	const slots = int64(tellConnectors / time.Minute)
	now := time.Now()
	due := now.Unix()/60%slots == conn.UID%slots // spread over time, without remembering anything
	if conn.Desired != catalog.StateRunning || (!due && now.Sub(status.UpdatedAt) >= tellChanged) {
		return nil
	}
	all, err := a.Catalog.TaskStatuses(ctx, conn.UID)
	if err != nil || len(all) == 0 {
		return err
	}
	progress := workflows.ConnectorProgress{At: now.UTC()}
	for _, s := range all[:min(len(all), tellTasks)] {
		progress.Tasks = append(progress.Tasks, progressOf(s))
	}
	return a.Starter.Tell(ctx, workflows.ConnectorWorkflowID(conn.Name), "", progress)
}

// progress is how far the task is; false while it has nothing to tell.
func (t *turn) progress(state workflows.State) (workflows.TaskProgress, bool) {
	status, ok := t.status(string(state))
	if !ok {
		return workflows.TaskProgress{}, false
	}
	p := progressOf(status)
	p.At, p.State = time.Now().UTC(), state
	s, _, j := t.snapshot()
	p.Since, p.Position = t.began.UTC(), j.ledger.summary()
	if s.LastError != nil {
		p.Trouble = cut(s.RetryingWhat+": "+s.LastError.Error(), maxTrouble/3)
	}
	return p, true
}

// progressOf is a task's status as workflows take it.
func progressOf(s catalog.TaskStatus) workflows.TaskProgress {
	p := workflows.TaskProgress{Task: s.Task, At: s.UpdatedAt.UTC(), State: workflows.State(s.State), Worker: s.Worker,
		Records: s.Records, Bytes: s.Bytes, Rate: s.RatePerSecond, LagRecords: s.LagRecords, LagBytes: s.LagBytes, Retries: s.Retries,
		Trouble: cut(s.Trace, maxTrouble/3)}
	if s.LastRecordAt != nil {
		p.LastRecordAt = s.LastRecordAt.UTC()
	}
	if s.NextRetryAt != nil {
		p.NextTryAt = s.NextRetryAt.UTC()
	}
	return p
}
