package devstack

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

const zombie = 5 // SZOMB of sys/proc.h

// startTime returns the kernel's start time of a process, and false if it has ended.
func startTime(pid int) (string, bool) {
	p, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil || p.Proc.P_pid != int32(pid) || p.Proc.P_stat == zombie {
		return "", false
	}
	return fmt.Sprintf("%d.%06d", p.Proc.P_starttime.Sec, p.Proc.P_starttime.Usec), true
}

// children returns the direct children of a process.
func children(pid int) []identity {
	all, err := unix.SysctlKinfoProcSlice("kern.proc.all")
	if err != nil {
		return nil
	}
	var found []identity
	for _, p := range all {
		if int(p.Eproc.Ppid) != pid {
			continue
		}
		if id, err := identify(int(p.Proc.P_pid)); err == nil {
			found = append(found, id)
		}
	}
	return found
}

// dieWithParent can do nothing here: macOS has no such signal. A later Start finds and stops what a killed parent left.
func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}
