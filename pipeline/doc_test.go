package pipeline

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/internal/failpoint"
)

const page = "../docs/exactly-once.md"

// TestThePageNamesEveryFailpoint, in the order of the protocol.
func TestThePageNamesEveryFailpoint(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	var named []failpoint.Point
	for _, m := range regexp.MustCompile("(?m)^\\| `(s[a-z]+/[a-z-]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		named = append(named, failpoint.Point(m[1]))
	}
	require.Equal(t, failpoint.Points(), named)
}

// TestThePageNamesTestsThatExist: a renamed test must not leave a rule without its schedule.
func TestThePageNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	var code strings.Builder
	files, err := filepath.Glob("../*/*_test.go")
	require.NoError(t, err)
	for _, f := range files {
		body, err := os.ReadFile(f)
		require.NoError(t, err)
		code.Write(body)
	}
	names := regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, names)
	for _, m := range names {
		require.True(t, strings.Contains(code.String(), "func "+m[1]+"(t *testing.T)"), m[1])
	}
}
