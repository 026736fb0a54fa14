package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	temporal "go.temporal.io/sdk/client"
	"google.golang.org/protobuf/proto"
)

// vault is an installation with keys and authentication, and what must not get out of it.
type vault struct {
	*env
	role    string
	metrics string            // where the worker serves them
	planted map[string]string // secrets by what they are
}

// odd ends every planted secret but the first: it looks another way in URLs, in JSON, in quotes and in properties.
const odd = `-/%"<&>'é`

// run is one gantry command on the catalog; it returns what was printed.
func (e *env) run(settings []string, args ...string) string {
	e.t.Helper()
	cmd := exec.Command(gantry, args...)
	cmd.Env = append(os.Environ(), settings...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.NoError(e.t, cmd.Run(), "gantry %v: %s", args, &errs)
	return strings.TrimSpace(out.String())
}

func newVault(t *testing.T) *vault {
	t.Helper()
	v := &vault{env: newEnv(t), role: "r" + strings.ToLower(rand.Text()), planted: map[string]string{}}
	for _, what := range []string{"password", "wrong password", "wrong password in a URL", "wrong password by reference", "wrong password in a file"} {
		v.planted[what] = "planted-" + rand.Text()
		if what != "password" { // which is a literal of SQL
			v.planted[what] += odd
		}
	}
	db := v.connect()
	_, err := db.Exec(t.Context(), fmt.Sprintf("create role %s login password '%s'; grant create, usage on schema public to %[1]s", v.role, v.planted["password"]))
	require.NoError(t, err)
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), v.target)
		require.NoError(t, err)
		defer conn.Close(context.Background()) //nolint:errcheck // a test's connection
		_, err = conn.Exec(context.Background(), fmt.Sprintf("drop owned by %s; drop role %[1]s", v.role))
		require.NoError(t, err)
	})
	v.migrate()
	return v
}

// startVault gives keys, folder and planted variables to all processes.
func (v *vault) start() {
	v.t.Helper()
	require.NoError(v.t, os.WriteFile(v.path("db.properties"), []byte("password="+v.planted["wrong password in a file"]+"\n"), 0o600))
	v.metrics = freeAddress(v.t)
	extra := []string{"GANTRY_SECRETS_KEYSET=" + v.run(nil, "key", "create"), "GANTRY_API_AUTH=tokens", "GANTRY_LOG_LEVEL=debug",
		"GANTRY_SECRETS_FOLDERS=" + v.dir, "GANTRY_SECRETS_ENV=E2E_*", "E2E_PLANTED=" + v.planted["wrong password by reference"]}
	listen := freeAddress(v.t)
	v.api = startProcess(v.t, v.dir, "api", v.settings(append(extra, "GANTRY_API_LISTEN="+listen)...), "api")
	v.awaitAPI(listen, v.api)
	v.client.token = v.run(v.settings(), "token", "create", "test", "--role", "admin", "--expires", "1h")
	v.startWorker(append(extra, "GANTRY_WORKER_METRICS="+v.metrics)...)
}

func (v *vault) url(user *url.Userinfo) string {
	u, err := url.Parse(v.targetURL())
	require.NoError(v.t, err)
	u.User = user
	return u.String()
}

// Secrets stay out of everything that is stored, shown or logged, whether they came in the clear, and are sealed, or by
// reference; also where they are wrong and a connector complains of them.
func TestSecretsStayIn(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	v.start()
	p := newPipe(v.env)
	files := v.path("in.csv")
	writeInput(t, files, 0, 0, 500)
	p.startSource(files, nil)
	p.db = v.connect()
	_, err := p.db.Exec(t.Context(), "create table "+table+" (seq bigserial, id bigint, key text, text text); alter table "+table+" owner to "+v.role)
	require.NoError(t, err)
	sealed := p.postgresConfig(config{"connection.url": v.url(url.User(v.role)), "connection.password": v.planted["password"],
		"consumer.override.ssl.key.password": v.planted["wrong password"]}) // a key of another system, which changes nothing
	v.client.put(postgresSink, sealed)
	withWrong := v.url(url.UserPassword(v.role, v.planted["wrong password in a URL"]))
	wrong := map[string]config{
		"wrong-sealed": {"connection.password": v.planted["wrong password"]},
		"wrong-url":    {"connection.url": withWrong, "connection.password": ""},
		"wrong-env":    {"connection.password": "${env:E2E_PLANTED}"},
		"wrong-file":   {"connection.password": "${file:" + v.path("db.properties") + ":password}"},
	}
	for name, more := range wrong {
		v.client.put(name, with(p.postgresConfig(config{"connection.url": v.url(url.User(v.role))}), more))
	}
	await(t, "all rows are copied with the sealed password", func() error {
		if n := p.rows(); n < 500 {
			return fmt.Errorf("%d rows", n)
		}
		return nil
	})
	for name := range wrong {
		v.client.awaitStatus(name, "says that it gets no connection", func(s status) error {
			text := s.Connector.Trace
			for _, task := range s.Tasks {
				text += task.Trace
			}
			if !strings.Contains(text, "password") && !strings.Contains(text, "connection") {
				return errors.New("it does not")
			}
			return nil
		})
	}
	// A path that reads as a URL: its password is one, and FileSource repeats the path where it finds no file.
	v.client.put("wrong-path", p.sourceConfig("x://u:${env:E2E_PLANTED}@h/none.csv", nil))
	v.client.awaitStatus("wrong-path", "fails for its file, which is named without the secret", func(s status) error {
		text := s.Connector.Trace
		for _, task := range s.Tasks {
			text += task.Trace
		}
		if !strings.Contains(text, "x://u:********@h") {
			return fmt.Errorf("it says %q", text)
		}
		return nil
	})
	var shown config
	v.client.must("GET", connectorPath(postgresSink, "/config"), nil, &shown)
	require.Equal(t, "********", shown["connection.password"])
	shown["batch.max.records"] = "50"
	v.client.put(postgresSink, shown) // as who edits what they see
	writeInput(t, v.path("more.csv"), 1, 500, 600)
	v.client.put("more", p.sourceConfig(v.path("more.csv"), nil))
	await(t, "rows are copied after the mask came back", func() error {
		if n := p.rows(); n < 600 {
			return fmt.Errorf("%d rows", n)
		}
		return nil
	})
	surfaces := v.surfaces(append([]string{postgresSink, source}, "wrong-sealed", "wrong-url", "wrong-env", "wrong-file", "wrong-path"))
	require.Contains(t, surfaces["catalog"], "${sealed:", "the passwords are there, sealed")
	for where, text := range surfaces {
		require.Contains(t, text, postgresSink, "%s was looked at", where)
		for what, secret := range v.planted {
			secret = strings.TrimSuffix(secret, odd)
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("the %s is in %s: …%s", what, where, strings.ReplaceAll(text[max(0, at-300):min(len(text), at+100)], secret, "<SECRET>"))
			}
		}
	}
}

// surfaces is everything that somebody might look at, in one text each.
func (v *vault) surfaces(names []string) map[string]string {
	v.t.Helper()
	out := map[string]string{"answers": v.answers(names), "histories": v.histories(), "catalog": v.dump(), "metrics": v.scraped()}
	for _, process := range []string{"api", "w1"} {
		text, err := os.ReadFile(v.path(process + ".log"))
		require.NoError(v.t, err)
		out["log of "+process] = string(text) + postgresSink // a log need not name it
	}
	return out
}

// answers are all answers of REST that concern these connectors.
func (v *vault) answers(names []string) string {
	v.t.Helper()
	var b strings.Builder
	get := func(method, path string, in any) {
		var out json.RawMessage
		err := v.client.call(method, path, in, &out)
		var refused *answered
		if err != nil && !errors.As(err, &refused) {
			v.t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %s: %v %s\n", method, path, err, out)
	}
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	v.client.must("GET", "/openapi.json", nil, &doc)
	require.Greater(v.t, len(doc.Paths), 40)
	others := strings.NewReplacer("{number}", "1", "{task}", "0", "{class}", "PostgresSink", "{topic}", "t", "{id}", "w1", "{logger}", "root", "{fingerprint}", "x")
	for path, methods := range doc.Paths {
		for _, name := range names {
			if _, ok := methods["get"]; ok && (name == names[0] || strings.Contains(path, "{name}")) {
				get("GET", others.Replace(strings.Replace(path, "{name}", name, 1)), nil)
			}
		}
	}
	for _, path := range []string{"/connectors?expand=info&expand=status", "/v1/events?limit=1000"} {
		get("GET", path, nil)
	}
	for _, name := range names {
		for _, rest := range []string{"/revisions/1/diff?against=0", "/revisions/2/diff?against=1"} {
			get("GET", "/v1"+connectorPath(name, rest), nil)
		}
		get("POST", "/v1"+connectorPath(name, "/check"), map[string]any{})
		get("PUT", "/v1"+connectorPath(name, "/config?dry_run=true"), config{"connector.class": "PostgresSink", "topics": "t", "connection.password": v.planted["wrong password"]})
	}
	clear := config{"connector.class": "PostgresSink", "topics": "t", "connection.url": "postgres://u:" + v.planted["wrong password in a URL"] + "@no such host/d",
		"connection.password": v.planted["wrong password"], "batch.max.records": "many", "name": "to-be-refused"}
	get("PUT", "/connector-plugins/PostgresSink/config/validate", clear)
	get("POST", "/connectors", map[string]any{"name": "to-be-refused", "config": clear})
	get("POST", "/v1/check", map[string]any{"config": clear})
	get("POST", "/v1/preview", map[string]any{"config": clear})
	return b.String()
}

// scraped is what the worker tells Prometheus.
func (v *vault) scraped() string {
	v.t.Helper()
	res, err := http.Get("http://" + v.metrics + "/metrics")
	require.NoError(v.t, err)
	defer res.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(res.Body)
	require.NoError(v.t, err)
	return string(text)
}

// histories are all events of all workflows, with their payloads.
func (v *vault) histories() string {
	v.t.Helper()
	c, err := temporal.Dial(temporal.Options{HostPort: v.temporal, Namespace: v.namespace, Logger: quiet{}})
	require.NoError(v.t, err)
	defer c.Close()
	var all bytes.Buffer
	list, err := c.ListWorkflow(v.t.Context(), &workflowservice.ListWorkflowExecutionsRequest{PageSize: 1000})
	require.NoError(v.t, err)
	require.NotEmpty(v.t, list.Executions)
	for _, w := range list.Executions {
		described, err := c.DescribeWorkflowExecution(v.t.Context(), w.Execution.WorkflowId, w.Execution.RunId)
		require.NoError(v.t, err)
		raw, err := proto.Marshal(described) // pending activities with their last failures and heartbeats
		require.NoError(v.t, err)
		all.Write(raw)
		events := c.GetWorkflowHistory(v.t.Context(), w.Execution.WorkflowId, w.Execution.RunId, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			event, err := events.Next()
			require.NoError(v.t, err)
			raw, err := proto.Marshal(event)
			require.NoError(v.t, err)
			all.Write(raw)
		}
	}
	return all.String()
}

// quiet is a logger for a client whose lines nobody wants.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

// dump is every row of every table of the catalog.
func (v *vault) dump() string {
	v.t.Helper()
	conn, err := pgx.Connect(v.t.Context(), v.catalog)
	require.NoError(v.t, err)
	defer conn.Close(context.Background()) //nolint:errcheck // a test's connection
	rows, err := conn.Query(v.t.Context(), "select tablename from pg_tables where schemaname = 'gantry' order by 1")
	require.NoError(v.t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(v.t, err)
	require.Greater(v.t, len(tables), 15)
	var b strings.Builder
	for _, name := range tables {
		rows, err := conn.Query(v.t.Context(), "select t::text from gantry."+pgx.Identifier{name}.Sanitize()+" t")
		require.NoError(v.t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(v.t, err)
		fmt.Fprintf(&b, "%s:\n%s\n", name, strings.Join(lines, "\n"))
	}
	return b.String()
}
