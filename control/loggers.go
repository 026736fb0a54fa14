package control

import (
	"context"
	"fmt"

	"github.com/gantry-connect/gantry/logging"
)

// Loggers is how much the components of this process log; *logging.Levels is one.
type Loggers interface {
	Get(component string) (logging.Setting, bool)
	All() map[string]logging.Setting
	Set(component string, level logging.Level) []string
}

// LogLevels is where all processes look for changes that concern them all.
type LogLevels interface {
	SetLogLevel(ctx context.Context, logger, level string) error
}

// LoggerLevel is how much a component of this process logs, in Kafka Connect's terms.
type LoggerLevel struct {
	Level        string `json:"level" enum:"TRACE,DEBUG,INFO,WARN,ERROR,FATAL,OFF"`
	LastModified *int64 `json:"last_modified" nullable:"true" doc:"When it was changed, in milliseconds since 1970; null if it never was."`
}

func loggerLevel(s logging.Setting) LoggerLevel {
	l := LoggerLevel{Level: s.Level.String()}
	if !s.Modified.IsZero() {
		ms := s.Modified.UnixMilli()
		l.LastModified = &ms
	}
	return l
}

// Loggers is every component of this process and how much it logs.
func (s *Service) Loggers() map[string]LoggerLevel {
	all := s.loggers.All()
	out := make(map[string]LoggerLevel, len(all))
	for name, setting := range all {
		out[name] = loggerLevel(setting)
	}
	return out
}

// Logger is how much a component of this process logs.
func (s *Service) Logger(name string) (LoggerLevel, error) {
	setting, ok := s.loggers.Get(name)
	if !ok {
		return LoggerLevel{}, &NotFoundError{fmt.Sprintf("Logger %s not found.", name)}
	}
	return loggerLevel(setting), nil
}

// SetLogger says how much a component and those below it log, here or in every process, and returns their names in this
// one. The other processes follow within seconds.
func (s *Service) SetLogger(ctx context.Context, name, level string, everywhere bool) ([]string, error) {
	if level == "" {
		return nil, &RequestError{Reason: "Desired 'level' parameter was not specified in request."}
	}
	parsed, ok := logging.ParseLevel(level)
	if !ok {
		return nil, &NotFoundError{fmt.Sprintf("invalid log level '%s'.", level)}
	}
	if everywhere {
		if err := s.connectors.SetLogLevel(ctx, name, parsed.String()); err != nil {
			return nil, translate(err, "")
		}
	}
	return s.loggers.Set(name, parsed), nil
}
