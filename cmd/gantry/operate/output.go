package operate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
	"golang.org/x/term"
	"golang.org/x/text/width"
)

// format is how answers are written.
type format string

// The formats of -o.
const (
	asTable format = "table"
	asWide  format = "wide"
	asJSON  format = "json"
	asYAML  format = "yaml"
	asName  format = "name"
)

var formats = []string{string(asTable), string(asWide), string(asJSON), string(asYAML), string(asName)}

func parseFormat(text string) (format, error) {
	if text == "" {
		return asTable, nil
	}
	if !slices.Contains(formats, text) {
		return "", usagef("output %q: must be one of %s", text, strings.Join(formats, ", "))
	}
	return format(text), nil
}

// paint is an ANSI colour; the zero value leaves text as it is.
type paint string

const (
	red    paint = "31"
	green  paint = "32"
	yellow paint = "33"
	cyan   paint = "36"
	faint  paint = "2"
	bold   paint = "1"
)

// output writes answers to standard output.
type output struct {
	w      io.Writer
	format format
	color  bool
	bare   bool  // no headers
	err    error // the first that writing gave
	// steady keeps the widths of columns from one table to the next, for lines that are printed as things change.
	steady bool
	widths []int
}

func (o *output) paint(p paint, text string) string {
	if !o.color || p == "" || text == "" {
		return text
	}
	return "\x1b[" + string(p) + "m" + text + "\x1b[0m"
}

func (o *output) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(o.w, format, args...); o.err == nil {
		o.err = err
	}
}

// structured reports whether programs read the output.
func (o *output) structured() bool { return o.format == asJSON || o.format == asYAML }

// encode writes v as JSON or YAML, with the same names in both.
func (o *output) encode(v any) error {
	if o.format == asYAML {
		text, err := toYAML(v)
		if err != nil {
			return err
		}
		_, err = o.w.Write(text)
		return err
	}
	e := json.NewEncoder(o.w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// toYAML follows the JSON tags, and keeps the order of fields and the digits of numbers.
func toYAML(v any) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode as YAML: %w", err)
	}
	nodes, err := splitJSON(text.Bytes())
	if err != nil {
		return nil, fmt.Errorf("encode as YAML: %w", err)
	}
	node := nodes[0]
	block(node)
	var out bytes.Buffer
	y := yaml.NewEncoder(&out)
	y.SetIndent(2)
	if err := y.Encode(node); err != nil {
		return nil, fmt.Errorf("encode as YAML: %w", err)
	}
	return out.Bytes(), y.Close()
}

// block chooses how parts of YAML are written: indented, but for empty lists and maps, which are [] and {}.
func block(n *yaml.Node) {
	if len(n.Content) == 0 && n.Kind != yaml.ScalarNode {
		n.Style = yaml.FlowStyle
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && strings.Contains(n.Value, "\n") {
		n.Style = yaml.LiteralStyle
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && slices.Contains(oldBools, strings.ToLower(n.Value)) {
		n.Style = yaml.DoubleQuotedStyle
	}
	for _, child := range n.Content {
		block(child)
	}
}

// oldBools are words that readers of YAML 1.1 do not take as text.
var oldBools = []string{"y", "n", "yes", "no", "on", "off"}

// column is one column of a table of T.
type column[T any] struct {
	title string
	wide  bool // shown with -o wide only
	text  func(T) string
	paint func(T) paint // nil: plain
}

// sheet is how a kind of thing is listed.
type sheet[T any] struct {
	kind    string // "connector"; -o name writes connector/orders
	name    func(T) string
	columns []column[T]
}

// print writes several things in the format asked for.
func (s sheet[T]) print(o *output, items []T) error {
	switch o.format {
	case asJSON, asYAML:
		if items == nil {
			items = []T{}
		}
		return o.encode(struct {
			Items []T `json:"items"`
		}{items})
	case asName:
		for _, item := range items {
			o.printf("%s/%s\n", s.kind, clean(s.name(item)))
		}
		return nil
	}
	s.table(o, items, !o.bare)
	return nil
}

// printOne writes one thing: itself, not a list of one, for programs.
func (s sheet[T]) printOne(o *output, item T) error {
	if o.structured() {
		return o.encode(item)
	}
	return s.print(o, []T{item})
}

// table writes aligned columns; empty cells are a dash, so that awk counts columns right.
func (s sheet[T]) table(o *output, items []T, header bool) {
	columns := slices.DeleteFunc(slices.Clone(s.columns), func(c column[T]) bool { return c.wide && o.format != asWide })
	rows := make([][]string, len(items))
	widths := make([]int, len(columns))
	if header {
		for i, c := range columns {
			widths[i] = len(c.title)
		}
	}
	for r, item := range items {
		rows[r] = make([]string, len(columns))
		for i, c := range columns {
			text := oneLine(c.text(item))
			if text == "" {
				text = "-"
			}
			rows[r][i] = text
			widths[i] = max(widths[i], cells(text))
		}
	}
	if o.steady {
		if len(o.widths) == len(widths) {
			for i := range widths {
				widths[i] = max(widths[i], o.widths[i])
			}
		}
		o.widths = widths
	}
	if header {
		titles := make([]string, len(columns))
		for i, c := range columns {
			titles[i] = pad(c.title, widths[i], i == len(columns)-1)
		}
		o.printf("%s\n", o.paint(bold, strings.Join(titles, "   ")))
	}
	for r, cells := range rows {
		for i, c := range columns {
			text := pad(cells[i], widths[i], i == len(columns)-1)
			if c.paint != nil {
				text = o.paint(c.paint(items[r]), text)
			}
			if i > 0 {
				o.printf("   ")
			}
			o.printf("%s", text)
		}
		o.printf("\n")
	}
}

func pad(text string, width int, last bool) string {
	if last {
		return text
	}
	return text + strings.Repeat(" ", width-cells(text))
}

// cells is how many columns of a terminal a text takes: two for each letter of Chinese, Japanese and Korean and for most emoji,
// none for accents that are joined to the letter before.
func cells(text string) int {
	n := 0
	for _, r := range text {
		n += cellsOf(r)
	}
	return n
}

func cellsOf(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case slices.Contains([]width.Kind{width.EastAsianWide, width.EastAsianFullwidth}, width.LookupRune(r).Kind()):
		return 2
	}
	return 1
}

// oneLine keeps a cell on its line.
func oneLine(text string) string { return strings.TrimSpace(clean(text)) }

// clean keeps what a server sends from steering the terminal.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}

// isTerminal reports whether a person looks at, or types into, the stream.
func isTerminal(stream any) bool {
	f, ok := stream.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// wantColor decides by flag, environment and terminal; see no-color.org for NO_COLOR.
func wantColor(flag string, w io.Writer) (bool, error) {
	switch flag {
	case "always":
		return true, nil
	case "never":
		return false, nil
	case "auto", "":
		return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb", nil
	}
	return false, usagef("color %q: must be auto, always or never", flag)
}
