package transforms

import (
	"fmt"

	"github.com/gantry-connect/gantry/connector"
)

// headerFromConfig is the keys of HeaderFrom.
type headerFromConfig struct {
	Fields    []string `config:"fields" required:"true" doc:"Fields to put into headers. Only scalars can travel there."`
	Headers   []string `config:"headers" required:"true" doc:"The headers' names, in the order of fields."`
	Operation string   `config:"operation" required:"true" enum:"move,copy" doc:"move leaves the fields out, copy keeps them."`
	nullDefaults
	fieldSyntax
}

// headerFrom puts fields into headers, of the same names as others that are there.
type headerFrom struct {
	on     side
	fields []reader
	names  []string
	remove *remade // nil: the fields stay
}

func newHeaderFrom(c *headerFromConfig, on side, _ connector.Kind) (transform, error) {
	at, errs := c.parseAll("fields", c.Fields)
	if len(c.Fields) != len(c.Headers) {
		errs = append(errs, &connector.ConfigError{Field: "headers", Reason: fmt.Sprintf("names %d headers for %d fields; each field needs one", len(c.Headers), len(c.Fields))})
	}
	if len(errs) > 0 {
		return nil, errs
	}
	h := &headerFrom{on: on, names: c.Headers}
	e := &editor{}
	for _, s := range at {
		h.fields = append(h.fields, reader{at: s})
		e.actions = append(e.actions, action{at: s, does: drops})
	}
	if c.Operation == "move" {
		h.remove = &remade{on, e}
	}
	return h, nil
}

func (h *headerFrom) apply(rec *connector.Record) (bool, error) {
	from := h.on.image(rec)
	if !from.Present() || isNull(from) {
		return true, nil
	}
	headers := make([]connector.Header, len(rec.Headers), len(rec.Headers)+len(h.fields))
	copy(headers, rec.Headers) // whose room at the end may be another record's
	for i := range h.fields {
		d, err := h.fields[i].read(from)
		if err != nil {
			return false, err
		}
		headers = append(headers, connector.Header{Name: h.names[i], Value: d})
	}
	if h.remove != nil {
		if _, err := h.remove.apply(rec); err != nil {
			return false, err
		}
	}
	rec.Headers = headers
	return true, nil
}
