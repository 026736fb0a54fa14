package transforms

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gantry-connect/gantry/connector"
)

const syntaxOption = "field.syntax.version"

// The values of field.syntax.version, in any case. Without it a field of exactly that name is meant, or else a path.
const (
	syntaxName = "V1" // the whole text is one name
	syntaxPath = "V2" // dots separate the steps of a path
)

// fieldSyntax is the key that all transforms with fields have.
type fieldSyntax struct {
	Syntax string `config:"field.syntax.version" enum:",V1,V2" doc:"V1: the text is one field's name, dots included. V2: dots lead into nested fields, as in address.city; a name with dots stands between backquotes. Empty: a field of exactly that name if there is one, else a path."`
}

// selector says which field is meant.
type selector struct {
	text  string   // as given
	whole string   // a name with dots or backquotes in it that is meant if there is such a field; empty if none is
	steps []string // else this path
}

// parse reads what the user wrote for a field.
func (f fieldSyntax) parse(text string) (selector, error) {
	if text == "" {
		return selector{}, errors.New("names no field")
	}
	if f.Syntax == syntaxName || !strings.ContainsAny(text, ".`") {
		return selector{text: text, steps: []string{text}}, nil
	}
	steps, err := splitPath(text)
	if err != nil {
		return selector{}, err
	}
	s := selector{text: text, steps: steps}
	if f.Syntax != syntaxPath {
		s.whole = text
	}
	return s, nil
}

// parseAll reads a list of fields; the errors are those of a config key.
func (f fieldSyntax) parseAll(key string, texts []string) ([]selector, connector.ConfigErrors) {
	var all []selector
	var errs connector.ConfigErrors
	for _, text := range texts {
		s, err := f.parse(text)
		if err != nil {
			errs = append(errs, &connector.ConfigError{Field: key, Value: text, Reason: err.Error()})
		}
		all = append(all, s)
	}
	return all, errs
}

// splitPath takes a path apart: steps between dots, a step with dots in it between backquotes, in which \` stands for a
// backquote.
func splitPath(text string) ([]string, error) {
	var steps []string
	for rest := text; ; {
		step, after, err := firstStep(rest)
		if err != nil {
			return nil, err
		}
		if step == "" {
			return nil, errors.New("is a path with an empty step")
		}
		steps = append(steps, step)
		if after == "" {
			return steps, nil
		}
		rest = after[1:] // the dot
	}
}

// firstStep is the first step of a path, and the rest beginning with its dot.
func firstStep(text string) (step, rest string, err error) {
	if !strings.HasPrefix(text, "`") {
		if i := strings.IndexByte(text, '.'); i >= 0 {
			return text[:i], text[i:], nil
		}
		return text, "", nil
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && text[i+1] == '`':
			b.WriteByte('`')
			i++
		case c == '`' && (i+1 == len(text) || text[i+1] == '.'):
			return b.String(), text[i+1:], nil
		default:
			b.WriteByte(c)
		}
	}
	return "", "", errors.New("has a backquote without its partner")
}

// last is the name of the field that a selector ends at, if it is taken for a path.
func (s selector) last() string { return s.steps[len(s.steps)-1] }

// place is where a selector leads in values of one schema.
type place struct {
	chain  []int             // fields to go through
	schema *connector.Schema // at the end of chain
	may    bool              // something on the way may be null
	whole  bool              // the selector's text is the field's name
	doc    *docPath          // how to go on in the JSON document there; nil: chain leads to the field
}

// docPath is a selector, or the rest of one, within a JSON document.
type docPath struct {
	whole string
	steps []string
}

// find follows the selector through s; false says that there is no such field.
func (s selector) find(in *connector.Schema) (place, bool) {
	if in.Type == connector.JSON {
		return place{schema: in, may: in.Optional, doc: &docPath{s.whole, s.steps}}, true
	}
	if s.whole != "" && in.Type == connector.Struct {
		if i := in.FieldIndex(s.whole); i >= 0 {
			f := in.Fields[i].Schema
			return place{chain: []int{i}, schema: f, may: in.Optional || f.Optional, whole: true}, true
		}
	}
	p := place{schema: in, may: in.Optional}
	for n, step := range s.steps {
		if p.schema.Type == connector.JSON {
			p.doc = &docPath{steps: s.steps[n:]}
			return p, true
		}
		if p.schema.Type != connector.Struct {
			return place{}, false
		}
		i := p.schema.FieldIndex(step)
		if i < 0 {
			return place{}, false
		}
		p.chain = append(p.chain, i)
		p.schema = p.schema.Fields[i].Schema
		p.may = p.may || p.schema.Optional
	}
	return p, true
}

// hasFields fails for values that consist of no fields.
func hasFields(s *connector.Schema) error {
	if s.Type != connector.Struct && s.Type != connector.JSON {
		return fmt.Errorf("only structs and JSON objects have fields, and this is %s", describe(s))
	}
	return nil
}

// describe names a schema's type, with its name if it has one.
func describe(s *connector.Schema) string {
	if s.Name == "" {
		return "a value of type " + s.Type.String()
	}
	return fmt.Sprintf("a value of type %v (%s)", s.Type, s.Name)
}
