package access

import (
	"context"
	"fmt"
)

// Principal is who sends a request.
type Principal struct {
	// Name is shown as the author of changes and in the audit trail.
	Name string
	// Role is what they may do.
	Role Role
	// Scope is on which connectors; the zero value is all.
	Scope Scope
}

// Anonymous is everybody where there is no authentication.
var Anonymous = Principal{Name: "anonymous", Role: Admin}

type principalKey struct{}

// With returns a context that acts for p.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// From is whom ctx acts for; false if nobody was named, as in what Gantry does by itself.
func From(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(Principal)
	return p, ok
}

// Author is the name under which a change made under ctx is recorded: the principal's, or fallback where there is none.
func Author(ctx context.Context, fallback string) string {
	if p, ok := From(ctx); ok {
		return p.Name
	}
	return fallback
}

// Sees reports whether whoever ctx acts for may know of a connector; lists leave out the others. What Gantry does by
// itself sees everything.
func Sees(ctx context.Context, connector string, labels map[string]string) bool {
	p, ok := From(ctx)
	return !ok || p.Scope.Covers(connector, labels)
}

// Check is nil if whoever ctx acts for may touch a connector with these labels, else a *DeniedError. Roles are checked
// where an operation begins; this is for connectors that are named later, as in a body.
func Check(ctx context.Context, connector string, labels map[string]string) error {
	if Sees(ctx, connector, labels) {
		return nil
	}
	p, _ := From(ctx)
	if connector == "" {
		return &DeniedError{Principal: p.Name, Reason: fmt.Sprintf("a config without a name is outside of the scope %s: name a connector that is within", p.Scope)}
	}
	return &DeniedError{Principal: p.Name, Reason: fmt.Sprintf("connector %s is outside of the scope %s", connector, p.Scope)}
}

// DeniedError says what a principal lacks. Its text may be shown to them.
type DeniedError struct {
	Principal string
	Reason    string
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("%s may not do this: %s", e.Principal, e.Reason)
}

// UnauthenticatedError says that a request proves nobody's name. Reason is for logs; the text, which is sent, tells no
// more than what helps an honest sender.
type UnauthenticatedError struct {
	Reason string
}

func (*UnauthenticatedError) Error() string {
	return "Credentials are missing, wrong or expired; send a token as `Authorization: Bearer …`."
}
