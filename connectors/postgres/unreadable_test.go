package postgres

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What is wrong with a connection is told without any part of a password, however badly it is written.
func TestWrongConnectionsAreNotRepeated(t *testing.T) {
	t.Parallel()
	for url, says := range map[string]string{
		"postgres://me:hunter2/hunter3@h/d":                             "invalid port",
		"postgres://me:hunter2@hunter3@h:bad/d":                         "invalid port",
		"postgres://me:hunter2:hunter3@h:bad/d":                         "invalid port",
		"me:hunter2:hunter3@h/d":                                        "failed to parse as keyword/value",
		"postgres://h/d?user=me&password=hunter2&sslmode=bogus":         "sslmode",
		"host=h port=bad user=me password = 'hunter2'":                  "invalid port",
		"postgres://me:hunter2@h/d?sslmode=verify-ca&sslrootcert=/none": "/none",
	} {
		err := Sink.Check(map[string]string{"connection.url": url, "table": "t"})
		require.ErrorContains(t, err, says, url)
		require.NotContains(t, err.Error(), "hunter", url)
	}
}
