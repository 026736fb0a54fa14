package control

import (
	"context"
	"fmt"

	"github.com/gantry-connect/gantry/probe"
)

// Preview reads the first records that a config would copy, at most limit, and what each transform makes of them.
func (s *Service) Preview(ctx context.Context, config map[string]string, limit int) (probe.Preview, error) {
	config, err := s.admitProbe(ctx, config)
	if err != nil {
		return probe.Preview{}, err
	}
	return s.look(ctx, probe.Question{Kind: probe.KindPreview, Config: config, Limit: limit}, "preview "+config["name"])
}

// TopicPreview says which records of a topic to read.
type TopicPreview struct {
	Topic     string
	Limit     int    // at most so many records
	From      string // earliest or latest
	Converter string // how values became bytes; empty is json
}

// PreviewTopic reads records of a topic.
func (s *Service) PreviewTopic(ctx context.Context, p TopicPreview) (probe.Preview, error) {
	return s.look(ctx, probe.Question{Kind: probe.KindTopic, Topic: p.Topic, Limit: p.Limit, From: p.From, Converter: p.Converter},
		"preview topic "+p.Topic)
}

func (s *Service) look(ctx context.Context, q probe.Question, about string) (probe.Preview, error) {
	answer, err := s.ask(ctx, q, about)
	switch {
	case err != nil:
		return probe.Preview{}, err
	case answer.Missing:
		return probe.Preview{}, &NotFoundError{fmt.Sprintf("Topic %s not found", q.Topic)}
	case answer.Preview == nil:
		return probe.Preview{}, &ConflictError{"The records cannot be read: " + answer.Problem}
	}
	return *answer.Preview, nil
}
