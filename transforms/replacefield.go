package transforms

import (
	"errors"
	"slices"
	"strings"

	"github.com/gantry-connect/gantry/connector"
)

// replaceFieldConfig is the keys of ReplaceField.
type replaceFieldConfig struct {
	Exclude []string `config:"exclude" importance:"medium" doc:"Fields to leave out. They go first, also before include."`
	Include []string `config:"include" importance:"medium" doc:"Fields to keep; all others are left out. Empty: all are kept."`
	Renames []string `config:"renames" importance:"medium" doc:"Fields to rename, as old:new pairs. A field stays in its struct, so new is a name without a path."`
	nullDefaults
	fieldSyntax
}

func newReplaceField(c *replaceFieldConfig, on side, _ connector.Kind) (transform, error) {
	e := &editor{}
	exclude, errs := c.parseAll("exclude", c.Exclude)
	include, more := c.parseAll("include", c.Include)
	errs = append(errs, more...)
	for _, at := range exclude {
		e.actions = append(e.actions, action{at: at, does: drops})
	}
	for _, at := range include {
		e.actions = append(e.actions, action{at: at, does: includes})
	}
	for _, pair := range c.Renames {
		a, err := c.rename(pair)
		if err != nil {
			errs = append(errs, &connector.ConfigError{Field: "renames", Value: pair, Reason: err.Error()})
		}
		e.actions = append(e.actions, a)
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return &remade{on, e}, nil
}

// rename reads old:new. new may repeat the path of old.
func (c *replaceFieldConfig) rename(pair string) (action, error) {
	i := colon(pair)
	if i < 0 || colon(pair[i+1:]) >= 0 {
		return action{}, errors.New("must be of the form old:new")
	}
	from, err := c.parse(strings.TrimSpace(pair[:i]))
	if err != nil {
		return action{}, err
	}
	to, err := c.parse(strings.TrimSpace(pair[i+1:]))
	if err != nil {
		return action{}, err
	}
	path := to.steps[:len(to.steps)-1]
	if len(path) > 0 && !slices.Equal(path, from.steps[:len(from.steps)-1]) {
		return action{}, errors.New("would move the field to another struct: give the new name only, between backquotes if it has dots")
	}
	return action{at: from, does: renames, name: to.last()}, nil
}

// colon is the index of the first colon that is not between backquotes, or -1.
func colon(text string) int {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch {
		case quoted && strings.HasPrefix(text[i:], "\\`"): // a backquote in a name
			i++
		case text[i] == '`':
			quoted = !quoted
		case text[i] == ':' && !quoted:
			return i
		}
	}
	return -1
}
