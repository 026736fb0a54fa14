package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/internal/devstack/devstacktest"
)

// operator is somebody at a shell, with a context that names the environment's API.
type operator struct {
	t    *testing.T
	home string
	env  []string
}

// startOperator is an operator of a fresh environment with worker and API.
func startOperator(t *testing.T) (*env, *operator) {
	t.Helper()
	e := newEnv(t)
	e.migrate()
	e.startServer().awaitStarted()
	o := &operator{t: t, home: filepath.Join(t.TempDir(), "home")}
	o.ok("context", "set", "here", "--server", e.client.base)
	return e, o
}

// said is what a command wrote and ended with.
type said struct {
	out, err string
	code     int
}

func (o *operator) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(o.t.Context(), gantry, args...)
	cmd.Env = append(append(os.Environ(), "GANTRY_HOME="+o.home, "GANTRY_SERVER=", "GANTRY_TOKEN=", "GANTRY_CONTEXT="), o.env...)
	return cmd
}

func (o *operator) runs(args ...string) said {
	o.t.Helper()
	cmd := o.command(args...)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		o.t.Fatalf("gantry %v: %v", args, err)
	}
	return said{out.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// gets runs a command that has to end with a code, and returns what it wrote.
func (o *operator) gets(code int, args ...string) string {
	o.t.Helper()
	s := o.runs(args...)
	require.Equal(o.t, code, s.code, "gantry %v\n%s%s", args, s.out, s.err)
	return s.out + s.err
}

func (o *operator) ok(args ...string) string {
	o.t.Helper()
	return o.gets(0, args...)
}

// reads decodes the JSON that a command writes.
func (o *operator) reads(into any, args ...string) {
	o.t.Helper()
	s := o.runs(append(args, "-o", "json")...)
	require.Equal(o.t, 0, s.code, "gantry %v\n%s", args, s.err)
	require.NoError(o.t, json.Unmarshal([]byte(s.out), into), s.out)
}

// folder writes files of connectors.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

func counterFile(name, labels, topic string) string {
	return fmt.Sprintf("name: %s\nlabels: {%s}\nconfig:\n  connector.class: CounterSource\n  topic: %s\n  counter.interval.ms: 20\n", name, labels, topic)
}

type listed struct {
	Name     string            `json:"name"`
	State    string            `json:"state"`
	Revision int64             `json:"revision"`
	Labels   map[string]string `json:"labels"`
	Config   map[string]string `json:"config"`
}

func (o *operator) connectors() map[string]listed {
	o.t.Helper()
	var list struct{ Items []listed }
	o.reads(&list, "get", "connectors")
	all := map[string]listed{}
	for _, c := range list.Items {
		all[c.Name] = c
	}
	return all
}

// A folder in git is the truth: applied twice it changes nothing, and what is not in it goes.
func TestAFolderOfConnectorsIsTheTruth(t *testing.T) {
	t.Parallel()
	e, o := startOperator(t)
	topic := devstacktest.Topic(t, "cli")
	dir := folder(t, map[string]string{
		"sources.yaml": counterFile("one", "team: a", topic) + "---\n" + counterFile("two", "team: a", topic),
		"sink.json": fmt.Sprintf(`{"name": "out", "labels": {"team": "a"}, "initial_state": "STOPPED", "config": {
			"connector.class": "FileSink", "file": %q, "format": "json", "topics": %q, "tasks.max": 1}}`, e.path("out.json"), topic),
	})
	other := folder(t, map[string]string{"b.yaml": counterFile("theirs", "team: b", topic)})
	o.ok("apply", "-f", other)

	require.Contains(t, o.gets(1, "diff", "-f", dir), "+++ "+filepath.Join(dir, "sources.yaml"))
	require.Contains(t, o.ok("apply", "-f", dir, "--dry-run", "server"), "connector/one created (server dry run)")
	require.NotContains(t, o.connectors(), "one")
	out := o.ok("apply", "-f", dir)
	require.Equal(t, "connector/out created\nconnector/one created\nconnector/two created\n", out)
	before := o.connectors()
	require.Equal(t, "STOPPED", before["out"].State)

	require.Equal(t, "connector/out unchanged\nconnector/one unchanged\nconnector/two unchanged\n", o.ok("apply", "-f", dir))
	require.Empty(t, o.gets(0, "diff", "-f", dir))
	written := filepath.Join(t.TempDir(), "all.yaml")
	require.NoError(t, os.WriteFile(written, []byte(o.ok("get", "connectors", "-l", "team=a", "-o", "yaml")), 0o600))
	require.Equal(t, "connector/one unchanged\nconnector/out unchanged\nconnector/two unchanged\n", o.ok("apply", "-f", written), "what get writes can be applied")
	for name, c := range o.connectors() {
		require.Equal(t, before[name].Revision, c.Revision, name)
	}

	change := strings.ReplaceAll(counterFile("one", "team: a, tier: gold", topic), "20", "30")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sources.yaml"), []byte(change), 0o600))
	text := o.gets(1, "diff", "-f", dir)
	require.Contains(t, text, "-  counter.interval.ms: \"20\"\n+  counter.interval.ms: \"30\"\n")
	require.Contains(t, text, "+  tier: gold")
	require.Contains(t, o.ok("apply", "-f", dir, "--prune", "-l", "team=a", "--dry-run", "server"), "connector/two pruned (server dry run)")
	require.Contains(t, o.connectors(), "two")
	require.Equal(t, "connector/out unchanged\nconnector/one configured\nconnector/two pruned\n", o.ok("apply", "-f", dir, "--prune", "-l", "team=a"))
	after := o.connectors()
	require.NotContains(t, after, "two")
	require.Contains(t, after, "theirs", "the selector does not match it")
	require.Equal(t, int64(2), after["one"].Revision)
	require.Equal(t, map[string]string{"team": "a", "tier": "gold"}, after["one"].Labels)

	bad := folder(t, map[string]string{"bad.yaml": strings.ReplaceAll(counterFile("one", "team: a", topic), "20", "soon")})
	require.Contains(t, o.gets(7, "apply", "-f", bad), `bad.yaml (one): counter.interval.ms = "soon": must be`)
	require.Contains(t, o.gets(7, "apply", "-f", other, "--prune", "-l", "team=a"), "does not carry the labels")
	require.Equal(t, int64(2), o.connectors()["one"].Revision)
}

func TestVerbsWaitUntilTheyHaveHappened(t *testing.T) {
	t.Parallel()
	_, o := startOperator(t)
	topic := devstacktest.Topic(t, "cli")
	o.ok("create", "numbers", "--labels", "team=a", "connector.class=CounterSource", "topic="+topic, "counter.interval.ms=5", "counter.count=1000000")
	require.Contains(t, o.gets(4, "create", "numbers", "connector.class=CounterSource", "topic="+topic), "already exists")
	o.ok("resume", "numbers", "--wait", "--timeout", "2m")
	records := func() int64 {
		var list struct {
			Items []struct {
				State   string
				Records int64
			}
		}
		o.reads(&list, "get", "tasks", "numbers")
		require.Len(t, list.Items, 1)
		return list.Items[0].Records
	}
	await(t, "records flow", func() error {
		if records() == 0 {
			return errors.New("none yet")
		}
		return nil
	})
	o.ok("pause", "-l", "team=a", "--wait", "--timeout", "2m")
	still := records()
	require.Contains(t, o.gets(4, "offsets", "reset", "numbers", "--yes"), "remedy: gantry stop numbers --wait")
	require.Contains(t, o.gets(2, "offsets", "reset", "numbers"), "--yes")
	o.ok("stop", "connector/numbers", "--wait", "--timeout", "2m")
	require.Equal(t, still, records(), "a pause that was waited for is one")

	var positions struct{ Offsets []json.RawMessage }
	o.reads(&positions, "offsets", "get", "numbers")
	require.Len(t, positions.Offsets, 1)
	file := filepath.Join(t.TempDir(), "offsets.json")
	require.NoError(t, os.WriteFile(file, []byte(o.ok("offsets", "get", "numbers", "-o", "json")), 0o600))
	before := o.ok("offsets", "get", "numbers")
	o.ok("offsets", "reset", "numbers", "--yes")
	require.NotEqual(t, before, o.ok("offsets", "get", "numbers"))
	require.Contains(t, o.gets(4, "offsets", "set", "numbers", "-f", file), "gantry:", "the offsets have changed since the file was written")
	require.Contains(t, o.ok("offsets", "history", "numbers"), "before-an-edit")
	o.ok("offsets", "undo", "numbers")
	require.Equal(t, before, o.ok("offsets", "get", "numbers"))

	require.Contains(t, o.gets(2, "delete", "numbers"), "say so with --yes")
	o.ok("delete", "numbers", "--yes", "--wait", "--timeout", "2m")
	o.gets(3, "get", "connectors", "numbers")
	o.gets(3, "delete", "numbers", "--yes")
	o.ok("delete", "numbers", "--yes", "--ignore-not-found")
	o.ok("create", "numbers", "--initial-state", "STOPPED", "connector.class=CounterSource", "topic="+topic)
	require.Contains(t, o.gets(8, "restart", "numbers", "--wait", "--timeout", "300ms"), "waited 300ms for connector numbers")
}

func TestChangesWaitUntilTheyAreInForce(t *testing.T) {
	t.Parallel()
	e, o := startOperator(t)
	topic := devstacktest.Topic(t, "cli")
	tasks := func() int {
		var list struct{ Items []struct{ State string } }
		o.reads(&list, "get", "tasks", "numbers")
		for _, task := range list.Items {
			require.Equal(t, "RUNNING", task.State)
		}
		return len(list.Items)
	}
	wait := func(args ...string) []string { return append(args, "--wait", "--timeout", "2m") }
	o.ok(wait("create", "numbers", "connector.class=CounterSource", "topic="+topic, "counter.interval.ms=5", "counter.partitions=2", "tasks.max=1")...)
	require.Equal(t, 1, tasks())
	o.ok(wait("patch", "numbers", "tasks.max=2")...)
	require.Equal(t, 2, tasks())
	o.ok(wait("rollback", "numbers")...)
	require.Equal(t, 1, tasks())
	o.ok(wait("apply", "-f", folder(t, map[string]string{"a.yaml": counterFile("other", "team: a", topic)}))...)
	require.Equal(t, "RUNNING", o.connectors()["other"].State)
	o.ok(wait("create", "resting", "--initial-state", "STOPPED", "connector.class=CounterSource", "topic="+topic)...)
	require.Contains(t, o.gets(1, wait("create", "lost", "connector.class=FileSource", "file="+e.path("none.txt"), "format=lines", "topic="+topic)...), "connector lost failed: ")
}

func TestOperatorsSeeAndMendWhatIsWrong(t *testing.T) {
	t.Parallel()
	e, o := startOperator(t)
	topic := devstacktest.Topic(t, "cli")
	o.ok("create", "numbers", "connector.class=CounterSource", "topic="+topic, "counter.interval.ms=20")
	require.Equal(t, "connector/numbers configured\n", o.ok("patch", "numbers", "counter.interval.ms=30", "tasks.max=2"))
	require.Contains(t, o.gets(1, "diff", "numbers"), "+  tasks.max: \"2\"")
	require.Contains(t, o.gets(3, "diff", "numbers", "--revision", "77"), "has no revision 77")
	require.Contains(t, o.ok("rollback", "numbers"), "has the config of revision 1 again, as revision 3")
	require.Contains(t, o.ok("get", "revisions", "numbers"), "counter.interval.ms,tasks.max")
	require.Equal(t, "connector/numbers configured: team=a\n", o.ok("label", "numbers", "team=a"))

	// The first text is refused and comes back with the reason; the second is taken.
	editor := filepath.Join(t.TempDir(), "editor.sh")
	require.NoError(t, os.WriteFile(editor, []byte("#!/bin/sh\n"+
		`if grep -q '^# Refused' "$1"; then cp "$1" "$1.refused.keep" && cp "$1" `+e.path("refused.yaml")+` && sed -i.bak 's/: soon/: "40"/' "$1"; else sed -i.bak 's/interval.ms: .*/interval.ms: soon/' "$1"; fi`+"\n"), 0o700))
	o.env = []string{"VISUAL=" + editor}
	require.Equal(t, "connector/numbers configured\n", o.ok("edit", "numbers"))
	refused, err := os.ReadFile(e.path("refused.yaml"))
	require.NoError(t, err)
	require.Contains(t, string(refused), "counter.interval.ms")
	require.Contains(t, string(refused), "soon")
	o.env = []string{"VISUAL=true"}
	require.Equal(t, "connector/numbers unchanged\n", o.ok("edit", "numbers"))
	o.env = nil
	require.Equal(t, "40", o.connectors()["numbers"].Config["counter.interval.ms"])

	// What somebody else changes while the editor is open is not overwritten, and the text is not lost.
	meddler := filepath.Join(t.TempDir(), "meddler.sh")
	require.NoError(t, os.WriteFile(meddler, []byte("#!/bin/sh\n"+gantry+" patch numbers tasks.max=3 >/dev/null && sed -i.bak 's/interval.ms: .*/interval.ms: 50/' \"$1\"\n"), 0o700))
	o.env = []string{"VISUAL=" + meddler}
	conflict := o.gets(4, "edit", "numbers")
	require.Contains(t, conflict, "was changed by somebody else meanwhile")
	_, kept, _ := strings.Cut(conflict, "your text is kept in ")
	text, err := os.ReadFile(strings.TrimSpace(kept))
	require.NoError(t, err)
	require.Contains(t, string(text), "interval.ms: 50")
	require.NoError(t, os.RemoveAll(filepath.Dir(strings.TrimSpace(kept))))
	o.env = nil
	require.Equal(t, "40", o.connectors()["numbers"].Config["counter.interval.ms"])

	// Nor are labels.
	require.NoError(t, os.WriteFile(meddler, []byte("#!/bin/sh\n"+gantry+" label numbers by=other >/dev/null && sed -i.bak 's/team: a/team: b/' \"$1\"\n"), 0o700))
	o.env = []string{"VISUAL=" + meddler}
	conflict = o.gets(4, "edit", "numbers")
	require.Contains(t, conflict, "the labels of connector numbers were changed by somebody else meanwhile")
	_, kept, _ = strings.Cut(conflict, "your text is kept in ")
	require.NoError(t, os.RemoveAll(filepath.Dir(strings.TrimSpace(kept))))
	temporary := t.TempDir()
	o.env = []string{"VISUAL=false", "TMPDIR=" + temporary}
	o.gets(1, "edit", "numbers")
	left, err := os.ReadDir(temporary)
	require.NoError(t, err)
	require.Empty(t, left, "a text that nobody has changed is not kept")
	o.env = nil
	require.Equal(t, map[string]string{"team": "a", "by": "other"}, o.connectors()["numbers"].Labels)

	missing := folder(t, map[string]string{"in.yaml": "name: in\nconfig: {connector.class: FileSource, file: " + e.path("none.txt") + ", format: lines, topic: " + topic + "}\n"})
	findings := o.runs("check", "-f", missing)
	require.NotEmpty(t, findings.out)
	require.Contains(t, o.ok("preview", "numbers", "--limit", "1"), `"number":0`)
	for _, args := range [][]string{{"get", "connectors", "none", "numbers"}, {"get", "tasks", "none", "numbers"}, {"describe", "none", "numbers"}, {"check", "none", "numbers"}} {
		s := o.runs(args...)
		require.Equal(t, 3, s.code, args)
		require.Contains(t, s.out, "numbers", args)
		require.Contains(t, s.err, "Connector none not found", args)
	}
	var sample struct{ Items []json.RawMessage }
	o.reads(&sample, "preview", "--topic", topic, "--limit", "7")
	require.Len(t, sample.Items, 7, "as many as are asked for, however they lie in the queues")
	require.Contains(t, o.ok("describe", "numbers"), "counter.interval.ms")
	require.Contains(t, o.ok("logs", "numbers"), "numbers: created by")
	require.Contains(t, o.ok("events", "numbers", "--kind", "created"), "CounterSource")
	require.Contains(t, o.ok("plugins", "FileSource"), "file")
	require.Contains(t, o.ok("top", "--times", "1"), "1 connector")
	require.Contains(t, o.ok("logger", "get"), "root")
	var workers struct{ Items []struct{ ID string } }
	o.reads(&workers, "worker", "list")
	require.Equal(t, "server", workers.Items[0].ID)
	require.NotContains(t, o.ok("get", "connectors"), "\x1b[", "colours are for terminals")
	require.Contains(t, o.ok("get", "connectors", "--color", "always"), "\x1b[")
}

// What has failed for good is among the events, be it a task or the connector itself.
func TestFailuresForGoodAreEvents(t *testing.T) {
	t.Parallel()
	e, o := startOperator(t)
	topic := devstacktest.Topic(t, "cli")
	sink := []string{"connector.class=FileSink", "file=" + e.path("out.txt"), "format=lines", "topics=" + topic}
	o.ok("create", "numbers", "connector.class=CounterSource", "topic="+topic, "counter.interval.ms=20")
	o.ok("resume", "numbers", "--wait")
	o.ok(append([]string{"create", "first"}, sink...)...)
	o.ok("resume", "first", "--wait")
	o.ok(append([]string{"create", "second"}, sink...)...)
	o.gets(1, "resume", "second", "--wait")
	require.Contains(t, o.ok("events", "second", "--kind", "failed"), "belongs to task 0 of connector")
	o.ok("create", "lost", "connector.class=FileSource", "file="+e.path("none.txt"), "format=lines", "topic="+topic)
	o.gets(1, "resume", "lost", "--wait")
	require.Contains(t, o.ok("events", "lost", "--kind", "failed"), "none.txt")
}

func TestCompletionKnowsTheServer(t *testing.T) {
	t.Parallel()
	_, o := startOperator(t)
	topic := devstacktest.Topic(t, "cli")
	for _, name := range []string{"orders-in", "orders-out"} {
		o.ok("create", name, "--initial-state", "STOPPED", "connector.class=CounterSource", "topic="+topic)
	}
	require.Contains(t, o.ok("__complete", "pause", "ord"), "orders-in\norders-out\n:4")
	require.Contains(t, o.ok("__complete", "pause", "orders-in", ""), "orders-out\n:4")
	require.NotContains(t, strings.Split(o.ok("__complete", "pause", "orders-in", ""), "\n"), "orders-in")
	require.Contains(t, o.ok("__complete", "get", "conn"), "connectors\twhat is copied")
	require.Contains(t, o.ok("__complete", "worker", "drain", ""), "server\n")
	require.Contains(t, o.ok("__complete", "context", "use", ""), "here\n")
	require.Contains(t, o.ok("completion", "bash"), "__start_gantry")

	// What is followed comes as it happens, and Ctrl-C is an ordinary end.
	follow := o.command("events", "--follow", "-o", "json", "-n", "1")
	out, err := follow.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, follow.Start())
	events := json.NewDecoder(out)
	var e struct{ Kind, Connector string }
	require.NoError(t, events.Decode(&e))
	o.ok("label", "orders-in", "a=b")
	o.ok("delete", "orders-in", "--yes")
	for e.Kind != "forgotten" {
		require.NoError(t, events.Decode(&e))
	}
	require.Equal(t, "orders-in", e.Connector)
	require.NoError(t, follow.Process.Signal(syscall.SIGINT))
	require.NoError(t, follow.Wait())

	watch := o.command("get", "connectors", "--watch", "--interval", "50ms")
	out, err = watch.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, watch.Start())
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	require.True(t, strings.HasPrefix(lines.Text(), "NAME"), lines.Text())
	require.True(t, lines.Scan())
	require.Contains(t, lines.Text(), "STOPPED")
	o.ok("pause", "orders-out")
	for !strings.Contains(lines.Text(), "PAUSED") {
		require.True(t, lines.Scan())
	}
	require.NoError(t, watch.Process.Signal(syscall.SIGINT))
	require.NoError(t, watch.Wait())
}

func TestExitCodesWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	o := &operator{t: t, home: t.TempDir()}
	away := freeAddress(t)
	require.Contains(t, o.gets(5, "get", "connectors", "--server", away), "this one is from --server")
	require.Contains(t, o.gets(2, "get", "conectors", "--server", away), "unknown resource")
	require.Contains(t, o.gets(2, "pouse", "x"), "unknown command")
	require.Contains(t, o.gets(2, "get", "--wath"), "unknown flag")
	require.Contains(t, o.gets(2, "offsets", "sett"), "did you mean get or set?")
	require.Contains(t, o.gets(3, "get", "connectors", "--context", "none"), "there is none yet")
	require.Contains(t, o.gets(7, "apply", "-f", filepath.Join(t.TempDir(), "none.yaml"), "--server", away), "no such file")
	require.Contains(t, o.ok("get", "--help"), "gantry get connectors -l team=orders")
}

// Tokens open the API as far as their role goes, secrets in files are sealed and shown to nobody.
func TestTokensAndSecretsOnTheCommandLine(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.migrate()
	direct := &operator{t: t, home: t.TempDir(), env: e.settings()}
	keyset := strings.TrimSpace(direct.ok("key", "create"))
	editor := direct.runs("token", "create", "ed", "--role", "editor", "--scope", "shop-*")
	viewer := direct.runs("token", "create", "vi")
	require.Zero(t, editor.code+viewer.code, editor.err+viewer.err)
	listen := freeAddress(t)
	api := startProcess(t, e.dir, "api", e.settings("GANTRY_API_LISTEN="+listen, "GANTRY_API_AUTH=tokens", "GANTRY_SECRETS_KEYSET="+keyset), "api")
	e.awaitAPI(listen, api)

	o := &operator{t: t, home: filepath.Join(t.TempDir(), "home")}
	o.ok("context", "set", "nobody", "--server", listen)
	require.Contains(t, o.gets(6, "get", "connectors"), "remedy: set GANTRY_TOKEN")
	o.ok("context", "set", "viewer", "--server", listen, "--token", strings.TrimSpace(viewer.out))
	o.ok("context", "set", "editor", "--server", listen, "--token-command", "echo "+strings.TrimSpace(editor.out), "--use")
	require.NotContains(t, o.ok("context", "show", "viewer"), strings.TrimSpace(viewer.out))

	const secret = "hunter2-planted"
	file := folder(t, map[string]string{"sink.yaml": `
name: shop-out
initial_state: STOPPED
config:
  connector.class: PostgresSink
  connection.url: postgres://copy@127.0.0.1:1/shop
  connection.password: ` + secret + `
  topics: ` + devstacktest.Topic(t, "cli") + "\n"})
	require.NotContains(t, o.gets(1, "diff", "-f", file), secret)
	require.Contains(t, o.gets(6, "apply", "-f", file, "--context", "viewer"), "editor")
	require.Equal(t, "connector/shop-out created\n", o.ok("apply", "-f", file))
	require.Equal(t, "connector/shop-out unchanged\n", o.ok("apply", "-f", file), "the server knows that the secret is the same")
	require.Empty(t, o.gets(0, "diff", "-f", file))
	path := filepath.Join(file, "sink.yaml")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(text), secret, "another-planted")), 0o600))
	differs := o.gets(1, "diff", "-f", file)
	require.Contains(t, differs, "connection.password: '********' # another one")
	require.NotContains(t, differs, "planted")
	require.Equal(t, "connector/shop-out configured (server dry run)\n", o.ok("apply", "-f", file, "--dry-run=server"))
	unsure := o.runs("diff", "-f", file, "--context", "viewer")
	require.Zero(t, unsure.code, unsure.err)
	require.Contains(t, unsure.err, "shop-out: connection.password cannot be compared with what the server hides")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	for _, args := range [][]string{{"get", "connectors", "-o", "yaml"}, {"describe", "shop-out"}, {"get", "events"}, {"logs", "shop-out"}} {
		require.NotContains(t, o.ok(args...), secret, args)
	}
	shown := filepath.Join(t.TempDir(), "shown.yaml")
	require.NoError(t, os.WriteFile(shown, []byte(strings.ReplaceAll(o.ok("get", "connectors", "-o", "yaml"), "/shop", "/shop2")), 0o600))
	require.Equal(t, "connector/shop-out configured\n", o.ok("apply", "-f", shown), "the mask keeps the secret")
	o.gets(6, "create", "other", "connector.class=CounterSource", "topic=x") // beyond the token's scope
	require.Contains(t, o.gets(6, "get", "connectors", "--context", "nobody"), "remedy")
}
