package control

import (
	"context"
	"errors"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/selector"
)

func checkLabels(labels map[string]string) error {
	if err := selector.Check(labels); err != nil {
		return &RequestError{err.Error()}
	}
	return nil
}

// parseSelector reads a selector of labels.
func parseSelector(text string) (selector.Selector, error) {
	s, err := selector.Parse(text)
	if err != nil {
		return s, &RequestError{err.Error()}
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
	return s.overview(catalog.View{Connector: catalog.Connector{Name: wanted.Name, Class: wanted.Class,
		Kind: string(connector.Kind(wanted.Kind)), Desired: wanted.Desired, Config: wanted.Config, Labels: wanted.Labels}}), nil
}
