package control

import (
	"context"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/catalog"
)

// sees reports whether whoever ctx acts for may know of a connector; lists leave out the others.
func sees(ctx context.Context, c catalog.Connector) bool { return access.Sees(ctx, c.Name, c.Labels) }

// mayCreate is nil if whoever ctx acts for may make a connector with this name and these labels; an *access.DeniedError.
func mayCreate(ctx context.Context, name string, labels map[string]string) error {
	return access.Check(ctx, name, labels)
}
