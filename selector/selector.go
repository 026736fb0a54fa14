package selector

import (
	"fmt"
	"slices"
	"strings"
)

// Selector is conditions on labels, all of which must hold. The zero value matches everything.
type Selector struct{ conditions []condition }

// condition holds if the label's value is one of values or, where not is set, if it is not. Without values it is about the
// label being there.
type condition struct {
	key    string
	values []string
	not    bool
	many   bool // written with in or notin
}

// Parse reads conditions separated by commas:
//
//	a=b, a==b        the label a is b
//	a!=b             it is something else, or there is none
//	a in (b, c)      it is one of these
//	a notin (b, c)   it is none of these, or there is none
//	a                there is one
//	!a               there is none
//
// Blank text is the selector that matches everything. The error names the condition and what it should look like.
func Parse(text string) (Selector, error) {
	var s Selector
	for _, part := range split(text) {
		c, err := parseCondition(part)
		if err != nil {
			return Selector{}, fmt.Errorf("selector %q: %w", text, err)
		}
		s.conditions = append(s.conditions, c)
	}
	return s, nil
}

// split cuts at the commas that are outside of parentheses. Blank text has no parts.
func split(text string) []string {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	var parts []string
	depth, begin := 0, 0
	for i, r := range text {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == ',' && depth == 0:
			parts = append(parts, text[begin:i])
			begin = i + 1
		}
	}
	return append(parts, text[begin:])
}

func parseCondition(text string) (condition, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return condition{}, fmt.Errorf("a condition is missing between commas")
	}
	if key, ok := strings.CutPrefix(text, "!"); ok && !strings.Contains(text, "=") {
		return checked(condition{key: strings.TrimSpace(key), not: true})
	}
	if key, value, ok := strings.Cut(text, "="); ok {
		key, not := strings.CutSuffix(key, "!")
		if !not {
			value = strings.TrimPrefix(value, "=")
		}
		return checked(condition{key: strings.TrimSpace(key), values: []string{strings.TrimSpace(value)}, not: not})
	}
	head, list, ok := strings.Cut(text, "(")
	if !ok {
		return checked(condition{key: text})
	}
	fields := strings.Fields(head)
	list, closed := strings.CutSuffix(list, ")")
	if len(fields) != 2 || (fields[1] != "in" && fields[1] != "notin") || !closed || strings.ContainsAny(list, "()") {
		return condition{}, fmt.Errorf("%q should look like: key in (a, b), or key notin (a, b)", text)
	}
	values := strings.Split(list, ",")
	for i := range values {
		values[i] = strings.TrimSpace(values[i])
	}
	return checked(condition{key: fields[0], values: values, not: fields[1] == "notin", many: true})
}

func checked(c condition) (condition, error) {
	if err := checkKey(c.key); err != nil {
		return condition{}, err
	}
	for _, value := range c.values {
		if err := checkValue(c.key, value); err != nil {
			return condition{}, err
		}
	}
	return c, nil
}

// IsEmpty reports whether the selector has no condition, and so matches everything.
func (s Selector) IsEmpty() bool { return len(s.conditions) == 0 }

// Matches reports whether all conditions hold for labels.
func (s Selector) Matches(labels map[string]string) bool {
	for _, c := range s.conditions {
		value, has := labels[c.key]
		if (has && (c.values == nil || slices.Contains(c.values, value))) == c.not {
			return false
		}
	}
	return true
}

// String is the selector as Parse reads it.
func (s Selector) String() string {
	parts := make([]string, len(s.conditions))
	for i, c := range s.conditions {
		parts[i] = c.String()
	}
	return strings.Join(parts, ",")
}

func (c condition) String() string {
	switch {
	case c.values == nil && c.not:
		return "!" + c.key
	case c.values == nil:
		return c.key
	case c.many && c.not:
		return c.key + " notin (" + strings.Join(c.values, ",") + ")"
	case c.many:
		return c.key + " in (" + strings.Join(c.values, ",") + ")"
	case c.not:
		return c.key + "!=" + c.values[0]
	}
	return c.key + "=" + c.values[0]
}
