package e2e

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/internal/devstack"
	"github.com/gantry-connect/gantry/internal/devstack/devstacktest"
)

// TestServersThatRestartCostNothing kills and restarts each server that Gantry needs in the middle of a copy whose input goes
// on growing. The servers are the test's own; the copies take turns on them.
func TestServersThatRestartCostNothing(t *testing.T) {
	t.Parallel()
	stack := devstacktest.Private(t)
	for _, fault := range []struct {
		name   string
		test   func(*pipe, *devstack.Stack)
		steady bool // the source has its lease and the broker all the time
	}{{"broker", restartBroker, false}, {"postgres", restartPostgres, false}, {"temporal", restartTemporal, true}} {
		t.Run(fault.name, func(t *testing.T) {
			p := newPipe(startOn(t, stack, fault.name))
			f := startFeed(t, p.path("input.csv"), burst)
			p.startWorker()
			p.startSource(p.path("input.csv"), following())
			p.startPostgresSink(nil)
			p.startFileSink(nil)
			p.awaitRecords(burst)
			fault.test(p, stack)
			p.awaitRecords(p.topic.count() + 1000)
			v := p.requireExactlyOnce(f.end())
			if fault.steady {
				require.Zero(t, v.rawDoubles, "nothing is repeated, not even in the raw queues")
			}
		})
	}
}

// startOn is a migrated environment with its API up on a stack of the test's own, with databases and a namespace by name.
func startOn(t *testing.T, stack *devstack.Stack, name string) *env {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), stack.PostgresURL("postgres"))
	require.NoError(t, err)
	defer conn.Close(t.Context()) //nolint:errcheck // only creates
	for _, database := range []string{name + "_catalog", name + "_target"} {
		_, err := conn.Exec(t.Context(), "create database "+database)
		require.NoError(t, err)
	}
	e := &env{t: t, stack: stack.Info, dir: t.TempDir(), catalog: stack.PostgresURL(name + "_catalog"),
		target: stack.PostgresURL(name + "_target"), namespace: "restarts-" + name,
		temporal: stack.TemporalAddress, nameServer: stack.NameServer}
	require.NoError(t, stack.CreateNamespace(t.Context(), e.namespace))
	e.migrate()
	e.startAPI()
	return e
}

// restartBroker kills the broker, and then restarts it cleanly. Sends are under way both times.
func restartBroker(p *pipe, stack *devstack.Stack) {
	require.NoError(p.t, stack.Kill(devstack.Broker))
	p.restart(stack, devstack.Broker)
	p.topic = newRawTopic(p.t, p.stack, p.topic.name) // the connection has gone with the broker
	p.awaitRecords(p.topic.count() + 1000)
	p.restart(stack, devstack.Broker)
	p.topic = newRawTopic(p.t, p.stack, p.topic.name)
}

// restartPostgres kills the server that has catalog and target until the leases have run out, and then restarts it cleanly.
func restartPostgres(p *pipe, stack *devstack.Stack) {
	require.NoError(p.t, stack.Kill(devstack.Postgres))
	p.awaitStill("nothing is sent without a lease")
	p.restart(stack, devstack.Postgres)
	p.db = p.connect()
	p.awaitRecords(p.topic.count() + 1000)
	p.restart(stack, devstack.Postgres)
	p.db = p.connect()
}

// restartTemporal kills Temporal. Who has a lease goes on copying, for much longer than a heartbeat timeout, and does what
// the catalog wants, pausing for example. What runs and what is paused stays so when Temporal is back.
func restartTemporal(p *pipe, stack *devstack.Stack) {
	require.NoError(p.t, stack.Kill(devstack.Temporal))
	begin, before := time.Now(), p.arrived()
	await(p.t, "five heartbeat timeouts have passed, with records all the way", func() error {
		if n := p.arrived() - before; time.Since(begin) < 15*time.Second || n < 5000 {
			return fmt.Errorf("%d records have arrived at every end in %v", n, time.Since(begin))
		}
		return nil
	})
	gap := p.longestGap(begin)
	p.t.Logf("the topic stood still for at most %v while Temporal was down", gap)
	require.Less(p.t, gap, handoverLimit, "the copy went on")

	asked := time.Now()
	p.client.verb(source, "pause")
	p.t.Logf("the pause was taken after %v", time.Since(asked).Round(time.Millisecond))
	p.awaitStill("the source pauses without Temporal")
	paused := p.topic.count()
	p.restart(stack, devstack.Temporal)
	p.client.awaitState(source, "PAUSED")
	p.client.awaitState(postgresSink, "RUNNING")
	p.client.awaitState(fileSink, "RUNNING")
	require.Equal(p.t, paused, p.topic.count(), "a paused source sends nothing")
	p.client.verb(source, "resume")
}

func (p *pipe) restart(stack *devstack.Stack, part devstack.Part) {
	p.t.Helper()
	begin := time.Now()
	require.NoError(p.t, stack.Restart(p.t.Context(), part))
	p.t.Logf("%s was restarted within %v", part, time.Since(begin).Round(time.Millisecond))
}

// stillFor is longer than a lease.
const stillFor = 4 * time.Second

// awaitStill waits until nothing has come into the topic for a while.
func (p *pipe) awaitStill(why string) {
	p.t.Helper()
	last, since := p.topic.count(), time.Now()
	await(p.t, why, func() error {
		if n := p.topic.count(); n != last {
			last, since = n, time.Now()
		}
		if time.Since(since) < stillFor {
			return errors.New("records have just come")
		}
		return nil
	})
}
