package main

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/logging"
)

// levels is how much each component logs to w, as the settings say.
func (l *loaded) levels(w io.Writer) *logging.Levels {
	var level slog.Level
	_ = level.UnmarshalText([]byte(l.get("log.level"))) // check has seen it
	options := &slog.HandlerOptions{Level: slog.Level(logging.Trace)}
	var handler slog.Handler = slog.NewTextHandler(w, options)
	if l.get("log.format") == "json" {
		handler = slog.NewJSONHandler(w, options)
	}
	levels := logging.New(handler, level)
	levels.Begin("temporal", logging.Level(max(level, slog.LevelWarn))) // its client has much to say on ordinary days
	return levels
}

// levelsEvery is how often a process looks whether all processes are to log more or less.
const levelsEvery = 2 * time.Second

// followLevels takes over what is set for all processes from now on, until ctx ends.
func followLevels(ctx context.Context, c *catalog.Catalog, levels *logging.Levels, log *slog.Logger) {
	tick := time.NewTicker(levelsEvery)
	defer tick.Stop()
	var seen int64
	for known := false; ; {
		var err error
		if known {
			seen, err = takeLevels(ctx, c, levels, seen)
		} else if seen, err = c.LastLogChange(ctx); err == nil {
			known = true
		}
		if err != nil && ctx.Err() == nil {
			log.Debug("log levels not looked up; it is tried again", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func takeLevels(ctx context.Context, c *catalog.Catalog, levels *logging.Levels, seen int64) (int64, error) {
	changed, err := c.LogLevels(ctx, seen)
	if err != nil {
		return seen, err
	}
	for _, change := range changed {
		if level, ok := logging.ParseLevel(change.Level); ok {
			levels.Set(change.Logger, level)
		}
		seen = change.Change
	}
	return seen, nil
}
