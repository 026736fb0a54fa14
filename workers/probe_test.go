package workers_test

import (
	"encoding/json"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/control"
	"github.com/gantry-connect/gantry/probe"
	"github.com/gantry-connect/gantry/workers"
	"github.com/gantry-connect/gantry/workflows"
)

// ask has a worker answer a question, as the API does.
func (r *rig) ask(q probe.Question) (a probe.Answer) {
	r.t.Helper()
	return r.askGroup(q.Config["worker.group"], q)
}

func (r *rig) askGroup(group string, q probe.Question) (a probe.Answer) {
	r.t.Helper()
	text, err := json.Marshal(q)
	require.NoError(r.t, err)
	id, err := r.catalog.Ask(r.t.Context(), text)
	require.NoError(r.t, err)
	require.NoError(r.t, control.Temporal{Client: r.client, Queue: r.suffix}.Probe(r.t.Context(), id, "test", group))
	reply, err := r.catalog.TakeReply(r.t.Context(), id)
	require.NoError(r.t, err)
	require.NoError(r.t, json.Unmarshal(reply, &a))
	_, err = r.catalog.TakeReply(r.t.Context(), id)
	require.ErrorIs(r.t, err, catalog.ErrNotFound, "an answer is read once")
	events := r.client.GetWorkflowHistory(r.t.Context(), workflows.ProbeWorkflowID(id), "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(r.t, err)
		require.NotContains(r.t, event.String(), "counter.", "neither config nor data goes through histories")
	}
	return a
}

func codes(r *probe.CheckResult) string {
	all := make([]string, len(r.Findings))
	for i, f := range r.Findings {
		all[i] = f.Severity + " " + f.Code
	}
	return strings.Join(all, ", ")
}

// A worker looks at the real systems, shows what it sees, and changes nothing.
func TestAWorkerChecksAndPreviews(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.worker("one", nil)
	config := r.numbers("numbers", 1, map[string]string{"name": "x", "counter.count": "5", "counter.interval.ms": "0"})
	a := r.ask(probe.Question{Kind: probe.KindCheck, Config: config})
	require.Equal(t, "info topic-missing, info plan", codes(a.Check))
	require.True(t, a.Check.OK)
	require.Equal(t, w.id, a.Check.WorkerID)

	bad := maps.Clone(config)
	bad["topic.create"] = "false"
	a = r.ask(probe.Question{Kind: probe.KindCheck, Config: bad})
	require.Equal(t, "error topic-missing", codes(a.Check))
	require.Contains(t, a.Check.Findings[0].Remedy, "mqadmin updateTopic")
	bad["counter.keys"] = "${env:GANTRY_TEST_NOBODY_SETS_THIS}"
	a = r.ask(probe.Question{Kind: probe.KindCheck, Config: bad})
	require.Equal(t, "error invalid-config", codes(a.Check))
	require.Equal(t, "counter.keys", a.Check.Findings[0].Subject)

	maps.Copy(config, map[string]string{"transforms": "add,odd", "transforms.add.type": "InsertField$Value",
		"transforms.add.static.field": "site", "transforms.add.static.value": "x1",
		"transforms.odd.type": "Filter"})
	a = r.ask(probe.Question{Kind: probe.KindPreview, Config: config, Limit: 3})
	require.Empty(t, a.Problem)
	require.Len(t, a.Preview.Items, 3)
	item := a.Preview.Items[1]
	require.JSONEq(t, `{"partition":0,"number":1}`, string(item.Record.After))
	require.JSONEq(t, `{"counter":0}`, string(item.Partition))
	require.Equal(t, r.topic("numbers"), item.Record.Topic)
	require.JSONEq(t, `{"partition":0,"number":1,"site":"x1"}`, string(item.Steps[0].Record.After))
	require.Equal(t, probe.PreviewStep{Transform: "odd", Kept: false}, item.Steps[1])
	a = r.ask(probe.Question{Kind: probe.KindPreview, Config: config, Limit: 50})
	require.Len(t, a.Preview.Items, 5)
	require.NotEmpty(t, a.Preview.Note, "why there are fewer than asked for")
	a = r.ask(probe.Question{Kind: probe.KindTopic, Topic: r.topic("numbers"), Limit: 3, From: "earliest"})
	require.True(t, a.Missing, "a preview creates no topic")
}

// Invariant 8: whatever a connector says or panics with while it is looked at, its secrets stay in.
func TestSecretsStayOutOfChecksAndPreviews(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.worker("one", nil)
	for how, says := range map[string]string{"panic in check": "nobody gets through with ********", "panic of a secret in open": "nobody is let in with ********",
		"bad record": "nobody reads it with ********"} {
		config := r.troubled(how)
		config["name"], config["trouble.password"] = "x", "${env:PATH}" // some variable that is set everywhere
		for _, kind := range []probe.Kind{probe.KindPreview, probe.KindCheck} {
			text, err := json.Marshal(r.ask(probe.Question{Kind: kind, Config: config, Limit: 3}))
			require.NoError(t, err)
			if kind == probe.KindPreview || how == "panic in check" {
				require.Contains(t, string(text), says, "%s, %s", kind, how)
			}
			require.NotContains(t, string(text), os.Getenv("PATH"), "%s, %s", kind, how)
		}
	}
}

// Only workers of a connector's group are sure to have its plugin and credentials.
func TestACheckIsDoneInTheConnectorsGroup(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	big := r.worker("big", func(c *workers.Config, _ *workers.Deps) { c.Group = "big" })
	topic := probe.Question{Kind: probe.KindTopic, Topic: r.topic("numbers"), Limit: 1, From: "earliest"}
	require.True(t, r.askGroup("big", topic).Missing)
	plain := r.worker("plain", nil)
	ask := func(group string) string {
		config := r.numbers("numbers", 1, map[string]string{"name": "x", "worker.group": group})
		return r.ask(probe.Question{Kind: probe.KindCheck, Config: config}).Check.WorkerID
	}
	for range 5 { // a worker of a group is asked now and then what is not for it, and leaves it to the others
		require.Equal(t, big.id, ask("big"))
		require.Equal(t, plain.id, ask(""))
	}
}

// The topics of a source go with it when that is asked for, and what they hold can be looked at before.
func TestADeletedSourceTakesItsTopicsAlong(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.worker("one", nil)
	source := r.create("numbers", r.numbers("numbers", 1, map[string]string{"counter.count": "20", "counter.interval.ms": "0"}))
	r.await("20 records", func() bool { return r.tasks(source)[0].CommittedRecords == 20 })
	a := r.ask(probe.Question{Kind: probe.KindTopic, Topic: r.topic("numbers"), Limit: 4, From: "latest"})
	require.Empty(t, a.Problem)
	require.Len(t, a.Preview.Items, 4)
	require.Equal(t, "insert", a.Preview.Items[0].Record.Operation)
	a = r.ask(probe.Question{Kind: probe.KindTopic, Topic: r.topic("numbers"), Limit: 15, From: "latest"})
	require.Len(t, a.Preview.Items, 15, "all that was asked for, however the records lie in the queues")
	a = r.ask(probe.Question{Kind: probe.KindTopic, Topic: r.topic("numbers"), Limit: 15, From: "earliest"})
	require.Len(t, a.Preview.Items, 15)
	sink := r.drainInto("numbers", 1)
	sink["name"] = "y"
	a = r.ask(probe.Question{Kind: probe.KindPreview, Config: sink, Limit: 20})
	require.Empty(t, a.Problem)
	require.Len(t, a.Preview.Items, 20)

	require.NoError(t, r.catalog.Delete(t.Context(), source.Name, catalog.Deletion{DropTopics: true, KeepPositions: true}, "test"))
	r.reconcile("numbers")
	r.await("gone", func() bool {
		_, err := r.catalog.Connector(t.Context(), source.Name)
		return err != nil
	})
	a = r.ask(probe.Question{Kind: probe.KindTopic, Topic: r.topic("numbers"), Limit: 1})
	require.True(t, a.Missing)
	again, err := r.catalog.CreateConnector(t.Context(), catalog.NewConnector{Name: source.Name, Class: source.Class, Kind: source.Kind,
		Config: source.Config, Desired: catalog.StateStopped, Author: "test"})
	require.NoError(t, err)
	positions, err := r.catalog.Positions(t.Context(), again.UID)
	require.NoError(t, err)
	require.Len(t, positions, 1, "the next one of the name goes on where this one was")
}

// An operator's drain empties a worker, and undrain gives it its share again; no record is lost or doubled on the way.
func TestAnOperatorDrainsAWorker(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.worker("first", nil)
	second := r.worker("second", nil)
	source := r.create("numbers", r.numbers("numbers", 2, nil))
	sink := r.create("drain", r.drainInto("numbers", 2))
	r.await("four tasks", func() bool { return r.allRun(source, 2)() && r.allRun(sink, 2)() })
	require.NoError(t, r.catalog.Cordon(t.Context(), first.id, true))
	r.await("all with the second", func() bool { return first.Health().Running == 0 && second.Health().Running == 4 })
	require.NoError(t, r.catalog.Cordon(t.Context(), first.id, false))
	r.await("the first counts again", func() bool {
		live, err := r.catalog.Workers(t.Context())
		return err == nil && len(live) == 2 && !live[0].Draining && !live[1].Draining
	})
	_, err := r.catalog.Rebalance(t.Context())
	require.NoError(t, err)
	r.await("balance", func() bool { return first.Health().Running == 2 && second.Health().Running == 2 })
	r.desire("numbers", catalog.StateStopped)
	r.await("stopped", func() bool { return r.connectorState(source) == catalog.StatusStopped })
	r.memory.exactly(t)
}
