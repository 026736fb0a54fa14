package devstack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Info says where the servers of a stack are. Addresses of parts that the stack has not are empty.
type Info struct {
	Dir               string `json:"dir"`                         // data, logs and stack.json
	PostgresAddress   string `json:"postgres_address,omitempty"`  // host:port
	PostgresPassword  string `json:"postgres_password,omitempty"` // of the user "gantry", a superuser
	NameServer        string `json:"nameserver,omitempty"`        // host:port
	BrokerAddress     string `json:"broker_address,omitempty"`    // host:port
	TemporalAddress   string `json:"temporal_address,omitempty"`  // host:port, gRPC
	TemporalNamespace string `json:"temporal_namespace,omitempty"`
	UIURL             string `json:"ui_url,omitempty"`         // Temporal's Web UI
	GantryAddress     string `json:"gantry_address,omitempty"` // host:port of Gantry's REST API
}

// PostgresUser is the superuser of a stack's Postgres.
const PostgresUser = "gantry"

// PostgresURL returns the connection URL of a database, with the password. A new stack has the databases "gantry" and
// "postgres". It returns "" if the stack has no Postgres.
func (i Info) PostgresURL(database string) string {
	if i.PostgresAddress == "" {
		return ""
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(PostgresUser, i.PostgresPassword), Host: i.PostgresAddress,
		Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return u.String()
}

// record is stack.json: all that another process needs in order to use, inspect and stop the stack.
type record struct {
	Info
	Root       string            `json:"root"`
	Owner      identity          `json:"owner"` // the process that started the stack
	Background bool              `json:"background"`
	Unsafe     bool              `json:"unsafe"`
	Shared     bool              `json:"shared,omitempty"` // started by Share, so its last user stops it
	Binary     string            `json:"binary,omitempty"`
	Parts      []Part            `json:"parts"`
	Ports      Ports             `json:"ports"`
	Processes  map[Part]identity `json:"processes"`
}

func recordPath(dir string) string { return filepath.Join(dir, "stack.json") }

// loadRecord returns a nil record if there is none.
func loadRecord(dir string) (*record, error) {
	b, err := os.ReadFile(recordPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the record of the stack: %w", err)
	}
	r := &record{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("read %s: %w (delete the file once no server of that folder runs any more)", recordPath(dir), err)
	}
	return r, nil
}

// save replaces stack.json in one step. It holds the password, so only its owner may read it.
func (r *record) save() error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the record of the stack: %w", err)
	}
	path := recordPath(r.Dir)
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return fmt.Errorf("write the record of the stack: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write the record of the stack: %w", err)
	}
	return nil
}

// anyAlive tells whether one of the recorded processes runs.
func (r *record) anyAlive() bool {
	for _, id := range r.Processes {
		if id.alive() {
			return true
		}
	}
	return false
}

// abandoned tells whether the stack belongs to nobody: a foreground stack whose parent was killed, or one without
// any process left.
func (r *record) abandoned() bool {
	return !r.anyAlive() || !r.Background && !r.Owner.alive()
}

// lockFile takes an exclusive lock that the system gives up when this process ends. waiting is called once if another
// process holds it.
func lockFile(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("create the folder of the lock: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	told := false
	err = poll(ctx, 20*time.Millisecond, func() (bool, error) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			if !told && waiting != nil {
				told = true
				waiting()
			}
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { _ = f.Close() }, nil // closing gives the lock up
}
