package devstack_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gantry-connect/gantry/internal/devstack"
	"github.com/gantry-connect/gantry/internal/devstack/devstacktest"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// childDir makes this test binary play a parent process that is killed; see TestForegroundServersDieWithTheirParent.
const childDir = "DEVSTACK_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		beParent(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// beParent starts a foreground Postgres, says so, and waits for ever.
func beParent(dir string) {
	_, err := devstack.Start(context.Background(), devstack.Options{
		Dir: dir, Parts: []devstack.Part{devstack.Postgres}, Unsafe: true,
	})
	fmt.Println("started:", err)
	select {}
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestEveryServerSurvivesKillStopAndRestart(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	s := devstacktest.Private(t)
	before := s.Info
	sql(t, s, "create table kept (n int)")
	require.NoError(t, s.CreateNamespace(ctx, "kept"))
	topic := devstacktest.Topic(t, "kept")
	admin(t, s, "updateTopic", "-c", "DefaultCluster", "-t", topic)

	for round, end := range []func(devstack.Part) error{
		func(p devstack.Part) error { return s.Kill(p) },
		func(p devstack.Part) error { return s.Stop(ctx, p) },
	} {
		for _, p := range devstack.Servers() {
			pid, begin := status(t, s, p).PID, time.Now()
			require.NoError(t, end(p))
			ended := time.Since(begin)
			require.False(t, status(t, s, p).Running, "%s still runs", p)
			require.NoError(t, s.Restart(ctx, p))
			require.True(t, status(t, s, p).Running)
			require.NotEqual(t, pid, status(t, s, p).PID)
			t.Logf("%s: ended in %v, usable again %v after that", p, ended, time.Since(begin)-ended)
		}
		sql(t, s, fmt.Sprintf("insert into kept values (%d)", round))
	}

	require.Equal(t, before, s.Info, "addresses move at a restart")
	require.Equal(t, 2, count(t, s, "select count(*) from kept"))
	for !strings.Contains(admin(t, s, "topicList"), topic) { // the broker tells the name server soon after it listens
		require.NoError(t, ctx.Err())
	}
	out, err := exec.CommandContext(ctx, filepath.Join(root(t), ".cache", "bin", "temporal"), "operator", "search-attribute", "list",
		"--namespace", "kept", "--address", s.TemporalAddress).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "ConnectorName")
}

func TestStopLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	s := devstacktest.Private(t, devstack.Postgres, devstack.NameServer)
	pids := []int{status(t, s, devstack.Postgres).PID, status(t, s, devstack.NameServer).PID}

	require.NoError(t, s.Stop(ctx))

	for _, pid := range pids {
		require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
	}
	_, err := net.Dial("tcp", s.PostgresAddress)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	_, err = devstack.Attach(s.Dir)
	require.ErrorIs(t, err, devstack.ErrNotRunning)
}

func TestBackgroundStackIsStoppedByWhoeverKnowsItsFolder(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	o := devstack.Options{Dir: t.TempDir(), Parts: []devstack.Part{devstack.Postgres}, Background: true, Unsafe: true}
	require.NoError(t, devstack.Prepare(ctx, o, func(string) {}))
	s, err := devstack.Start(ctx, o)
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := devstack.Down(context.Background(), o.Dir); err != nil {
			require.ErrorIs(t, err, devstack.ErrNotRunning)
		}
		require.NoError(t, devstack.Remove(context.Background(), o.Dir))
	})
	sql(t, s, "create table kept (n int)")

	_, err = devstack.Start(ctx, o)
	require.ErrorIs(t, err, devstack.ErrRunning)
	other, err := devstack.Attach(o.Dir)
	require.NoError(t, err)
	require.NoError(t, other.Kill(devstack.Postgres))
	require.NoError(t, other.Restart(ctx, devstack.Postgres))
	require.Equal(t, 0, count(t, other, "select count(*) from kept"))
	require.NoError(t, devstack.Down(ctx, o.Dir))
	require.ErrorIs(t, devstack.Down(ctx, o.Dir), devstack.ErrNotRunning)
	require.False(t, status(t, other, devstack.Postgres).Running)
}

func TestForegroundServersDieWithTheirParent(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	o := devstack.Options{Dir: t.TempDir(), Parts: []devstack.Part{devstack.Postgres}, Unsafe: true}
	require.NoError(t, devstack.Prepare(ctx, o, func(string) {}))
	parent := exec.CommandContext(ctx, os.Args[0])
	parent.Env = append(os.Environ(), childDir+"="+o.Dir)
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	said, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "started: <nil>\n", said)
	s, err := devstack.Attach(o.Dir)
	require.NoError(t, err)
	require.ErrorContains(t, s.Restart(ctx, devstack.Postgres), "in the foreground of process")

	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait() // killed

	// On Linux the server ends by itself; elsewhere the next start ends it. Either way the folder can be used again.
	again, err := devstack.Start(ctx, o)
	require.NoError(t, err)
	require.False(t, status(t, s, devstack.Postgres).Running, "the killed parent's server still runs")
	require.NoError(t, again.Stop(ctx))
	require.NoError(t, devstack.Remove(ctx, o.Dir))
}

func TestRecordOfAReusedProcessIDKillsNobody(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	dir := t.TempDir()
	bystander := exec.CommandContext(ctx, "sleep", "600")
	require.NoError(t, bystander.Start())
	t.Cleanup(func() { _ = bystander.Wait() }) // killed by the test's context
	b, err := json.Marshal(map[string]any{
		"dir": dir, "background": true, "parts": []string{"postgres"},
		"processes": map[string]any{"postgres": map[string]any{"pid": bystander.Process.Pid, "started": "long ago"}},
	})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "stack.json"), b, 0o600))

	_, err = devstack.Attach(dir)
	require.ErrorIs(t, err, devstack.ErrNotRunning)
	require.NoError(t, devstack.Down(ctx, dir))

	require.NoError(t, syscall.Kill(bystander.Process.Pid, 0), "the bystander was killed")
	require.NoError(t, bystander.Process.Kill())
}

func TestStartNamesTheTakenPort(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	taken := l.Addr().(*net.TCPAddr).Port
	_, err = devstack.Start(testContext(t), devstack.Options{
		Dir: t.TempDir(), Parts: []devstack.Part{devstack.Postgres}, Ports: devstack.Ports{Postgres: taken},
	})
	require.ErrorContains(t, err, fmt.Sprintf("port %d, wanted for postgres, is taken", taken))
}

func TestStartTellsWhyAServerDoesNotComeUp(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	o := devstack.Options{Dir: t.TempDir(), Parts: []devstack.Part{devstack.Postgres}, Unsafe: true}
	require.NoError(t, devstack.Prepare(ctx, o, func(string) {}))
	s, err := devstack.Start(ctx, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, devstack.Remove(context.Background(), o.Dir)) })
	var data string
	conn := connect(t, s)
	require.NoError(t, conn.QueryRow(ctx, "show data_directory").Scan(&data))
	require.NoError(t, conn.Close(ctx))
	require.NoError(t, s.Stop(ctx))
	require.NoError(t, os.Remove(filepath.Join(data, "global", "pg_control")))

	_, err = devstack.Start(ctx, o)

	require.ErrorContains(t, err, "start postgres")
	require.ErrorContains(t, err, "pg_control", "the server's own words are missing")
	_, err = devstack.Attach(o.Dir)
	require.ErrorIs(t, err, devstack.ErrNotRunning)
}

func TestDatabasesAndTopicsOfTestsAreTheirOwn(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	first, second := devstacktest.Database(t), devstacktest.Database(t)
	require.NotEqual(t, first, second)
	conn, err := pgx.Connect(ctx, first)
	require.NoError(t, err)
	defer func() { _ = conn.Close(ctx) }()
	var encoding, level string
	require.NoError(t, conn.QueryRow(ctx, "select current_setting('server_encoding'), current_setting('wal_level')").Scan(&encoding, &level))
	require.Equal(t, []string{"UTF8", "logical"}, []string{encoding, level})
	require.Regexp(t, `^a_b_[a-z0-9]{16}$`, devstacktest.Topic(t, "a.b"))
	require.LessOrEqual(t, len(devstacktest.Topic(t, strings.Repeat("x", 200))), 64)
}

func status(t *testing.T, s *devstack.Stack, p devstack.Part) devstack.Status {
	t.Helper()
	for _, st := range s.Status() {
		if st.Part == p {
			return st
		}
	}
	t.Fatalf("the stack has no %s", p)
	return devstack.Status{}
}

func connect(t *testing.T, s *devstack.Stack) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.PostgresURL("gantry"))
	require.NoError(t, err)
	return conn
}

func sql(t *testing.T, s *devstack.Stack, statement string) {
	t.Helper()
	conn := connect(t, s)
	defer func() { _ = conn.Close(context.Background()) }()
	_, err := conn.Exec(t.Context(), statement)
	require.NoError(t, err)
}

func count(t *testing.T, s *devstack.Stack, query string) int {
	t.Helper()
	conn := connect(t, s)
	defer func() { _ = conn.Close(context.Background()) }()
	var n int
	require.NoError(t, conn.QueryRow(t.Context(), query).Scan(&n))
	return n
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := devstack.FindRoot()
	require.NoError(t, err)
	return dir
}

// admin runs RocketMQ's own administration tool, which comes with the servers.
func admin(t *testing.T, s *devstack.Stack, args ...string) string {
	t.Helper()
	libs, err := filepath.Glob(filepath.Join(root(t), ".cache", "servers", "*", "rocketmq"))
	require.NoError(t, err)
	require.NotEmpty(t, libs)
	home := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "java", append([]string{"-Duser.home=" + home, "-Drocketmq.home.dir=" + home,
		"-cp", filepath.Join(libs[0], "*"), "org.apache.rocketmq.tools.command.MQAdminStartup"}, append(args, "-n", s.NameServer)...)...)
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	require.NoError(t, err, "%s %s", out, &problems)
	return string(out)
}
