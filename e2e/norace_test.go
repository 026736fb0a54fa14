//go:build !race

package e2e

// raceFlags build the binary under test as the tests themselves are built.
var raceFlags []string
