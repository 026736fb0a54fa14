package control

import (
	"context"
	"errors"
)

// Topics is where the topics are noted that connectors use.
type Topics interface {
	Topics(ctx context.Context, uid int64) ([]string, error)
	ResetTopics(ctx context.Context, uid int64) error
}

// Tracking says which of the calls on used topics are answered. The zero value answers all.
type Tracking struct {
	Disabled       bool // neither of them
	ResetForbidden bool // they can be read only
}

// Topics are the topics that a connector has used since it was created or they were reset. A connector that does not exist
// has used none.
func (s *Service) Topics(ctx context.Context, name string) ([]string, error) {
	if s.tracking.Disabled {
		return nil, &ForbiddenError{"Topic tracking is disabled."}
	}
	c, err := s.find(ctx, name)
	var missing *NotFoundError
	if errors.As(err, &missing) {
		return []string{}, nil
	}
	if err != nil {
		return nil, err
	}
	topics, err := s.connectors.Topics(ctx, c.UID)
	if err != nil {
		return nil, translate(err, name)
	}
	if topics == nil {
		topics = []string{}
	}
	return topics, nil
}

// ResetTopics forgets which topics a connector has used. One that does not exist has nothing to forget.
func (s *Service) ResetTopics(ctx context.Context, name string) error {
	switch {
	case s.tracking.Disabled:
		return &ForbiddenError{"Topic tracking is disabled."}
	case s.tracking.ResetForbidden:
		return &ForbiddenError{"Topic tracking reset is disabled."}
	}
	c, err := s.find(ctx, name)
	var missing *NotFoundError
	if errors.As(err, &missing) {
		return nil
	}
	if err != nil {
		return err
	}
	return translate(s.connectors.ResetTopics(ctx, c.UID), name)
}
