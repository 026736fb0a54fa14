package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/gantry-connect/gantry/connector"
)

// The access modes of access(2), as POSIX has them.
const (
	mayWrite  = 2
	mayEnter  = 1
	shownFull = 20 // so many files are told of one by one
)

// probeSource looks whether the files are there and can be read.
func probeSource(_ context.Context, c *SourceConfig, _ connector.Surroundings) []connector.Finding {
	files, err := match(c.File)
	if err != nil {
		return []connector.Finding{{Severity: connector.SeverityError, Code: "unreadable", Subject: c.File, Message: err.Error(),
			Remedy: "correct file, or let the worker's user read the folder"}}
	}
	if len(files) == 0 {
		return []connector.Finding{noFiles(c)}
	}
	var found []connector.Finding
	var bytes int64
	for _, f := range files {
		bytes += f.info.Size()
		if err := readable(f.path); err != nil && len(found) < shownFull {
			found = append(found, connector.Finding{Severity: connector.SeverityError, Code: "unreadable", Subject: f.path,
				Message: fmt.Sprintf("The worker's user (uid %d) cannot read it: %v.", os.Geteuid(), reason(err)),
				Remedy:  fmt.Sprintf("chmod a+r '%s'", f.path)})
		}
	}
	if len(found) > 0 {
		return found
	}
	what := "files"
	if len(files) == 1 {
		what = "file"
	}
	return []connector.Finding{{Severity: connector.SeverityOK, Code: "files", Subject: c.File,
		Message: fmt.Sprintf("%d %s with %d bytes can be read on this worker.", len(files), what, bytes)}}
}

func noFiles(c *SourceConfig) connector.Finding {
	f := connector.Finding{Severity: connector.SeverityError, Code: "no-files", Subject: c.File,
		Message: "There is no such file on this worker.", Remedy: "put it there, or correct the path"}
	if c.Follow {
		f.Severity, f.Message = connector.SeverityWarning, "There is no such file on this worker yet. The connector waits for it."
	}
	return f
}

func readable(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return file.Close()
}

// reason is the operating system's reason without the path, which stands beside it.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// probeSink looks whether the files' folders are there, or can be made, and can be written to.
func probeSink(_ context.Context, c *SinkConfig, s connector.Surroundings) []connector.Finding {
	topics := s.Topics
	if !strings.Contains(c.File, "${topic}") || len(topics) == 0 {
		topics = []string{"topic"}
	}
	var found []connector.Finding
	known := map[string]bool{}
	for _, topic := range topics {
		path := strings.ReplaceAll(c.taskPath(0), "${topic}", topic)
		if folder := filepath.Dir(path); !known[folder] {
			known[folder] = true
			found = append(found, probeFolder(folder))
		}
		if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
			found = append(found, connector.Finding{Severity: connector.SeverityError, Code: "not-a-file", Subject: path,
				Message: "It is there, and is no regular file.", Remedy: "correct file"})
		} else if err == nil && syscall.Access(path, mayWrite) != nil {
			found = append(found, connector.Finding{Severity: connector.SeverityError, Code: "not-writable", Subject: path,
				Message: fmt.Sprintf("The worker's user (uid %d) cannot write to it.", os.Geteuid()),
				Remedy:  fmt.Sprintf("chown %d '%s'", os.Geteuid(), path)})
		}
	}
	return found
}

// probeFolder looks at a folder or, where it has to be made, at the one that it would be made in.
func probeFolder(folder string) connector.Finding {
	there := folder
	info, err := os.Stat(there)
	for os.IsNotExist(err) && filepath.Dir(there) != there {
		there = filepath.Dir(there)
		info, err = os.Stat(there)
	}
	f := connector.Finding{Severity: connector.SeverityError, Subject: folder}
	switch {
	case err != nil:
		f.Code, f.Message, f.Remedy = "not-writable", fmt.Sprintf("%s cannot be looked at: %v.", there, reason(err)), "let the worker's user enter the folder"
	case !info.IsDir():
		f.Code, f.Message, f.Remedy = "not-a-folder", there+" is no folder.", "correct file"
	case syscall.Access(there, mayWrite|mayEnter) != nil:
		f.Code, f.Message = "not-writable", fmt.Sprintf("The worker's user (uid %d) cannot write to %s.", os.Geteuid(), there)
		f.Remedy = fmt.Sprintf("mkdir -p '%s' && chown %d '%s'", folder, os.Geteuid(), folder)
	case there != folder:
		f.Severity, f.Code, f.Message = connector.SeverityInfo, "folder-missing", "It does not exist and will be made."
	default:
		f.Severity, f.Code, f.Message = connector.SeverityOK, "folder", "It can be written to."
	}
	return f
}
