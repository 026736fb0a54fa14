// Package devstacktest gives tests the real servers: the shared test stack for almost all of them, and a private stack
// for those that stop or kill a server. Each test gets names of its own (database, namespace, topic), so that all can
// run in parallel. Imported by tests only.
package devstacktest

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-connect/gantry/internal/devstack"
	"github.com/jackc/pgx/v5/pgconn"
)

// DirEnv names the environment variable with the state directory of the stack that tests share.
const DirEnv = "GANTRY_TEST_STACK"

const setupWithin = time.Minute

// Shared returns the addresses of the shared test stack, or fails the test with the way to start it.
func Shared(t testing.TB) devstack.Info {
	t.Helper()
	return attach(t).Info
}

// attach is cheap: it reads one file and looks at four processes.
func attach(t testing.TB) *devstack.Stack {
	t.Helper()
	dir := os.Getenv(DirEnv)
	if dir == "" {
		root, err := devstack.FindRoot()
		if err != nil {
			t.Fatalf("find the shared test stack: %v", err)
		}
		dir = filepath.Join(root, ".cache", "test-stack")
	}
	s, err := devstack.Attach(dir)
	if err != nil {
		t.Fatalf("the shared test stack is not up: run `make test-stack` first, or set %s to a stack's state directory: %v", DirEnv, err)
	}
	for _, st := range s.Status() {
		if !st.Running {
			t.Fatalf("%s of the shared test stack has ended (see %s): run `make test-stack-down test-stack`", st.Part, st.Log)
		}
	}
	return s
}

// Database creates an empty database with a random name in the shared stack, and returns its URL. Cleanup drops it, with
// whatever is still connected.
func Database(t testing.TB) string {
	t.Helper()
	info := Shared(t)
	name := "test_" + suffix()
	exec(t, info, "create database "+name)
	t.Cleanup(func() { exec(t, info, "drop database "+name+" with (force)") })
	return info.PostgresURL(name)
}

// exec runs one statement in the database "postgres".
func exec(t testing.TB, info devstack.Info, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setupWithin)
	defer cancel()
	conn, err := pgconn.Connect(ctx, info.PostgresURL("postgres"))
	if err != nil {
		t.Fatalf("connect to the shared Postgres: %v", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, sql).ReadAll(); err != nil {
		t.Errorf("%s: %v", sql, err)
	}
}

// Namespace creates a Temporal namespace with Gantry's search attributes in the shared stack and returns its name. Its
// schedules are deleted at Cleanup; it stays itself, because deleting one takes longer than most tests.
func Namespace(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setupWithin)
	defer cancel()
	name := "test-" + suffix()
	s := attach(t)
	if err := s.CreateNamespace(ctx, name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { quiet(t, s.TemporalAddress, name) })
	return name
}

// Topic returns a topic name that nobody else uses: the prefix, with everything that RocketMQ refuses turned into "_",
// and a random suffix. It creates nothing.
func Topic(_ testing.TB, prefix string) string {
	legal := func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		}
		return '_'
	}
	prefix = strings.Map(legal, prefix)
	return prefix[:min(len(prefix), 40)] + "_" + suffix() // RocketMQ advises at most 64 characters
}

// suffix is unique among all tests of all runs, in lower case for SQL.
func suffix() string { return strings.ToLower(rand.Text()[:16]) }

// preparing keeps parallel tests of one package from asking for the same files twice.
var preparing sync.Mutex

// Private starts servers of the test's own on free ports, all of them if no part is named, and stops them at Cleanup.
// It takes some seconds and up to a gigabyte of memory: only for tests that kill, stop or restart servers.
func Private(t testing.TB, parts ...devstack.Part) *devstack.Stack {
	t.Helper()
	if len(parts) == 0 {
		parts = devstack.Servers()
	}
	o := devstack.Options{Dir: t.TempDir(), Parts: parts, Unsafe: true}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute) // only the very first use builds anything
	defer cancel()
	preparing.Lock()
	err := devstack.Prepare(ctx, o, func(line string) { t.Log(line) })
	preparing.Unlock()
	if err != nil {
		t.Fatalf("prepare a private stack: %v", err)
	}
	s, err := devstack.Start(ctx, o)
	if err != nil {
		t.Fatalf("start a private stack: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), setupWithin)
		defer cancel()
		if err := s.Kill(parts...); err != nil { // a broker takes ten seconds to end cleanly, for data that goes anyway
			t.Errorf("kill the private stack: %v", err)
		}
		if err := s.Stop(ctx); err != nil {
			t.Errorf("stop the private stack: %v", err)
		}
		if err := devstack.Remove(ctx, o.Dir); err != nil {
			t.Errorf("delete the private stack: %v", err)
		}
	})
	return s
}
