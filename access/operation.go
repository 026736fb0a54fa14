package access

import "fmt"

// Reach is which connectors an operation concerns.
type Reach int

// What an operation concerns. The zero value is the narrowest: what has not been thought about is refused, not allowed.
const (
	// ReachNamed is the connector that the path names, as {name}. Without a name in the path it is the whole
	// installation, which scoped principals may not touch.
	ReachNamed Reach = iota
	// ReachFiltered is the connectors that the principal's scope covers: the operation asks Sees or Check for each.
	ReachFiltered
	// ReachNothing is no connector at all: what plugins there are, which version runs.
	ReachNothing
)

// Requirement is what an operation asks of its caller.
type Requirement struct {
	Role  Role
	Reach Reach
}

// metadataKey is where an operation's metadata holds its Requirement.
const metadataKey = "access"

// Needs is the metadata of an operation that takes this role, on the connector that its path names; without a name there,
// on all connectors.
func Needs(role Role) map[string]any { return metadata(Requirement{Role: role}) }

// NeedsFiltered is the metadata of an operation that takes this role and itself leaves out or refuses what is outside of
// the caller's scope, by Sees and Check.
func NeedsFiltered(role Role) map[string]any {
	return metadata(Requirement{Role: role, Reach: ReachFiltered})
}

// NeedsOnly is the metadata of an operation that takes this role and concerns no connector.
func NeedsOnly(role Role) map[string]any {
	return metadata(Requirement{Role: role, Reach: ReachNothing})
}

func metadata(r Requirement) map[string]any { return map[string]any{metadataKey: r} }

// RequirementOf reads what Needs and its kin have put into an operation's metadata; false if they were not asked.
func RequirementOf(metadata map[string]any) (Requirement, bool) {
	r, ok := metadata[metadataKey].(Requirement)
	return r, ok
}

// Judge is nil if p may do what takes r; else a *DeniedError that names what is missing. Where the path names a connector,
// that connector is judged on top, by Check.
func (r Requirement) Judge(p Principal, named bool) error {
	switch {
	case r.Role < Viewer || r.Role > Admin:
		return &DeniedError{p.Name, "the operation names no role"}
	case p.Role < r.Role:
		return &DeniedError{p.Name, fmt.Sprintf("it needs the role %s, and the role here is %s", r.Role, p.Role)}
	case r.Reach == ReachNamed && !named && !p.Scope.IsAll():
		return &DeniedError{p.Name, fmt.Sprintf("it concerns all connectors, and the scope here is %s", p.Scope)}
	}
	return nil
}
