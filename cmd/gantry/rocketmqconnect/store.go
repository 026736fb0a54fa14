package rocketmqconnect

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Connector is a connector of RocketMQ Connect.
type Connector struct {
	Name      string
	Config    map[string]string // without what the worker itself has added
	State     string            // STARTED or PAUSED; empty where the worker has not noted it
	Positions []Position        // of a source; a sink's are the offsets of a consumer group, see Group
}

// Position is how far one partition of a source has been read, both as the connector wrote them. Numbers are json.Number.
type Position struct {
	Partition, Offset map[string]any
}

// Group is the consumer group in which a sink's progress lies on the brokers.
func (c Connector) Group() string {
	if group := c.Config["task.group.id"]; group != "" {
		return group
	}
	return "connect-" + c.Name
}

// IsSink reports whether the connector reads topics.
func (c Connector) IsSink() bool { return c.Config["connect.topicnames"] != "" }

// Class is the connector's class as it was given.
func (c Connector) Class() string {
	if class := c.Config["connector.class"]; class != "" {
		return class
	}
	return c.Config["connector-class"]
}

// added are keys that the worker puts into configs.
var added = []string{"task.id", "task.class", "task.type", "task-class", "connector.id", "connect.schema", "update-timestamp", "connector.direct.enable"}

// Read reads the store in a folder: a worker's storePathRootDir, or its subfolder config. Connectors come by name.
func Read(dir string) ([]Connector, error) {
	configs, err := readFile(dir, "connectorConfig.json")
	if err != nil {
		return nil, err
	}
	byName := make(map[string]*Connector, len(configs))
	for _, entry := range configs {
		c, err := readConnector(entry)
		if err != nil {
			return nil, err
		}
		byName[c.Name] = c
	}
	positions, err := readFile(dir, "position.json")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, entry := range positions {
		name, position, err := readPosition(entry)
		if err != nil {
			return nil, err
		}
		if c := byName[name]; c != nil { // else its connector was deleted: positions stay behind
			c.Positions = append(c.Positions, position)
		}
	}
	all := make([]Connector, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		all = append(all, *byName[name])
	}
	return all, nil
}

// entry is a key and its value, both decoded.
type entry struct {
	path       string
	key, value []byte
}

// readFile reads a file of the store, a JSON object whose keys and values are base64, in the order of the keys. Like the worker
// it takes the copy that was there before the last write where the file itself is missing or empty.
func readFile(dir, name string) ([]entry, error) {
	var failed error
	for _, path := range []string{filepath.Join(dir, "config", name), filepath.Join(dir, name),
		filepath.Join(dir, "config", name+".bak"), filepath.Join(dir, name+".bak")} {
		text, err := os.ReadFile(path)
		if err == nil && len(strings.TrimSpace(string(text))) == 0 {
			err = fmt.Errorf("%s is empty: %w", path, fs.ErrNotExist)
		}
		if err == nil {
			return decodeFile(path, text)
		}
		if failed == nil || !errors.Is(err, fs.ErrNotExist) {
			failed = err
		}
	}
	return nil, fmt.Errorf("read RocketMQ Connect's store in %s: %w; give the worker's storePathRootDir, or its folder config", dir, failed)
}

func decodeFile(path string, text []byte) ([]entry, error) {
	var encoded map[string]string
	if err := json.Unmarshal(text, &encoded); err != nil {
		return nil, fmt.Errorf("%s is no JSON object of texts: %w", path, err)
	}
	entries := make([]entry, 0, len(encoded))
	for _, key := range slices.Sorted(maps.Keys(encoded)) {
		e := entry{path: path}
		var err error
		if e.key, err = base64.StdEncoding.DecodeString(key); err == nil {
			e.value, err = base64.StdEncoding.DecodeString(encoded[key])
		}
		if err != nil {
			return nil, fmt.Errorf("%s: the entry %.60q is not base64: %w", path, key, err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func readConnector(e entry) (*Connector, error) {
	var doc struct {
		Properties  map[string]any `json:"properties"`
		TargetState string         `json:"targetState"`
	}
	if err := decode(e.value, &doc); err != nil {
		return nil, fmt.Errorf("%s: connector %q: %w", e.path, e.key, err)
	}
	c := &Connector{Name: string(e.key), State: doc.TargetState, Config: make(map[string]string, len(doc.Properties))}
	for key, value := range doc.Properties {
		if slices.Contains(added, key) || value == nil {
			continue
		}
		text, ok := value.(string)
		if !ok {
			text = fmt.Sprint(value)
		}
		c.Config[key] = text
	}
	return c, nil
}

func readPosition(e entry) (connector string, p Position, err error) {
	var key struct {
		Namespace string         `json:"namespace"`
		Partition map[string]any `json:"partition"`
	}
	if err := decode(e.key, &key); err != nil {
		return "", p, fmt.Errorf("%s: the partition %.200q: %w", e.path, e.key, err)
	}
	var value struct {
		Offset map[string]any `json:"offset"`
	}
	if err := decode(e.value, &value); err != nil {
		return "", p, fmt.Errorf("%s: the offset of %.200q: %w", e.path, e.key, err)
	}
	return key.Namespace, Position{key.Partition, value.Offset}, nil
}

func decode(text []byte, into any) error {
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	return d.Decode(into)
}
