package api_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"

	"github.com/gantry-connect/gantry/api"
)

// judge is a transport that fails the test when an answer is not what the OpenAPI document says: its status, its content
// type, or the form of its body.
type judge struct {
	t    *testing.T
	next http.RoundTripper
}

// document is the OpenAPI document, ready to judge answers; made once, because that takes a while. It is used under mu.
var document = struct {
	mu   sync.Mutex
	load func() (validator.Validator, error)
}{load: sync.OnceValues(func() (validator.Validator, error) {
	text, err := api.OpenAPI()
	if err != nil {
		return nil, err
	}
	doc, err := libopenapi.NewDocument(text)
	if err != nil {
		return nil, err
	}
	v, errs := validator.NewValidator(doc)
	if len(errs) > 0 {
		return nil, errs[0]
	}
	return v, nil
})}

// undocumented are answers that the document leaves out on purpose: those about itself, and those to requests that no
// operation takes.
func undocumented(req *http.Request, res *http.Response, body []byte) bool {
	path := req.URL.Path
	return strings.HasPrefix(path, "/docs") || strings.HasPrefix(path, "/openapi") || res.StatusCode == http.StatusMethodNotAllowed ||
		(res.StatusCode == http.StatusNotFound && bytes.Contains(body, []byte("HTTP 404 Not Found")))
}

// RoundTrip makes a request and judges the answer.
func (j judge) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := j.next.RoundTrip(req)
	if err != nil || strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if err := res.Body.Close(); err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	if undocumented(req, res, body) {
		return res, nil
	}
	return res, j.judge(req, *res, body)
}

func (j judge) judge(req *http.Request, res http.Response, body []byte) error {
	document.mu.Lock()
	defer document.mu.Unlock()
	v, err := document.load()
	if err != nil {
		return err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	asked := req.Clone(req.Context())
	if p := asked.URL.Path; len(p) > 1 { // a slash at the end is accepted everywhere, and not documented
		asked.URL.Path, asked.URL.RawPath = strings.TrimSuffix(p, "/"), strings.TrimSuffix(asked.URL.RawPath, "/")
	}
	if ok, errs := v.ValidateHttpResponse(asked, &res); !ok {
		for _, e := range errs {
			j.t.Errorf("%s %s answers %d with %.500s, which the document does not allow: %s: %s", req.Method, req.URL, res.StatusCode, body, e.Message, e.Reason)
			for _, s := range e.SchemaValidationErrors {
				j.t.Errorf("  at %s: %s", s.InstancePath, s.Reason)
			}
		}
	}
	return nil
}

// judged makes the server's own client hold every answer against the document.
func (s *server) judged(t *testing.T) {
	t.Helper()
	s.Client().Transport = judge{t, s.Client().Transport}
}
