package e2e

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
)

// parallel is how many tests run at once, unless -parallel says otherwise: most of their time they wait for a lease or a
// heartbeat to run out.
const parallel = "4"

// gantry is the path of the binary under test.
var gantry string

// guard kills what the tests have started, should their process end without doing so.
var guard *guardian

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", parallel); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	dir, err := os.MkdirTemp("", "gantry-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	gantry = filepath.Join(dir, "gantry")
	build := exec.Command("go", slices.Concat([]string{"build"}, raceFlags, []string{"-o", gantry, "../cmd/gantry"})...)
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build gantry:", err)
		return 1
	}
	if guard, err = startGuardian(); err != nil {
		fmt.Fprintln(os.Stderr, "start the guardian:", err)
		return 1
	}
	defer guard.end()
	return m.Run()
}

// guardian is a shell that is told which processes run. When the tests' process ends, however it does, the shell reads the
// end of its input and kills those that are left.
type guardian struct {
	mu  sync.Mutex
	cmd *exec.Cmd
	in  io.WriteCloser
}

const guardianScript = `trap '' INT TERM HUP
live=" "
while read -r op pid; do
	case $op in
	+) live="$live$pid " ;;
	-) live=$(printf '%s' "$live" | sed "s/ $pid / /") ;;
	esac
done
for pid in $live; do kill -9 "$pid"; done 2>/dev/null`

func startGuardian() (*guardian, error) {
	g := &guardian{cmd: exec.Command("sh", "-c", guardianScript)}
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := g.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	g.in = in
	return g, g.cmd.Start()
}

func (g *guardian) tell(op string, pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	fmt.Fprintf(g.in, "%s %d\n", op, pid) //nolint:errcheck // a guardian that is gone guards nothing; the tests still clean up
}

func (g *guardian) end() {
	_ = g.in.Close()
	_ = g.cmd.Wait()
}
