package operate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gantry-connect/gantry/selector"
)

// manifest is a connector as a file declares it.
type manifest struct {
	Name         string            `json:"name"`
	Config       map[string]string `json:"config"` // without the key name
	Labels       map[string]string `json:"labels,omitempty"`
	InitialState string            `json:"initial_state,omitempty"` // counts at creation only

	source   string // file and document, for people
	labelled bool   // the document has labels, if only {}: then they are the truth
}

// answered are the fields that gantry get -o yaml writes beside those of a manifest; they are read over, so that its output
// can be applied again.
var answered = []string{"kind", "class", "version", "guarantee", "state", "desired", "health", "reason", "tasks", "records", "bytes", "rate",
	"lag_records", "lag_bytes", "lag_seconds", "last_record_at", "revision", "planned_revision", "created_at", "updated_at", "type",
	"connector"}

// flatMarks are keys that a flat config has and a manifest does not.
var flatMarks = []string{"connector.class", "connector-class"}

// readManifests reads files, the connector files in folders, and - for in. A name may be declared once.
func readManifests(in io.Reader, paths []string, recursive bool) ([]manifest, error) {
	if len(paths) == 0 {
		return nil, usagef("no file is named: give -f FILE, -f FOLDER or -f - for the input")
	}
	var all []manifest
	for _, path := range paths {
		files, err := expand(path, recursive)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			some, err := readFile(in, file)
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
	}
	where := map[string]string{}
	for _, m := range all {
		if first, twice := where[m.Name]; twice {
			return nil, failf(ExitInvalid, "connector %s is declared twice: in %s and in %s", m.Name, first, m.source)
		}
		where[m.Name] = m.source
	}
	if len(all) == 0 {
		return nil, failf(ExitInvalid, "no connector is declared in %s", strings.Join(paths, ", "))
	}
	return all, nil
}

// expand is the files that a path stands for, sorted.
func expand(path string, recursive bool) ([]string, error) {
	if path == "-" {
		return []string{path}, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, failf(ExitInvalid, "-f: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if p != path && (!recursive || strings.HasPrefix(d.Name(), ".")) {
				return filepath.SkipDir
			}
		case slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(p)):
			files = append(files, p)
		}
		return nil
	})
	if err != nil {
		return nil, failf(ExitInvalid, "-f %s: %w", path, err)
	}
	sort.Strings(files)
	return files, nil
}

func readFile(in io.Reader, file string) ([]manifest, error) {
	var text []byte
	var err error
	if file == "-" {
		file = "the input"
		text, err = io.ReadAll(in)
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, failf(ExitInvalid, "-f: %w", err)
	}
	all, err := parseManifests(text, file)
	if err != nil {
		return nil, &codedError{ExitInvalid, err}
	}
	return all, nil
}

// parseManifests reads all documents of a text; source names it in errors.
func parseManifests(text []byte, source string) ([]manifest, error) {
	documents, err := split(text, filepath.Ext(source) == ".json")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	var all []manifest
	for i, document := range documents {
		where := source
		if len(documents) > 1 {
			where = fmt.Sprintf("%s, document %d", source, i+1)
		}
		some, err := fromNode(document, where)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// split cuts a text into its documents, of JSON one after the other or of YAML between lines of ---. strict takes JSON only.
func split(text []byte, strict bool) ([]*yaml.Node, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	begin := bytes.TrimLeft(text, " \t\r\n")
	if strict || len(begin) > 0 && (begin[0] == '{' || begin[0] == '[') {
		documents, err := splitJSON(text)
		if err == nil || strict {
			return documents, err
		}
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	var documents []*yaml.Node
	for {
		var node yaml.Node
		err := d.Decode(&node)
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, plainYAML(err)
		}
		if err := bounded(&node, 0, false, new(int)); err != nil {
			return nil, err
		}
		if len(node.Content) > 0 && node.Content[0].Tag != "!!null" {
			documents = append(documents, node.Content[0])
		}
	}
}

// Bounds of what a document may expand to, for YAML can refer to its own parts, again and again. What is written out counts for
// nothing: a file may be as long as it likes.
const (
	maxRepeated = 100_000
	maxDepth    = 50
)

// bounded follows every reference, and counts what is read again through one.
func bounded(n *yaml.Node, depth int, again bool, repeated *int) error {
	if again {
		*repeated++
	}
	if *repeated > maxRepeated || depth > maxDepth {
		return at(n, errors.New("the document refers to its own parts too often or too deep"))
	}
	if n.Kind == yaml.AliasNode {
		return bounded(n.Alias, depth+1, true, repeated)
	}
	for _, child := range n.Content {
		if err := bounded(child, depth+1, again, repeated); err != nil {
			return err
		}
	}
	return nil
}

// plainYAML is a YAML parser's complaint without its name, and with what is meant where its words tell little.
func plainYAML(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if strings.Contains(text, "cannot start any token") {
		text += "; indent with blanks, not tabs, and quote values that begin with @, ` or %"
	}
	return errors.New(text)
}

// at begins an error with the line it is about, where that is known.
func at(n *yaml.Node, err error) error {
	if n.Line == 0 {
		return err
	}
	return fmt.Errorf("line %d: %w", n.Line, err)
}

// fromNode reads one document: a manifest, a flat config with its name in it, a list of both, or what gantry get writes.
func fromNode(n *yaml.Node, where string) ([]manifest, error) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind == yaml.SequenceNode {
		var all []manifest
		for i, item := range n.Content {
			some, err := fromNode(item, fmt.Sprintf("%s, item %d", where, i+1))
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
		return all, nil
	}
	fields, err := mapping(n)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	if items, ok := fields["items"]; ok && len(fields) == 1 && items.Kind == yaml.SequenceNode {
		return fromNode(items, where)
	}
	m := manifest{source: where}
	if _, nested := fields["config"]; nested && !slices.ContainsFunc(flatMarks, func(k string) bool { return fields[k] != nil }) {
		err = m.readNested(fields)
	} else {
		err = m.readFlat(n)
	}
	if err == nil {
		err = m.finish()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.source, err)
	}
	return []manifest{m}, nil
}

func (m *manifest) readNested(fields map[string]*yaml.Node) error {
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		n := fields[key]
		var err error
		switch key {
		case "name":
			m.Name, err = scalar(n)
		case "initial_state":
			m.InitialState, err = scalar(n)
		case "config":
			m.Config, err = flat(n)
		case "labels":
			m.labelled = true
			m.Labels, err = flat(n)
		default:
			if !slices.Contains(answered, key) {
				err = errors.New("is unknown: a connector has name, config, labels and initial_state")
			}
		}
		if err != nil && (key == "config" || key == "labels") {
			return fmt.Errorf("%s: %w", key, err) // the line is in it
		}
		if err != nil {
			return at(n, fmt.Errorf("%s: %w", key, err))
		}
	}
	return nil
}

// readFlat takes the whole document as the config, which is what Kafka Connect's tools keep in files.
func (m *manifest) readFlat(n *yaml.Node) (err error) {
	m.Config, err = flat(n)
	return err
}

func (m *manifest) finish() error {
	m.Name = strings.TrimSpace(m.Name)
	if inner, ok := m.Config["name"]; ok {
		inner = strings.TrimSpace(inner)
		if m.Name != "" && m.Name != inner {
			return fmt.Errorf("the name is %q and in the config %q: one of them is enough", m.Name, inner)
		}
		m.Name = inner
	}
	m.Config = withoutName(m.Config)
	if m.Name == "" {
		return errors.New("the connector has no name: add the field name")
	}
	m.source += " (" + m.Name + ")"
	if len(m.Config) == 0 {
		return errors.New("the connector has no config")
	}
	if state := strings.ToUpper(m.InitialState); !slices.Contains([]string{"", "RUNNING", "PAUSED", "STOPPED"}, state) {
		return fmt.Errorf("initial_state = %q: must be RUNNING, PAUSED or STOPPED", m.InitialState)
	}
	return selector.Check(m.Labels)
}

// withoutName is a copy of the config without its own name, which the server adds.
func withoutName(config map[string]string) map[string]string {
	out := maps.Clone(config)
	delete(out, "name")
	return out
}

// mapping is the keys of a map with the nodes of their values; its own keys win over those merged by <<.
func mapping(n *yaml.Node) (map[string]*yaml.Node, error) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		return nil, at(n, errors.New("must be a map of names to values"))
	}
	own, merged := map[string]*yaml.Node{}, map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		for value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		if key.Tag == "!!merge" {
			bases := []*yaml.Node{value}
			if value.Kind == yaml.SequenceNode {
				bases = value.Content
			}
			for _, base := range bases {
				fields, err := mapping(base)
				if err != nil {
					return nil, err
				}
				maps.Copy(fields, merged) // the first base wins
				merged = fields
			}
			continue
		}
		if own[key.Value] != nil {
			return nil, at(key, fmt.Errorf("%s is given twice", key.Value))
		}
		own[key.Value] = value
	}
	maps.Copy(merged, own)
	return merged, nil
}

// flat reads a map whose values are scalars, keeping numbers and bools as they are written.
func flat(n *yaml.Node) (map[string]string, error) {
	fields, err := mapping(n)
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(fields))
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if out[key], err = scalar(fields[key]); err != nil {
			return nil, at(fields[key], fmt.Errorf("%s: %w", key, err))
		}
	}
	return out, nil
}

func scalar(n *yaml.Node) (string, error) {
	switch {
	case n.Kind != yaml.ScalarNode:
		return "", errors.New("must be text, a number or a bool, not a list or map")
	case n.Tag == "!!null":
		return "", errors.New("has no value; write \"\" if empty is meant")
	}
	return n.Value, nil
}
