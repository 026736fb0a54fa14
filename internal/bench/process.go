package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// stopBound is how long an orderly end may take.
const stopBound = time.Minute

// process is a gantry command at work.
type process struct {
	name string
	log  string // path
	cmd  *exec.Cmd
	done chan struct{} // closed once it has ended
	peak int64         // bytes of memory, as far as looked at
}

// start runs gantry with arguments; what it says goes to a log of its own.
func (l *lab) start(name string, env []string, args ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(l.logs(), name+".log"), done: make(chan struct{})}
	f, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // the child has its own copy
	p.cmd = exec.Command(l.Gantry, args...)
	p.cmd.Env = append(append(os.Environ(), l.settings()...), env...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = l.Dir, f, f
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the bench, which stops its children in order
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start gantry %s: %w", args[0], err)
	}
	go func() { // ends with the process, which stop and lab.close wait for
		_ = p.cmd.Wait() // how it ended is told by its log
		close(p.done)
	}()
	l.processes = append(l.processes, p)
	return p, nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// awaitLog waits until the log holds a text.
func (p *process) awaitLog(ctx context.Context, text string) error {
	return poll(ctx, startBound, p.name+" says "+text, func() (bool, error) {
		if p.ended() {
			return false, fmt.Errorf("%s has ended: %s", p.name, p.lastWords())
		}
		b, err := os.ReadFile(p.log)
		return bytes.Contains(b, []byte(text)), err
	})
}

func (p *process) lastWords() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	text := strings.TrimSpace(string(b))
	return text[strings.LastIndexByte(text, '\n')+1:]
}

// stop asks the process to end, and makes it if it does not.
func (p *process) stop() error {
	if p.ended() {
		return nil
	}
	p.peak = max(p.peak, peakMemory(p.cmd.Process.Pid))
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // may have just ended
	select {
	case <-p.done:
		return nil
	case <-time.After(stopBound):
		p.kill()
		return fmt.Errorf("%s did not end within %s and was killed", p.name, stopBound)
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // may have just ended
	<-p.done
}

// usage is what a process has taken of the machine.
type usage struct {
	peak int64 // bytes of memory
	cpu  time.Duration
}

// usage may be asked for once the process has ended.
func (p *process) usage() usage {
	state := p.cmd.ProcessState
	u := usage{peak: p.peak, cpu: state.UserTime() + state.SystemTime()}
	if rusage, ok := state.SysUsage().(*syscall.Rusage); ok && u.peak == 0 {
		u.peak = int64(rusage.Maxrss) * maxrssUnit
	}
	return u
}
