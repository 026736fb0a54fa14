package devstack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

var (
	// ErrRunning means that a stack already runs in the folder.
	ErrRunning = errors.New("a stack is already running there")
	// ErrNotRunning means that no stack runs in the folder.
	ErrNotRunning = errors.New("no stack is running there")
)

// stopWithin is how long a server may take to end cleanly before it is killed. A broker takes about eight seconds.
const stopWithin = 30 * time.Second

// server is how one part is run.
type server struct {
	// prepare writes what the server needs on disk and says what to run.
	prepare func(context.Context) (command, error)
	// ready returns nil once clients can use the server.
	ready func(context.Context) error
}

// Stack is a set of running servers. Its methods may be called from several goroutines; they take turns.
type Stack struct {
	Info
	opts     Options
	servers  map[Part]server
	launcher *launcher // nil if this process may start nothing: the stack is stopped, or another's in the foreground

	mu     sync.Mutex
	record *record
	ended  map[Part]<-chan struct{} // of this process's own children
}

// Start runs the servers of o.Parts and returns once all of them are ready. What they need must have been made by
// Prepare. ctx bounds the start only; Stop ends the stack. It fails with ErrRunning if a stack runs in o.Dir, and first
// stops what an earlier, killed process left there. If it fails, nothing is left running.
func Start(ctx context.Context, o Options) (*Stack, error) {
	o, err := o.WithDefaults()
	if err != nil {
		return nil, err
	}
	unlock, err := lockFile(ctx, filepath.Join(o.Dir, "lock"), nil)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := sweep(ctx, o.Dir); err != nil {
		return nil, err
	}
	s, err := newStack(o)
	if err != nil {
		return nil, err
	}
	if err := s.startAll(ctx); err != nil {
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*stopWithin)
		defer cancel()
		return nil, errors.Join(err, s.stopAll(stopCtx))
	}
	return s, nil
}

// Attach returns the stack that another process started in dir, or ErrNotRunning. The servers go on when this process
// ends. Parts of another process's foreground stack can be stopped and killed, but not restarted.
func Attach(dir string) (*Stack, error) {
	r, err := loadRecord(dir)
	if err != nil {
		return nil, err
	}
	if r == nil || !r.anyAlive() {
		return nil, fmt.Errorf("%s: %w", dir, ErrNotRunning)
	}
	s := &Stack{
		Info: r.Info, record: r, ended: map[Part]<-chan struct{}{},
		opts: Options{
			Root: r.Root, Dir: r.Dir, Parts: r.Parts, Ports: r.Ports, Background: r.Background, Unsafe: r.Unsafe, Binary: r.Binary,
			ReadyWithin: readyWithin,
		},
	}
	if r.Background {
		s.launcher = newLauncher(true)
	}
	s.servers = s.describe()
	return s, nil
}

func newStack(o Options) (*Stack, error) {
	ports, err := choosePorts(o)
	if err != nil {
		return nil, err
	}
	o.Ports = ports
	owner, err := identify(os.Getpid())
	if err != nil {
		return nil, err
	}
	info := Info{Dir: o.Dir}
	if o.has(Postgres) {
		info.PostgresAddress = loopback(ports.Postgres)
		if info.PostgresPassword, err = postgresPassword(o.Dir); err != nil {
			return nil, err
		}
	}
	if o.has(NameServer) {
		info.NameServer = loopback(ports.NameServer)
	}
	if o.has(Broker) {
		info.BrokerAddress = loopback(ports.Broker)
	}
	if o.has(Temporal) {
		info.TemporalAddress, info.TemporalNamespace = loopback(ports.Temporal), TemporalNamespace
		info.UIURL = "http://" + loopback(ports.TemporalUI)
	}
	if o.has(Gantry) {
		info.GantryAddress = loopback(ports.Gantry)
	}
	s := &Stack{
		Info: info, opts: o, launcher: newLauncher(o.Background), ended: map[Part]<-chan struct{}{},
		record: &record{
			Info: info, Root: o.Root, Owner: owner, Background: o.Background, Unsafe: o.Unsafe, Shared: o.shared, Binary: o.Binary, Parts: o.Parts,
			Ports: ports, Processes: map[Part]identity{},
		},
	}
	s.servers = s.describe()
	return s, nil
}

func (s *Stack) describe() map[Part]server {
	all := map[Part]server{
		Postgres: s.postgres(), NameServer: s.nameServer(), Broker: s.broker(), Temporal: s.temporal(),
		Gantry: s.gantry(),
	}
	maps.DeleteFunc(all, func(p Part, _ server) bool { return !s.opts.has(p) })
	return all
}

// startAll starts the parts side by side; only the broker waits for its name server, because it would register again
// only ten seconds after a failed attempt.
func (s *Stack) startAll(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	for _, chain := range [][]Part{{Postgres}, {NameServer, Broker}, {Temporal}} {
		g.Go(func() error {
			for _, p := range chain {
				if !s.opts.has(p) {
					continue
				}
				if err := s.startPart(gctx, p); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil || !s.opts.has(Gantry) {
		return err
	}
	return s.startPart(ctx, Gantry) // it needs all the others
}

func (s *Stack) startPart(ctx context.Context, p Part) error {
	c, err := s.servers[p].prepare(ctx)
	if err != nil {
		return fmt.Errorf("start %s: %w", p, err)
	}
	id, ended, err := s.launcher.start(c)
	if err != nil {
		return fmt.Errorf("start %s: %w", p, err)
	}
	if err := s.remember(p, id, ended); err != nil {
		return fmt.Errorf("start %s: %w", p, err)
	}
	if err := s.awaitReady(ctx, p); err != nil {
		return fmt.Errorf("start %s: %w\nlast lines of %s:\n%s", p, err, c.log, tail(c.log, 12))
	}
	return nil
}

func (s *Stack) remember(p Part, id identity, ended <-chan struct{}) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.record.Processes[p], s.ended[p] = id, ended
	return s.record.save()
}

// awaitReady returns nil once the part answers, or says why it does not.
func (s *Stack) awaitReady(ctx context.Context, p Part) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.ReadyWithin)
	defer cancel()
	s.mu.Lock()
	id := s.record.Processes[p]
	s.mu.Unlock()
	var last error
	err := poll(ctx, 25*time.Millisecond, func() (bool, error) {
		if !id.alive() {
			return false, errors.New("the process has ended")
		}
		tryCtx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		last = s.servers[p].ready(tryCtx)
		return last == nil, nil
	})
	if err != nil && last != nil {
		return fmt.Errorf("wait until it is ready: %w; it last answered: %w", err, last)
	}
	return err
}

// Stop ends the given parts cleanly, all of them by default, and waits until they are gone; a server that does not end
// within 30 s or before ctx ends is killed. Stopping all of them ends the stack for good.
func (s *Stack) Stop(ctx context.Context, parts ...Part) error {
	if len(parts) == 0 {
		unlock, err := lockFile(ctx, filepath.Join(s.Dir, "lock"), nil)
		if err != nil {
			return err
		}
		defer unlock()
		return s.stopAll(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record.stop(ctx, parts)
}

// Kill ends the given parts at once, as kill -9 does, together with the processes they have started.
func (s *Stack) Kill(parts ...Part) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range parts {
		if err := s.record.kill(p); err != nil {
			return err
		}
	}
	return nil
}

// Restart stops the given parts cleanly if they still run, starts them again on the same ports and data, and waits until
// they are ready. A name server starts empty: it is ready once the broker has registered again, up to 10 s later.
func (s *Stack) Restart(ctx context.Context, parts ...Part) error {
	for _, p := range parts {
		if _, ok := s.servers[p]; !ok {
			return fmt.Errorf("restart %s: the stack has no such part", p)
		}
		if s.launcher == nil {
			return fmt.Errorf("restart %s: the stack is stopped, or in the foreground of process %d", p, s.record.Owner.PID)
		}
		if err := s.Stop(ctx, p); err != nil {
			return fmt.Errorf("restart %s: %w", p, err)
		}
		if err := s.startPart(ctx, p); err != nil {
			return fmt.Errorf("restart: %w", err)
		}
	}
	if slices.Contains(parts, NameServer) && s.running(Broker) {
		if err := s.awaitReady(ctx, Broker); err != nil {
			return fmt.Errorf("restart %s: wait for the broker to register: %w", NameServer, err)
		}
	}
	return nil
}

// Status is what is known of one server.
type Status struct {
	Part    Part
	PID     int
	Running bool
	Address string
	Log     string // file of its output
}

// Status returns the state of every server of the stack, in starting order.
func (s *Stack) Status() []Status {
	addresses := map[Part]string{
		Postgres: s.PostgresAddress, NameServer: s.NameServer, Broker: s.BrokerAddress, Temporal: s.TemporalAddress,
		Gantry: s.GantryAddress,
	}
	var all []Status
	for _, p := range append(Servers(), Gantry) {
		if s.opts.has(p) {
			s.mu.Lock()
			id := s.record.Processes[p]
			s.mu.Unlock()
			all = append(all, Status{Part: p, PID: id.PID, Running: id.alive(), Address: addresses[p], Log: logPath(s.Dir, p)})
		}
	}
	return all
}

func (s *Stack) running(p Part) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record.Processes[p].alive()
}

func (s *Stack) stopAll(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.record.stop(ctx, s.record.Parts)
	for _, ended := range s.ended {
		if err == nil {
			<-ended // the goroutine that waits for the child is gone too
		}
	}
	if s.launcher != nil {
		s.launcher.close()
		s.launcher = nil
	}
	if err != nil {
		return err
	}
	return s.record.remove()
}

// stop ends the parts side by side, but Gantry before the others, and the name server after the broker, which says
// good-bye to it.
func (r *record) stop(ctx context.Context, parts []Part) error {
	for _, group := range [][]Part{{Gantry}, {Postgres, Broker, Temporal}, {NameServer}} {
		var g errgroup.Group
		for _, p := range group {
			if slices.Contains(parts, p) {
				g.Go(func() error { return r.stopPart(ctx, p) })
			}
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return nil
}

func (r *record) stopPart(ctx context.Context, p Part) error {
	id := r.Processes[p]
	if err := id.signal(stopSignal(p)); err != nil {
		return fmt.Errorf("stop %s: %w", p, err)
	}
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	if err := awaitEnd(ctx, id); err != nil {
		return r.kill(p)
	}
	return nil
}

// kill needs no context: the kernel ends a killed process within moments.
func (r *record) kill(p Part) error {
	id := r.Processes[p]
	if !id.alive() {
		return nil
	}
	doomed := append(children(id.PID), id) // Postgres's backends are processes that would outlive it for a while
	for _, d := range slices.Backward(doomed) {
		if err := d.signal(syscall.SIGKILL); err != nil {
			return fmt.Errorf("kill %s: %w", p, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	if err := awaitEnd(ctx, doomed...); err != nil {
		return fmt.Errorf("kill %s (process %d): %w", p, id.PID, err)
	}
	return nil
}

func (r *record) remove() error {
	if err := os.Remove(recordPath(r.Dir)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the record of the stack: %w", err)
	}
	return nil
}

// sweep stops what a killed process left in dir. It returns ErrRunning for a stack that is in use.
func sweep(ctx context.Context, dir string) error {
	r, err := loadRecord(dir)
	if err != nil || r == nil {
		return err
	}
	if !r.abandoned() {
		return fmt.Errorf("%s: %w (stop it with: gantry dev down --dir %s)", dir, ErrRunning, dir)
	}
	if err := r.stop(ctx, r.Parts); err != nil {
		return fmt.Errorf("stop what an earlier run left in %s: %w", dir, err)
	}
	return r.remove()
}

// Down stops the stack that runs in dir, whoever started it. It returns ErrNotRunning if there is none.
func Down(ctx context.Context, dir string) error {
	unlock, err := lockFile(ctx, filepath.Join(dir, "lock"), nil)
	if err != nil {
		return err
	}
	defer unlock()
	r, err := loadRecord(dir)
	if err != nil {
		return err
	}
	if r == nil {
		return fmt.Errorf("%s: %w", dir, ErrNotRunning)
	}
	if err := r.stop(ctx, r.Parts); err != nil {
		return err
	}
	return r.remove()
}

// Remove deletes the data and logs of a stopped stack. It fails with ErrRunning if the stack runs.
func Remove(ctx context.Context, dir string) error {
	if err := sweep(ctx, dir); err != nil {
		return err
	}
	for _, d := range []string{privateDir(dir), dir} {
		if err := os.RemoveAll(d); err != nil {
			return fmt.Errorf("delete the stack's data: %w", err)
		}
	}
	return nil
}

func stopSignal(p Part) syscall.Signal {
	if p == Postgres {
		return syscall.SIGINT // "fast": clients are cut off, the data is checkpointed; SIGTERM would wait for the clients
	}
	return syscall.SIGTERM
}

func logPath(dir string, p Part) string { return filepath.Join(dir, "logs", string(p)+".log") }
