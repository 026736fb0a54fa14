package client_test

import (
	"context"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/gantry-connect/gantry/client"
)

// richer are routes that the client leaves to the ones under /v1 that do the same and more.
var richer = map[string]string{
	"POST /connectors":              "POST /v1/connectors",
	"DELETE /connectors/{name}":     "DELETE /v1/connectors/{name}",
	"GET /connectors/{name}/config": "GET /v1/connectors/{name}/config",
}

// Every operation that the server's document describes has a method, and every method calls one.
func TestEveryOperationHasAMethod(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../api/openapi.yaml")
	require.NoError(t, err)
	var document struct {
		Paths map[string]map[string]yaml.Node
	}
	require.NoError(t, yaml.Unmarshal(text, &document))
	patterns := map[string]*regexp.Regexp{}
	holes := regexp.MustCompile(`\\\{[a-z]+\\\}`)
	for path, methods := range document.Paths {
		for method := range methods {
			if method = strings.ToUpper(method); method != "PARAMETERS" {
				patterns[method+" "+path] = regexp.MustCompile("^" + method + " " + holes.ReplaceAllString(regexp.QuoteMeta(path), "[a-z0-9]+") + "$")
			}
		}
	}
	called := calls(t)
	for what := range called {
		known := false
		for _, p := range patterns {
			known = known || p.MatchString(what)
		}
		require.True(t, known, "the server has no %s", what)
	}
	for operation, p := range patterns {
		done := richer[operation] != ""
		for what := range called {
			done = done || p.MatchString(what)
		}
		require.True(t, done, "the client has no method for %s", operation)
	}
}

// calls is what the client's methods send.
func calls(t *testing.T) map[string]bool {
	t.Helper()
	var mu sync.Mutex
	seen := map[string]bool{}
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.Method+" "+r.URL.Path] = true
		w.WriteHeader(http.StatusTeapot) // no success, and nothing that is tried again
	})
	for _, do := range everyMethod(c) {
		require.Error(t, do(t.Context()))
	}
	return seen
}

func everyMethod(c *client.Client) []func(context.Context) error {
	none := func(client.Event) error { return nil }
	second := func(_ any, err error) error { return err }
	type ctx = context.Context
	all := []func(ctx) error{
		func(x ctx) error { return second(c.About(x)) }, func(x ctx) error { return c.Healthy(x) },
		func(x ctx) error { return second(c.Names(x)) }, func(x ctx) error { return second(c.Connector(x, "n")) },
		func(x ctx) error { _, _, err := c.PutConfig(x, "n", nil); return err }, func(x ctx) error { return second(c.PatchConfig(x, "n", nil)) },
		func(x ctx) error { return second(c.Status(x, "n")) }, func(x ctx) error { return second(c.Tasks(x, "n")) },
		func(x ctx) error { return second(c.TaskStatus(x, "n", 1)) },
		func(x ctx) error { return c.Pause(x, "n") }, func(x ctx) error { return c.Resume(x, "n") }, func(x ctx) error { return c.Stop(x, "n") },
		func(x ctx) error { return c.Restart(x, "n", client.Restart{}) }, func(x ctx) error { return c.RestartTask(x, "n", 1) },
		func(x ctx) error { return second(c.Topics(x, "n")) }, func(x ctx) error { return c.ResetTopics(x, "n") },
		func(x ctx) error { return second(c.Offsets(x, "n")) }, func(x ctx) error { return second(c.SetOffsets(x, "n", nil)) },
		func(x ctx) error { return second(c.ResetOffsets(x, "n")) }, func(x ctx) error { return second(c.Plugins(x, true)) },
		func(x ctx) error { return second(c.PluginConfig(x, "p")) }, func(x ctx) error { return second(c.Validate(x, "p", nil)) },
		func(x ctx) error { return second(c.Schema(x, "f")) }, func(x ctx) error { return second(c.Loggers(x)) },
		func(x ctx) error { return second(c.Logger(x, "l")) }, func(x ctx) error { return second(c.SetLogger(x, "l", "INFO", true)) },
		func(x ctx) error { return second(c.Overviews(x, client.Query{})) }, func(x ctx) error { return second(c.Overview(x, "n")) },
		func(x ctx) error { return second(c.Create(x, client.NewConnector{}, false)) }, func(x ctx) error { return c.Delete(x, "n", client.Deletion{}) },
		func(x ctx) error { return second(c.Labels(x, "n")) }, func(x ctx) error { return c.PutLabels(x, "n", nil) },
		func(x ctx) error { _, _, err := c.Config(x, "n"); return err },
		func(x ctx) error { _, _, err := c.ReplaceConfig(x, "n", nil, client.Replacement{}); return err },
		func(x ctx) error { return second(c.Revisions(x, "n", 0)) }, func(x ctx) error { return second(c.Revision(x, "n", 1)) },
		func(x ctx) error { return second(c.DiffRevisions(x, "n", -1, 2)) }, func(x ctx) error { return second(c.Rollback(x, "n", 1, 0)) },
		func(x ctx) error { return second(c.Positions(x, "n")) }, func(x ctx) error { return second(c.EditPositions(x, "n", nil, -1)) },
		func(x ctx) error { return second(c.ResetPositions(x, "n", -1)) }, func(x ctx) error { return second(c.PositionHistory(x, "n", 1)) },
		func(x ctx) error { return second(c.UndoPositions(x, "n", 0, -1)) }, func(x ctx) error { return second(c.Queues(x, "n")) },
		func(x ctx) error { return second(c.TakeUpQueues(x, "n", "", false)) }, func(x ctx) error { return second(c.Check(x, nil)) },
		func(x ctx) error { return second(c.CheckConnector(x, "n")) }, func(x ctx) error { return second(c.Preview(x, nil, 1)) },
		func(x ctx) error { return second(c.PreviewTopic(x, "t", client.TopicPreview{Limit: 1})) }, func(x ctx) error { return second(c.Progress(x, "n")) },
		func(x ctx) error { return second(c.Events(x, client.EventQuery{}, 1)) },
		func(x ctx) error { return c.Follow(x, client.EventQuery{Connector: "n"}, -1, none) },
		func(x ctx) error { return second(c.Audit(x, client.AuditQuery{Limit: 1})) }, func(x ctx) error { return second(c.Workers(x)) },
		func(x ctx) error { return second(c.Worker(x, "w")) }, func(x ctx) error { return second(c.Drain(x, "w")) },
		func(x ctx) error { return second(c.Undrain(x, "w")) }, func(x ctx) error { return second(c.Rebalance(x)) },
	}
	for _, verb := range []string{"pause", "resume", "stop", "restart", "delete"} {
		all = append(all, func(x ctx) error { return second(c.Bulk(x, client.Bulk{Verb: verb})) })
	}
	return append(all, func(x ctx) error { return second(c.Expanded(x)) }, func(x ctx) error { return second(c.Infos(x)) })
}
