package connector

import "context"

// Severity says how bad a Finding is.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error" // keeps the connector from working
	SeverityWarning Severity = "warning"
	SeverityInfo    Severity = "info"
	SeverityOK      Severity = "ok"
)

// Finding is something that a connector found out about its system when an operator asked for a check. It is shown to
// people: it holds neither secrets nor data.
type Finding struct {
	Severity Severity
	Code     string // stable, lower case with dashes, for scripts
	Subject  string // what it is about: a table, a file, a setting
	Message  string
	Remedy   string // the command or SQL that mends it, or what to do; empty where nothing is to be mended
}

// Surroundings is what a check is told beside the connector's own config.
type Surroundings struct {
	Topics []string // that the connector writes to or reads, as far as they are known beforehand
}

// Probe looks at the connector's system with the real credentials and tells what it finds; nil if the connector does not
// know how. It changes nothing there. An error says that config cannot be read.
func (p Plugin) Probe(ctx context.Context, config map[string]string, s Surroundings) ([]Finding, error) {
	if p.probe == nil {
		return nil, nil
	}
	return p.probe(ctx, config, s)
}

func proberOf[C any](decode func(map[string]string) (*C, error), f func(context.Context, *C, Surroundings) []Finding) func(context.Context, map[string]string, Surroundings) ([]Finding, error) {
	if f == nil {
		return nil
	}
	return func(ctx context.Context, m map[string]string, s Surroundings) ([]Finding, error) {
		c, err := decode(m)
		if err != nil {
			return nil, err
		}
		return f(ctx, c, s), nil
	}
}
