package control

import (
	"context"

	"github.com/gantry-connect/gantry/access"
	"github.com/gantry-connect/gantry/catalog"
)

// Answer is the kept answer to a request with an idempotency key; its status is 0 while the request is being carried out.
type Answer = catalog.Answer

// Answers is where answers are kept.
type Answers interface {
	TakeAnswer(ctx context.Context, principal, key, fingerprint string) (a catalog.Answer, answered bool, err error)
	KeepAnswer(ctx context.Context, principal, key string, a catalog.Answer) error
	DropAnswer(ctx context.Context, principal, key string) error
}

// Keys belong to who made them up: nobody gets an answer that was another's.
func principal(ctx context.Context) string { return access.Author(ctx, "") }

// TakeAnswer looks for the answer to a request of the caller's; without one the caller is to carry it out, and to keep or drop
// its answer.
func (s *Service) TakeAnswer(ctx context.Context, key, fingerprint string) (Answer, bool, error) {
	a, answered, err := s.connectors.TakeAnswer(ctx, principal(ctx), key, fingerprint)
	return a, answered, translate(err, "")
}

// KeepAnswer keeps the answer to a request for a day.
func (s *Service) KeepAnswer(ctx context.Context, key string, a Answer) error {
	return s.connectors.KeepAnswer(ctx, principal(ctx), key, a)
}

// DropAnswer lets a request be made again with the same key.
func (s *Service) DropAnswer(ctx context.Context, key string) error {
	return s.connectors.DropAnswer(ctx, principal(ctx), key)
}
