package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/control"
)

// Numbered is the path of one task.
type Numbered struct {
	Named
	Task int `path:"task" minimum:"0" doc:"Number of the task, from 0."`
}

func (h *handlers) registerTasks(a huma.API) {
	tags := []string{"Tasks"}
	errs := []int{http.StatusNotFound, http.StatusServiceUnavailable}
	huma.Register(a, huma.Operation{OperationID: "get-status", Metadata: access.Needs(access.Viewer), Method: http.MethodGet, Path: "/connectors/{name}/status", Tags: tags,
		Summary: "How a connector and its tasks are", Errors: errs}, h.status)
	huma.Register(a, huma.Operation{OperationID: "list-tasks", Metadata: access.Needs(access.Viewer), Method: http.MethodGet, Path: "/connectors/{name}/tasks", Tags: tags,
		Summary: "The tasks and their configs", Errors: errs}, h.tasks)
	huma.Register(a, huma.Operation{OperationID: "get-task-status", Metadata: access.Needs(access.Viewer), Method: http.MethodGet, Path: "/connectors/{name}/tasks/{task}/status", Tags: tags,
		Summary: "How one task is", Errors: errs}, h.taskStatus)
	huma.Register(a, huma.Operation{OperationID: "restart-task", Metadata: access.Needs(access.Operator), Method: http.MethodPost, Path: "/connectors/{name}/tasks/{task}/restart", Tags: tags,
		Summary: "Start one task again", DefaultStatus: http.StatusNoContent, Errors: errs},
		func(ctx context.Context, in *Numbered) (*struct{}, error) {
			return nil, h.problem(ctx, h.service.RestartTask(ctx, in.Name, in.Task, by(ctx)))
		})
}

func (h *handlers) status(ctx context.Context, in *Named) (*struct{ Body control.Status }, error) {
	st, err := h.service.Status(ctx, in.Name)
	if err != nil {
		return nil, h.problem(ctx, err)
	}
	return &struct{ Body control.Status }{st}, nil
}

func (h *handlers) tasks(ctx context.Context, in *Named) (*struct{ Body []control.TaskInfo }, error) {
	all, err := h.service.Tasks(ctx, in.Name)
	if err != nil {
		return nil, h.problem(ctx, err)
	}
	return &struct{ Body []control.TaskInfo }{all}, nil
}

func (h *handlers) taskStatus(ctx context.Context, in *Numbered) (*struct{ Body control.TaskStatus }, error) {
	st, err := h.service.TaskStatus(ctx, in.Name, in.Task)
	if err != nil {
		return nil, h.problem(ctx, err)
	}
	return &struct{ Body control.TaskStatus }{st}, nil
}
