package api_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/api"
)

var update = flag.Bool("update", false, "write openapi.yaml anew")

// The document is kept, so that a change of the API shows in a diff.
func TestOpenAPIIsTheDocumentThatIsKept(t *testing.T) {
	t.Parallel()
	doc, err := api.OpenAPI()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("openapi.yaml", doc, 0o644))
	}
	kept, err := os.ReadFile("openapi.yaml")
	require.NoError(t, err)
	require.Empty(t, firstDifference(string(kept), string(doc)), "the API has changed: go test ./api -run TestOpenAPI -update")
}

// firstDifference is the first line in which two texts differ: the document whole would fill the screen.
func firstDifference(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(as), len(bs)) {
		if as[i] != bs[i] {
			return fmt.Sprintf("line %d: %s, now %s", i+1, as[i], bs[i])
		}
	}
	if len(as) != len(bs) {
		return fmt.Sprintf("%d lines, now %d", len(as), len(bs))
	}
	return ""
}
