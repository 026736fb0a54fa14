package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gantry-connect/gantry/catalog"
)

// How long an edit waits for the tasks of a connector that was stopped a moment ago, and how often it looks. The workers of
// such tasks may die one after the other, and each death takes seconds to be noticed.
const (
	settlePatience = 45 * time.Second // less than api.request-timeout
	settleLook     = 100 * time.Millisecond
)

// whenSettled makes an edit once the tasks that a stopped connector had have ended. It waits no longer than something is still
// being done about that.
func (s *Service) whenSettled(ctx context.Context, c catalog.Connector, edit func() error) error {
	patience := time.NewTimer(settlePatience)
	defer patience.Stop()
	look := time.NewTicker(settleLook)
	defer look.Stop()
	for {
		err := edit()
		switch {
		case errors.Is(err, catalog.ErrChanged):
			return &ChangedError{fmt.Sprintf("The position of connector %s has been edited meanwhile", c.Name)}
		case !errors.Is(err, catalog.ErrNotSettled):
			return translate(err, c.Name)
		}
		if err := s.settles(ctx, c.Name); err != nil {
			return err
		}
		select {
		case <-look.C:
		case <-patience.C:
			return &ConflictError{fmt.Sprintf("The tasks of connector %s have not ended within %v: %v; nothing was changed. Try again, "+
				"and if that does not help, see whether there are workers (GET /v1/workers) and what its events say.", c.Name, settlePatience, err)}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// settles says why a connector whose tasks have not ended cleanly will not come to that; nil if it may.
func (s *Service) settles(ctx context.Context, name string) error {
	v, err := s.connectors.View(ctx, name)
	// The workflow reports STOPPED when it has settled the tasks, or has given that up and says why.
	rests := v.Status.State == string(Stopped) && v.Status.UpdatedAt.After(v.Updated)
	switch {
	case err != nil:
		return translate(err, name)
	case v.Desired != catalog.StateStopped:
		return notStopped(name)
	case rests && v.Status.Trace != "":
		return &ConflictError{fmt.Sprintf("The tasks of connector %s have not ended cleanly: %s. Nothing was changed. Once the cause is gone, "+
			"resume it and stop it again.", name, v.Status.Trace)}
	}
	return nil
}
