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

// profileSeconds is how much of a measurement a CPU profile covers.
const profileSeconds = 10

// profile takes a CPU profile of a worker at work, and then one of what it has allocated so far.
func (l *lab) profile(ctx context.Context, address, name string) error {
	base := "http://" + address + "/debug/pprof/"
	return errors.Join(l.fetch(ctx, fmt.Sprintf("%sprofile?seconds=%d", base, profileSeconds), name+".cpu.pprof"),
		l.fetch(ctx, base+"allocs", name+".allocs.pprof"))
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
