package access

import (
	"bufio"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// rememberPassword is for how long a password that was right need not be hashed again: bcrypt takes some 50 ms of a core.
const rememberPassword = time.Minute

// maxRemembered bounds what is remembered; there are hardly more users.
const maxRemembered = 1000

// Htpasswd authenticates by user and password, against a file with lines user:bcrypt, or user:bcrypt:role, or
// user:bcrypt:role:scope. The role is viewer where none is given. Make lines with `htpasswd -nbB user password`.
type Htpasswd struct {
	users  map[string]htUser
	absent []byte        // hashed against for users that do not exist, so that time does not tell them from wrong passwords
	salt   []byte        // of what is remembered
	slots  chan struct{} // bounds how many passwords are hashed at once

	mu    sync.Mutex
	right map[string]time.Time // by salted hash of user and password: when they were last found right
}

type htUser struct {
	hash      []byte
	principal Principal
}

// OpenHtpasswd reads the file.
func OpenHtpasswd(path string) (*Htpasswd, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read users (api.htpasswd): %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	h, err := readHtpasswd(f)
	if err != nil {
		return nil, fmt.Errorf("read users (api.htpasswd) from %s: %w", path, err)
	}
	return h, nil
}

func readHtpasswd(r io.Reader) (*Htpasswd, error) {
	h := &Htpasswd{users: map[string]htUser{}, salt: make([]byte, 32), slots: make(chan struct{}, 2), right: map[string]time.Time{}}
	_, _ = rand.Read(h.salt) // never fails: the program ends where there is no randomness
	var err error
	if h.absent, err = bcrypt.GenerateFromPassword(h.salt, bcrypt.DefaultCost); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		user, err := parseHtLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		h.users[user.principal.Name] = user
	}
	return h, lines.Err()
}

func parseHtLine(line string) (htUser, error) {
	fields := strings.SplitN(line, ":", 4)
	if len(fields) < 2 || fields[0] == "" {
		return htUser{}, fmt.Errorf("must be user:hash, user:hash:role or user:hash:role:scope")
	}
	u := htUser{hash: []byte(fields[1]), principal: Principal{Name: fields[0], Role: Viewer}}
	if _, err := bcrypt.Cost(u.hash); err != nil {
		return htUser{}, fmt.Errorf("user %s: the hash is not bcrypt's (htpasswd -B makes one)", fields[0])
	}
	var err error
	if len(fields) > 2 && fields[2] != "" {
		if u.principal.Role, err = ParseRole(fields[2]); err != nil {
			return htUser{}, fmt.Errorf("user %s: %w", fields[0], err)
		}
	}
	if len(fields) > 3 {
		if u.principal.Scope, err = ParseScope(fields[3]); err != nil {
			return htUser{}, fmt.Errorf("user %s: %w", fields[0], err)
		}
	}
	return u, nil
}

// Authenticate names the sender; see Chain.
func (h *Htpasswd) Authenticate(r *http.Request) (Principal, error) {
	name, password, ok := r.BasicAuth()
	if !ok {
		return Principal{}, errNotMine
	}
	user, known := h.users[name]
	if !known {
		user.hash = h.absent
	}
	key := h.keyOf(name, password)
	if known && h.remembers(key) {
		return user.principal, nil
	}
	select {
	case h.slots <- struct{}{}:
	case <-r.Context().Done():
		return Principal{}, r.Context().Err()
	}
	err := bcrypt.CompareHashAndPassword(user.hash, []byte(password))
	<-h.slots
	if err != nil || !known {
		return Principal{}, &UnauthenticatedError{fmt.Sprintf("wrong user or password for %q", name)}
	}
	h.remember(key)
	return user.principal, nil
}

func (h *Htpasswd) keyOf(name, password string) string {
	mac := hmac.New(sha256.New, h.salt)
	_, _ = fmt.Fprintf(mac, "%d:%s%s", len(name), name, password) // a hash takes everything
	return string(mac.Sum(nil))
}

func (h *Htpasswd) remembers(key string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Since(h.right[key]) < rememberPassword
}

func (h *Htpasswd) remember(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.right) >= maxRemembered {
		clear(h.right)
	}
	h.right[key] = time.Now()
}
