//go:build !linux

package catalog

import (
	"sync"
	"time"
)

// suspended stands in for a clock that counts suspension where there is none to call: it goes on by what the monotonic or
// the wall clock has gone on since it was last read, whichever is more. A wall clock that is set forward ends leases early;
// nothing makes them longer.
var suspended = struct {
	sync.Mutex
	last time.Time
	now  time.Duration
}{last: time.Now()}

func sinceBoot() time.Duration {
	suspended.Lock()
	defer suspended.Unlock()
	now := time.Now()
	monotonic := now.Sub(suspended.last)
	wall := now.Round(0).Sub(suspended.last.Round(0))
	suspended.now += max(monotonic, wall)
	suspended.last = now
	return suspended.now
}
