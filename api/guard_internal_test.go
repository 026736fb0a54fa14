package api

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whoever asks gets an answer in the shape of the route, and what a connector's code panicked with, which may hold a secret, stays in.
func TestAPanicIsAnswered(t *testing.T) {
	t.Parallel()
	nothing := map[string]int{"hunter2": 2}
	for _, tt := range []struct {
		path, kind string
		panic      func()
		logged     string
	}{
		{"/connectors", "application/json", func() { panic(errors.New("hunter2")) }, "errorString"},
		{"/v1/connectors", "application/problem+json", func() { panic(any(nothing).(error)) }, "interface conversion"},
	} {
		var log bytes.Buffer
		h := &handlers{log: slog.New(slog.NewTextHandler(&log, nil))}
		answer := httptest.NewRecorder()
		h.survived(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { tt.panic() })).
			ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, tt.path, nil))
		require.Equal(t, http.StatusInternalServerError, answer.Code)
		require.Equal(t, tt.kind, answer.Header().Get("Content-Type"))
		require.Contains(t, answer.Body.String(), "Internal error")
		require.Contains(t, log.String(), tt.logged)
		require.Contains(t, log.String(), "guard_internal_test.go", "the stack")
		require.NotContains(t, log.String()+answer.Body.String(), "hunter2")
	}
}
