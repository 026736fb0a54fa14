package file

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gantry-connect/gantry/connector"
)

// state is what a sidecar holds: who owns the files, and what they hold up to which position.
type state struct {
	Connector  string               `json:"connector"`
	UID        int64                `json:"uid"`
	Task       int                  `json:"task"`
	Epoch      int64                `json:"epoch"`
	Generation int64                `json:"generation"`
	Clean      bool                 `json:"clean"` // the owner has left: nobody writes to the files any more
	Position   connector.Position   `json:"position"`
	Files      map[string]fileState `json:"files"` // by topic, if the path has ${topic}; else under ""
}

// fileState is a topic's present file.
type fileState struct {
	Segment  int      `json:"segment"`            // its number, from 1; the files before it are complete
	Numbered bool     `json:"numbered,omitempty"` // its name has that number
	Length   int64    `json:"length"`             // bytes up to the position
	Columns  []string `json:"columns,omitempty"`  // of a CSV file
	Since    int64    `json:"since,omitempty"`    // when it was begun, in ms since 1970
}

func (s state) clone() state {
	s.Position = maps.Clone(s.Position)
	s.Files = maps.Clone(s.Files)
	return s
}

// sidecar is the file beside the data that holds the state. It is replaced as a whole, never changed in place.
type sidecar struct{ path string }

const (
	lockWait  = 10 * time.Second      // the lock is held for a few system calls and one copy; a holder that sleeps longer is frozen
	lockPause = 10 * time.Millisecond // between two tries
)

// locked runs f while no other process or sink changes the state or the files' names. The kernel frees the lock of a
// process that dies.
func (s sidecar) locked(ctx context.Context, f func() error) error {
	lock, err := os.OpenFile(s.path+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	defer lock.Close() // which unlocks
	deadline := time.Now().Add(lockWait)
	for {
		err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f()
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("lock %s: %w", lock.Name(), err)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("lock %s: another process has held it for %v; it is frozen or copies a large file", lock.Name(), lockWait)
		}
		timer := time.NewTimer(lockPause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

func (s sidecar) read() (st state, found bool, err error) {
	text, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, false, nil
	}
	if err != nil {
		return state{}, false, err
	}
	if err := json.Unmarshal(text, &st); err != nil {
		return state{}, false, connector.Permanent(fmt.Errorf("%s is no state of a file sink: %w", s.path, err))
	}
	if st.Files == nil {
		st.Files = map[string]fileState{}
	}
	return st, true, nil
}

// write makes st durable.
func (s sidecar) write(st state) error {
	text, err := json.Marshal(st)
	if err != nil {
		return err
	}
	tmp, err := os.OpenFile(s.path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = tmp.Write(append(text, '\n'))
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), s.path)
	}
	if err == nil {
		err = syncFolder(s.path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", s.path, err)
	}
	return nil
}

// syncFolder makes the names in a file's folder durable.
func syncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
