package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/gantry-connect/gantry/connector"
)

// segment is a file being written. The embedded state is the committed one, but for its columns and beginning.
type segment struct {
	fileState
	path    string
	file    *os.File // nil until the first row goes to it
	written int64    // bytes in the file
	buf     []byte   // rows not yet in the file
	dirty   bool     // written to since the last sync
	copied  bool     // file is a copy that does not have its name yet

	schema  *connector.Schema // of the last row, and
	mapping []int             // the field for each column, or -1
}

const copyBytes = 8 << 20 // between two looks at the context

// prepare opens the file as its last owner left it, or copies it up to its committed length.
func (s *segment) prepare(ctx context.Context, claims *claims, inOrder bool) error {
	old, err := os.OpenFile(s.path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) && s.Length == 0 {
		return nil
	}
	if err != nil {
		return s.missing(err)
	}
	info, err := old.Stat()
	if err == nil && info.Size() < s.Length {
		err = fmt.Errorf("it has %d bytes", info.Size())
	}
	if err != nil {
		old.Close()
		return s.missing(err)
	}
	if inOrder && info.Size() == s.Length {
		s.file = old
		return nil
	}
	defer old.Close()
	if s.file, err = claims.create(info.Mode().Perm()); err != nil {
		return err
	}
	for done := int64(0); done < s.Length; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.CopyN(s.file, old, min(copyBytes, s.Length-done))
		if err != nil {
			return fmt.Errorf("copy %s up to its position: %w", s.path, err)
		}
		done += n
	}
	s.copied = true
	return s.file.Sync()
}

func (s *segment) missing(err error) error {
	return connector.Permanent(fmt.Errorf("%s must hold %d bytes: %w; it was changed or moved: put it back, or remove its .gantry file to begin a new one at the catalog's position",
		s.path, s.Length, err))
}

// install gives the copy the file's name.
func (s *segment) install(claims *claims) error {
	if !s.copied {
		return nil
	}
	s.copied = false
	return claims.publish(s.file.Name(), s.path)
}

// create makes a new file in place of leftovers.
func (s *segment) create(claims *claims) error {
	file, err := claims.create(0o644)
	if err != nil {
		return err
	}
	if err := claims.publish(file.Name(), s.path); err != nil {
		file.Close() // nothing is in it
		return err
	}
	s.file = file
	return nil
}

// spill writes the buffer to the file.
func (s *segment) spill() error {
	n, err := s.file.WriteAt(s.buf, s.written)
	s.written += int64(n)
	s.dirty = true
	s.buf = s.buf[:0]
	return err
}

// sync makes the file's rows durable.
func (s *segment) sync() error {
	if s.dirty {
		if err := s.file.Sync(); err != nil {
			return err
		}
		s.dirty = false
	}
	return nil
}

// cut drops what lies behind length.
func (s *segment) cut(length int64) error {
	if s.file == nil || s.written == length {
		return nil
	}
	if err := s.file.Truncate(length); err != nil {
		return err
	}
	return s.file.Sync()
}

func (s *segment) close() {
	if s.file != nil {
		s.file.Close() // what counts has been synced
		s.file = nil
	}
}
