package devstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// identity names one process for good: a reused process id has another start time.
type identity struct {
	PID     int    `json:"pid"`
	Started string `json:"started"` // by the kernel's clock, in the kernel's own form
}

func identify(pid int) (identity, error) {
	started, ok := startTime(pid)
	if !ok {
		return identity{}, fmt.Errorf("process %d has ended", pid)
	}
	return identity{PID: pid, Started: started}, nil
}

// alive tells whether exactly this process runs; a zombie has ended.
func (id identity) alive() bool {
	if id.PID <= 0 {
		return false
	}
	started, ok := startTime(id.PID)
	return ok && started == id.Started
}

// signal sends sig if exactly this process still runs; one that has ended is no error.
func (id identity) signal(sig syscall.Signal) error {
	if !id.alive() {
		return nil
	}
	if err := syscall.Kill(id.PID, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %v to process %d: %w", sig, id.PID, err)
	}
	return nil
}

// awaitEnd returns once none of the processes runs any more, or ctx's error.
func awaitEnd(ctx context.Context, ids ...identity) error {
	return poll(ctx, 10*time.Millisecond, func() (bool, error) {
		for _, id := range ids {
			if id.alive() {
				return false, nil
			}
		}
		return true, nil
	})
}

// poll calls done until it is true or fails, with pauses that double up to 20 times the first.
func poll(ctx context.Context, pause time.Duration, done func() (bool, error)) error {
	for longest := 20 * pause; ; pause = min(2*pause, longest) {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// command is what a part runs.
type command struct {
	path string
	args []string
	env  []string
	dir  string
	as   *syscall.Credential // nil: as the caller
	log  string              // file that gets stdout and stderr, appended
	stop syscall.Signal      // asks it to end cleanly and soon
}

// launcher starts processes. In the foreground they die with this process, for which Linux watches the *thread* that
// started them; a foreground launcher therefore owns one thread, which lives until close.
type launcher struct {
	background bool
	jobs       chan func()   // nil in the background
	done       chan struct{} // likewise
}

func newLauncher(background bool) *launcher {
	l := &launcher{background: background}
	if background {
		return l
	}
	l.jobs, l.done = make(chan func()), make(chan struct{})
	go func() {
		defer close(l.done)
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		for job := range l.jobs {
			job()
		}
	}()
	return l
}

// close ends the launcher's thread, and with it, on Linux, whatever still runs in the foreground.
func (l *launcher) close() {
	if !l.background {
		close(l.jobs)
		<-l.done
	}
}

// fork starts cmd on the right thread.
func (l *launcher) fork(cmd *exec.Cmd) error {
	if l.background {
		return cmd.Start()
	}
	started := make(chan error, 1)
	l.jobs <- func() { started <- cmd.Start() }
	return <-started
}

// start runs c and returns the process with a channel that is closed once it has ended.
func (l *launcher) start(c command) (identity, <-chan struct{}, error) {
	if err := os.MkdirAll(filepath.Dir(c.log), 0o755); err != nil {
		return identity{}, nil, fmt.Errorf("create the folder for logs: %w", err)
	}
	out, err := os.OpenFile(c.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return identity{}, nil, fmt.Errorf("open the log: %w", err)
	}
	defer func() { _ = out.Close() }() // the child has its own copy
	cmd := exec.Command(c.path, c.args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = c.env, c.dir, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.as}
	if l.background {
		cmd.SysProcAttr.Setsid = true
	} else {
		cmd.SysProcAttr.Setpgid = true // a Ctrl-C in the terminal is for the parent, which stops its children in order
		dieWithParent(cmd.SysProcAttr, c.stop)
	}
	if err := l.fork(cmd); err != nil {
		return identity{}, nil, fmt.Errorf("run %s: %w", c.path, err)
	}
	ended := make(chan struct{})
	id, err := identify(cmd.Process.Pid)
	go func() { // ends with the process
		_ = cmd.Wait() // how it ended is told by its log
		close(ended)
	}()
	if err != nil {
		return identity{}, nil, fmt.Errorf("run %s: ended at once: %s", c.path, tail(c.log, 5))
	}
	return id, ended, nil
}

// tail returns the last lines of a log, for an error message.
func tail(path string, lines int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	return lastLines(b, lines)
}

func lastLines(b []byte, n int) string {
	all := strings.Split(string(bytes.TrimSpace(b)), "\n")
	return strings.Join(all[max(0, len(all)-n):], "\n")
}
