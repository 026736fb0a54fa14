package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gantry-connect/gantry/probe"
	"github.com/gantry-connect/gantry/workflows"
)

// questions is where operators' questions are, and where answers go.
type questions interface {
	Question(ctx context.Context, id string) (json.RawMessage, error)
	Reply(ctx context.Context, id string, answer json.RawMessage) error
}

// Probe answers a question that the catalog holds: it looks at external systems and the broker, with the real credentials,
// and changes nothing there. What goes wrong with that is the answer; only a catalog that cannot be used is an error.
func (a *Activities) Probe(ctx context.Context, in workflows.ProbeInput) error {
	text, err := a.Catalog.Question(ctx, in.Question)
	if err != nil {
		return toTemporal(err, failure{})
	}
	var q probe.Question
	if err := json.Unmarshal(text, &q); err != nil {
		return refused(fmt.Errorf("read question %s: %w", in.Question, err))
	}
	answer, err := json.Marshal(a.answer(ctx, q))
	if err != nil {
		return refused(fmt.Errorf("write the answer to question %s: %w", in.Question, err))
	}
	return toTemporal(a.Catalog.Reply(ctx, in.Question, answer), failure{})
}

func (a *Activities) answer(ctx context.Context, q probe.Question) (answer probe.Answer) {
	err := guarded("looking", func() error {
		switch q.Kind {
		case probe.KindCheck:
			r := a.check(ctx, q.Config)
			answer.Check = &r
			return nil
		case probe.KindPreview:
			p, err := a.preview(ctx, q)
			answer.Preview = &p
			return err
		case probe.KindTopic:
			p, err := a.previewTopic(ctx, q)
			answer.Preview = &p
			return err
		}
		return fmt.Errorf("this worker does not know how to answer a question of kind %q: it may be older than the API", q.Kind)
	})
	if err != nil {
		return probe.Answer{Problem: err.Error(), Missing: errors.Is(err, ErrNoTopic)}
	}
	return answer
}
