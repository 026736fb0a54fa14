// Package failpoint stops a process at a named point of the exactly-once protocol, so that tests can kill or freeze it
// just there. It is inert unless the environment arms a point:
//
//	GANTRY_FAILPOINT="source/sent=kill@3"   SIGKILL to itself the third time it gets there
//	GANTRY_FAILPOINT="sink/written=freeze"  SIGSTOP to itself the first time; whoever armed it sends SIGCONT
//
// docs/exactly-once.md tells what is on disk where at each point; a test compares its list with Points.
package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Env is the environment variable that arms a point: "point=action[@n]" with kill or freeze as action.
const Env = "GANTRY_FAILPOINT"

// Set is what the environment has armed. The zero Set and a nil *Set are inert.
type Set struct {
	point  Point
	signal syscall.Signal
	count  atomic.Int64 // visits until the action
}

// FromEnv reads Env. Nothing armed is not an error.
func FromEnv() (*Set, error) { return Parse(os.Getenv(Env)) }

// Parse reads "point=action[@n]"; an empty text arms nothing.
func Parse(text string) (*Set, error) {
	s := &Set{}
	if text == "" {
		return s, nil
	}
	point, action, _ := strings.Cut(text, "=")
	action, nth, counted := strings.Cut(action, "@")
	s.point = Point(point)
	if !known(s.point) {
		return nil, fmt.Errorf("%s=%q: no such point", Env, text)
	}
	switch action {
	case "kill":
		s.signal = syscall.SIGKILL
	case "freeze":
		s.signal = syscall.SIGSTOP
	default:
		return nil, fmt.Errorf("%s=%q: the action must be kill or freeze", Env, text)
	}
	n := int64(1)
	if counted {
		var err error
		if n, err = strconv.ParseInt(nth, 10, 64); err != nil || n < 1 {
			return nil, fmt.Errorf("%s=%q: the count after @ must be a number from 1", Env, text)
		}
	}
	s.count.Store(n)
	return s, nil
}

// Reached acts if p is armed and this is the visit it was armed for.
func (s *Set) Reached(p Point) {
	if s == nil || s.signal == 0 || s.point != p || s.count.Add(-1) != 0 {
		return
	}
	_ = syscall.Kill(os.Getpid(), s.signal) // nobody is left to tell
}
