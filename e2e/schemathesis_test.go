//go:build schemathesis

package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/internal/devstack/devstacktest"
)

// schemathesisVariable names the program; `make fuzz-api` installs it and sets the variable.
const schemathesisVariable = "SCHEMATHESIS"

// deletes are the operations that end connectors. They come last, so that the others meet some.
var deletes = []string{"delete-connector", "v1-delete-connector", "v1-bulk-delete"}

// Requests made up from the OpenAPI document, right ones and wrong ones, get no answer that the document does not
// describe, and none with 5xx: as admin on connectors that run, and without a token.
func TestAnswersAreAsTheDocumentSays(t *testing.T) {
	t.Parallel()
	program := os.Getenv(schemathesisVariable)
	require.NotEmpty(t, program, "set %s, as make fuzz-api does", schemathesisVariable)
	e := newEnv(t)
	e.migrate()
	listen := freeAddress(t)
	server := startProcess(t, e.dir, "server", e.settings("GANTRY_API_LISTEN="+listen, "GANTRY_WORKER_ID=server",
		"GANTRY_API_AUTH=tokens", "GANTRY_API_RATE_LIMIT=0"), "server")
	e.workers = append(e.workers, server)
	e.awaitAPI(listen, server)
	token := e.run(e.settings(), "token", "create", "fuzz", "--role", "admin", "--expires", "1h")
	e.client.token = token

	topic := devstacktest.Topic(t, "flights")
	require.NoError(t, os.WriteFile(e.path("flights.csv"), []byte("id\n1\n2\n3\n"), 0o644))
	e.client.put("flights-in", config{"connector.class": "FileSource", "file": e.path("flights.csv"), "topic": topic, "topic.queues": "1"})
	e.client.put("flights-out", config{"connector.class": "FileSink", "topics": topic, "file": e.path("out"), "format": "lines"})
	e.client.must(http.MethodPost, "/connectors", map[string]any{"name": "flights-edit", "initial_state": "STOPPED",
		"config": config{"connector.class": "FileSink", "topics": topic, "file": e.path("edited")}}, nil)
	e.client.awaitState("flights-in", "RUNNING")
	e.client.awaitState("flights-out", "RUNNING")

	require.NoError(t, os.WriteFile(e.path("openapi.json"), e.document(), 0o644))
	admin := []string{"--header", "Authorization: Bearer " + token}
	var with, without []string
	for _, id := range deletes {
		with = append(with, "--include-operation-id", id)
		without = append(without, "--exclude-operation-id", id)
	}
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"admin", slices.Concat(admin, without)},
		{"admin who deletes", slices.Concat(admin, with)},
		{"nobody", []string{"--phases", "coverage"}},
	} {
		t.Run(tt.name, func(t *testing.T) { // one after the other, in this order
			e.schemathesis(t, program, topic, tt.args)
		})
	}
	require.False(t, server.ended(), "the server still runs")
}

// document is the OpenAPI document as the server gives it.
func (e *env) document() []byte {
	e.t.Helper()
	var text json.RawMessage
	e.client.must(http.MethodGet, "/openapi.json", nil, &text)
	return text
}

// schemathesis runs the program against the API.
func (e *env) schemathesis(t *testing.T, program, topic string, args []string) {
	t.Helper()
	settings, err := filepath.Abs("../tools/schemathesis")
	require.NoError(t, err)
	cmd := exec.Command(program, slices.Concat([]string{"--config-file", filepath.Join(settings, "schemathesis.toml"),
		"run", e.path("openapi.json"), "--url", e.client.base}, args)...)
	cmd.Dir = t.TempDir() // where it would keep notes
	cmd.Env = append(os.Environ(), "SCHEMATHESIS_FOLDER="+e.dir, "SCHEMATHESIS_TOPIC="+topic,
		"SCHEMATHESIS_HOOKS="+filepath.Join(settings, "hooks.py"))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n\nwhat the server has logged as its errors:\n%s", out, e.workers[0].errors())
	_, summary, _ := strings.Cut(string(out), "= SUMMARY =")
	t.Log(summary)
}

// errors are the lines of its log in which a process complains.
func (p *process) errors() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := slices.DeleteFunc(strings.Split(string(b), "\n"), func(line string) bool { return !strings.Contains(line, "level=ERROR") })
	return strings.Join(lines[:min(len(lines), 40)], "\n")
}
