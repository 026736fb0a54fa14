package main

import (
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/connectors/counter"
	"github.com/gantry-connect/gantry/connectors/file"
	"github.com/gantry-connect/gantry/connectors/postgres"
)

// plugins is every connector of this binary.
var plugins = connector.Plugins{
	counter.Plugin,
	file.Source,
	file.Sink,
	postgres.Sink,
}
