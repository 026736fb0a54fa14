//go:build race

package e2e

// raceFlags build the binary under test as the tests themselves are built: its races show in its log.
var raceFlags = []string{"-race"}
