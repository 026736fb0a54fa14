package logging

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Root is the name under which the level of all components is set.
const Root = "root"

// connectors is the component above those of single connectors.
const connectors = "connectors"

// Setting is how much a component logs.
type Setting struct {
	Level    Level
	Modified time.Time // zero if it never was changed
}

// Levels is how much the components of a process log. Its methods may be called from any goroutine.
type Levels struct {
	next  slog.Handler
	mu    sync.RWMutex
	set   map[string]Setting
	known map[string]bool // components that have a logger
	now   func() time.Time

	changes atomic.Int64 // raised by each change, so that handlers look again
}

// New makes levels over a handler, which has to take records of every level. root holds until something else is set.
func New(next slog.Handler, root slog.Level) *Levels {
	return &Levels{next: next, set: map[string]Setting{Root: {Level: Level(root)}}, known: map[string]bool{Root: true}, now: time.Now}
}

// Logger is a component's logger. A logger made from it by With("connector", name) belongs to the component
// "connectors.<name>", so that one connector can be listened to.
func (l *Levels) Logger(component string) *slog.Logger {
	l.mu.Lock()
	l.known[component] = true
	l.mu.Unlock()
	return slog.New(&handler{levels: l, component: component, next: l.next})
}

// Begin says how much a component logs as long as nobody changes it.
func (l *Levels) Begin(component string, level Level) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known[component] = true
	l.set[component] = Setting{Level: level}
	l.changes.Add(1)
}

// Get is how much a component logs; false if nobody has heard of it.
func (l *Levels) Get(component string) (Setting, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if _, set := l.set[component]; !set && !l.known[component] {
		return Setting{}, false
	}
	return l.effective(component), true
}

// All is how much every known component logs, by its name.
func (l *Levels) All() map[string]Setting {
	l.mu.RLock()
	defer l.mu.RUnlock()
	all := make(map[string]Setting, len(l.known)+len(l.set))
	for name := range l.names() {
		all[name] = l.effective(name)
	}
	return all
}

// Set says how much a component and those below it log from now on, whatever was set for them before, and returns their
// names, sorted.
func (l *Levels) Set(component string, level Level) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	setting := Setting{Level: level, Modified: l.now()}
	affected := []string{component}
	for name := range l.names() {
		if name != component && below(component, name) {
			affected = append(affected, name)
		}
	}
	for _, name := range affected {
		l.set[name] = setting
	}
	l.changes.Add(1)
	slices.Sort(affected)
	return affected
}

// names are the components that have a logger or a level of their own; the caller holds the lock.
func (l *Levels) names() map[string]bool {
	names := maps.Clone(l.known)
	for name := range l.set {
		names[name] = true
	}
	return names
}

// effective is what is set for a component or for the nearest one above it; the caller holds the lock.
func (l *Levels) effective(component string) Setting {
	for name := component; name != ""; {
		if s, ok := l.set[name]; ok {
			return s
		}
		dot := strings.LastIndexByte(name, '.')
		if dot < 0 {
			break
		}
		name = name[:dot]
	}
	return l.set[Root]
}

// below reports whether name is beneath a component.
func below(component, name string) bool {
	return component == Root || strings.HasPrefix(name, component+".")
}

// handler drops what its component does not log.
type handler struct {
	levels    *Levels
	component string
	grouped   bool // within a group, "connector" is no longer the connector's name
	next      slog.Handler
	cached    atomic.Pointer[effectiveLevel]
}

// effectiveLevel is a component's level as of a change.
type effectiveLevel struct {
	change int64
	level  slog.Level
}

func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	change := h.levels.changes.Load()
	c := h.cached.Load()
	if c == nil || c.change != change {
		h.levels.mu.RLock()
		c = &effectiveLevel{change: change, level: slog.Level(h.levels.effective(h.component).Level)}
		h.levels.mu.RUnlock()
		h.cached.Store(c)
	}
	return level >= c.level
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error { return h.next.Handle(ctx, r) }

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	component := h.component
	for _, a := range attrs {
		if a.Key == "connector" && a.Value.Kind() == slog.KindString && !h.grouped {
			component = connectors + "." + a.Value.String()
		}
	}
	return &handler{levels: h.levels, component: component, grouped: h.grouped, next: h.next.WithAttrs(attrs)}
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{levels: h.levels, component: h.component, grouped: true, next: h.next.WithGroup(name)}
}
