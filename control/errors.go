package control

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gantry-connect/gantry/connector"
)

// ErrUnavailable is wrapped when the catalog cannot be reached: nothing was changed, or it is not known.
var ErrUnavailable = errors.New("the catalog is unavailable")

// NotFoundError names what there is none of.
type NotFoundError struct{ What string }

func (e *NotFoundError) Error() string { return e.What }

// ExistsError names the connector that is there already.
type ExistsError struct{ Name string }

func (e *ExistsError) Error() string { return fmt.Sprintf("Connector %s already exists", e.Name) }

// ConflictError says what stands in the way for now.
type ConflictError struct{ Reason string }

func (e *ConflictError) Error() string { return e.Reason }

// ForbiddenError says what this installation does not allow to anybody.
type ForbiddenError struct{ Reason string }

func (e *ForbiddenError) Error() string { return e.Reason }

// RequestError says what is wrong with a request apart from a connector's config.
type RequestError struct {
	Reason string
	Field  string // at fault, where it is one
	Value  string // that was given there
	Remedy string // where Reason does not say what to do
}

func (e *RequestError) Error() string { return e.Reason }

// InvalidConfigError holds every problem of a config. Its text is the one that Kafka Connect's clients know.
type InvalidConfigError struct {
	Kind     connector.Kind // empty where the class is unknown
	Problems connector.ConfigErrors
}

func (e *InvalidConfigError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Connector configuration is invalid and contains the following %d error(s):\n", len(e.Problems))
	for _, p := range e.Problems {
		b.WriteString(p.Error())
		b.WriteByte('\n')
	}
	b.WriteString("You can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`")
	return b.String()
}

// ChangedError says that what was to be changed is not any more what the caller expected.
type ChangedError struct{ Reason string }

func (e *ChangedError) Error() string { return e.Reason }

// NoWorkerError says that what only a worker can do was not done, because none has taken it up in time.
type NoWorkerError struct{ Reason string }

func (e *NoWorkerError) Error() string { return e.Reason }
