package catalog

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot is the time since the machine started, including the time it was suspended, which Go's monotonic clock leaves
// out: a lease must not look valid after a suspension.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("read CLOCK_BOOTTIME: " + err.Error()) // every Linux since 2.6.39 has it
	}
	return time.Duration(ts.Nano())
}
