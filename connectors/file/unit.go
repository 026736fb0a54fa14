package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"github.com/gantry-connect/gantry/connector"
)

// rows is a format: it makes one record at a time of the bytes it is shown.
type rows interface {
	// row reads the row that data begins with into r. It returns how many bytes and lines it takes; 0 bytes if the row's
	// end is not in data, which cannot be when final. An error says what is wrong with the row; errBlank that there is none.
	row(data []byte, final bool, r *connector.Record) (n, lines int, err error)
	// expect tells how many rows the next batch may have, for sizing its memory.
	expect(rows int)
}

var errBlank = errors.New("a line without a row")

const recordBytes = int(unsafe.Sizeof(connector.Record{}))

// unit reads one partition: a file or a shard of one.
type unit struct {
	cfg       *SourceConfig
	log       *slog.Logger
	id        identity
	partition connector.Partition
	found     string // where the file is now
	inode     uint64 // its inode now; not id.Inode when the file is a copy
	told      progress
	after     *unit     // whose path this one has taken over, and which is read first
	rotated   time.Time // when the file was first seen to have lost its path
	drained   bool      // nothing was left after that

	file        *os.File
	compression string
	raw         *counter // of the compressed bytes read
	release     func()   // of the decompressor
	feed        feed
	rows        rows
	types       string // of the columns, as told in positions
	head        string
	line        int64 // lines before feed.at
	begun       bool
	final       bool // what the feed has is all there will be
	finished    bool
	bad         *badRow
	average     int   // bytes a row
	total       int64 // uncompressed bytes of a compressed file, once known
	size        int64 // of the file, when last looked at
	quiet       time.Time
	alive       func() // says that reading goes on, though it may skip much
}

// badRow is a row that cannot be read, to be told at the next Read.
type badRow struct {
	err  error
	skip int // bytes; 0: up to the next line end
}

// newUnit makes the unit of the file that k tells of. k.Position is negative if nothing has been read of it.
func newUnit(c *SourceConfig, log *slog.Logger, path string, inode uint64, k known) *unit {
	u := &unit{cfg: c, log: log, id: k.identity, partition: k.partition(), found: path, inode: inode, told: k.progress, average: 64, alive: func() {}}
	if info, err := os.Stat(path); err == nil {
		u.size = info.Size()
	}
	return u
}

// read returns records, or an end, or errIdle. A record that cannot be read comes as an error of its own.
func (u *unit) read(ctx context.Context, limit int) (connector.Batch, error) {
	if u.finished {
		return connector.Batch{}, io.EOF
	}
	if err := u.begin(ctx); err != nil {
		return connector.Batch{}, err
	}
	for {
		if u.bad != nil {
			return u.report(ctx)
		}
		if records := u.fill(limit); len(records) > 0 {
			return connector.Batch{Records: records, Next: u.next()}, nil
		}
		if u.bad != nil {
			continue
		}
		if u.atEnd() {
			return u.finish()
		}
		if err := u.more(ctx); err != nil {
			return connector.Batch{}, err
		}
	}
}

// more reads on. At the end of a file that is followed it returns errIdle.
func (u *unit) more(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	u.alive()
	if u.follows() && !u.quiet.IsZero() {
		if err := u.grown(); err != nil {
			return err
		}
	}
	err := u.feed.more()
	switch {
	case err == nil:
		u.quiet = time.Time{}
		return nil
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("read %s after byte %d: %w", u.found, u.feed.at, err)
	case !u.follows():
		u.final = true
		return nil
	}
	if u.quiet.IsZero() {
		u.quiet = time.Now()
	}
	if u.rotated.IsZero() {
		return errIdle
	}
	u.drained = true
	if time.Since(u.quiet) < u.cfg.RotateWait || time.Since(u.rotated) < u.cfg.RotateWait {
		return errIdle
	}
	u.final = true
	return nil
}

// follows reports whether the file may still grow. A compressed file is complete when it is met.
func (u *unit) follows() bool { return u.cfg.Follow && u.compression == "none" && !u.final }

// grown returns errIdle if a file that was at its end still is, and finds out if it was cut.
func (u *unit) grown() error {
	info, err := u.file.Stat()
	if err != nil {
		return err
	}
	u.size = info.Size()
	end := u.feed.at + int64(len(u.feed.rest()))
	if u.size == end && u.rotated.IsZero() {
		return errIdle
	}
	ok, err := holds(u.file, u.feed.at-printed(u.tail()), u.tail())
	if err != nil {
		return err
	}
	if u.size < end || !ok {
		return u.truncated()
	}
	return nil
}

// truncated acts on a file that no longer holds what was read of it.
func (u *unit) truncated() error {
	if u.cfg.Truncated != "restart" {
		return connector.Permanent(fmt.Errorf("%s has %d bytes and no longer holds what was read of it up to byte %d: it was truncated or replaced in place; "+
			"set truncated=restart to read such files again from their beginning", u.found, u.size, max(u.feed.at, u.told.Position)))
	}
	u.log.Warn("file was truncated: reading it from its beginning", "file", u.found, "position", u.told.Position, "size", u.size)
	u.id.Incarnation++
	u.partition = u.id.partition()
	u.told = progress{Position: -1}
	u.close()
	u.begun, u.final, u.line, u.bad, u.types = false, false, 0, nil, ""
	return errIdle
}

// fill makes records of what the feed has, up to limit and batchBytes, and stops at a bad one.
func (u *unit) fill(limit int) []connector.Record {
	data := u.feed.rest()
	if len(data) == 0 {
		return nil
	}
	guess := min(limit, len(data)/u.average+1)
	u.rows.expect(guess)
	records := make([]connector.Record, 0, guess)
	used := 0
	for len(records) < limit && used < batchBytes && used < len(data) {
		at := u.feed.at + int64(used)
		if u.id.To > 0 && at >= u.id.To {
			break
		}
		records = append(records, connector.Record{})
		r := &records[len(records)-1]
		n, lines, err := u.rows.row(data[used:], u.final, r)
		if n > u.cfg.MaxLine || (n == 0 && len(data)-used > u.cfg.MaxLine) {
			n, err = 0, fmt.Errorf("the row has more than max.line.bytes = %d bytes", u.cfg.MaxLine)
		} else if n == 0 {
			records = records[:len(records)-1]
			break
		}
		if err != nil {
			records = records[:len(records)-1]
			if err == errBlank {
				used += n
				u.line += int64(lines)
				continue
			}
			u.bad = &badRow{err: fmt.Errorf("%s: %w", u.place(at), err), skip: n}
			break
		}
		r.Partition = u.partition
		r.Mark.Offset = uint64(at)
		r.Size += n + recordBytes
		used += n
		u.line += int64(lines)
	}
	u.feed.take(used)
	if len(records) > 0 {
		u.average = max(1, used/len(records))
	}
	return records
}

// place names a row for people.
func (u *unit) place(at int64) string {
	if u.id.From > 0 {
		return fmt.Sprintf("%s, byte %d", u.found, at)
	}
	return fmt.Sprintf("%s, line %d (byte %d)", u.found, u.line+1, at)
}

// report moves behind the bad row and tells of it.
func (u *unit) report(ctx context.Context) (connector.Batch, error) {
	bad := u.bad
	if bad.skip > 0 {
		u.feed.take(bad.skip)
	} else if err := u.skipLine(ctx); err != nil {
		return connector.Batch{}, err
	}
	u.line++
	u.bad = nil
	return connector.Batch{Next: u.next()}, &connector.RecordError{Err: bad.err}
}

// skipLine moves behind the next line end without keeping what lies before it.
func (u *unit) skipLine(ctx context.Context) error {
	for {
		rest := u.feed.rest()
		if i := indexNewline(rest); i >= 0 {
			u.feed.take(i + 1)
			return nil
		}
		u.feed.take(len(rest))
		if u.final {
			return nil
		}
		if err := u.more(ctx); err != nil {
			return err
		}
	}
}

// tail is the fingerprint of the bytes before feed.at.
func (u *unit) tail() string {
	before := u.feed.block[:u.feed.next]
	if len(before) == 0 {
		if u.told.Position == u.feed.at {
			return u.told.Tail
		}
		return ""
	}
	return fingerprint(before[max(0, len(before)-tailBytes):])
}

// next is the position at feed.at.
func (u *unit) next() connector.Position {
	u.told = progress{Position: u.feed.at, Line: u.line, Head: u.head, Tail: u.tail(), Types: u.types}
	if u.id.From > 0 {
		u.told.Line = 0
	}
	return connector.Position{u.partition: u.told.offset()}
}

func (u *unit) atEnd() bool {
	return (u.id.To > 0 && u.feed.at >= u.id.To) || (u.final && len(u.feed.rest()) == 0)
}

// finish tells that the unit has been read to its end, so that no later start reads it again to find out.
func (u *unit) finish() (connector.Batch, error) {
	u.finished = true
	before := u.told
	u.next()
	u.told.Size = u.size
	u.told.Done = !u.rotated.IsZero()
	if u.told == before {
		return connector.Batch{}, io.EOF
	}
	return connector.Batch{Next: connector.Position{u.partition: u.told.offset()}}, nil
}

// left is about how many uncompressed bytes have not been read.
func (u *unit) left() int64 {
	switch end := min(u.size, u.id.To); {
	case u.finished:
		return 0
	case !u.begun:
		if u.told.Size > 0 && u.told.Size == u.size {
			return 0
		}
		if u.id.To == 0 {
			end = u.size
		}
		return max(0, end-max(u.told.Position, u.id.From))
	case u.compression == "none" && u.id.To > 0:
		return max(0, end-u.feed.at)
	case u.compression == "none":
		return max(0, u.size-u.feed.at)
	case u.total > 0:
		return u.total - u.feed.at
	case u.raw.n == 0:
		return u.size
	default:
		read := u.feed.at + int64(len(u.feed.rest()))
		return int64(float64(u.size-u.raw.n)*float64(read)/float64(u.raw.n)) + int64(len(u.feed.rest()))
	}
}

// close lets go of the file.
func (u *unit) close() {
	if u.release != nil {
		u.release()
		u.release = nil
	}
	if u.file != nil {
		u.file.Close() // only read from: there is nothing to lose
		u.file = nil
	}
	u.feed = feed{}
}

// open opens the file, wherever it has been moved to.
func (u *unit) open() error {
	for range 2 {
		// The plan holds no such file. A position that somebody has edited may.
		if hidden, err := ofProcesses(u.found); err == nil && hidden {
			return connector.Permanent(fmt.Errorf("%s lies in %s: it is not read", u.found, processes))
		}
		file, err := os.Open(u.found)
		if err == nil {
			info, err := file.Stat()
			if err != nil {
				file.Close()
				return err
			}
			if inodeOf(info) == u.inode {
				u.file, u.size = file, info.Size()
				return nil
			}
			file.Close()
		}
		moved, ferr := findInode(filepath.Dir(u.found), u.inode)
		if ferr != nil || moved == "" {
			return fmt.Errorf("open %s: the file with inode %d is gone", u.found, u.inode)
		}
		u.found = moved
	}
	return fmt.Errorf("open %s: the file is being renamed all the time", u.found)
}
