package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/gantry-connect/gantry/api"
)

// Every body in the document has an example, and every operation under /v1 says which errors it has and in which form.
func TestEveryOperationHasExamplesAndErrors(t *testing.T) {
	t.Parallel()
	text, err := api.OpenAPI()
	require.NoError(t, err)
	type media map[string]struct{ Example any }
	type operation struct {
		OperationID string `yaml:"operationId"`
		Summary     string
		RequestBody struct{ Content media } `yaml:"requestBody"`
		Responses   map[string]struct{ Content media }
	}
	var doc struct {
		Paths map[string]map[string]operation
	}
	require.NoError(t, yaml.Unmarshal(text, &doc))
	require.NotEmpty(t, doc.Paths)
	for path, item := range doc.Paths {
		for _, op := range item {
			require.NotEmpty(t, op.Summary, op.OperationID)
			for kind, m := range op.RequestBody.Content {
				require.NotNil(t, m.Example, "%s: the request has no example as %s", op.OperationID, kind)
			}
			for status, r := range op.Responses {
				for kind, m := range r.Content {
					if strings.HasSuffix(kind, "json") {
						require.NotNil(t, m.Example, "%s: the answer %s has no example", op.OperationID, status)
					}
				}
				if strings.HasPrefix(path, "/v1/") && status >= "400" {
					require.Contains(t, r.Content, "application/problem+json", "%s: %s", op.OperationID, status)
				}
			}
			if strings.HasPrefix(path, "/v1/") {
				require.Contains(t, op.Responses, "503", op.OperationID)
			}
		}
	}
}

// An example that does not work teaches mistakes: what the document shows for creating a connector is taken as it is.
func TestTheExampleOfCreatingIsARequest(t *testing.T) {
	t.Parallel()
	text, err := api.OpenAPI()
	require.NoError(t, err)
	var doc struct {
		Paths map[string]map[string]struct {
			RequestBody struct {
				Content map[string]struct{ Example any }
			} `yaml:"requestBody"`
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &doc))
	example, err := json.Marshal(doc.Paths["/v1/connectors"]["post"].RequestBody.Content["application/json"].Example)
	require.NoError(t, err)
	var body api.NewConnector
	require.NoError(t, json.Unmarshal(example, &body))
	require.Equal(t, "FileSource", body.Config["connector.class"])
	require.Equal(t, "flights-in", body.Name)
}
