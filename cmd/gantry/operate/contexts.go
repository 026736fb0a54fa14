package operate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// defaultServer is where a server on this machine listens unless told otherwise.
const defaultServer = "http://127.0.0.1:8083"

// contextsFile is the file with the servers that an operator works on.
type contextsFile struct {
	Current  string               `yaml:"current,omitempty"`
	Contexts map[string]*place    `yaml:"contexts,omitempty"`
	Rest     map[string]yaml.Node `yaml:",inline"` // refused: a misspelt key must not be lost
	path     string
}

// place is a server and how to enter it.
type place struct {
	Server       string   `yaml:"server"`
	Token        string   `yaml:"token,omitempty"`
	TokenCommand []string `yaml:"token-command,omitempty"` // prints the token; run when it is needed
	Username     string   `yaml:"username,omitempty"`
	Password     string   `yaml:"password,omitempty"`
	CA           string   `yaml:"ca,omitempty"`
	Cert         string   `yaml:"cert,omitempty"`
	Key          string   `yaml:"key,omitempty"`
	TLSName      string   `yaml:"tls-server-name,omitempty"`
	SkipVerify   bool     `yaml:"insecure-skip-tls-verify,omitempty"`
	Output       string   `yaml:"output,omitempty"`

	Rest map[string]yaml.Node `yaml:",inline"`
}

// hasCredentials reports whether the context itself says who calls.
func (p *place) hasCredentials() bool {
	return p.Token != "" || len(p.TokenCommand) > 0 || p.Username != ""
}

// contextsPath is $GANTRY_HOME/config.yaml, or gantry/config.yaml in the user's configuration folder.
func contextsPath() (string, error) {
	if home := os.Getenv("GANTRY_HOME"); home != "" {
		return filepath.Join(home, "config.yaml"), nil
	}
	dir := os.Getenv("XDG_CONFIG_HOME")
	if dir == "" {
		var err error
		if dir, err = os.UserConfigDir(); err != nil {
			return "", fmt.Errorf("find the folder for contexts: %w; set GANTRY_HOME", err)
		}
	}
	return filepath.Join(dir, "gantry", "config.yaml"), nil
}

// loadContexts reads the file; none is the same as an empty one.
func loadContexts() (*contextsFile, error) {
	path, err := contextsPath()
	if err != nil {
		return nil, err
	}
	f := &contextsFile{Contexts: map[string]*place{}, path: path}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the contexts: %w", err)
	}
	if err := yaml.Unmarshal(text, f); err != nil {
		return nil, failf(ExitInvalid, "read the contexts in %s: %w", path, err)
	}
	if f.Contexts == nil {
		f.Contexts = map[string]*place{}
	}
	return f, f.check()
}

func (f *contextsFile) check() error {
	for key := range f.Rest {
		return failf(ExitInvalid, "contexts in %s: unknown key %q: only current and contexts are known", f.path, key)
	}
	for _, name := range f.names() {
		p := f.Contexts[name]
		if p == nil {
			return failf(ExitInvalid, "contexts in %s: context %q is empty: give it a server", f.path, name)
		}
		for key := range p.Rest {
			return failf(ExitInvalid, "contexts in %s: context %q: unknown key %q", f.path, name, key)
		}
	}
	return nil
}

// save replaces the file in one step; nobody else may read it, for it may hold tokens.
func (f *contextsFile) save() error {
	text, err := yaml.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode the contexts: %w", err)
	}
	path := f.path
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // where it is a link, what it points to is replaced
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("save the contexts: %w", err)
	}
	temporary, err := os.CreateTemp(dir, ".config-*.yaml") // mode 0600
	if err != nil {
		return fmt.Errorf("save the contexts: %w", err)
	}
	defer os.Remove(temporary.Name()) //nolint:errcheck // gone once it is renamed
	_, err = temporary.Write(text)
	if err = errors.Join(err, temporary.Sync(), temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("save the contexts: %w", err)
	}
	return nil
}

func (f *contextsFile) names() []string {
	names := make([]string, 0, len(f.Contexts))
	for name := range f.Contexts {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func (f *contextsFile) find(name string) (*place, error) {
	p, ok := f.Contexts[name]
	if !ok {
		known := "there is none yet: make one with gantry context set"
		if len(f.Contexts) > 0 {
			known = "known are " + strings.Join(f.names(), ", ")
		}
		return nil, failf(ExitNotFound, "context %q is not in %s: %s", name, f.path, known)
	}
	return p, nil
}

// exposed reports whether others on the machine may read tokens in the file.
func (f *contextsFile) exposed() bool {
	info, err := os.Stat(f.path)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return false
	}
	return slices.ContainsFunc(f.names(), func(name string) bool {
		p := f.Contexts[name]
		return p.Token != "" || p.Password != "" || p.Server != shownServer(p.Server)
	})
}

// connection is the server of one command, who calls it, and where both come from.
type connection struct {
	place
	name   string // of the context; empty if none is in use
	origin string // of the server's address, for people
}

// connectionFlags are the flags that every command has which calls a server.
type connectionFlags struct {
	server, context string
}

// resolve finds the server: by --server, --context, GANTRY_SERVER, GANTRY_CONTEXT, the current context, or on this
// machine. A context's token goes to that context's server only, or to one that is named together with the context.
func resolve(flags connectionFlags, f *contextsFile) (connection, error) {
	var c connection
	serverVariable, contextVariable := os.Getenv("GANTRY_SERVER"), os.Getenv("GANTRY_CONTEXT")
	switch {
	case flags.context != "":
		c.name, c.origin = flags.context, "--context "+flags.context
	case flags.server != "":
	case serverVariable != "":
		c.Server, c.origin = serverVariable, "GANTRY_SERVER"
	case contextVariable != "":
		c.name, c.origin = contextVariable, "GANTRY_CONTEXT="+contextVariable
	case f.Current != "":
		c.name, c.origin = f.Current, "the current context, "+f.Current
	default:
		c.Server, c.origin = defaultServer, "the default"
	}
	if c.name != "" {
		p, err := f.find(c.name)
		if err != nil {
			return connection{}, err
		}
		c.place = *p
	}
	if flags.server != "" {
		c.Server, c.origin = flags.server, "--server"
	}
	token := strings.TrimSpace(os.Getenv("GANTRY_TOKEN"))
	if token != "" && (flags.context == "" || !c.hasCredentials()) {
		c.Token, c.TokenCommand, c.Username, c.Password = token, nil, "", ""
	}
	return c, nil
}
