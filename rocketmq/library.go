package rocketmq

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/rlog"
)

// libraryPrepared guards the library's own globals: its logger and its panic handler can only be set once per process, before
// anything else of it runs.
var libraryPrepared sync.Once

func prepareLibrary(logger *slog.Logger) {
	libraryPrepared.Do(func() {
		rlog.SetLogger(libraryLogger{logger})
		primitive.DefaultPanicHandler = func(v any) {
			logger.Error("panic in the RocketMQ client library", "panic", fmt.Sprint(v))
		}
	})
}

// libraryLogger hands the library's messages on. What it calls informational is noise; what it calls an error is mostly
// returned to us as well, hence only a warning.
type libraryLogger struct{ logger *slog.Logger }

func (l libraryLogger) log(level slog.Level, msg string, fields map[string]any) {
	if !l.logger.Enabled(context.Background(), level) {
		return
	}
	args := make([]any, 0, 2*len(fields))
	for k, v := range fields {
		args = append(args, k, fmt.Sprint(v))
	}
	l.logger.Log(context.Background(), level, "rocketmq client library: "+msg, args...)
}

func (l libraryLogger) Debug(msg string, fields map[string]any) { l.log(slog.LevelDebug, msg, fields) }
func (l libraryLogger) Info(msg string, fields map[string]any)  { l.log(slog.LevelDebug, msg, fields) }
func (l libraryLogger) Warning(msg string, fields map[string]any) {
	l.log(slog.LevelDebug, msg, fields)
}
func (l libraryLogger) Error(msg string, fields map[string]any) { l.log(slog.LevelWarn, msg, fields) }
func (l libraryLogger) Fatal(msg string, fields map[string]any) { l.log(slog.LevelError, msg, fields) }
func (l libraryLogger) Level(string)                            {}
func (l libraryLogger) OutputPath(string) error                 { return nil }
