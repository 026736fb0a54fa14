package operate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// splitJSON reads values that follow one another, by a JSON parser: YAML's knows neither tabs nor every escape, nor long keys.
func splitJSON(text []byte) ([]*yaml.Node, error) {
	p := &jsonParser{text: text, tokens: json.NewDecoder(bytes.NewReader(text)), line: 1}
	p.tokens.UseNumber()
	var documents []*yaml.Node
	for {
		first, err := p.tokens.Token()
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		var n *yaml.Node
		if err == nil {
			n, err = p.node(first, 0)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("the text ends within a value")
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", p.lineNow(), err)
		}
		documents = append(documents, n)
	}
}

// maxNested is how deep lists and maps may be in one another: deeper than records are, not too deep for the stack.
const maxNested = 1000

// jsonParser makes of JSON the nodes that YAML of the same meaning has: each digit is kept, and a key that is given twice, too.
type jsonParser struct {
	text   []byte
	tokens *json.Decoder

	line, counted int // the line of the byte at counted
}

// lineNow is the line that the last token is on.
func (p *jsonParser) lineNow() int {
	end := int(p.tokens.InputOffset())
	p.line += bytes.Count(p.text[p.counted:end], []byte("\n"))
	p.counted = end
	return p.line
}

func (p *jsonParser) node(token json.Token, depth int) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: p.lineNow()}
	switch value := token.(type) {
	case json.Delim:
		return n, p.fill(n, value, depth)
	case string:
		n.Tag, n.Value = "!!str", value
	case json.Number:
		n.Value = value.String() // the tag follows from it
	case bool:
		n.Tag, n.Value = "!!bool", fmt.Sprint(value)
	case nil:
		n.Tag, n.Value = "!!null", "null"
	}
	return n, nil
}

// fill reads what a list or a map holds, keys and values one after the other, and its end.
func (p *jsonParser) fill(n *yaml.Node, begin json.Delim, depth int) error {
	if depth > maxNested {
		return errors.New("lists and maps are nested too deep")
	}
	n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
	if begin == '{' {
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
	}
	for {
		token, err := p.tokens.Token()
		if err != nil {
			return err
		}
		if end, ok := token.(json.Delim); ok && (end == '}' || end == ']') {
			return nil
		}
		child, err := p.node(token, depth+1)
		if err != nil {
			return err
		}
		n.Content = append(n.Content, child)
	}
}
