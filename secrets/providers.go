package secrets

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Allowed says what references may reach. The zero value allows nothing.
type Allowed struct {
	// Env are patterns of environment variables, with * and ?. Variables that begin with GANTRY_ hold Gantry's own settings,
	// passwords among them: only patterns that begin so, too, allow them.
	Env []string
	// Folders are where files may lie, at any depth, after following symbolic links.
	Folders []string
}

// Providers are the kinds of references that Gantry brings: env, file and dir.
func Providers(a Allowed) map[string]Provider {
	return map[string]Provider{"env": envProvider{a.Env}, "file": fileProvider{a.Folders}, "dir": dirProvider{a.Folders}}
}

const ownVariables = "GANTRY_"

// envProvider is ${env:NAME}.
type envProvider struct{ patterns []string }

func (p envProvider) Look(_ context.Context, name string) (string, error) {
	if !p.allows(name) {
		return "", errors.New("this worker's setting secrets.env does not allow that variable")
	}
	value, ok := os.LookupEnv(name)
	if !ok {
		return "", errors.New("this worker has no such environment variable; set it where the workers run")
	}
	return value, nil
}

func (p envProvider) allows(name string) bool {
	for _, pattern := range p.patterns {
		if strings.HasPrefix(name, ownVariables) && !strings.HasPrefix(pattern, ownVariables) {
			continue
		}
		if ok, err := path.Match(pattern, name); err == nil && ok {
			return true
		}
	}
	return false
}

// fileProvider is ${file:path:key}: one key of a file in the format of Java's properties.
type fileProvider struct{ folders []string }

func (p fileProvider) Look(_ context.Context, text string) (string, error) {
	colon := strings.LastIndexByte(text, ':')
	if colon < 0 {
		return "", errors.New("a file reference is ${file:/path:key}")
	}
	content, err := readWithin(p.folders, text[:colon])
	if err != nil {
		return "", err
	}
	return property(content, text[colon+1:])
}

// dirProvider is ${dir:path:file}: the whole of a file, without a line end behind it, as secrets are mounted.
type dirProvider struct{ folders []string }

func (p dirProvider) Look(_ context.Context, text string) (string, error) {
	colon := strings.LastIndexByte(text, ':')
	if colon < 0 || strings.ContainsAny(text[colon+1:], "/\\") || text[colon+1:] == ".." || text[colon+1:] == "" {
		return "", errors.New("a folder reference is ${dir:/path:file}")
	}
	content, err := readWithin(p.folders, filepath.Join(text[:colon], text[colon+1:]))
	return strings.TrimSuffix(strings.TrimSuffix(content, "\n"), "\r"), err
}

// maxFileBytes bounds what is read of a file with secrets.
const maxFileBytes = 1 << 20

// readWithin reads a file if it lies in one of the folders, whatever links led there.
func readWithin(folders []string, name string) (string, error) {
	if len(folders) == 0 {
		return "", errors.New("this worker's setting secrets.folders allows no folder")
	}
	if !filepath.IsAbs(name) {
		return "", errors.New("the path must be absolute")
	}
	real, err := filepath.EvalSymlinks(name)
	if err != nil {
		return "", errors.New("this worker cannot read the file: " + reasonOf(err))
	}
	for _, folder := range folders {
		base, err := filepath.EvalSymlinks(folder)
		if err != nil {
			continue // a folder that is not there holds nothing
		}
		inside, err := filepath.Rel(base, real)
		if err != nil || !filepath.IsLocal(inside) {
			continue
		}
		return readBelow(base, inside)
	}
	return "", errors.New("the file lies in none of the folders that this worker's setting secrets.folders allows")
}

// readBelow reads through a root, which a link that was put there meanwhile cannot leave.
func readBelow(base, inside string) (content string, err error) {
	root, err := os.OpenRoot(base)
	if err != nil {
		return "", errors.New("this worker cannot read the file: " + reasonOf(err))
	}
	defer func() { _ = root.Close() }() // only read
	if info, err := root.Stat(inside); err == nil && !info.Mode().IsRegular() {
		return "", errors.New("it is no file") // opening a pipe would wait for who writes to it
	}
	f, err := root.Open(inside)
	if err != nil {
		return "", errors.New("this worker cannot read the file: " + reasonOf(err))
	}
	defer func() { _ = f.Close() }() // only read
	b, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return "", errors.New("this worker cannot read the file: " + reasonOf(err))
	}
	if len(b) > maxFileBytes {
		return "", fmt.Errorf("the file has more than %d bytes", maxFileBytes)
	}
	return string(b), nil
}

// property finds a key in lines key=value or key:value; # and ! begin comments. Escapes are those of Java's properties.
func property(content, key string) (string, error) {
	lines := bufio.NewScanner(strings.NewReader(content))
	lines.Buffer(nil, maxFileBytes+1)
	for lines.Scan() {
		line := strings.TrimLeft(lines.Text(), " \t\f")
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		end := separator(line)
		if unescape(strings.TrimRight(line[:end], " \t\f")) == key {
			return unescape(strings.TrimSpace(line[min(end+1, len(line)):])), nil
		}
	}
	return "", errors.New("the file has no such key")
}

// separator is where a line's key ends.
func separator(line string) int {
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '=', ':':
			return i
		}
	}
	return len(line)
}

func unescape(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		switch text[i] {
		case 't':
			b.WriteByte('\t')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 'f':
			b.WriteByte('\f')
		case 'u':
			if n, err := strconv.ParseUint(text[i+1:min(i+5, len(text))], 16, 16); err == nil && i+4 < len(text) {
				b.WriteRune(rune(n))
				i += 4
				continue
			}
			b.WriteByte('u')
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String()
}

// reasonOf is the operating system's reason without the path, which the reference names already.
func reasonOf(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
