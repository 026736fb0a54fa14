package devstack

import (
	"fmt"
	"io"
)

// PrintLogs writes the newest lines of a server's log, under a line with the file's path.
func PrintLogs(w io.Writer, dir string, p Part, lines int) {
	if p == Tctl {
		return
	}
	path := logPath(dir, p)
	fmt.Fprintf(w, "==> %s\n%s\n", path, tail(path, lines))
}
