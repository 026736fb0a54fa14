// Package conformance is the list of what every connector must do, run against a real one by its own tests: Source and
// Sink open the plugin again and again, stop it at every point, and compare what came out with the whole.
//
// It is imported by tests only, and needs nothing but package connector and a harness of a few fields. What a single
// system does beyond the contract belongs into that connector's tests.
package conformance
