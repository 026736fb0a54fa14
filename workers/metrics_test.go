package workers_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/gantry-connect/gantry/workers"
)

func TestMetricsTellWhatTasksDo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	registry := prometheus.NewPedanticRegistry()
	temporal := workers.NewClientMetrics()
	require.NoError(t, registry.Register(temporal))
	w := r.worker("one", func(c *workers.Config, d *workers.Deps) {
		c.Metrics = registry
		counted, err := client.DialContext(t.Context(), client.Options{HostPort: r.info.TemporalAddress, Namespace: r.info.TemporalNamespace,
			Logger: r.sdkLogger(), MetricsHandler: temporal})
		require.NoError(t, err)
		t.Cleanup(counted.Close)
		d.Temporal = counted
	})
	conn := r.create("numbers", r.numbers("numbers", 1, nil))
	// find returns the sum of the series of a name that have all of the labels, and how many there are.
	find := func(name string, labels ...string) (sum float64, n int) {
		families, err := registry.Gather()
		require.NoError(t, err)
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == name && labelled(m, labels...) {
					sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
					n++
				}
			}
		}
		return sum, n
	}
	more := func(name string, labels ...string) func() bool {
		return func() bool { sum, _ := find(name, labels...); return sum > 0 }
	}
	for _, name := range []string{"gantry_task_records_total", "gantry_task_bytes_total", "gantry_task_commits_total",
		"gantry_task_records_per_second", "gantry_task_last_record_timestamp_seconds"} {
		r.await(name, more(name, "connector="+conn.Name, "task=0", "worker="+w.id))
	}
	r.await("commits", more("gantry_commit_seconds"))
	r.await("a task that copies", more("gantry_worker_tasks", "state=copying"))
	capacity, n := find("gantry_worker_capacity")
	require.Equal(t, 20.0, capacity)
	require.Equal(t, 1, n)
	r.await("the client's", more("temporal_request", "operation=RespondActivityTaskCompleted"))
	r.await("the client's timers", more("temporal_activity_execution_latency"))
}

// labelled reports whether a series has all of the labels, each given as name=value.
func labelled(m *dto.Metric, labels ...string) bool {
	have := map[string]string{}
	for _, l := range m.GetLabel() {
		have[l.GetName()] = l.GetValue()
	}
	for _, l := range labels {
		name, value, _ := strings.Cut(l, "=")
		if have[name] != value {
			return false
		}
	}
	return true
}
