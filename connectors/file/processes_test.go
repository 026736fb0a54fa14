package file

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// A worker's environment holds the passwords of the installation: no way of naming the file shows it.
func TestTheEnvironmentOfProcessesIsNotRead(t *testing.T) {
	t.Parallel()
	const environment = "/proc/self/environ"
	if _, err := os.Stat(environment); err != nil {
		t.Skip("this system shows no environments")
	}
	link, folder := filepath.Join(t.TempDir(), "link"), filepath.Join(t.TempDir(), "folder")
	require.NoError(t, os.Symlink(environment, link))
	require.NoError(t, os.Symlink("/proc/self", folder))
	for _, path := range []string{environment, "/proc/self/root/proc/self/environ", "/proc/self/../self/environ", link, folder + "/environ"} {
		_, err := match(path)
		require.ErrorContains(t, err, "lies in /proc", path)
		u := newUnit(&SourceConfig{}, slog.New(slog.DiscardHandler), path, 0, known{})
		err = u.open()
		require.ErrorContains(t, err, "lies in /proc", path)
		require.True(t, connector.IsPermanent(err))
	}
	for _, pattern := range []string{"/proc/self/envir*", "/pro[c]/self/environ", filepath.Dir(link) + "/*", folder + "/envir?n"} {
		files, err := match(pattern)
		require.NoError(t, err)
		require.Empty(t, files, pattern)
	}
}
