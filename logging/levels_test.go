package logging

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAComponentLogsWhatIsSetForItOrAboveIt(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	levels := New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.Level(Trace)}), slog.LevelInfo)
	levels.now = func() time.Time { return time.UnixMilli(1700000000123) }
	api, tasks := levels.Logger("api"), levels.Logger("workers.tasks")
	logged := func(l *slog.Logger, level slog.Level) bool {
		out.Reset()
		l.Log(t.Context(), level, "x")
		return out.Len() > 0
	}
	require.True(t, logged(api, slog.LevelInfo))
	require.False(t, logged(api, slog.LevelDebug))

	require.Equal(t, []string{"workers", "workers.tasks"}, levels.Set("workers", Level(slog.LevelDebug)))
	require.True(t, logged(tasks, slog.LevelDebug), "what is set above holds below")
	require.False(t, logged(api, slog.LevelDebug), "and nowhere else")

	require.Equal(t, []string{"workers.tasks"}, levels.Set("workers.tasks", Off))
	require.False(t, logged(tasks, slog.LevelError))

	one := levels.Logger("workers").With("connector", "orders")
	levels.Set("connectors.orders", Trace)
	require.True(t, logged(one, slog.Level(Trace)), "a connector can be listened to")
	require.False(t, logged(levels.Logger("workers").With("connector", "others"), slog.LevelDebug), "alone")
	require.False(t, logged(levels.Logger("api").WithGroup("g").With("connector", "orders"), slog.LevelDebug), "a group's key is no name")

	require.Equal(t, []string{"api", "connectors.orders", "root", "workers", "workers.tasks"}, levels.Set(Root, Level(slog.LevelWarn)))
	require.False(t, logged(one, slog.LevelInfo), "the root sets all")
	require.True(t, logged(tasks, slog.LevelWarn))

	got, ok := levels.Get("api")
	require.True(t, ok)
	require.Equal(t, Setting{Level: Level(slog.LevelWarn), Modified: time.UnixMilli(1700000000123)}, got)
	_, ok = levels.Get("nobody")
	require.False(t, ok)
	require.Len(t, levels.All(), 5)
}

func TestLevelsHaveTheNamesThatClientsKnow(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "OFF"} {
		level, ok := ParseLevel(name)
		require.True(t, ok, name)
		require.Equal(t, name, level.String())
	}
	lower, ok := ParseLevel("debug")
	require.True(t, ok)
	require.Equal(t, "DEBUG", lower.String())
	_, ok = ParseLevel("LOUD")
	require.False(t, ok)
	require.Equal(t, "WARN", Level(slog.LevelInfo+1).String())
}
