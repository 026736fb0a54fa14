package devstack

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// startTime returns the kernel's start time of a process, qualified by the boot, and false if it has ended.
func startTime(pid int) (string, bool) {
	fields, ok := stat(pid)
	if !ok || fields[0] == "Z" || fields[0] == "X" {
		return "", false
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		boot = nil // some sandboxes hide it; the start time alone is nearly as good
	}
	return fields[19] + "@" + strings.TrimSpace(string(boot)), true
}

// children returns the direct children of a process.
func children(pid int) []identity {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []identity
	for _, e := range entries {
		child, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if fields, ok := stat(child); ok && fields[1] == strconv.Itoa(pid) {
			if id, err := identify(child); err == nil {
				found = append(found, id)
			}
		}
	}
	return found
}

// stat returns the fields of /proc/PID/stat from the third on: 0 is the state, 1 the parent, 19 the start time.
func stat(pid int) ([]string, bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil, false
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])) // the second field, the name, may hold anything
	return fields, len(fields) > 19
}

// dieWithParent has the kernel send stop to the child when the thread that starts it ends.
func dieWithParent(attr *syscall.SysProcAttr, stop syscall.Signal) { attr.Pdeathsig = stop }
