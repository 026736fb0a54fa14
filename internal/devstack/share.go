package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Share gives this process the use of the stack in o.Dir, beside others that share it. A stack that runs is taken as it is;
// else it is prepared and started, in the background, on the data of none before it. release ends the use. The last one who
// releases stops what a Share has started and deletes its data, and leaves alone what Start has: so nobody loses the servers
// under what he does. A process that dies has released; the next one's release then sees to the rest.
func Share(ctx context.Context, o Options, progress func(string)) (s *Stack, release func(context.Context) error, err error) {
	if o, err = o.WithDefaults(); err != nil {
		return nil, nil, err
	}
	o.Background, o.shared = true, true
	one, err := lockFile(ctx, sharePath(o.Dir, "one"), func() { // at a time begins or ends
		progress("another run is starting or stopping the servers, waiting for it")
	})
	if err != nil {
		return nil, nil, err
	}
	defer one()
	use, err := os.OpenFile(sharePath(o.Dir, "use"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, nil, fmt.Errorf("share the stack: %w", err)
	}
	if err := syscall.Flock(int(use.Fd()), syscall.LOCK_SH); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("share the stack: %w", err), use.Close())
	}
	if s, err = attachOrStart(ctx, o, progress); err != nil {
		return nil, nil, errors.Join(err, use.Close())
	}
	return s, func(ctx context.Context) error { return endShare(ctx, o.Dir, use) }, nil
}

// sharePath is beside the stack's folder, which comes and goes.
func sharePath(dir, what string) string { return filepath.Clean(dir) + ".share-" + what }

func attachOrStart(ctx context.Context, o Options, progress func(string)) (*Stack, error) {
	s, err := Attach(o.Dir)
	if err == nil && s.complete() {
		return s, nil
	}
	if err != nil && !errors.Is(err, ErrNotRunning) {
		return nil, err
	}
	if err := downAndRemove(ctx, o.Dir); err != nil {
		return nil, err
	}
	if err := Prepare(ctx, o, progress); err != nil {
		return nil, err
	}
	return Start(ctx, o)
}

// complete tells whether every server runs.
func (s *Stack) complete() bool {
	for _, st := range s.Status() {
		if !st.Running {
			return false
		}
	}
	return true
}

func endShare(ctx context.Context, dir string, use *os.File) error {
	one, err := lockFile(ctx, sharePath(dir, "one"), nil)
	if err != nil {
		return errors.Join(err, use.Close())
	}
	defer one()
	defer use.Close() //nolint:errcheck // closing gives the lock back, whatever it returns
	err = syscall.Flock(int(use.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil // others use it
	}
	if err != nil {
		return fmt.Errorf("release the stack: %w", err)
	}
	r, err := loadRecord(dir)
	if err != nil || r == nil || !r.Shared {
		return err
	}
	return downAndRemove(ctx, dir)
}

func downAndRemove(ctx context.Context, dir string) error {
	if err := Down(ctx, dir); err != nil && !errors.Is(err, ErrNotRunning) {
		return err
	}
	return Remove(ctx, dir)
}
