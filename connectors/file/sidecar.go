package file

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

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
type sidecar struct {
	path   string
	claims claims
}

func (s *sidecar) read() (st state, found bool, err error) {
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

// write makes st durable, unless a newer owner has claimed the files.
func (s *sidecar) write(st state) error {
	text, err := json.Marshal(st)
	if err != nil {
		return err
	}
	tmp, err := s.claims.create(0o644)
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
		err = s.claims.publish(tmp.Name(), s.path)
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
