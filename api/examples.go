package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// exampleConfig is the config in every example.
var exampleConfig = map[string]any{"connector.class": "FileSource", "file": "/data/flights.csv", "format": "csv", "topic": "flights"}

// exampleTime is the moment in every example.
const exampleTime = "2026-01-05T10:00:00Z"

// exemplify gives every body in the document an example, made of the examples of its fields, so that none is forgotten and
// each fits its schema.
func exemplify(doc *huma.OpenAPI) {
	e := examples{doc.Components.Schemas}
	for path, item := range doc.Paths {
		for _, op := range operations(item) {
			if op.RequestBody != nil {
				e.add(op.RequestBody.Content, path, 0)
			}
			for status, response := range op.Responses {
				n, err := strconv.Atoi(status)
				if err != nil {
					n = http.StatusInternalServerError // "default" is any failure
				}
				e.add(response.Content, path, n)
			}
		}
	}
}

type examples struct{ schemas huma.Registry }

// add fills in the examples of one body; status is 0 for a request's.
func (e examples) add(content map[string]*huma.MediaType, path string, status int) {
	for kind, media := range content {
		if media.Example != nil || media.Schema == nil || !strings.HasSuffix(kind, "json") {
			continue
		}
		switch {
		case kind == "application/problem+json":
			media.Example = problemExample(status)
		case status >= http.StatusBadRequest && strings.HasSuffix(media.Schema.Ref, "/Error"):
			media.Example = map[string]any{"error_code": status, "message": http.StatusText(status)}
		case strings.HasSuffix(path, "/config") && status < http.StatusBadRequest && e.resolve(media.Schema).Type == huma.TypeObject &&
			len(e.resolve(media.Schema).Properties) == 0:
			media.Example = exampleConfig
		default:
			media.Example = e.of(media.Schema, 0)
		}
	}
}

func problemExample(status int) map[string]any {
	p := newProblem(status, codeOf(status), http.StatusText(status))
	return map[string]any{"type": p.Type, "title": p.Title, "status": status, "detail": p.Detail, "code": p.Code}
}

func (e examples) resolve(s *huma.Schema) *huma.Schema {
	for s.Ref != "" {
		s = e.schemas.SchemaFromRef(s.Ref)
	}
	return s
}

// deepest bounds examples of schemas that hold themselves.
const deepest = 8

// of makes an example of a schema: its own, or one of its parts.
func (e examples) of(s *huma.Schema, depth int) any {
	s = e.resolve(s)
	switch {
	case len(s.Examples) > 0:
		return s.Examples[0]
	case len(s.Enum) > 0:
		return s.Enum[0]
	case depth > deepest:
		return nil
	}
	switch s.Type {
	case huma.TypeObject:
		return e.object(s, depth)
	case huma.TypeArray:
		if item := e.of(s.Items, depth+1); item != nil {
			return []any{item}
		}
		return []any{}
	case huma.TypeBoolean:
		return false
	case huma.TypeInteger, huma.TypeNumber:
		if s.Minimum != nil {
			return *s.Minimum
		}
		return 0
	case huma.TypeString:
		if s.Format == "date-time" {
			return exampleTime
		}
		return "text"
	}
	return map[string]any{}
}

// object has what is required, and what has an example.
func (e examples) object(s *huma.Schema, depth int) any {
	if len(s.Properties) == 0 {
		if values, ok := s.AdditionalProperties.(*huma.Schema); ok && e.resolve(values).Type == huma.TypeString {
			return map[string]any{"team": "ops"}
		}
		if strings.HasPrefix(s.Description, "A flat map of config keys") {
			return exampleConfig
		}
		return map[string]any{}
	}
	out := map[string]any{}
	for name, p := range s.Properties {
		if name == "config" && e.resolve(p).Type == huma.TypeObject && len(e.resolve(p).Properties) == 0 {
			out[name] = exampleConfig
		} else if slices.Contains(s.Required, name) || len(e.resolve(p).Examples) > 0 {
			out[name] = e.of(p, depth+1)
		}
	}
	return out
}
