// Package secrets keeps secrets out of what is stored and shown: references to them (${env:…}, ${file:…}, ${dir:…}, or of
// any Provider), looked up only where a connector runs; values sealed with a key for the catalog (${sealed:…}); finding
// secrets that stand in the clear; and scrubbing them from texts. It stores nothing and knows no connector, no table and
// no route.
package secrets
