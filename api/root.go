package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-connect/gantry/access"
)

// ServerInfo is the answer to GET /.
type ServerInfo struct {
	Version        string `json:"version" example:"4.3.1" doc:"Of Kafka Connect, whose routes these are: its clients choose by it what they call."`
	Commit         string `json:"commit" example:"0.1.0" doc:"The version of Gantry."`
	KafkaClusterID string `json:"kafka_cluster_id" doc:"The environment's id, under the name that Kafka Connect's clients expect."`
}

// compatibleVersion is the release of Kafka Connect whose contract the routes keep. Clients read numbers out of it, so
// there is nothing else in it.
const compatibleVersion = "4.3.1"

// Health is the answer to GET /health.
type Health struct {
	Status  string `json:"status" enum:"healthy,starting,unhealthy"`
	Message string `json:"message"`
}

// healthBudget bounds a health check; probes give up sooner or later anyway.
const healthBudget = 5 * time.Second

func (h *handlers) registerRoot(a huma.API) {
	huma.Register(a, huma.Operation{OperationID: "get-server", Metadata: access.NeedsOnly(access.Viewer), Method: http.MethodGet, Path: "/", Tags: []string{"Server"},
		Summary: "Version and environment of the server"},
		func(context.Context, *struct{}) (*struct{ Body ServerInfo }, error) {
			return &struct{ Body ServerInfo }{ServerInfo{Version: compatibleVersion, Commit: h.service.Version(), KafkaClusterID: h.service.Environment()}}, nil
		})
	huma.Register(a, huma.Operation{OperationID: "get-health", Metadata: access.NeedsOnly(access.Viewer), Method: http.MethodGet, Path: "/health", Tags: []string{"Server"},
		Summary: "Whether the server can do its work", Errors: []int{http.StatusInternalServerError, http.StatusServiceUnavailable}}, h.health)
	health := a.OpenAPI().Paths["/health"].Get.Responses
	health["500"].Content = health["200"].Content // a failure has the same form, which huma cannot know
	health["503"].Content = health["200"].Content // while the server starts; see Gate
	huma.Register(a, huma.Operation{OperationID: "get-schema", Metadata: access.NeedsOnly(access.Viewer), Method: http.MethodGet, Path: "/schemas/{fingerprint}", Tags: []string{"Schemas"},
		Summary: "A schema that messages refer to", Description: "Messages name the schema of their key and value by fingerprint in the properties `gantry-key-schema` and `gantry-schema`.",
		Errors: []int{http.StatusNotFound, http.StatusServiceUnavailable}}, h.schema)
}

type healthOutput struct {
	Status int
	Body   Health
}

func (h *handlers) health(ctx context.Context, _ *struct{}) (*healthOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, healthBudget)
	defer cancel()
	if err := h.service.Health(ctx); err != nil {
		h.log.Warn("unhealthy", "error", err)
		return &healthOutput{http.StatusInternalServerError, Health{"unhealthy", "The catalog does not answer; see the server's log."}}, nil
	}
	return &healthOutput{http.StatusOK, Health{"healthy", "Gantry is up and its catalog answers."}}, nil
}

type schemaOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         json.RawMessage
}

func (h *handlers) schema(ctx context.Context, in *struct {
	Fingerprint string `path:"fingerprint" maxLength:"64"`
}) (*schemaOutput, error) {
	doc, err := h.service.Schema(ctx, in.Fingerprint)
	if err != nil {
		return nil, h.problem(ctx, err)
	}
	return &schemaOutput{CacheControl: "public, max-age=31536000, immutable", Body: doc}, nil
}
