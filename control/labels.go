package control

import (
	"context"
	"errors"
	"time"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/selector"
)

// What to do where labels or a selector are wrong.
const (
	labelRule    = "Keys and values have at most 63 letters, digits, -, _ and ., keys also a prefix and a slash before them."
	selectorRule = "Separate conditions by commas: a=b, a!=b, a in (b,c), a notin (b,c), a, !a; and percent-encode the whole."
)

func checkLabels(labels map[string]string) error {
	if err := selector.Check(labels); err != nil {
		return &RequestError{Reason: err.Error(), Field: "labels", Remedy: labelRule}
	}
	return nil
}

// parseSelector reads a selector of labels.
func parseSelector(text string) (selector.Selector, error) {
	s, err := selector.Parse(text)
	if err != nil {
		return s, &RequestError{Reason: err.Error(), Field: "selector", Value: text, Remedy: selectorRule}
	}
	return s, nil
}

// Labels are a connector's labels.
func (s *Service) Labels(ctx context.Context, name string) (map[string]string, error) {
	c, err := s.find(ctx, name)
	return c.Labels, err
}

// PutLabels replaces a connector's labels. Whoever may change only connectors with certain labels cannot take these away:
// the connector would be out of their reach.
func (s *Service) PutLabels(ctx context.Context, name string, labels map[string]string, author string) (map[string]string, error) {
	if err := checkLabels(labels); err != nil {
		return nil, err
	}
	if _, err := s.find(ctx, name); err != nil {
		return nil, err
	}
	if err := mayCreate(ctx, name, labels); err != nil {
		return nil, err
	}
	c, err := s.connectors.PutLabels(ctx, name, labels, author)
	if err != nil {
		return nil, translate(err, name)
	}
	return c.Labels, nil
}

// CreateLabelled makes a new connector, or only checks whether it could be made.
func (s *Service) CreateLabelled(ctx context.Context, c Create, dryRun bool) (Overview, error) {
	if !dryRun {
		made, err := s.create(ctx, c)
		if err != nil {
			return Overview{}, err
		}
		return s.overview(catalog.View{Connector: made}), nil
	}
	wanted, err := s.prepare(ctx, c)
	if err != nil {
		return Overview{}, err
	}
	var missing *NotFoundError
	if _, err := s.find(ctx, wanted.Name); err == nil {
		return Overview{}, &ExistsError{wanted.Name}
	} else if !errors.As(err, &missing) {
		return Overview{}, err
	}
	now := time.Now().UTC()
	return s.overview(catalog.View{Connector: catalog.Connector{Revision: 1, Created: now, Updated: now, Name: wanted.Name, Class: wanted.Class,
		Kind: string(connector.Kind(wanted.Kind)), Desired: wanted.Desired, Config: wanted.Config, Labels: wanted.Labels}}), nil
}
