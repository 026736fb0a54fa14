// Package architecture checks that imports point inward: a wrong one fails with the sentence that says why.
package architecture

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/gantry-connect/gantry"

// rule forbids imports. Patterns are paths within the module or whole import paths; "…" at the end matches what lies
// below too. Tests of a package are free.
type rule struct {
	from   string
	deny   []string
	except []string // packages of from that are free
	// direct rules look at a package's own imports, others at everything it ends up with.
	direct bool
	why    string
}

var rules = []rule{
	{from: "connector", deny: []string{module + "…", "github.com…", "go.temporal.io…", "golang.org…"},
		why: "the SPI imports nothing but the standard library, so that a connector needs nothing else of Gantry"},
	{from: "connectors…", deny: []string{"pipeline", "catalog", "rocketmq", "workflows", "activities", "workers", "api", "control", "go.temporal.io…", "github.com/apache/rocketmq-client-go…"},
		why: "a connector knows the SPI and its system's client, never what runs it"},
	{from: "converters…", deny: []string{"pipeline", "catalog", "rocketmq", "connectors…", "go.temporal.io…", "github.com/jackc/pgx…"},
		why: "converters turn records into bytes and know nothing else"},
	{from: "transforms…", deny: []string{"pipeline", "catalog", "rocketmq", "connectors…", "converters", "workflows", "activities", "workers", "api", "control", "go.temporal.io…", "github.com/jackc/pgx…"},
		why: "transforms are functions on records and know the SPI alone"},
	{from: "pipeline", deny: []string{"catalog", "rocketmq", "workflows", "activities", "workers", "connectors…", "go.temporal.io…", "github.com/jackc/pgx…", "github.com/apache/rocketmq-client-go…"},
		why: "the copy loop knows neither Temporal nor SQL nor a broker's client; it declares what it needs of them"},
	{from: "workflows", deny: []string{"catalog", "rocketmq", "pipeline", "connector…", "activities", "workers", "control", "api", "github.com/jackc/pgx…", "github.com/apache/rocketmq-client-go…"},
		why: "workflows are deterministic: no I/O, nothing of ours"},
	{from: "rocketmq", deny: []string{module + "…"}, except: []string{"rocketmq"},
		why: "rocketmq knows messages, not records: nothing else of ours"},
	{from: "logging", deny: []string{module + "…", "github.com…", "go.temporal.io…", "golang.org…"},
		why: "logging decides levels and imports nothing but the standard library"},
	{from: "catalog", deny: []string{"rocketmq", "connector…", "pipeline", "workflows", "activities", "workers", "api", "control", "go.temporal.io…"},
		why: "the catalog knows Postgres alone"},
	{from: "selector", deny: []string{module + "…", "github.com…", "go.temporal.io…", "golang.org…"},
		why: "selectors are text work: conditions on labels, wherever those are kept"},
	{from: "probe", deny: []string{module + "…", "github.com…", "go.temporal.io…", "golang.org…"},
		why: "probe is what the API and workers say to each other: types, and nothing that acts"},
	{from: "access", deny: []string{"api", "control", "rocketmq", "pipeline", "connector…", "workflows", "activities", "workers", "github.com/jackc/pgx…", "go.temporal.io…"}, direct: true,
		why: "access says who may do what: it knows neither routes nor tables"},
	{from: "secrets", deny: []string{"catalog", "rocketmq", "pipeline", "connectors…", "workflows", "activities", "workers", "api", "control", "access", "github.com/jackc/pgx…", "go.temporal.io…"},
		why: "secrets looks up, seals and scrubs values, and stores nothing"},
	{from: "activities", deny: []string{"github.com/jackc/pgx…", "rocketmq", "api", "control", "workers", "connectors…"}, direct: true,
		why: "activities are a thin bridge: no SQL, no broker's client, no connector by name"},
	{from: "api", deny: []string{"activities", "workers", "rocketmq", "catalog", "pipeline", "github.com/jackc/pgx…", "go.temporal.io…"}, direct: true,
		why: "api is HTTP in, service call, HTTP out"},
	{from: "…", deny: []string{"github.com/apache/rocketmq-client-go…"}, except: []string{"rocketmq"}, direct: true,
		why: "rocketmq is the only importer of a RocketMQ client"},
	{from: "…", deny: []string{"github.com/jackc/pgx…"}, direct: true,
		except: []string{"catalog", "catalog/catalogtest", "connectors/postgres", "internal/bench", "internal/demo", "internal/devstack", "internal/devstack/devstacktest", "migrations"},
		why:    "SQL lives in the catalog; beside it only what speaks to other databases may use pgx"},
	{from: "client", deny: []string{module + "…", "go.temporal.io…", "github.com…"},
		why: "other programs use the client: it brings nothing of ours along and nothing but the standard library"},
	{from: "cmd/gantry/operate", deny: []string{"catalog", "control", "api", "rocketmq", "pipeline", "workflows", "activities", "workers", "connectors…", "go.temporal.io…", "github.com/jackc/pgx…"},
		why: "the operator's commands speak to the REST API alone, so that whatever they can do others can"},
	{from: "…", deny: []string{"cmd/gantry"}, why: "nobody imports a command"},
	{from: "…", deny: []string{"connector/conformance", "catalog/catalogtest", "rocketmq/rocketmqtest", "internal/devstack/devstacktest"},
		except: []string{"connector/conformance", "catalog/catalogtest", "rocketmq/rocketmqtest", "internal/devstack/devstacktest"},
		why:    "what helps tests stays out of the product"},
}

type listed struct {
	ImportPath    string
	Imports, Deps []string
}

func TestImportsPointInward(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		for _, r := range rules {
			if !matches(r.from, p.ImportPath) || slices.Contains(r.except, name) {
				continue
			}
			imports := p.Deps
			if r.direct {
				imports = p.Imports
			}
			for _, dep := range imports {
				for _, deny := range r.deny {
					if dep != p.ImportPath && matches(deny, dep) {
						t.Errorf("%s imports %s: %s", name, strings.TrimPrefix(dep, module+"/"), r.why)
					}
				}
			}
		}
	}
}

func TestRulesMatch(t *testing.T) {
	t.Parallel()
	require.True(t, matches("connectors…", module+"/connectors/file"))
	require.True(t, matches("connector…", module+"/connector"))
	require.False(t, matches("connector…", module+"/connectors/file"), "a prefix ends at a slash")
	require.False(t, matches("connector", module+"/connector/conformance"))
	require.True(t, matches("github.com/jackc/pgx…", "github.com/jackc/pgx/v5/pgxpool"))
	require.True(t, matches("…", module+"/api"))
	require.False(t, matches("…", "github.com/jackc/pgx/v5"))
}

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", "./...")
	cmd.Dir = path.Join("..", "..")
	out, err := cmd.Output()
	require.NoError(t, err)
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		all = append(all, p)
	}
	require.NotEmpty(t, all)
	return all
}

// matches reports whether the import path fits the pattern; see rule.
func matches(pattern, importPath string) bool {
	pattern, below := strings.CutSuffix(pattern, "…")
	if first, _, _ := strings.Cut(pattern, "/"); !strings.Contains(first, ".") {
		pattern = strings.TrimSuffix(module+"/"+pattern, "/")
	}
	return importPath == pattern || (below && strings.HasPrefix(importPath, pattern+"/"))
}
