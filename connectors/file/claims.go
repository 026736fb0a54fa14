package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/gantry-connect/gantry/connector"
)

// claims is the folder beside a sidecar by which a new owner shuts out older ones at once, whatever they are doing: nobody
// waits for anybody, so an owner that is frozen in the middle of something holds nothing up.
//
// An owner claims by a file of its epoch's number. Names of files that count are only ever changed by renaming a file of this
// folder, and an owner looks for newer claims between making that file and renaming it. A claimant first makes its claim and
// then removes every file of lower epochs. So each rename of an older owner either happens before the claimant has removed
// its file, and thus before the claimant reads anything; or it finds its file gone; or the file was made so late that the look
// finds the claim. Rows that an older owner still writes go to files that the claimant has replaced by copies.
type claims struct {
	folder  string
	epoch   int64
	made    int
	reached func(point string) // tells tests of the steps; see connector.Task.At
}

// claim shuts out all owners with lower epochs. The error is connector.ErrFenced if one with a higher epoch is there.
func (c *claims) claim() error {
	if err := os.MkdirAll(c.folder, 0o755); err != nil {
		return err
	}
	own, err := os.OpenFile(c.name(), os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if err := own.Close(); err != nil {
		return err
	}
	c.reached("claimed")
	older, err := c.others()
	if err != nil {
		return err
	}
	for _, name := range older {
		if err := os.Remove(filepath.Join(c.folder, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (c *claims) name() string { return filepath.Join(c.folder, fmt.Sprintf("%020d", c.epoch)) }

// create makes a file that publish may rename.
func (c *claims) create(mode fs.FileMode) (*os.File, error) {
	c.made++
	c.reached("making")
	return os.OpenFile(fmt.Sprintf("%s.%d", c.name(), c.made), os.O_CREATE|os.O_TRUNC|os.O_RDWR, mode)
}

// publish gives a file that create has made its name, for good: in place of what has that name, and durably. The error is
// connector.ErrFenced if a newer owner has come before.
func (c *claims) publish(made, path string) error {
	c.reached("made")
	if err := c.check(); err != nil {
		return err
	}
	c.reached("checked")
	if err := os.Rename(made, path); err != nil {
		if cerr := c.check(); cerr != nil {
			return cerr
		}
		if errors.Is(err, syscall.EXDEV) {
			err = connector.Permanent(fmt.Errorf("%w: all files of a sink's task have to lie on one file system", err))
		}
		return err
	}
	c.reached("renamed")
	return syncFolder(path)
}

// check looks for newer owners.
func (c *claims) check() error {
	_, err := c.others()
	return err
}

// others are the names of files of lower epochs. The error is connector.ErrFenced if there is a higher one.
func (c *claims) others() (older []string, err error) {
	entries, err := os.ReadDir(c.folder)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		number, _, _ := strings.Cut(e.Name(), ".")
		epoch, err := strconv.ParseInt(number, 10, 64)
		switch {
		case err != nil: // not ours
		case epoch > c.epoch:
			return nil, fmt.Errorf("epoch %d, and %s has %d: %w", c.epoch, c.folder, epoch, connector.ErrFenced)
		case epoch < c.epoch:
			older = append(older, e.Name())
		}
	}
	return older, nil
}
