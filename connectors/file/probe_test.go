package file

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

func probed(t *testing.T, p connector.Plugin, config map[string]string, topics ...string) (codes []string) {
	t.Helper()
	found, err := p.Probe(t.Context(), config, connector.Surroundings{Topics: topics})
	require.NoError(t, err)
	for _, f := range found {
		require.NotEmpty(t, f.Message)
		if f.Severity == connector.SeverityError {
			require.NotEmpty(t, f.Remedy)
		}
		codes = append(codes, string(f.Severity)+" "+f.Code)
	}
	return codes
}

func TestAProbeOfASourceLooksForItsFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.csv"), []byte("x\n"), 0o600))
	for pattern, want := range map[string]string{
		"a.csv": "ok files", "*.csv": "ok files", "b.csv": "error no-files", "*.json": "error no-files", "": "error unreadable",
	} {
		require.Equal(t, []string{want}, probed(t, Source, map[string]string{"file": filepath.Join(dir, pattern), "follow": "false"}), pattern)
	}
	require.Equal(t, []string{"warning no-files"}, probed(t, Source, map[string]string{"file": filepath.Join(dir, "b.csv"), "follow": "true"}))
}

func TestAProbeOfASinkLooksAtItsFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	at := func(name string, topics ...string) []string {
		return probed(t, Sink, map[string]string{"file": filepath.Join(dir, name)}, topics...)
	}
	require.Equal(t, []string{"ok folder"}, at("out.json"))
	require.Equal(t, []string{"info folder-missing"}, at("a/b/out.json"))
	require.Equal(t, []string{"error not-a-folder"}, at("file/out.json"))
	require.Equal(t, []string{"info folder-missing", "info folder-missing"}, at("${topic}/out.json", "t1", "t2"))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "out.csv"), 0o700))
	require.Equal(t, []string{"ok folder", "error not-a-file"}, at("out.csv"))
	require.NoDirExists(t, filepath.Join(dir, "a"), "a check makes nothing")
}
