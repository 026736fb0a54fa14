package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/gantry-connect/gantry/control"
)

// maxBodyBytes bounds a request's body; a config is a few kilobytes.
const maxBodyBytes = 1 << 20

// Connectors is what the connector routes need of the service.
type Connectors interface {
	List(ctx context.Context) ([]string, error)
	Expand(ctx context.Context, status, info bool) (map[string]control.Expanded, error)
	Create(ctx context.Context, c control.Create) (control.Info, error)
	Get(ctx context.Context, name string) (control.Info, error)
	PutConfig(ctx context.Context, name string, config map[string]string, author string) (control.Info, bool, error)
	Delete(ctx context.Context, name, author string) error
	PatchConfig(ctx context.Context, name string, patch map[string]*string, author string) (control.Info, error)
	OffsetKeeper
}

// OffsetKeeper is what the offsets and topics routes need.
type OffsetKeeper interface {
	Offsets(ctx context.Context, name string) ([]control.PartitionOffset, error)
	AlterOffsets(ctx context.Context, name string, offsets []control.PartitionOffset, author string) error
	ResetOffsets(ctx context.Context, name, author string) error
	Topics(ctx context.Context, name string) ([]string, error)
	ResetTopics(ctx context.Context, name string) error
}

// Loggers is what the loggers' routes need.
type Loggers interface {
	Loggers() map[string]control.LoggerLevel
	Logger(name string) (control.LoggerLevel, error)
	SetLogger(ctx context.Context, name, level string, everywhere bool) ([]string, error)
}

// Lifecycle is what the routes that start and stop need.
type Lifecycle interface {
	Pause(ctx context.Context, name, author string) error
	Resume(ctx context.Context, name, author string) error
	Stop(ctx context.Context, name, author string) error
	Restart(ctx context.Context, name string, r control.Restart, author string) (control.Status, error)
	RestartTask(ctx context.Context, name string, task int, author string) error
}

// Statuses is what the status and task routes need.
type Statuses interface {
	Status(ctx context.Context, name string) (control.Status, error)
	TaskStatus(ctx context.Context, name string, task int) (control.TaskStatus, error)
	Tasks(ctx context.Context, name string) ([]control.TaskInfo, error)
	Progress(ctx context.Context, name string) ([]control.TaskProgress, error)
}

// Plugins is what the plugin routes need.
type Plugins interface {
	PluginList(connectorsOnly bool) []control.PluginInfo
	PluginConfig(class, version string) ([]control.KeyInfo, error)
	Validate(class string, config map[string]*string) (control.Validation, error)
}

// Server is what the routes about the server itself need.
type Server interface {
	Version() string
	Environment() string
	Health(ctx context.Context) error
	Schema(ctx context.Context, fingerprint string) ([]byte, error)
}

// Service is everything behind the routes; *control.Service is one.
type Service interface {
	Connectors
	Lifecycle
	Statuses
	Plugins
	Loggers
	Server
	V1
}

type handlers struct {
	service Service
	log     *slog.Logger
	guard   Guard
	limits  *limits
}

// author is who changes are recorded under that nobody's request asked for; see by.
const author = "rest"

// New is the whole API as an HTTP handler, open to everybody who reaches it.
func New(service Service, log *slog.Logger) http.Handler { return NewGuarded(service, log, Guard{}) }

// OpenAPI is the document that describes the API, as YAML; it needs no running service.
func OpenAPI() ([]byte, error) {
	return describe(http.NewServeMux(), &handlers{log: slog.New(slog.DiscardHandler)}).OpenAPI().YAML()
}

// byteOrderMark is what some editors and shells, those of Windows above all, put before a text in UTF-8.
var byteOrderMark = []byte("\uFEFF")

// strictJSON refuses what is no UTF-8. encoding/json puts U+FFFD there, and a connector would get a name that nobody gave it.
var strictJSON = huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: func(data []byte, v any) error {
	data = bytes.TrimPrefix(data, byteOrderMark)
	if !utf8.Valid(data) {
		return errors.New("the body is not UTF-8: JSON must be, whatever the charset of the request says")
	}
	return json.Unmarshal(data, v)
}}

func describe(mux *http.ServeMux, h *handlers) huma.API {
	installErrors()
	config := huma.DefaultConfig("Gantry", "1")
	config.Info.Description = "Connectors between external systems and Apache RocketMQ. The routes, shapes and codes are those of Kafka Connect."
	config.DocsPath = ""     // docs() serves a page that needs no internet
	config.SchemasPath = ""  // answers carry no $schema: clients of Kafka Connect compare them to the letter
	config.CreateHooks = nil // the same: no Link header
	config.Formats = map[string]huma.Format{"application/json": strictJSON, "json": strictJSON}
	a := humago.New(exactRoot{mux}, config)
	a.UseMiddleware(bodiless, h.authorized)
	h.registerRoot(a)
	h.registerConnectors(a)
	h.registerLifecycle(a)
	h.registerTasks(a)
	h.registerPlugins(a)
	h.registerOffsets(a)
	h.registerTopics(a)
	h.registerLoggers(a)
	h.registerV1(a)
	h.registerAudit(a)
	badRequests(a.OpenAPI())
	undefinedKeys(a.OpenAPI())
	documentProblems(a.OpenAPI())
	secure(a.OpenAPI())
	exemplify(a.OpenAPI())
	return a
}

// bodyRead is a request whose body has been read. From then on Go's server waits on the connection for its client to go away, and
// takes the end of a deadline for just that, for this request and for all later ones: huma must set none any more.
type bodyRead struct{ operationContext }

// SetReadDeadline implements huma.Context.
func (bodyRead) SetReadDeadline(time.Time) error { return nil }

// Unwrap is for humago.Unwrap.
func (b bodyRead) Unwrap() huma.Context { return b.operationContext }

// bodiless tells of a request without a body that it has been read.
func bodiless(hctx huma.Context, next func(huma.Context)) {
	if r, _ := humago.Unwrap(hctx); r.ContentLength == 0 {
		hctx = bodyRead{hctx}
	}
	next(hctx)
}

// badRequests documents what installErrors does: huma's 422 is answered as 400. It adds how bodies are refused that are not read.
func badRequests(doc *huma.OpenAPI) {
	for _, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch} {
			if op == nil || op.Responses["422"] == nil {
				continue
			}
			if op.Responses["400"] == nil {
				op.Responses["400"] = op.Responses["422"]
				op.Responses["400"].Description = http.StatusText(http.StatusBadRequest)
			}
			delete(op.Responses, "422")
			if op.RequestBody == nil {
				continue
			}
			for _, status := range []int{http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType} {
				content := map[string]*huma.MediaType{} // of its own: each status gets its example
				for kind, media := range op.Responses["400"].Content {
					content[kind] = &huma.MediaType{Schema: media.Schema}
				}
				op.Responses[strconv.Itoa(status)] = &huma.Response{Description: http.StatusText(status), Content: content}
			}
		}
	}
}

// undefinedKeys documents that validation answers null for the definition of a key that nothing defines.
func undefinedKeys(doc *huma.OpenAPI) {
	if s := doc.Components.Schemas.Map()["KeyResult"]; s != nil {
		s.Properties["definition"] = &huma.Schema{OneOf: []*huma.Schema{s.Properties["definition"], {Type: "null"}}}
	}
}

// also documents a second successful answer of an operation, beside the one that huma knows of.
func also(status, description string) map[string]*huma.Response {
	return map[string]*huma.Response{status: {Description: description}}
}

// exactRoot keeps the route of "/" from matching every path that has no route.
type exactRoot struct{ *http.ServeMux }

func (m exactRoot) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	if strings.HasSuffix(pattern, " /") {
		pattern += "{$}"
	}
	m.ServeMux.HandleFunc(pattern, handler)
}

// lenient accepts a slash behind every path, as Kafka Connect does and some of its clients need, and media types in any case.
// A slash that is part of a name comes escaped and stays.
func lenient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if kind := r.Header.Get("Content-Type"); kind != strings.ToLower(kind) {
			r = r.Clone(r.Context())
			r.Header.Set("Content-Type", strings.ToLower(kind)) // of its parameters none is read
		}
		if escaped := r.URL.EscapedPath(); len(escaped) > 1 && strings.HasSuffix(escaped, "/") && !strings.HasPrefix(escaped, "/docs/") {
			u := *r.URL
			u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/"), strings.TrimSuffix(escaped, "/")
			r2 := r.Clone(r.Context())
			r2.URL = &u
			r = r2
		}
		next.ServeHTTP(w, r)
	})
}
