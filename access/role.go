package access

import (
	"fmt"
	"strings"
)

// Role is what a principal may do at most. Each role may do what the ones below it may.
type Role int

// The roles, in rising order. The zero value is no role: nothing is allowed.
const (
	// Viewer reads: configs with secrets masked, states, positions, events.
	Viewer Role = iota + 1
	// Operator also starts and stops: pause, resume, stop, restart, drain, positions of connectors.
	Operator
	// Editor also creates, changes and deletes connectors.
	Editor
	// Admin also does what concerns the installation: log levels, the audit trail, workers.
	Admin
)

var roleNames = []string{"none", "viewer", "operator", "editor", "admin"}

// Roles are the names of all roles, in rising order.
func Roles() []string { return append([]string(nil), roleNames[1:]...) }

func (r Role) String() string {
	if r < 0 || int(r) >= len(roleNames) {
		return fmt.Sprintf("role(%d)", int(r))
	}
	return roleNames[r]
}

// ParseRole reads a role's name, in any case.
func ParseRole(name string) (Role, error) {
	for r := Viewer; r <= Admin; r++ {
		if strings.EqualFold(strings.TrimSpace(name), r.String()) {
			return r, nil
		}
	}
	return 0, fmt.Errorf("role %q: must be one of %s", name, strings.Join(Roles(), ", "))
}
