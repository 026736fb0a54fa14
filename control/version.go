package control

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gantry-connect/gantry/catalog"
)

// Version names a state of a connector's config or position. Numbers begin anew when a connector is deleted and created again
// under its name, UIDs do not.
type Version struct {
	UID    int64 // of the connector; 0 is any
	Number int64
}

// String is the version as an ETag has it, without quotes: "3-k1", or "3" for any connector of the name.
func (v Version) String() string {
	number := strconv.FormatInt(v.Number, 10)
	if v.UID == 0 {
		return number
	}
	return number + "-" + strconv.FormatInt(v.UID, 36)
}

// ParseVersion reads what String has written.
func ParseVersion(text string) (v Version, ok bool) {
	number, uid, known := strings.Cut(text, "-")
	var err error
	if v.Number, err = strconv.ParseInt(number, 10, 64); err != nil {
		return Version{}, false
	}
	if known {
		v.UID, err = strconv.ParseInt(uid, 36, 64)
	}
	return v, err == nil
}

// Is reports whether both may name the same state.
func (v Version) Is(other Version) bool {
	return v.Number == other.Number && (v.UID == other.UID || v.UID == 0 || other.UID == 0)
}

func configVersion(c catalog.Connector) Version { return Version{c.UID, c.Revision} }

func positionVersion(c catalog.Connector) Version { return Version{c.UID, c.PositionGeneration} }

// Precondition is what a change expects to find. The zero value expects nothing.
type Precondition struct {
	Match  []Version // one of these; nil: any
	Exists bool      // any version, but there is one (If-Match: *)
	Absent bool      // there is none yet (If-None-Match: *)
	uid    int64     // of the connector that was looked at; 0: any
}

// of expects also that the connector is the one with this UID still.
func (p Precondition) of(uid int64) Precondition {
	p.uid = uid
	return p
}

// matches reports whether one of the versions is expected, or none in particular.
func (p Precondition) matches(v Version) bool {
	return (p.uid == 0 || p.uid == v.UID) && (len(p.Match) == 0 || p.Exists || slices.ContainsFunc(p.Match, v.Is))
}

// check compares the version in force with what the caller expects; exists tells whether there is one.
func (p Precondition) check(name string, v Version, exists bool) error {
	switch {
	case p.Absent && exists:
		return &ChangedError{fmt.Sprintf("Connector %s exists already", name)}
	case (p.Exists || len(p.Match) > 0) && !exists:
		return &ChangedError{fmt.Sprintf("Connector %s does not exist", name)}
	case !p.matches(v):
		return &ChangedError{fmt.Sprintf("Connector %s has been changed: version %v is in force, and another was expected", name, v)}
	}
	return nil
}
