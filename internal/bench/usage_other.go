//go:build !linux

package bench

import (
	"os/exec"
	"runtime"
	"strings"
	"time"
)

const maxrssUnit = 1 // ru_maxrss is in bytes on macOS

// peakMemory is not known while a process runs.
func peakMemory(int) int64 { return 0 }

// load is the machine's load of the last minute.
func load() string {
	if runtime.GOOS == "darwin" {
		if out, err := exec.Command("sysctl", "-n", "vm.loadavg").Output(); err == nil {
			if fields := strings.Fields(string(out)); len(fields) > 1 {
				return fields[1]
			}
		}
	}
	return "unknown"
}

// treeCPU is not known here.
func treeCPU() time.Duration { return 0 }
