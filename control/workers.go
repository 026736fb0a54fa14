package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gantry-connect/gantry/catalog"
)

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

// Fleet is where workers are found and told what operators want of them.
type Fleet interface {
	WorkerViews(ctx context.Context) ([]catalog.WorkerView, []catalog.WorkerTask, error)
	Cordon(ctx context.Context, id string, cordoned bool) error
	Rebalance(ctx context.Context) (workers int, err error)
	Workers(ctx context.Context) ([]catalog.Worker, error)
	GroupDemand(ctx context.Context, group string) (catalog.Demand, error)
	ConnectorLabels(ctx context.Context, name string) (map[string]string, error)
}

// Workers is every worker that was seen within the last hour, with those of its tasks that the caller may see.
func (s *Service) Workers(ctx context.Context) (Workers, error) {
	views, tasks, err := s.connectors.WorkerViews(ctx)
	if err != nil {
		return Workers{}, translate(err, "")
	}
	out := Workers{Items: make([]Worker, len(views))}
	at := make(map[string]*Worker, len(views))
	for i, v := range views {
		out.Items[i] = Worker{ID: v.ID, Host: v.Host, Group: v.Group, Version: v.Version, Alive: v.Alive, Draining: v.Draining,
			Cordoned: v.Cordoned, Capacity: v.Capacity, Running: v.Running, Since: v.Since, SeenAt: v.Seen, Tasks: []WorkerTask{}}
		if v.Capacity > 0 {
			out.Items[i].Load = float64(v.Running) / float64(v.Capacity)
		}
		at[v.ID] = &out.Items[i]
	}
	sees := s.eventScope(ctx)
	for _, t := range tasks {
		w := at[t.Worker]
		if w == nil {
			continue // it went while this was read
		}
		w.Rate += t.RatePerSecond
		may, err := sees(t.Connector)
		if err != nil {
			return Workers{}, err
		}
		if may {
			state := State(t.State)
			if state == "" {
				state = Unassigned // it has the lease and has said nothing yet
			}
			w.Tasks = append(w.Tasks, WorkerTask{Connector: t.Connector, Task: t.Task, State: state, Rate: t.RatePerSecond})
		}
	}
	return out, nil
}

// Worker is one worker.
func (s *Service) Worker(ctx context.Context, id string) (Worker, error) {
	all, err := s.Workers(ctx)
	if err != nil {
		return Worker{}, err
	}
	for _, w := range all.Items {
		if w.ID == id {
			return w, nil
		}
	}
	return Worker{}, noWorker(id)
}

func noWorker(id string) error {
	return &NotFoundError{fmt.Sprintf("Worker %s not found: none of this id was seen within the last hour", id)}
}

// Cordon has a worker hand over its tasks and take none, or take that back.
func (s *Service) Cordon(ctx context.Context, id string, cordoned bool, author string) (Worker, error) {
	err := s.connectors.Cordon(ctx, id, cordoned)
	if errors.Is(err, catalog.ErrNotFound) {
		return Worker{}, noWorker(id)
	}
	if err != nil {
		return Worker{}, translate(err, "")
	}
	s.log.Info("an operator has told a worker to drain, or to stop doing so", "worker", id, "cordoned", cordoned, "author", author)
	return s.Worker(ctx, id)
}

// Rebalance has all workers compare what they run with their share at once.
func (s *Service) Rebalance(ctx context.Context, author string) (Rebalance, error) {
	workers, err := s.connectors.Rebalance(ctx)
	if err != nil {
		return Rebalance{}, translate(err, "")
	}
	tasks, err := s.shared(ctx)
	if err != nil {
		return Rebalance{}, translate(err, "")
	}
	s.log.Info("an operator has asked the workers to rebalance", "workers", workers, "author", author)
	return Rebalance{Workers: workers, Tasks: tasks}, nil
}

// shared counts the tasks that workers share, within their groups: those of a group without workers are nobody's.
func (s *Service) shared(ctx context.Context) (tasks int, err error) {
	workers, err := s.connectors.Workers(ctx)
	if err != nil {
		return 0, err
	}
	counted := map[string]bool{}
	for _, w := range workers {
		if w.Draining || counted[w.Group] {
			continue
		}
		counted[w.Group] = true
		demand, err := s.connectors.GroupDemand(ctx, w.Group)
		if err != nil {
			return 0, err
		}
		tasks += demand.Wanted
	}
	return tasks, nil
}
