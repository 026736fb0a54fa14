package workers

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"

	"github.com/gantry-connect/gantry/activities"
)

// States of tasks in gantry_worker_tasks, as their worker sees them.
const (
	taskClaiming  = "claiming"  // it has come, and has no lease yet
	taskCopying   = "copying"   // also if it has nothing to copy
	taskRetrying  = "retrying"  // something that it needs is tried again
	taskAbandoned = "abandoned" // it was left behind because it did not end
)

// collector gives Prometheus what a worker knows of itself and its tasks, at the moment of the question; nothing is counted twice
// for it. The counters of a task begin at zero with each owner.
type collector struct {
	worker *Worker
	task   map[string]taskMetric

	tasks, capacity, share, draining, commit *prometheus.Desc
}

// taskMetric is one figure of a task.
type taskMetric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(activities.TaskInfo) (v float64, known bool)
}

// Collector is the worker's figures for Prometheus. It may be registered before the worker runs.
func (w *Worker) Collector() prometheus.Collector {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("gantry_"+name, help, labels, prometheus.Labels{"worker": w.config.ID})
	}
	c := &collector{worker: w, task: map[string]taskMetric{},
		tasks:    describe("worker_tasks", "Tasks with this worker, by state.", "state"),
		capacity: describe("worker_capacity", "Tasks that this worker runs at most."),
		share:    describe("worker_share", "Tasks that this worker should have."),
		draining: describe("worker_draining", "1 while the worker hands its tasks over."),
		commit:   describe("commit_seconds", "How long commits of positions took."),
	}
	add := func(name, help string, kind prometheus.ValueType, value func(activities.TaskInfo) float64) {
		c.task[name] = taskMetric{describe("task_"+name, help, "connector", "task"), kind,
			func(t activities.TaskInfo) (float64, bool) { v := value(t); return v, v >= 0 }}
	}
	count := func(name, help string, value func(activities.TaskInfo) int64) {
		add(name, help, prometheus.CounterValue, func(t activities.TaskInfo) float64 { return float64(value(t)) })
	}
	count("records_total", "Records copied.", func(t activities.TaskInfo) int64 { return t.Progress.Records })
	count("bytes_total", "Bytes of message bodies copied.", func(t activities.TaskInfo) int64 { return t.Progress.Bytes })
	count("retries_total", "Sends, pulls and catalog calls that were tried again.", func(t activities.TaskInfo) int64 { return t.Progress.Retries })
	count("filtered_total", "Records that transforms left out.", func(t activities.TaskInfo) int64 { return t.Progress.Filtered })
	count("bad_records_total", "Records given up, dead letters included.", func(t activities.TaskInfo) int64 { return t.Progress.Bad })
	count("dead_letters_total", "Records sent to the dead-letter topic.", func(t activities.TaskInfo) int64 { return t.Progress.DeadLetters })
	count("dropped_total", "Messages of replaced owners that were left out.", func(t activities.TaskInfo) int64 { return t.Progress.Dropped })
	count("doubts_total", "Times that doubles could not be ruled out.", func(t activities.TaskInfo) int64 { return t.Progress.MayDouble })
	count("losses_total", "Times that the broker had lost acknowledged messages.", func(t activities.TaskInfo) int64 { return t.Progress.Losses })
	count("commits_total", "Commits of the position.", func(t activities.TaskInfo) int64 { return t.Progress.Commits })
	add("records_per_second", "Records copied in the last second or so.", prometheus.GaugeValue, func(t activities.TaskInfo) float64 { return t.Heartbeat.Rate })
	add("lag_records", "Records left to copy, where that is known.", prometheus.GaugeValue, func(t activities.TaskInfo) float64 { return float64(t.Heartbeat.LagRecords) })
	add("lag_bytes", "Bytes left to copy, where that is known.", prometheus.GaugeValue, func(t activities.TaskInfo) float64 { return float64(t.Heartbeat.LagBytes) })
	add("last_record_timestamp_seconds", "When the last record was copied.", prometheus.GaugeValue, func(t activities.TaskInfo) float64 {
		if t.Progress.LastRecordAt.IsZero() {
			return -1
		}
		return float64(t.Progress.LastRecordAt.UnixMilli()) / 1000
	})
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.tasks, c.capacity, c.share, c.draining, c.commit} {
		out <- d
	}
	for _, m := range c.task {
		out <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	h := c.worker.Health()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(c.capacity, float64(h.Capacity))
	gauge(c.share, float64(h.Share))
	draining := 0.0
	if h.Draining {
		draining = 1
	}
	gauge(c.draining, draining)
	out <- prometheus.MustNewConstHistogram(c.commit, h.Commits.Count, h.Commits.Seconds, h.Commits.Buckets)
	states := map[string]float64{taskClaiming: 0, taskCopying: 0, taskRetrying: 0, taskAbandoned: float64(h.Abandoned)}
	seen := map[string]bool{} // a task that is handed over within a worker may be here twice for a moment
	for _, t := range h.Tasks {
		states[stateOf(t)]++
		number := strconv.Itoa(t.Task)
		id := t.Connector + "/" + number
		if !t.Claimed || seen[id] {
			continue
		}
		seen[id] = true
		for _, m := range c.task {
			if v, known := m.value(t); known {
				out <- prometheus.MustNewConstMetric(m.desc, m.kind, v, t.Connector, number)
			}
		}
	}
	for state, n := range states {
		gauge(c.tasks, n, state)
	}
}

func stateOf(t activities.TaskInfo) string {
	switch {
	case !t.Claimed:
		return taskClaiming
	case t.Progress.LastError != nil:
		return taskRetrying
	}
	return taskCopying
}

// ClientMetrics takes the figures of Temporal's client (client.Options.MetricsHandler) and gives them to Prometheus. The
// client's metrics of one name do not all have the same labels, so each series is one of its own.
type ClientMetrics struct {
	tags   map[string]string
	shared *clientSeries
}

// clientSeries are the series of all handlers that come of one.
type clientSeries struct {
	mu  sync.Mutex
	all map[string]prometheus.Metric // by name and tags
}

// NewClientMetrics returns a handler that has counted nothing yet. Register it with a registry.
func NewClientMetrics() *ClientMetrics {
	return &ClientMetrics{shared: &clientSeries{all: map[string]prometheus.Metric{}}}
}

// clientBuckets are for calls to Temporal and for what takes a task's time, in seconds.
var clientBuckets = []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60}

// WithTags implements client.MetricsHandler.
func (m *ClientMetrics) WithTags(tags map[string]string) client.MetricsHandler {
	merged := maps.Clone(m.tags)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, tags)
	return &ClientMetrics{merged, m.shared}
}

// Counter implements client.MetricsHandler.
func (m *ClientMetrics) Counter(name string) client.MetricsCounter {
	c := series(m, name, func() prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: clientHelp, ConstLabels: m.tags})
	})
	return clientCounter{c}
}

// Gauge implements client.MetricsHandler.
func (m *ClientMetrics) Gauge(name string) client.MetricsGauge {
	g := series(m, name, func() prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: clientHelp, ConstLabels: m.tags})
	})
	return clientGauge{g}
}

// Timer implements client.MetricsHandler.
func (m *ClientMetrics) Timer(name string) client.MetricsTimer {
	t := series(m, name, func() prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: clientHelp, ConstLabels: m.tags, Buckets: clientBuckets})
	})
	return clientTimer{t}
}

const clientHelp = "Of Temporal's client; see docs.temporal.io/references/sdk-metrics."

// series finds or makes the series of a name and the handler's tags.
func series[M prometheus.Metric](m *ClientMetrics, name string, create func() M) M {
	var key strings.Builder
	key.WriteString(name)
	for _, tag := range slices.Sorted(maps.Keys(m.tags)) {
		fmt.Fprintf(&key, "\x00%s\x00%s", tag, m.tags[tag])
	}
	m.shared.mu.Lock()
	defer m.shared.mu.Unlock()
	if have, ok := m.shared.all[key.String()].(M); ok {
		return have
	}
	made := create()
	m.shared.all[key.String()] = made
	return made
}

// Describe implements prometheus.Collector; it describes nothing, because which series there are shows only in time.
func (m *ClientMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m *ClientMetrics) Collect(out chan<- prometheus.Metric) {
	m.shared.mu.Lock()
	all := slices.Collect(maps.Values(m.shared.all))
	m.shared.mu.Unlock()
	for _, metric := range all {
		out <- metric
	}
}

type clientCounter struct{ prometheus.Counter }

// Inc implements client.MetricsCounter.
func (c clientCounter) Inc(by int64) { c.Add(float64(by)) }

type clientGauge struct{ prometheus.Gauge }

// Update implements client.MetricsGauge.
func (g clientGauge) Update(v float64) { g.Set(v) }

type clientTimer struct{ prometheus.Histogram }

// Record implements client.MetricsTimer.
func (t clientTimer) Record(d time.Duration) { t.Observe(d.Seconds()) }
