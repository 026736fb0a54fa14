// Package connector is what a connector is written against: records and their schemas, positions, the source and
// sink interfaces, and config definitions. It imports nothing but the standard library, so a connector needs
// nothing of Gantry but this package, and knows neither Temporal nor RocketMQ nor the catalog.
//
// Start at Plugin: a plugin value, a config struct, an open function and the methods of Source or Sink are a whole
// connector. The package conformance holds the behaviour that every connector's tests run.
package connector
