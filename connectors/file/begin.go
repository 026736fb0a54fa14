package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/gantry-connect/gantry/connector"
)

func indexNewline(b []byte) int { return bytes.IndexByte(b, '\n') }

// fits reports whether the file holds what k was read from: the same beginning, and, where it is not compressed, the
// same bytes before the position.
func (k known) fits(file *os.File, compression string) (bool, error) {
	ok, err := holds(file, 0, k.Head)
	if err != nil || !ok {
		return ok, err
	}
	if compression == "auto" {
		if compression, err = detect(file); err != nil {
			return false, err
		}
	}
	if compression != "none" || k.Position <= 0 {
		return true, nil
	}
	info, err := file.Stat()
	if err != nil || info.Size() < k.Position {
		return false, err
	}
	return holds(file, k.Position-printed(k.Tail), k.Tail)
}

// begin opens the file and brings the feed to the first row to be read. It returns errIdle while a file that is
// followed does not hold enough to know how to read it, and io.EOF if it was read to its end before.
func (u *unit) begin(ctx context.Context) error {
	if u.begun {
		return nil
	}
	if u.file == nil {
		if err := u.open(); err != nil {
			return err
		}
	}
	if u.told.Size > 0 && u.told.Size == u.size && !u.cfg.Follow {
		u.finished = true
		return io.EOF
	}
	var err error
	if u.compression = u.cfg.Compression; u.compression == "auto" {
		if u.compression, err = detect(u.file); err != nil {
			return fmt.Errorf("read %s: %w", u.found, err)
		}
	}
	if ok, err := (known{u.id, u.told}).fits(u.file, u.compression); err != nil {
		return fmt.Errorf("read %s: %w", u.found, err)
	} else if !ok {
		return u.truncated()
	}
	if u.cfg.Follow && u.size == 0 {
		if info, err := u.file.Stat(); err == nil {
			u.size = info.Size()
		}
		if u.size == 0 && u.rotated.IsZero() {
			return errIdle
		}
	}
	if err := u.prepare(ctx); err != nil {
		if errors.Is(err, errIdle) && !u.rotated.IsZero() {
			u.drained = true
		}
		return err
	}
	if u.head = u.told.Head; printed(u.head) < headBytes && printed(u.head) < u.size {
		if u.head, err = headOf(u.file); err != nil {
			return err
		}
	}
	u.begun = true
	return nil
}

// prepare reads the file's first bytes for what they tell of the format, and then goes to the position.
func (u *unit) prepare(ctx context.Context) error {
	if err := u.rewind(); err != nil {
		return err
	}
	if err := u.skipMark(ctx); err != nil {
		return err
	}
	switch u.cfg.Format {
	case "csv":
		if err := u.prepareCSV(ctx); err != nil {
			return err
		}
	case "json":
		u.rows = newJSONRows(u.cfg.KeyFields)
	default:
		u.rows = &lineRows{raw: u.cfg.Format == "bytes"}
	}
	u.line = u.told.Line
	if u.told.Position < 0 {
		if u.id.From > 0 {
			return u.toShard(ctx)
		}
		if u.cfg.Format == "csv" && u.cfg.Header {
			u.line = 1
		}
		return nil
	}
	if u.told.Position <= u.feed.at {
		return nil
	}
	return u.seek(ctx, u.told.Position, u.told.Tail)
}

// rewind makes the feed begin at the file's first byte.
func (u *unit) rewind() error {
	if u.release != nil {
		u.release()
		u.release = nil
	}
	size := u.cfg.blockBytes
	if size == 0 {
		size = defaultBlock
	}
	u.raw = &counter{r: io.NewSectionReader(u.file, 0, math.MaxInt64)}
	u.feed = feed{r: u.raw, size: size}
	u.final = false
	if u.compression == "none" {
		return nil
	}
	r, release, err := decompress(u.compression, u.raw)
	if err != nil {
		return fmt.Errorf("read %s as %s: %w", u.found, u.compression, damaged(err))
	}
	u.feed.r, u.release = unpacker{r}, release
	return nil
}

// seek brings the feed to an offset. What is compressed is read up to it, and its last bytes checked against print.
func (u *unit) seek(ctx context.Context, offset int64, print string) error {
	if u.compression == "none" {
		u.raw = &counter{r: io.NewSectionReader(u.file, offset, math.MaxInt64-offset)}
		u.feed = feed{r: u.raw, size: u.feed.size, at: offset}
		return nil
	}
	tail := offset - printed(print)
	for u.feed.at < offset {
		if u.feed.at == tail && len(u.feed.rest()) >= int(offset-tail) {
			if print != "" && fingerprint(u.feed.rest()[:offset-tail]) != print {
				return u.truncated()
			}
			tail = -1
		}
		if have := int64(len(u.feed.rest())); u.feed.at != tail && have > 0 {
			stop := offset
			if u.feed.at < tail {
				stop = tail
			}
			u.feed.take(int(min(have, stop-u.feed.at)))
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		u.alive()
		if err := u.feed.more(); errors.Is(err, io.EOF) {
			return u.truncated()
		} else if err != nil {
			return fmt.Errorf("read %s after byte %d: %w", u.found, u.feed.at, err)
		}
	}
	return nil
}

// toShard goes to the first line that starts in the shard.
func (u *unit) toShard(ctx context.Context) error {
	if err := u.seek(ctx, u.id.From-1, ""); err != nil {
		return err
	}
	return u.skipLine(ctx)
}

var byteOrderMark = []byte{0xef, 0xbb, 0xbf}

// skipMark skips a UTF-8 byte order mark.
func (u *unit) skipMark(ctx context.Context) error {
	for bytes.HasPrefix(byteOrderMark, u.feed.rest()) && len(u.feed.rest()) < len(byteOrderMark) {
		if err := u.more(ctx); err != nil {
			return err
		}
		if u.final {
			break
		}
	}
	if bytes.HasPrefix(u.feed.rest(), byteOrderMark) {
		u.feed.take(len(byteOrderMark))
	}
	return nil
}

// prepareCSV reads the header and finds the columns' types; the feed ends up behind the header.
func (u *unit) prepareCSV(ctx context.Context) error {
	split := splitter{delimiter: u.cfg.delimiter, multiLine: u.cfg.MultiLine}
	split.init()
	names := u.cfg.Columns
	if u.cfg.Header {
		header, err := u.header(ctx, &split)
		if err != nil {
			return err
		}
		if len(names) == 0 {
			names = header
		}
	}
	stored, err := parseTypes(u.told.Types)
	if err != nil {
		return connector.Permanent(fmt.Errorf("position of %s: types: %w", u.found, err))
	}
	columns, missing, err := columnsOf(u.found, names, u.cfg.types, stored)
	if err != nil {
		return err
	}
	if missing {
		start := u.feed.at
		if err := u.infer(ctx, &split, columns); err != nil {
			return err
		}
		if err := u.rewind(); err != nil {
			return err
		}
		if err := u.seek(ctx, start, ""); err != nil {
			return err
		}
	}
	u.types = formatTypes(columns)
	u.rows, err = newCSVRows(u.cfg, split, u.found, columns)
	return err
}

// header reads the first row of the file.
func (u *unit) header(ctx context.Context, split *splitter) ([]string, error) {
	for {
		n, err := split.split(u.feed.rest(), u.final)
		switch {
		case err != nil && err != errBlank:
			return nil, connector.Permanent(fmt.Errorf("%s: header: %w", u.found, err))
		case n > u.cfg.MaxLine || (n == 0 && len(u.feed.rest()) > u.cfg.MaxLine):
			return nil, connector.Permanent(fmt.Errorf("%s: the header has more than max.line.bytes = %d bytes", u.found, u.cfg.MaxLine))
		case err == errBlank:
			u.feed.take(n)
			continue
		case n > 0:
			names := make([]string, len(split.fields))
			for i := range names {
				names[i] = string(split.text(u.feed.rest(), i))
			}
			u.feed.take(n)
			return names, nil
		case u.final:
			return nil, nil // an empty file: no header, and no rows
		}
		if err := u.more(ctx); err != nil {
			return nil, err
		}
	}
}
