package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gantry-connect/gantry/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestExitCodesTellScriptsWhatHappened(t *testing.T) {
	t.Parallel()
	answer := func(status int) error { return fmt.Errorf("a.yaml: %w", &client.Error{Status: status, Message: "x"}) }
	for _, tt := range []struct {
		err  error
		code int
	}{
		{nil, 0}, {errors.New("x"), 1}, {usagef("x"), 2}, {answer(404), 3}, {answer(409), 4}, {answer(412), 4},
		{fmt.Errorf("x: %w", client.ErrUnreachable), 5}, {answer(503), 5}, {answer(429), 5}, {answer(401), 6}, {answer(403), 6},
		{answer(400), 7}, {failf(ExitInvalid, "x"), 7}, {failf(ExitTimeout, "x"), 8}, {answer(500), 9}, {context.Canceled, 130}, {failf(ExitInvalid, "-f: %w", context.Canceled), 130},
		{errors.Join(answer(404), answer(409)), 3}, {together(answer(409), nil, answer(404)), 4}, {together(nil, answer(500)), 9}, {together(nil, nil), 0},
		{together(together(answer(401), answer(500)), answer(404)), 6}, {&hintedError{answer(401), "y"}, 6},
	} {
		require.Equal(t, tt.code, ExitCode(tt.err), "%v", tt.err)
	}
}

func TestAnErrorNamesFieldValueAndRemedy(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	Report(&b, nil, fmt.Errorf("a.yaml: %w", &client.Error{Status: 400, Message: "The config cannot work.", Field: "tasks.max", Value: "x", Remedy: "Give a number.",
		Errors: []client.FieldError{{Field: "file", Value: "", Message: "is missing"}, {Field: "format", Value: "y", Message: "must be lines or csv"}}}))
	require.Equal(t, "gantry: a.yaml: The config cannot work.\n  field: tasks.max\n  value: x\n  - file: is missing\n"+
		"  - format: must be lines or csv (given: \"y\")\n  remedy: Give a number.\n", b.String())
	b.Reset()
	Report(&b, &cobra.Command{Use: "get"}, usagef("say what"))
	require.Equal(t, "gantry: say what\n  see: get --help\n", b.String())
	b.Reset()
	Report(&b, nil, &client.Error{Status: 400, Message: `format = "x": must be lines or csv`, Field: "format", Value: "x"})
	Report(&b, nil, &client.Error{Status: 400, Message: "file: is required", Field: "file"})
	Report(&b, nil, &client.Error{Status: 400, Message: "must be 1 to 10", Field: "query.limit", Value: "1"})
	require.Equal(t, "gantry: format = \"x\": must be lines or csv\ngantry: file: is required\ngantry: must be 1 to 10\n  field: query.limit\n  value: 1\n", b.String(),
		"what the message begins with is not said again")
	b.Reset()
	Report(&b, nil, &client.Error{Status: 400, Message: "a\x1b[2Jb"})
	require.Equal(t, "gantry: a [2Jb\n", b.String(), "no answer steers the terminal")
	_, missing := os.Open("/none/such.yaml")
	b.Reset()
	Report(&b, nil, failf(ExitInvalid, "-f: %w", missing))
	require.Equal(t, "gantry: -f: /none/such.yaml: no such file or directory\n", b.String())
	b.Reset()
	Report(&b, nil, together(together(errors.New("one"), errors.New("two")), &hintedError{errors.New("three"), "remedy: four"}))
	require.Equal(t, "gantry: one\ngantry: two\ngantry: three\n  remedy: four\n", b.String(), "of several each is told")
	b.Reset()
	Report(&b, nil, quiet(1))
	require.Empty(t, b.String(), "what a command has said itself is not said again")
}

func TestTablesAlignAndKeepTheirHandsOffTheTerminal(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := now.Add(-3 * time.Minute)
	rows := []listedConnector{
		{Overview: client.Overview{Name: "orders-in", Kind: "source", Class: "FileSource", State: client.Running, Health: "running", Rate: 1234.56, Records: 12,
			Tasks: client.TaskCounts{Total: 2, Running: 2}, LagRecords: -1, LagSeconds: -1, CreatedAt: now.Add(-50 * time.Hour), Labels: map[string]string{"b": "2", "a": "1"},
			LastRecordAt: &at, Guarantee: "exactly once", Revision: 3}},
		{Overview: client.Overview{Name: "ü\x1b[2J", Kind: "sink", State: client.Failed, Health: "failed", Reason: "a\nb", LagRecords: 7, CreatedAt: now}},
	}
	for _, tt := range []struct {
		format format
		color  bool
	}{{asTable, false}, {asTable, true}, {asWide, false}, {asName, false}, {asJSON, false}, {asYAML, false}} {
		name := string(tt.format)
		if tt.color {
			name += "-color"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			require.NoError(t, connectorSheet(func() time.Time { return now }).print(&output{w: &b, format: tt.format, color: tt.color}, rows))
			golden(t, "connectors-"+name, b.String())
		})
	}
}

// golden compares with a file, or writes it where UPDATE_GOLDEN is set.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func TestYAMLKeepsWhatJSONSays(t *testing.T) {
	t.Parallel()
	text, err := toYAML(map[string]any{"a": "yes", "b": "1", "c": 9007199254740993, "d": nil, "e": []string{}, "f": "x\ny\n", "g": "ü: \U0001f600", "h": ""})
	require.NoError(t, err)
	require.Equal(t, "a: \"yes\"\nb: \"1\"\nc: 9007199254740993\nd: null\ne: []\nf: |\n  x\n  y\ng: \"ü: \\U0001F600\"\nh: \"\"\n", string(text))
}

func TestTheServerIsChosenByFlagEnvironmentAndContext(t *testing.T) {
	f := &contextsFile{Current: "one", Contexts: map[string]*place{"one": {Server: "http://one", Token: "t1"}, "two": {Server: "http://two"}}}
	for _, tt := range []struct {
		name          string
		flags         connectionFlags
		environment   map[string]string
		server, token string
	}{
		{"the current context", connectionFlags{}, nil, "http://one", "t1"},
		{"another context", connectionFlags{context: "two"}, nil, "http://two", ""},
		{"a token that was read with its line's end", connectionFlags{context: "two"}, map[string]string{"GANTRY_TOKEN": "e\n"}, "http://two", "e"},
		{"a token for a context that has none", connectionFlags{context: "two"}, map[string]string{"GANTRY_TOKEN": "e"}, "http://two", "e"},
		{"a context asked for has its own token", connectionFlags{context: "one"}, map[string]string{"GANTRY_TOKEN": "e", "GANTRY_SERVER": "http://e"}, "http://one", "t1"},
		{"the environment's server gets no context's token", connectionFlags{}, map[string]string{"GANTRY_SERVER": "http://e"}, "http://e", ""},
		{"the flag's server gets no context's token", connectionFlags{server: "http://f"}, nil, "http://f", ""},
		{"the flag's server gets the environment's", connectionFlags{server: "http://f"}, map[string]string{"GANTRY_TOKEN": "e"}, "http://f", "e"},
		{"both named together", connectionFlags{server: "http://f", context: "one"}, nil, "http://f", "t1"},
		{"the environment's context", connectionFlags{}, map[string]string{"GANTRY_CONTEXT": "two"}, "http://two", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, name := range []string{"GANTRY_SERVER", "GANTRY_TOKEN", "GANTRY_CONTEXT"} {
				t.Setenv(name, tt.environment[name])
			}
			c, err := resolve(tt.flags, f)
			require.NoError(t, err)
			require.Equal(t, []string{tt.server, tt.token}, []string{c.Server, c.Token})
			require.NotEmpty(t, c.origin)
		})
	}
	_, err := resolve(connectionFlags{context: "three"}, f)
	require.ErrorContains(t, err, "known are one, two")
	require.Equal(t, ExitNotFound, ExitCode(err))
	c, err := resolve(connectionFlags{}, &contextsFile{})
	require.NoError(t, err)
	require.Equal(t, defaultServer, c.Server)
}

// runContext runs one gantry command on contexts of its own.
func runCommand(t *testing.T, input string, args ...string) (string, error) {
	t.Helper()
	root := &cobra.Command{Use: "gantry", SilenceErrors: true, SilenceUsage: true}
	root.AddGroup(Groups()...)
	root.AddCommand(New("test").Commands...)
	var out strings.Builder
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetIn(strings.NewReader(input))
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

func TestContextsAreKeptWithTheirSecretsHidden(t *testing.T) {
	home := filepath.Join(t.TempDir(), "new")
	t.Setenv("GANTRY_HOME", home)
	_, err := runCommand(t, "hunter2\n", "context", "set", "prod", "--server", "https://prod:1", "--token", "-")
	require.NoError(t, err)
	_, err = runCommand(t, "", "context", "set", "local", "--server", "127.0.0.1:8083", "--output", "wide")
	require.NoError(t, err)
	info, err := os.Stat(filepath.Join(home, "config.yaml"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	out, err := runCommand(t, "", "context", "list")
	require.NoError(t, err)
	require.Equal(t, "CURRENT   NAME    SERVER\n-         local   127.0.0.1:8083\n*         prod    https://prod:1\n", out)
	out, err = runCommand(t, "", "context", "show")
	require.NoError(t, err)
	require.Contains(t, out, "name: prod")
	require.NotContains(t, out, "hunter2")
	_, err = runCommand(t, "", "context", "set", "prod", "--ca", "")
	require.NoError(t, err)
	f, err := loadContexts()
	require.NoError(t, err)
	require.Equal(t, "hunter2", f.Contexts["prod"].Token, "what is not given stays")

	_, err = runCommand(t, "", "context", "use", "none")
	require.Equal(t, ExitNotFound, ExitCode(err))
	_, err = runCommand(t, "", "context", "use", "local")
	require.NoError(t, err)
	_, err = runCommand(t, "", "context", "delete", "local")
	require.NoError(t, err)
	out, err = runCommand(t, "", "context", "list", "-o", "json")
	require.NoError(t, err)
	require.JSONEq(t, `{"items":[{"name":"prod","server":"https://prod:1","current":false}]}`, out)
	_, err = runCommand(t, "", "context", "set", "dear", "--server", "http://ann:hunter2@x")
	require.NoError(t, err)
	for _, args := range [][]string{{"context", "list"}, {"context", "show", "dear"}} {
		out, err = runCommand(t, "", args...)
		require.NoError(t, err)
		require.Contains(t, out, "http://ann:xxxxx@x")
	}
	_, err = runCommand(t, "", "context", "set", "bad", "--server", "ftp://x")
	require.Equal(t, ExitUsage, ExitCode(err))
	_, err = runCommand(t, "", "context", "set", "bad", "--ca", "/none/ca.pem")
	require.Equal(t, ExitInvalid, ExitCode(err))
	elsewhere, file := filepath.Join(home, "elsewhere.yaml"), filepath.Join(home, "config.yaml")
	require.NoError(t, os.Rename(file, elsewhere))
	require.NoError(t, os.Symlink(elsewhere, file))
	_, err = runCommand(t, "", "context", "use", "prod")
	require.NoError(t, err)
	info, err = os.Lstat(file)
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeSymlink, "a link stays one")
	text, err := os.ReadFile(elsewhere)
	require.NoError(t, err)
	require.Contains(t, string(text), "current: prod")
	require.NoError(t, os.WriteFile(filepath.Join(home, "config.yaml"), []byte("contexts: {a: {serv: x}}\n"), 0o600))
	_, err = runCommand(t, "", "context", "list")
	require.ErrorContains(t, err, `unknown key "serv"`)
}

func TestMistakesOnTheCommandLineReachNoServer(t *testing.T) {
	t.Setenv("GANTRY_HOME", t.TempDir())
	t.Setenv("GANTRY_SERVER", "http://127.0.0.1:1") // nobody listens: an attempt would give ExitUnreachable
	for _, args := range [][]string{
		{"get"}, {"get", "things"}, {"get", "connectors", "-o", "xml"}, {"get", "connectors", "a", "-l", "x=y"}, {"get", "offsets"},
		{"offsets", "gets"}, {"apply"}, {"apply", "-f", "-", "--dry-run", "perhaps"}, {"apply", "-f", "-", "--prune"},
		{"pause"}, {"pause", "a", "--all"}, {"delete", "a"}, {"offsets", "reset", "a"}, {"patch", "a", "x"}, {"patch", "a", "=x"}, {"patch", "a", "x=1", "x-"},
		{"create", "a", "x-"}, {"check"}, {"preview"}, {"preview", "a", "--topic", "b"}, {"offsets", "set", "a"}, {"rollback", "a", "zero"},
		{"top", "--sort", "size"}, {"top", "--interval", "0s"}, {"diff", "a", "-f", "b"}, {"events", "a", "b"}, {"get", "connectors", "--color", "pink"},
		{"edit"}, {"edit", "a", "b"}, {"logger", "set", "root", "LOUD"}, {"events", "--limit", "-1"}, {"get", "revisions", "a", "--limit", "-1"}, {"logs", "a", "--tail", "-1"},
		{"offsets", "history", "a", "--limit", "0"}, {"context", "set", " "}, {"get", "workers", "--request-timeout", "0s"},
	} {
		_, err := runCommand(t, "", args...)
		require.Equal(t, ExitUsage, ExitCode(err), "%v: %v", args, err)
	}
	_, err := runCommand(t, "", "offsets", "get")
	require.EqualError(t, err, "no argument is given, but it is called so: gantry offsets get CONNECTOR")
	_, err = runCommand(t, "", "edit", "a", "b")
	require.EqualError(t, err, "2 arguments are given, but it is called so: gantry edit NAME")
	_, err = runCommand(t, "", "get", "connectors", "--server", "http://127.0.0.1:1")
	require.Equal(t, ExitUnreachable, ExitCode(err))
	var b strings.Builder
	Report(&b, nil, err)
	require.Contains(t, b.String(), "remedy: start the server, or name another with --server")
}

func TestEveryCommandTeachesWithAnExample(t *testing.T) {
	t.Parallel()
	tree := New("test")
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Example != "" {
			require.Contains(t, cmd.Example, "gantry ", cmd.CommandPath())
			require.NotContains(t, cmd.Example, "  (", "a shell takes what is pasted, and a remark only behind #: %s", cmd.CommandPath())
		}
		require.NotEmpty(t, cmd.Short, cmd.CommandPath())
		require.False(t, strings.HasSuffix(cmd.Short, "."), cmd.CommandPath())
		for _, child := range cmd.Commands() {
			walk(child)
		}
	}
	for _, cmd := range append(tree.Commands, tree.Workers...) {
		walk(cmd)
		if cmd.GroupID != "" && !cmd.HasSubCommands() {
			require.Contains(t, cmd.Example, "gantry "+cmd.Name(), cmd.Name())
		}
	}
}

// startServer answers every call alike, and tells what was called.
func startServer(t *testing.T, status int, body string) (asked func() []string) {
	t.Helper()
	var mu sync.Mutex
	var paths []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		paths = append(paths, r.Method+" "+r.URL.EscapedPath())
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, body) //nolint:errcheck // the test sees what is missing
	}))
	t.Cleanup(server.Close)
	t.Setenv("GANTRY_HOME", t.TempDir())
	t.Setenv("GANTRY_SERVER", server.URL)
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return paths
	}
}

func TestEveryCommandTakesNamesAsTheyAreWritten(t *testing.T) {
	asked := startServer(t, 404, `{"error_code":404,"message":"none"}`)
	for _, args := range [][]string{
		{"patch", "connector/a", "k=v"}, {"label", "connector/a", "k=v"}, {"rollback", "connector/a"}, {"diff", "connector/a"}, {"edit", "connector/a"},
		{"offsets", "get", "connector/a"}, {"offsets", "set", "connector/a", "--partition", "{}", "--offset", "{}"}, {"offsets", "reset", "connector/a", "-y"},
		{"offsets", "history", "connector/a"}, {"offsets", "undo", "connector/a"}, {"requeue", "connector/a"}, {"preview", "connector/a"}, {"check", "connector/a"},
		{"logs", "connector/a"}, {"events", "connector/a"}, {"describe", "connector/a"}, {"pause", "connector/a"}, {"restart", "connector/a"}, {"delete", "connector/a", "-y"},
		{"get", "connector/a"}, {"get", "offsets", "connector/a"}, {"get", "revisions", "connector/a"}, {"get", "tasks", "connector/a"}, {"get", "topics", "connector/a"},
		{"get", "queues", "connector/a"}, {"get", "events", "connector/a"},
	} {
		before := len(asked())
		_, err := runCommand(t, "", args...)
		require.Equal(t, ExitNotFound, ExitCode(err), "%v: %v", args, err)
		require.Greater(t, len(asked()), before, "%v", args)
		for _, path := range asked()[before:] {
			require.Regexp(t, "/connectors/a(/|$)", path, "%v", args)
		}
	}
}

// What is there is shown beside what is missing.
func TestOfSeveralNamesThoseThatAreThereAreShown(t *testing.T) {
	startServer(t, 200, `{"root":{"level":"INFO"},"api":{"level":"WARN"}}`)
	out, err := runCommand(t, "", "get", "loggers", "none", "api", "nobody", "--no-headers")
	require.Equal(t, "api   WARN   -\n", out)
	require.Equal(t, ExitNotFound, ExitCode(err))
	require.EqualError(t, err, "logger none not found\nlogger nobody not found")
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestAnAnswerThatCannotBeWrittenIsAFailure(t *testing.T) {
	startServer(t, 200, `{"root":{"level":"INFO"}}`)
	for _, format := range []string{"table", "name", "json", "yaml"} {
		root := &cobra.Command{Use: "gantry", SilenceErrors: true, SilenceUsage: true}
		root.AddGroup(Groups()...)
		root.AddCommand(New("test").Commands...)
		root.SetOut(full{})
		root.SetArgs([]string{"get", "loggers", "-o", format})
		require.ErrorIs(t, root.ExecuteContext(t.Context()), syscall.ENOSPC, format)
	}
}

func TestCtrlCEndsWhoWaitsForInput(t *testing.T) {
	t.Parallel()
	silent, end := io.Pipe()
	t.Cleanup(func() { end.Close() }) //nolint:errcheck // ends the reads that were given up
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in := interruptible{ctx, silent}
	_, err := readManifests(in, []string{"-"}, false)
	require.Equal(t, ExitInterrupted, ExitCode(err))
	_, _, err = readOffsets(in, "-", "", "")
	require.Equal(t, ExitInterrupted, ExitCode(err))
	s := &session{err: io.Discard, in: in, asking: true}
	require.Equal(t, ExitInterrupted, ExitCode(s.confirm("delete 1 connector", false)))
}

func TestCtrlCLeavesTheEditorAndItsTextAlone(t *testing.T) {
	asked := startServer(t, 200, `{"k":"v"}`)
	editor := filepath.Join(t.TempDir(), "editor.sh")
	require.NoError(t, os.WriteFile(editor, []byte("#!/bin/sh\nsed -i.bak 's/k: v/k: w/' \"$1\"\n"), 0o700))
	t.Setenv("VISUAL", editor)
	t.Setenv("TMPDIR", t.TempDir())
	api, err := client.New(client.Options{Server: os.Getenv("GANTRY_SERVER")})
	require.NoError(t, err)
	t.Cleanup(api.Close)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := editing{s: &session{api: api, out: &output{w: io.Discard}}, now: kept{manifest: manifest{Name: "a", Config: map[string]string{"k": "v"}}, revision: 1}}
	err = e.do(ctx)
	require.Equal(t, ExitInterrupted, ExitCode(err))
	require.Empty(t, asked())
	var b strings.Builder
	Report(&b, nil, err)
	_, file, told := strings.Cut(strings.TrimSpace(b.String()), "your text is kept in ")
	require.True(t, told, b.String())
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(text), "k: w")
}

func TestNothingIsDeletedWithoutAYes(t *testing.T) {
	t.Parallel()
	for reply, code := range map[string]int{"y\n": 0, "YES\n": 0, "n\n": 1, "\n": 1, "": 1, "yeah\n": 1} {
		var asked strings.Builder
		s := &session{err: &asked, in: strings.NewReader(reply), asking: true}
		require.Equal(t, code, ExitCode(s.confirm("delete 1 connector", false)), "%q", reply)
		require.Equal(t, "delete 1 connector [y/N] ", asked.String())
	}
	for want, d := range map[string]deleting{"delete 1 connector with its positions: a": {}, "delete 1 connector, but keep its positions: a": {keep: true},
		"delete 1 connector with its positions and topics: a": {topics: true}, "delete 1 connector with its topics, but keep its positions: a": {keep: true, topics: true}} {
		require.Equal(t, want, d.question([]string{"a"}))
	}
	require.Equal(t, "delete 2 connectors with their positions: a, b", (&deleting{}).question([]string{"a", "b"}))
	s := &session{}
	require.Equal(t, ExitUsage, ExitCode(s.confirm("delete 1 connector", false)), "nobody can be asked")
	require.NoError(t, s.confirm("delete 1 connector", true))
}

func TestTheTerminalGetsWhatFits(t *testing.T) {
	t.Parallel()
	require.Equal(t, "\x1b[31mab\x1b[0m", cut("\x1b[31mabcd\x1b[0m", 2))
	require.Equal(t, "üb", cut("übcd", 2))
	require.Equal(t, "日", cut("日本", 3), "half a letter is none")
	require.Equal(t, []int{4, 2, 1, 2}, []int{cells("日本"), cells("ab"), cells("e\u0301"), cells("\U0001f600")})
	page := fit(strings.Repeat("x\n", 100), &strings.Builder{})
	require.Contains(t, page, "… 78 more")
	require.Equal(t, 23, strings.Count(page, "\n"))
}

func TestNumbersAndSpansAreShort(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{-time.Second: "0s", 119 * time.Second: "119s", 2 * time.Minute: "2m", 119 * time.Minute: "119m", 2 * time.Hour: "2h", 48 * time.Hour: "2d"} {
		require.Equal(t, want, span(d))
	}
	for r, want := range map[float64]string{0: "0", 0.04: "0", 0.5: "0.5", 12.4: "12", 123456.7: "123457"} {
		require.Equal(t, want, rate(r))
	}
}

func TestOffsetsAreReadWithEveryDigit(t *testing.T) {
	t.Parallel()
	edits, generation, err := readOffsets(strings.NewReader(`{"generation":4,"offsets":[{"partition":{"f":"x"},"offset":{"n":9007199254740993}},{"partition":{"f":"y"},"offset":null}]}`), "-", "", "")
	require.NoError(t, err)
	require.Equal(t, int64(4), generation)
	require.Equal(t, "n=9007199254740993", values(edits[0].Offset))
	require.Nil(t, edits[1].Offset)
	for _, bad := range []string{`{}`, `{"offsets":[]}`, `{"offsets":[{"partitions":{}}]}`, `[1]`, `{"offsets":[{"partition":{},"offset":{}}]} x`} {
		_, _, err := readOffsets(strings.NewReader(bad), "-", "", "")
		require.Equal(t, ExitInvalid, ExitCode(err), bad)
	}
	_, _, err = readOffsets(nil, "", `{"a":1}`, "")
	require.Equal(t, ExitUsage, ExitCode(err))
}
