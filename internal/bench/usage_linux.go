package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

const maxrssUnit = 1024 // ru_maxrss is in KiB

// peakMemory is the most memory that a process has had resident so far (VmHWM), 0 if unknown. Unlike ru_maxrss it
// leaves out what the process was before it became gantry.
func peakMemory(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}

// load is the machine's load of the last minute.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return string(bytes.Fields(b)[0])
}
