package transforms

import "github.com/gantry-connect/gantry/connector"

// filterConfig is the keys of Filter: none.
type filterConfig struct{}

// filter leaves every record out that its predicate lets it see.
type filter struct{}

func newFilter(*filterConfig, side, connector.Kind) (transform, error) { return filter{}, nil }

func (filter) apply(*connector.Record) (bool, error) { return false, nil }
