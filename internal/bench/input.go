package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ulikunitz/xz"

	"github.com/gantry-connect/gantry/internal/devstack"
)

const lineBytes = 100 // line end included

// linesFile makes a file of lines of 100 bytes, each different.
func (l *lab) linesFile() (path string, err error) {
	path = l.path("lines.txt")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	l.sayf("writing %d lines of %d bytes", l.Lines, lineBytes)
	return path, writeFile(path, func(w io.Writer) error {
		for i := range l.Lines {
			if _, err := fmt.Fprintf(w, "%011d the quick brown fox jumps over the lazy dog; pack my box with five dozen liquor jugs ok\n", i); err != nil {
				return err
			}
		}
		return nil
	})
}

// flightsFile makes a CSV file of the flights table, repeated until it has at least l.Rows rows.
func (l *lab) flightsFile() (path string, rows int, err error) {
	root, err := devstack.FindRoot()
	if err != nil {
		return "", 0, err
	}
	in, err := os.Open(filepath.Join(root, "data", "nycflights13", "flights.csv.xz"))
	if err != nil {
		return "", 0, err
	}
	defer in.Close() //nolint:errcheck // only read
	r, err := xz.NewReader(in)
	if err != nil {
		return "", 0, err
	}
	table, err := io.ReadAll(r)
	if err != nil {
		return "", 0, fmt.Errorf("unpack the flights table: %w", err)
	}
	header, body, _ := bytes.Cut(table, []byte("\n"))
	count := bytes.Count(body, []byte("\n"))
	path = l.path("flights.csv")
	err = writeFile(path, func(w io.Writer) error {
		if _, err := fmt.Fprintf(w, "%s\n", header); err != nil {
			return err
		}
		for rows < l.Rows {
			if _, err := w.Write(body); err != nil {
				return err
			}
			rows += count
		}
		return nil
	})
	l.sayf("writing the flights table %d times: %d rows", rows/max(count, 1), rows)
	return path, rows, err
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	return errors.Join(write(w), w.Flush(), f.Close())
}
