package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestOperatorsVerbsLoseAndDoubleNothing pauses, resumes, stops, restarts and reconfigures source and sinks in random order at
// random moments of a copy of several files.
func TestOperatorsVerbsLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	const files, perFile, verbs = 6, 10_000, 24
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	p := newPipe(start(t))
	p.startWorker()
	p.startWorker()
	for n := range files {
		name := fmt.Sprintf("a%d.csv", n)
		if n >= files/2 {
			name = fmt.Sprintf("b%d.csv", n) // matched by the second pattern only
		}
		writeInput(t, p.path(name), n, int64(n*perFile), int64((n+1)*perFile))
	}
	pattern := p.path("a*.csv")
	p.startSource(pattern, config{"tasks.max": "2"})
	p.startPostgresSink(nil)
	p.startFileSink(nil)
	names := []string{source, postgresSink, fileSink}
	for n := range verbs {
		// Any moment will do: what the verb meets is decided by how far the copy has come.
		p.awaitRecordsOrRest(random.Int64N(files * perFile / verbs))
		name := names[random.IntN(len(names))]
		verb := []string{"pause", "stop", "restart", "config", "resume"}[random.IntN(5)]
		switch {
		case n == verbs/2:
			name, pattern = source, p.path("[ab]*.csv")
			fallthrough
		case verb == "config":
			tasks := fmt.Sprint(1 + random.IntN(4))
			t.Logf("%d: %s with %s tasks", n, name, tasks)
			p.reconfigure(name, pattern, tasks)
		case verb == "restart":
			t.Logf("%d: restart %s", n, name)
			p.client.restart(name)
		default:
			t.Logf("%d: %s %s", n, verb, name)
			p.client.verb(name, verb)
		}
	}
	for _, name := range names {
		p.client.verb(name, "resume")
	}
	p.requireExactlyOnce(files * perFile)
}

func (p *pipe) reconfigure(name, pattern, tasks string) {
	p.t.Helper()
	more := config{"tasks.max": tasks}
	switch name {
	case source:
		p.client.put(name, p.sourceConfig(pattern, more))
	case postgresSink:
		p.client.put(name, p.postgresConfig(more))
	case fileSink:
		p.client.put(name, p.fileSinkConfig(more))
	}
}

// awaitRecordsOrRest waits until n more records are in the topic, or nothing has come for a while.
func (p *pipe) awaitRecordsOrRest(n int64) {
	p.t.Helper()
	from := p.topic.count()
	last, moved := from, time.Now()
	await(p.t, "records or rest", func() error {
		count := p.topic.count()
		if count != last {
			last, moved = count, time.Now()
		}
		if count-from >= n || time.Since(moved) > 300*time.Millisecond {
			return nil
		}
		return fmt.Errorf("%d of %d", count-from, n)
	})
}

// TestDeleteEndsACopyCleanly deletes source and sink in the middle of a copy: what has arrived is there once, in order and
// without holes, nothing comes any more, and nobody knows the connectors.
func TestDeleteEndsACopyCleanly(t *testing.T) {
	t.Parallel()
	p := newPipe(start(t))
	p.startWorker()
	f := startFeed(t, p.path("input.csv"), 1000)
	p.startSource(p.path("input.csv"), following())
	p.startPostgresSink(nil)
	p.awaitRecords(2000)
	p.client.delete(postgresSink)
	p.client.awaitGone(postgresSink, p.postgresConfig(nil))
	rows := p.rows()
	before := p.topic.count()
	await(t, "the source goes on", func() error {
		if n := p.topic.count(); n < before+1000 {
			return fmt.Errorf("the topic has %d, from %d", n, before)
		}
		return nil
	})
	p.client.delete(source)
	p.client.awaitGone(source, p.sourceConfig(p.path("input.csv"), nil))
	p.stopWorkers()
	require.Equal(t, rows, p.rows(), "a deleted sink writes nothing")
	p.judgeTable().requireOnce(t, "Postgres")
	v := judge(p.topic.read())
	v.requireExactly(t, "topic", v.records)
	require.Less(t, v.records, f.end(), "the source ended before its input did")
}

// TestAServerThatStopsAnswersWhoWaits: a creation waits for a name that no worker is there to free.
func TestAServerThatStopsAnswersWhoWaits(t *testing.T) {
	t.Parallel()
	p := newPipe(start(t))
	p.client.put("x", p.counterConfig(0))
	p.client.must("DELETE", "/connectors/x", nil, nil)
	written := make(chan struct{})
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { close(written) }})
	req, err := http.NewRequestWithContext(ctx, "PUT", p.client.base+"/connectors/x/config", strings.NewReader(`{"connector.class":"CounterSource","topic":"t"}`))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	go func() { // ends with the test's patience
		<-written
		p.api.term()
	}()
	res, err := p.client.http.Do(req)
	require.NoError(t, err)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, string(text))
	require.Contains(t, string(text), "The server is stopping")
	p.api.awaitExit()
}

// TestPositionsThatADeletionKeepsAreTheLast deletes source and sink, and keeps their positions, just when the worker that has their
// tasks dies. Who is created under their names goes on behind the last record, not at the last checkpoint.
func TestPositionsThatADeletionKeepsAreTheLast(t *testing.T) {
	t.Parallel()
	p := newPipe(start(t))
	f := startFeed(t, p.path("input.csv"), 1000)
	w := p.startWorker()
	seldom := config{"checkpoint.interval.ms": "60000"}
	p.startSource(p.path("input.csv"), with(following(), seldom))
	p.startPostgresSink(seldom)
	p.awaitRecords(2000)
	w.kill()
	for _, name := range []string{source, postgresSink} {
		p.client.must("DELETE", "/v1/connectors/"+name+"?positions=false", nil, nil)
	}
	p.startWorker()
	p.client.put(source, p.sourceConfig(p.path("input.csv"), following()))
	p.client.put(postgresSink, p.postgresConfig(nil))
	p.awaitRecords(p.topic.count() + 1000)
	p.requireExactlyOnce(f.end())
}
