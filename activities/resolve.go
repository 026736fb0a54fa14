package activities

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/gantry-connect/gantry/connector"
)

// reference is ${env:NAME} or ${file:/path:key}.
var reference = regexp.MustCompile(`\$\{([a-z]+):([^}]*)\}`)

// resolve puts the values in the place of the references in a config. They are read on this worker and at this moment, and
// live nowhere else. The error is a ConfigErrors; it names references, never values.
func resolve(config map[string]string) (map[string]string, error) {
	resolved := make(map[string]string, len(config))
	var problems connector.ConfigErrors
	for _, key := range slices.Sorted(maps.Keys(config)) {
		resolved[key] = reference.ReplaceAllStringFunc(config[key], func(ref string) string {
			parts := reference.FindStringSubmatch(ref)
			value, err := lookUp(parts[1], parts[2])
			if err != nil {
				problems = append(problems, &connector.ConfigError{Field: key, Reason: fmt.Sprintf("refers to %s: %v", ref, err)})
			}
			return value
		})
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return resolved, nil
}

func lookUp(kind, name string) (string, error) {
	switch kind {
	case "env":
		value, ok := os.LookupEnv(name)
		if !ok {
			return "", errors.New("this worker has no such environment variable; set it where the workers run")
		}
		return value, nil
	case "file":
		colon := strings.LastIndexByte(name, ':')
		if colon < 0 {
			return "", errors.New("a file reference is ${file:/path:key}")
		}
		return fromFile(name[:colon], name[colon+1:])
	}
	return "", fmt.Errorf("there is no kind of reference %q; use env or file", kind)
}

// fromFile reads one key of a file with lines key=value; lines that start with # are comments.
func fromFile(path, key string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", errors.New("this worker cannot read the file: " + reasonOf(err))
	}
	defer func() { _ = f.Close() }() // only read
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), "=")
		if ok && !strings.HasPrefix(strings.TrimSpace(name), "#") && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value), nil
		}
	}
	if err := lines.Err(); err != nil {
		return "", errors.New("this worker cannot read the file: " + reasonOf(err))
	}
	return "", errors.New("the file has no such key")
}

// reasonOf is the operating system's reason without the path, which the reference names already.
func reasonOf(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
