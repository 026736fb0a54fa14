package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gantry-connect/gantry/internal/devstack"
	"github.com/gantry-connect/gantry/rocketmq"
)

const (
	startBound = 3 * time.Minute // for whatever takes seconds on an idle machine
	copyBound  = 20 * time.Minute

	pace = 50 * time.Millisecond // of looks at a condition: what is measured is told by the targets' own times

	targetDatabase = "gantry_bench"
	// passwordVariable holds the target's password in the workers' environment, where the sinks' configs refer to it.
	passwordVariable = "BENCH_TARGET_PASSWORD"
)

// lab is everything that measurements work with.
type lab struct {
	Options
	stack     *devstack.Stack
	rocketmq  *rocketmq.Client
	target    *pgx.Conn
	listen    string
	api       restAPI
	processes []*process
	workers   int    // started so far
	moving    func() // to be called once the first records have arrived
}

func (l *lab) say(line string) { fmt.Fprintln(l.Out, line) }

func (l *lab) sayf(format string, args ...any) { l.say(fmt.Sprintf(format, args...)) }

func (l *lab) logs() string            { return filepath.Join(l.Dir, "logs") }
func (l *lab) path(name string) string { return filepath.Join(l.Dir, "data", name) }

func (l *lab) settings() []string {
	return []string{
		"GANTRY_CATALOG_URL=" + l.stack.PostgresURL("gantry"),
		"GANTRY_TEMPORAL_ADDRESS=" + l.stack.TemporalAddress,
		"GANTRY_TEMPORAL_NAMESPACE=" + l.stack.TemporalNamespace,
		"GANTRY_ROCKETMQ_NAMESERVERS=" + l.stack.NameServer,
		"GANTRY_API_LISTEN=" + l.listen,
		passwordVariable + "=" + l.stack.PostgresPassword,
	}
}

// open prepares folders, databases and clients, migrates the catalog and starts the API.
func (l *lab) open(ctx context.Context) error {
	for _, dir := range []string{l.path(""), l.logs()} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := l.openTarget(ctx); err != nil {
		return fmt.Errorf("prepare the target database: %w", err)
	}
	var err error
	if l.rocketmq, err = rocketmq.Open(rocketmq.Config{NameServers: []string{l.stack.NameServer}}); err != nil {
		return err
	}
	if l.listen, err = freeAddress(); err != nil {
		return err
	}
	if err := l.printMachine(ctx); err != nil {
		return err
	}
	migrate := exec.CommandContext(ctx, l.Gantry, "migrate")
	migrate.Env = append(os.Environ(), l.settings()...)
	if out, err := migrate.CombinedOutput(); err != nil {
		return fmt.Errorf("gantry migrate: %s", out)
	}
	api, err := l.start("api", nil, "api")
	if err != nil {
		return err
	}
	if l.api, err = newRestAPI(l.listen); err != nil {
		return err
	}
	return poll(ctx, startBound, "the API answers", func() (bool, error) {
		if api.ended() {
			return false, fmt.Errorf("gantry api: %s", api.lastWords())
		}
		return l.api.Healthy(ctx) == nil, nil
	})
}

func (l *lab) openTarget(ctx context.Context) error {
	admin, err := pgx.Connect(ctx, l.stack.PostgresURL("postgres"))
	if err != nil {
		return err
	}
	_, err = admin.Exec(ctx, "create database "+targetDatabase)
	if err = errors.Join(err, admin.Close(ctx)); err != nil {
		return err
	}
	l.target, err = pgx.Connect(ctx, l.stack.PostgresURL(targetDatabase))
	return err
}

func (l *lab) printMachine(ctx context.Context) error {
	var postgres string
	if err := l.target.QueryRow(ctx, "show server_version").Scan(&postgres); err != nil {
		return err
	}
	l.sayf("machine: %s/%s, %d cores, load %s; gantry %s; Postgres %s, RocketMQ 5.5.0; all processes share the machine",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), load(), l.Version, postgres)
	return nil
}

// close ends whatever still runs.
func (l *lab) close() error {
	var errs []error
	for i := len(l.processes) - 1; i >= 0; i-- {
		p := l.processes[i]
		if !p.ended() {
			errs = append(errs, p.stop())
		}
	}
	if l.rocketmq != nil {
		errs = append(errs, l.rocketmq.Close())
	}
	if l.target != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		errs = append(errs, l.target.Close(ctx))
	}
	return errors.Join(append(errs, os.RemoveAll(l.path("")))...)
}

// worker starts a worker and waits until it takes tasks.
func (l *lab) worker(ctx context.Context, capacity int, env ...string) (*process, error) {
	l.workers++
	name := fmt.Sprintf("worker-%d", l.workers)
	env = append(env, "GANTRY_WORKER_ID="+name, fmt.Sprintf("GANTRY_WORKER_CAPACITY=%d", capacity))
	p, err := l.start(name, env, "worker")
	if err != nil {
		return nil, err
	}
	return p, p.awaitLog(ctx, "the worker has started")
}

// withWorker runs f with a worker that does nothing else, and returns what the worker took.
func (l *lab) withWorker(ctx context.Context, name string, f func() error) (usage, error) {
	pprof := ""
	if l.Profiles != "" {
		var err error
		if pprof, err = freeAddress(); err != nil {
			return usage{}, err
		}
	}
	p, err := l.worker(ctx, 100, "GANTRY_WORKER_PPROF="+pprof)
	if err != nil {
		return usage{}, err
	}
	profiled := make(chan error, 1)
	l.moving = sync.OnceFunc(func() {
		go func() { profiled <- l.profile(ctx, pprof, name) }() // waited for below
	})
	if pprof == "" {
		l.moving, profiled = func() {}, nil
	}
	err = f()
	if err == nil && profiled != nil {
		err = <-profiled
	}
	if stopped := p.stop(); err == nil {
		err = stopped
	}
	return p.usage(), err
}

// poll asks until done says so, fails, or bound is over.
func poll(ctx context.Context, bound time.Duration, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		ok, err := done()
		if err != nil || ok {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waited %s until %s: %w", bound, what, ctx.Err())
		}
	}
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close() //nolint:errcheck // nothing was accepted
	return l.Addr().String(), nil
}
