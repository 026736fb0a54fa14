package e2e

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gantry-connect/gantry/internal/devstack"
	"github.com/gantry-connect/gantry/internal/devstack/devstacktest"
)

// env is an environment of the test's own on the shared servers: a catalog, a namespace, a target database, a folder.
type env struct {
	t         *testing.T
	stack     devstack.Info
	dir       string
	catalog   string // URLs
	target    string
	namespace string

	temporal   string // address and name server that workers are told; tests may put a proxy there
	nameServer string

	api     *process
	client  *client
	workers []*process
}

func newEnv(t *testing.T) *env {
	t.Helper()
	e := &env{t: t, stack: devstacktest.Shared(t), dir: t.TempDir(), catalog: devstacktest.Database(t),
		target: devstacktest.Database(t), namespace: devstacktest.Namespace(t)}
	e.temporal, e.nameServer = e.stack.TemporalAddress, e.stack.NameServer
	return e
}

// start is a migrated environment with its API up.
func start(t *testing.T) *env {
	t.Helper()
	e := newEnv(t)
	e.migrate()
	e.startAPI()
	return e
}

// passwordVariable holds the target's password in the workers' environment, where configs refer to it.
const passwordVariable = "E2E_TARGET_PASSWORD"

func (e *env) settings(extra ...string) []string {
	return append([]string{
		"GANTRY_CATALOG_URL=" + e.catalog,
		"GANTRY_TEMPORAL_ADDRESS=" + e.temporal,
		"GANTRY_TEMPORAL_NAMESPACE=" + e.namespace,
		"GANTRY_ROCKETMQ_NAMESERVERS=" + e.nameServer,
		passwordVariable + "=" + e.stack.PostgresPassword,
	}, extra...)
}

func (e *env) migrate() {
	e.t.Helper()
	cmd := exec.Command(gantry, "migrate")
	cmd.Env = append(os.Environ(), e.settings()...)
	if out, err := cmd.CombinedOutput(); err != nil {
		e.t.Fatalf("gantry migrate: %v\n%s", err, out)
	}
}

// startWorker starts a worker named w1, w2 and so on; extra is environment that comes on top.
func (e *env) startWorker(extra ...string) *process {
	e.t.Helper()
	name := fmt.Sprintf("w%d", len(e.workers)+1)
	p := startProcess(e.t, e.dir, name, e.settings(append([]string{"GANTRY_WORKER_ID=" + name}, extra...)...), "worker")
	e.workers = append(e.workers, p)
	return p
}

func (e *env) startAPI() {
	e.t.Helper()
	listen := freeAddress(e.t)
	e.api = startProcess(e.t, e.dir, "api", e.settings("GANTRY_API_LISTEN="+listen), "api")
	e.awaitAPI(listen, e.api)
}

// startServer starts worker and API in one process.
func (e *env) startServer() *process {
	e.t.Helper()
	listen := freeAddress(e.t)
	p := startProcess(e.t, e.dir, "server", e.settings("GANTRY_API_LISTEN="+listen, "GANTRY_WORKER_ID=server"), "server")
	e.workers = append(e.workers, p)
	e.awaitAPI(listen, p)
	return p
}

func (e *env) awaitAPI(listen string, p *process) {
	e.t.Helper()
	e.client = newClient(e.t, listen)
	e.t.Cleanup(func() {
		if e.t.Failed() {
			e.t.Logf("connectors: %s", e.client.text("/connectors?expand=status"))
		}
	})
	await(e.t, "the API answers", func() error {
		if p.ended() {
			return &hopeless{fmt.Errorf("%s has ended: %v", p.name, p.cmd.ProcessState)}
		}
		return e.client.healthy()
	})
}

// stopWorkers asks the workers that still run to stop, and waits until they have: what they had in hand is then committed,
// and nothing comes any more.
func (e *env) stopWorkers() {
	e.t.Helper()
	for _, p := range e.workers {
		if !p.ended() {
			p.awaitStarted()
			p.term()
		}
	}
	for _, p := range e.workers {
		if p.ended() && !p.cmd.ProcessState.Success() {
			continue // killed by the test
		}
		p.awaitExit()
	}
}

func (e *env) path(name string) string { return filepath.Join(e.dir, name) }

// connect is a connection to the target database, closed at Cleanup.
func (e *env) connect() *pgx.Conn {
	e.t.Helper()
	conn, err := pgx.Connect(e.t.Context(), e.target)
	if err != nil {
		e.t.Fatalf("connect to the target: %v", err)
	}
	e.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// targetURL is the target's URL without its password, which configs must not hold.
func (e *env) targetURL() string {
	u, err := url.Parse(e.target)
	if err != nil {
		e.t.Fatal(err)
	}
	u.User = url.User(u.User.Username())
	return u.String()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // nothing was accepted
	return l.Addr().String()
}
