package logging

import (
	"log/slog"
	"math"
	"strings"
)

// Level is how much is logged: records of this level and above. Its names are those that Kafka Connect's clients know.
type Level slog.Level

// The levels that have names beyond slog's.
const (
	Trace = Level(slog.LevelDebug - 4) // everything
	Fatal = Level(slog.LevelError + 4) // nothing here is logged as fatal
	Off   = Level(math.MaxInt)
)

var levelNames = []struct {
	name  string
	level Level
}{
	{"TRACE", Trace}, {"DEBUG", Level(slog.LevelDebug)}, {"INFO", Level(slog.LevelInfo)}, {"WARN", Level(slog.LevelWarn)},
	{"ERROR", Level(slog.LevelError)}, {"FATAL", Fatal}, {"OFF", Off},
}

// ParseLevel reads a level's name in any case.
func ParseLevel(name string) (Level, bool) {
	for _, n := range levelNames {
		if strings.EqualFold(n.name, name) {
			return n.level, true
		}
	}
	return 0, false
}

// String is the name of the highest level that logs as much.
func (l Level) String() string {
	for _, n := range levelNames {
		if l <= n.level {
			return n.name
		}
	}
	return "OFF"
}
