package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// profileSeconds is how much of a measurement a CPU profile covers at most.
const profileSeconds = 8

// profile takes a CPU profile of a worker while it works; the function returned waits for it and adds a heap profile.
func (l *lab) profile(ctx context.Context, address, name string) func() error {
	done := make(chan error, 1)
	go func() { // waited for by the function returned
		done <- l.fetch(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", address, profileSeconds), name+".cpu.pprof")
	}()
	return func() error {
		return errors.Join(<-done, l.fetch(ctx, fmt.Sprintf("http://%s/debug/pprof/allocs", address), name+".allocs.pprof"))
	}
}

func (l *lab) fetch(ctx context.Context, url, name string) (err error) {
	if err := os.MkdirAll(l.Profiles, 0o755); err != nil {
		return err
	}
	c := http.Client{Timeout: time.Minute}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := c.Do(req)
	if err != nil {
		return fmt.Errorf("take a profile: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // only read
	f, err := os.Create(filepath.Join(l.Profiles, name))
	if err != nil {
		return err
	}
	_, err = io.Copy(f, res.Body)
	return errors.Join(err, f.Close())
}
