package devstack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// postgresHome is where Postgres lives and as whom it runs.
type postgresHome struct {
	binaries string
	data     string
	as       *syscall.Credential // nil: as the caller
}

// postgresHome decides where Postgres lives. Postgres refuses to run as root, so root runs it as "nobody"; and because
// that user often cannot enter root's folders, binaries and data then move to a private folder of the system's temporary
// one, named after the state directory.
func (s *Stack) postgresHome(ctx context.Context) (postgresHome, error) {
	servers, err := serversDir(s.opts.Root)
	if err != nil {
		return postgresHome{}, err
	}
	home := postgresHome{binaries: filepath.Join(servers, "postgres"), data: filepath.Join(s.Dir, "postgres", "data")}
	if os.Geteuid() != 0 {
		return home, makeDir(filepath.Dir(home.data), 0o700)
	}
	if home.as, err = nobody(); err != nil {
		return postgresHome{}, err
	}
	if err := makeDir(filepath.Dir(home.data), 0o711); err != nil {
		return postgresHome{}, err
	}
	if home.canEnter(ctx, home.binaries) && home.canEnter(ctx, filepath.Dir(home.data)) {
		return home, nil
	}
	private := privateDir(s.Dir)
	if err := makeDir(private, 0o711); err != nil {
		return postgresHome{}, err
	}
	if err := ownedByUs(private); err != nil {
		return postgresHome{}, err
	}
	if !home.canEnter(ctx, private) {
		return postgresHome{}, fmt.Errorf("user nobody, as whom root must run Postgres, can enter neither %s nor %s: "+
			"run as another user, or set TMPDIR to a folder that all may enter", s.Dir, private)
	}
	home.data = filepath.Join(private, "data")
	if home.canEnter(ctx, home.binaries) {
		return home, nil
	}
	copied := filepath.Join(private, "bin-"+filepath.Base(servers))
	if _, err := os.Stat(copied); errors.Is(err, os.ErrNotExist) {
		if err := copyTree(home.binaries, copied); err != nil {
			return postgresHome{}, err
		}
	}
	home.binaries = copied
	return home, nil
}

// privateDir is the folder outside the checkout that Postgres uses where it cannot enter dir.
func privateDir(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return filepath.Join(os.TempDir(), fmt.Sprintf("gantry-%d-%s", os.Getuid(), hex.EncodeToString(sum[:6])))
}

// ownedByUs refuses a folder that somebody else made under the name that we would use.
func ownedByUs(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("look at %s: %w", dir, err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || !ok || int(st.Uid) != os.Getuid() {
		return fmt.Errorf("%s exists but is not a folder of this user: delete it", dir)
	}
	return nil
}

func makeDir(dir string, mode os.FileMode) error {
	if err := os.MkdirAll(dir, mode); err != nil {
		return fmt.Errorf("create %s: %w", dir, err)
	}
	if err := os.Chmod(dir, mode); err != nil { // whatever the umask says
		return fmt.Errorf("open %s to the user of Postgres: %w", dir, err)
	}
	return nil
}

func nobody() (*syscall.Credential, error) {
	u, err := user.Lookup("nobody")
	if err != nil {
		return nil, fmt.Errorf("find the user nobody, as whom root must run Postgres: %w", err)
	}
	uid, err := strconv.ParseInt(u.Uid, 10, 64) // macOS says -2
	if err != nil {
		return nil, fmt.Errorf("user id of nobody: %w", err)
	}
	gid, err := strconv.ParseInt(u.Gid, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("group id of nobody: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func (h postgresHome) attr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: h.as, Setpgid: true}
}

// own gives files to the user that Postgres runs as.
func (h postgresHome) own(paths ...string) error {
	if h.as == nil {
		return nil
	}
	for _, p := range paths {
		if err := os.Chown(p, int(h.as.Uid), int(h.as.Gid)); err != nil {
			return fmt.Errorf("give %s to the user of Postgres: %w", p, err)
		}
	}
	return nil
}

// canEnter asks the kernel, because modes of all parents, access lists and mount options have a say.
func (h postgresHome) canEnter(ctx context.Context, dir string) bool {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", `cd "$1"`, "sh", dir)
	cmd.Dir, cmd.SysProcAttr = "/", h.attr()
	return cmd.Run() == nil
}

// copyTree copies under another name first, so that a half-made copy is never used.
func copyTree(from, to string) error {
	if err := os.RemoveAll(to + ".new"); err != nil {
		return fmt.Errorf("copy the binaries of Postgres: %w", err)
	}
	if out, err := exec.Command("cp", "-R", from, to+".new").CombinedOutput(); err != nil {
		return fmt.Errorf("copy the binaries of Postgres from %s to %s: %w: %s", from, to, err, out)
	}
	if err := os.Rename(to+".new", to); err != nil {
		return fmt.Errorf("copy the binaries of Postgres: %w", err)
	}
	return nil
}
