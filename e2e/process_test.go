package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a running gantry command.
type process struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	log  string        // path
	done chan struct{} // closed once it has ended
}

// startProcess runs gantry with arguments and environment; what it writes goes to a file of its own in dir. It is killed at
// Cleanup if it still runs, and its log shown if the test failed.
func startProcess(t *testing.T, dir, name string, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	f, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // the child has its own descriptor
	p.cmd = exec.Command(gantry, args...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = f, f
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	guard.tell("+", p.pid())
	go func() { // ends with the process, which Cleanup waits for
		_ = p.cmd.Wait() // its state is looked at by whom it concerns
		guard.tell("-", p.pid())
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // nothing to do if it has ended
		<-p.done
		if report := p.race(); report != "" {
			t.Errorf("%s has a data race:\n%s", name, report)
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", name, tail(p.log, 60))
		}
	})
	return p
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%v to %s: %v", s, p.name, err)
	}
}

// kill ends the process as a power cut would, and waits for its end.
func (p *process) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	<-p.done
}

func (p *process) freeze() { p.t.Helper(); p.signal(syscall.SIGSTOP) }
func (p *process) thaw()   { p.t.Helper(); p.signal(syscall.SIGCONT) }
func (p *process) term()   { p.t.Helper(); p.signal(syscall.SIGTERM) }

// awaitKilled waits until the process has been killed, by itself at a failpoint for example.
func (p *process) awaitKilled() {
	p.t.Helper()
	p.awaitEnd()
	if s, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !s.Signaled() || s.Signal() != syscall.SIGKILL {
		p.t.Fatalf("%s was not killed: %v", p.name, p.cmd.ProcessState)
	}
}

// awaitExit waits for an end with exit code 0.
func (p *process) awaitExit() {
	p.t.Helper()
	p.awaitEnd()
	if !p.cmd.ProcessState.Success() {
		p.t.Fatalf("%s ended with %v", p.name, p.cmd.ProcessState)
	}
}

func (p *process) awaitEnd() {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("%s has not ended within %v", p.name, patience)
	}
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// awaitFrozen waits until the process is stopped.
func (p *process) awaitFrozen() {
	p.t.Helper()
	await(p.t, p.name+" is frozen", func() error {
		out, err := exec.Command("ps", "-o", "stat=", "-p", fmt.Sprint(p.pid())).Output()
		if err != nil {
			return fmt.Errorf("ps: %w", err)
		}
		if state := strings.TrimSpace(string(out)); !strings.HasPrefix(state, "T") {
			return fmt.Errorf("its state is %q", state)
		}
		return nil
	})
}

// awaitStarted waits until a worker is ready for tasks.
func (p *process) awaitStarted() {
	p.t.Helper()
	await(p.t, p.name+" has started", func() error {
		if !p.says("the worker has started") {
			return errors.New("its log does not say so")
		}
		return nil
	})
}

// says reports whether the log holds a text.
func (p *process) says(text string) bool {
	b, err := os.ReadFile(p.log)
	return err == nil && strings.Contains(string(b), text)
}

// race is what the race detector has reported first, if it has; where that ends in the log it does not say, so some of what
// follows comes along.
func (p *process) race() string {
	const long = 8 << 10
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	_, report, found := strings.Cut(string(b), "WARNING: DATA RACE")
	if !found {
		return ""
	}
	return report[:min(len(report), long)]
}

// tail is the last lines of a file.
func tail(path string, lines int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// patience is how long anything may take that takes seconds on an idle machine.
const patience = 120 * time.Second

// pace is the pause between two looks at a condition.
const pace = 25 * time.Millisecond

// await waits until cond returns nil, and fails the test with its last answer if that takes too long.
func await(t *testing.T, what string, cond func() error) {
	t.Helper()
	awaitWithin(t, patience, what, cond)
}

func awaitWithin(t *testing.T, limit time.Duration, what string, cond func() error) {
	t.Helper()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); ; <-tick.C {
		err := cond()
		if err == nil {
			return
		}
		var never *hopeless
		if time.Now().After(deadline) || errors.As(err, &never) {
			t.Fatalf("waited for: %s; %v", what, err)
		}
	}
}

// hopeless is the answer of a condition that will not come true any more.
type hopeless struct{ error }
