package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
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

// treeCPU is the CPU time that this process and everything it has started have taken so far. It depends much less than
// elapsed time on what else the machine does.
func treeCPU() time.Duration {
	const tick = time.Second / 100 // USER_HZ, which is 100 wherever Go runs
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	parents, ticks := map[int]int{}, map[int]int64{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // has just ended
		}
		fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]) // from the state on, the third
		if len(fields) < 15 {
			continue
		}
		parents[pid], _ = strconv.Atoi(string(fields[1]))
		for _, f := range fields[11:15] { // user and system time, its own and that of children that have ended
			n, _ := strconv.ParseInt(string(f), 10, 64)
			ticks[pid] += n
		}
	}
	sum := int64(0)
	for pid, n := range ticks {
		for up := pid; up > 1; up = parents[up] {
			if up == os.Getpid() {
				sum += n
				break
			}
		}
	}
	return time.Duration(sum) * tick
}
