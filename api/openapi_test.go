package api_test

import (
	"flag"
	"os"
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
	require.Equal(t, string(kept), string(doc), "the API has changed: go test ./api -update")
}
