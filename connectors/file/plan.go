package file

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gantry-connect/gantry/connector"
)

// plan divides the files among the tasks. Without follow, each task gets the files and shards found now, by identity,
// in turns in the order of their paths, so that files added at the end move none. With follow, each task gets a share
// of all present and future files, by a hash of their inodes, which renaming does not change.
func plan(_ context.Context, c *SourceConfig, max int) ([]map[string]string, error) {
	if c.Follow {
		if !isPattern(c.File) {
			max = 1
		}
		tasks := make([]map[string]string, max)
		for i := range tasks {
			tasks[i] = map[string]string{"file.share": fmt.Sprintf("%d/%d", i, max)}
		}
		return tasks, nil
	}
	units, err := plannedUnits(c)
	if err != nil {
		return nil, err
	}
	shares := make([][]identity, min(max, len(units)))
	for i, u := range units {
		shares[i%len(shares)] = append(shares[i%len(shares)], u)
	}
	tasks := make([]map[string]string, len(shares))
	for i := range tasks {
		text, err := json.Marshal(shares[i])
		if err != nil {
			return nil, err
		}
		tasks[i] = map[string]string{"file.units": string(text)}
	}
	return tasks, nil
}

// plannedUnits finds the files and cuts them. A file's shards end at multiples of shard.bytes, so growth moves none.
func plannedUnits(c *SourceConfig) ([]identity, error) {
	files, err := match(c.File)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, connector.Permanent(fmt.Errorf("file = %s: there is no such file on this worker; put it there, correct the path, or use follow = true to wait for it", c.File))
	}
	var units []identity
	for _, f := range files {
		id := identity{File: f.path, Inode: inodeOf(f.info)}
		cut, err := mayCut(c, f)
		if err != nil {
			return nil, err
		}
		if !cut {
			units = append(units, id)
			continue
		}
		for from := int64(0); from < f.info.Size(); from += c.ShardBytes {
			id.From, id.To = from, from+c.ShardBytes
			units = append(units, id)
		}
	}
	return units, nil
}

func mayCut(c *SourceConfig, f match1) (bool, error) {
	if c.ShardBytes == 0 || f.info.Size() == 0 {
		return false, nil
	}
	compression := c.Compression
	if compression == "auto" {
		file, err := os.Open(f.path)
		if err != nil {
			return false, err
		}
		defer file.Close()
		if compression, err = detect(file); err != nil {
			return false, err
		}
	}
	return compression == "none", nil
}

func isPattern(path string) bool { return strings.ContainsAny(path, `*?[`) }

// match1 is a file that the pattern matches.
type match1 struct {
	path string
	info fs.FileInfo
}

// match finds the regular files of a path or pattern, in the order of their paths.
func match(pattern string) ([]match1, error) {
	paths := []string{pattern}
	if isPattern(pattern) {
		var err error
		if paths, err = filepath.Glob(pattern); err != nil {
			return nil, &connector.ConfigError{Field: "file", Value: pattern, Reason: err.Error()}
		}
		slices.Sort(paths)
	}
	var files []match1
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case os.IsNotExist(err):
			continue
		case err != nil:
			return nil, fmt.Errorf("look for files: %w", err)
		case info.Mode().IsRegular():
			hidden, err := ofProcesses(path)
			switch {
			case os.IsNotExist(err): // it has just gone
			case err != nil:
				return nil, fmt.Errorf("look for files: %w", err)
			case !hidden:
				files = append(files, match1{path, info})
			case !isPattern(pattern):
				return nil, &connector.ConfigError{Field: "file", Value: pattern, Reason: "lies in " + processes + ", where processes show their settings, passwords among them: those are not read"}
			}
		case !isPattern(pattern):
			return nil, &connector.ConfigError{Field: "file", Value: pattern, Reason: "is not a regular file; for a folder use a pattern such as " + filepath.Join(pattern, "*")}
		}
	}
	return files, nil
}

// processes is where Linux shows what processes hold. A worker's own environment is there, with the passwords of the installation.
const processes = "/proc"

// ofProcesses reports whether a path leads there, whatever links it goes through.
func ofProcesses(path string) (bool, error) {
	real, err := filepath.EvalSymlinks(path)
	return strings.HasPrefix(real, processes+"/"), err
}

// roster knows which files are the task's, and what has been read of them before.
type roster struct {
	cfg           *SourceConfig
	log           *slog.Logger
	planned       []identity // of a task that does not follow
	number, count int        // the share of a task that follows
	known         []known
	scanned       bool
}

func newRoster(c *SourceConfig, pos connector.Position, log *slog.Logger) (roster, error) {
	r := roster{cfg: c, log: log, count: 1}
	var err error
	if r.known, err = readPosition(pos); err != nil {
		return r, err
	}
	if c.Share != "" {
		if _, err := fmt.Sscanf(c.Share, "%d/%d", &r.number, &r.count); err != nil || r.count < 1 {
			return r, &connector.ConfigError{Field: "file.share", Value: c.Share, Reason: "must be number/count"}
		}
	}
	switch {
	case c.Follow:
	case c.Units != "":
		if err := json.Unmarshal([]byte(c.Units), &r.planned); err != nil {
			return r, &connector.ConfigError{Field: "file.units", Value: c.Units, Reason: err.Error()}
		}
	default:
		r.planned, err = plannedUnits(c)
	}
	return r, err
}

// owns tells whether a file that is followed is the task's.
func (r *roster) owns(inode uint64) bool {
	return int(inode*0x9e3779b97f4a7c15>>33)%r.count == r.number
}

// scan finds the task's units, keeping those it has. The rests of files that were renamed out of sight come first.
func (r *roster) scan(have []*unit) ([]*unit, error) {
	if !r.cfg.Follow {
		return r.scanPlanned()
	}
	files, err := match(r.cfg.File)
	if err != nil {
		return nil, err
	}
	units := have
	present := map[uint64]bool{}
	var fresh []match1
	for _, f := range files {
		inode := inodeOf(f.info)
		present[inode] = true
		if u := unitOf(have, inode); u != nil {
			u.found = f.path
			u.rotated = time.Time{}
		} else if r.owns(inode) {
			fresh = append(fresh, f)
		}
	}
	for _, u := range have {
		if !present[u.inode] && u.rotated.IsZero() {
			u.rotated = time.Now()
		}
	}
	if !r.scanned {
		r.scanned = true
		units = r.orphans(present)
	}
	for _, f := range fresh {
		if u := r.bind(f, 0, 0); u != nil {
			u.after = predecessor(units, u)
			units = append(units, u)
		}
	}
	return units, nil
}

// scanPlanned finds the files of the plan by identity. A file that has been replaced since counts in its place.
func (r *roster) scanPlanned() ([]*unit, error) {
	units := r.rests()
	for _, id := range r.planned {
		path := id.File
		info, err := os.Stat(path)
		if err != nil || inodeOf(info) != id.Inode {
			if moved, ferr := findInode(filepath.Dir(path), id.Inode); ferr == nil && moved != "" {
				path = moved
				info, err = os.Stat(moved)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", id.File, err)
		}
		if u := r.bind(match1{path, info}, id.From, id.To); u != nil {
			units = append(units, u)
		}
	}
	return units, nil
}

// rests finds files that had a planned path when their reading began and have been renamed out of sight since.
func (r *roster) rests() []*unit {
	var units []*unit
	for _, k := range r.known {
		mine := slices.ContainsFunc(r.planned, func(id identity) bool { return id.File == k.File && id.From == 0 })
		planned := slices.ContainsFunc(r.planned, func(id identity) bool { return id.Inode == k.Inode })
		if !mine || planned || k.Done || k.Size > 0 {
			continue
		}
		path, err := findInode(filepath.Dir(k.File), k.Inode)
		if err != nil || path == "" || !r.fits(path, k) {
			continue
		}
		if seen, _ := filepath.Match(r.cfg.File, path); !seen {
			units = append(units, newUnit(r.cfg, r.log, path, k.Inode, k))
		}
	}
	return units
}

// orphans finds the files that were being followed and no longer have a name that the pattern matches.
func (r *roster) orphans(present map[uint64]bool) []*unit {
	var units []*unit
	for _, k := range r.known {
		if k.Done || k.Size > 0 || present[k.Inode] || !r.owns(k.Inode) {
			continue
		}
		path, err := findInode(filepath.Dir(k.File), k.Inode)
		if err != nil || path == "" || !r.fits(path, k) {
			if r.copyOf(k) == "" {
				r.log.Warn("file is gone: what it held after the position is not read", "file", k.File, "inode", k.Inode, "position", k.Position)
			}
			continue
		}
		u := newUnit(r.cfg, r.log, path, k.Inode, k)
		u.rotated = time.Now()
		units = append(units, u)
	}
	return units
}

// bind makes the unit of a file, going on where an earlier start left it; nil if it has been read to its end for good.
func (r *roster) bind(f match1, from, to int64) *unit {
	inode := inodeOf(f.info)
	k, found := r.latest(inode, from, to)
	switch {
	case found && (k.Done || k.File != f.path) && !r.fits(f.path, k):
		found = false // the inode of a file that is gone has been used again
	case !found:
		k, found = r.twin(f.path, from, to)
	}
	if found {
		if r.cfg.Follow && k.Size > 0 && k.Size == f.info.Size() {
			return nil
		}
		return newUnit(r.cfg, r.log, f.path, inode, k)
	}
	fresh := known{identity: identity{File: f.path, Inode: inode, From: from, To: to}, progress: progress{Position: -1}}
	for slices.ContainsFunc(r.known, func(k known) bool { return k.identity == fresh.identity }) {
		fresh.Incarnation++
	}
	return newUnit(r.cfg, r.log, f.path, inode, fresh)
}

// latest is what is known of an inode, in its last incarnation.
func (r *roster) latest(inode uint64, from, to int64) (last known, found bool) {
	for _, k := range r.known {
		if k.Inode == inode && k.From == from && k.To == to && (!found || k.Incarnation > last.Incarnation) {
			last, found = k, true
		}
	}
	return last, found
}

// twin is the partition of a file that had this path and is gone, if this one begins with all that was read of it: a
// copy, such as a checkout or a restored backup.
func (r *roster) twin(path string, from, to int64) (known, bool) {
	if r.count > 1 {
		return known{}, false
	}
	for _, k := range r.known {
		if k.File == path && k.From == from && k.To == to && !k.Done && r.copyOf(k) == path {
			return k, true
		}
	}
	return known{}, false
}

// copyOf is the path of a file that is gone, if another one there begins with all that was read of it.
func (r *roster) copyOf(k known) string {
	if k.Position == 0 || k.Head == "" || r.count > 1 {
		return ""
	}
	if moved, err := findInode(filepath.Dir(k.File), k.Inode); err != nil || moved != "" {
		return ""
	}
	if r.fits(k.File, k) {
		return k.File
	}
	return ""
}

// fits reports whether the file at path holds what k was read from.
func (r *roster) fits(path string, k known) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	ok, err := k.fits(file, r.cfg.Compression)
	return err == nil && ok
}

// remember keeps how far a unit was read, should its file turn up again.
func (r *roster) remember(u *unit) {
	r.known = append(slices.DeleteFunc(r.known, func(k known) bool { return k.identity == u.id }), known{u.id, u.told})
}

func unitOf(units []*unit, inode uint64) *unit {
	for _, u := range units {
		if u.inode == inode {
			return u
		}
	}
	return nil
}

// predecessor is the unit that had u's path before it.
func predecessor(units []*unit, u *unit) *unit {
	for _, other := range slices.Backward(units) {
		if other.id.File == u.id.File && !other.rotated.IsZero() {
			return other
		}
	}
	return nil
}
