package postgres

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// hidden is a task whose session its successor does not find, as where privileges do not reach.
func (g *target) hidden(s connector.Sink) connector.Sink {
	g.t.Helper()
	_, err := s.(*sink).conn.Exec(g.t.Context(), "set application_name = 'other'")
	require.NoError(g.t, err)
	return s
}

func TestOlderOwnerWritesNothing(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	old := g.hidden(g.open(task(1)))
	write(t, old, batch(1, row(1, "a")))
	young := g.open(task(2))
	require.Equal(t, at(1), young.Position())
	require.ErrorIs(t, old.Write(t.Context(), batch(2, row(2, "old"))), connector.ErrFenced)
	require.ErrorIs(t, old.Write(t.Context(), batch(2, row(2, "old"))), connector.ErrFenced)
	write(t, young, batch(2, row(2, "new")))
	require.Equal(t, "(1,a)\n(2,new)", g.text("select * from t"))
	_, err := Sink.OpenSink(t.Context(), g.config(), task(1))
	require.ErrorIs(t, err, connector.ErrFenced)
}

func TestOwnerThatIsAboutToCommitIsFenced(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	var young connector.Sink
	late := task(1)
	late.Reached = func(string) { young = g.open(task(2)) } // the rows are in, the position is not moved
	old := g.hidden(g.open(late))
	require.ErrorIs(t, old.Write(t.Context(), batch(1, row(1, "a"))), connector.ErrFenced)
	require.Empty(t, young.Position())
	require.Zero(t, g.count("select count(*) from t"))
}

func TestNewOwnerEndsTheOldSessionAndItsLocks(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	late := task(1)
	old := g.open(late)
	write(t, old, batch(1, row(1, "a")))
	_, err := old.(*sink).conn.Exec(t.Context(), "begin; lock table t; update gantry_positions_owners set epoch = epoch") // frozen while it holds locks
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	young, err := Sink.OpenSink(ctx, g.config(), task(2))
	require.NoError(t, err)
	defer young.Close()
	write(t, young, batch(2, row(2, "b")))
	require.ErrorIs(t, old.Write(t.Context(), batch(2, row(2, "b"))), connector.ErrFenced)
	require.Equal(t, 2, g.count("select count(*) from t"))
}

func TestPartitionThatMovesBetweenTasksHasOneWriter(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	other := connector.Task{Connector: "c", UID: 7, Number: 1, Epoch: 1}
	zero, one := g.open(task(1)), g.open(other)
	write(t, zero, batch(1, row(1, "a")))
	err := one.Write(t.Context(), batch(1, row(1, "doubled"))) // began before task 0 had written
	require.ErrorIs(t, err, connector.ErrFenced)
	other.Epoch = 2
	one = g.open(other)
	require.Equal(t, at(1), one.Position())
	write(t, one, batch(2, row(2, "b")))
	require.ErrorIs(t, zero.Write(t.Context(), batch(2, row(2, "doubled"))), connector.ErrFenced)
	require.Equal(t, "(1,a)\n(2,b)", g.text("select * from t"))
}

func TestEditedPositionWinsOnceForAllTasks(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	const queue1 connector.Partition = `{"rocketmq_queue":1}`
	first := g.open(task(1))
	require.NoError(t, first.Write(t.Context(), connector.Batch{Next: connector.Position{queue0: "10", queue1: "10"}}))
	require.NoError(t, first.Close())

	edited := connector.Task{Connector: "c", UID: 7, Epoch: 2, Generation: 1, Position: connector.Position{queue0: "3"}}
	zero := g.open(edited)
	require.Equal(t, edited.Position, zero.Position(), "queue 1 is reset")
	require.NoError(t, zero.Write(t.Context(), connector.Batch{Next: connector.Position{queue0: "5"}}))
	sibling := edited
	sibling.Number = 1
	one := g.open(sibling)
	require.Equal(t, connector.Position{queue0: "5"}, one.Position(), "the edit is not repeated")
	require.NoError(t, one.Write(t.Context(), connector.Batch{Next: connector.Position{queue1: "1"}}))
	require.NoError(t, zero.Write(t.Context(), connector.Batch{Next: connector.Position{queue0: "6"}}))
	again := edited
	again.Epoch, again.Position = 3, connector.Position{queue0: "0"} // an old copy of the catalog
	require.Equal(t, connector.Position{queue0: "6", queue1: "1"}, g.open(again).Position())
}

func TestAResetTakesEveryPositionAway(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	first := g.open(task(1))
	require.NoError(t, first.Write(t.Context(), connector.Batch{Next: connector.Position{queue0: "10"}}))
	require.NoError(t, first.Close())
	reset := g.open(connector.Task{Connector: "c", UID: 7, Epoch: 2, Generation: 1})
	require.Empty(t, reset.Position())
	require.NoError(t, reset.Write(t.Context(), connector.Batch{Next: connector.Position{queue0: "1"}}))
}

func TestNewTargetStartsAtTheCatalogsPosition(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	moved := task(1)
	moved.Position = at(100)
	require.Equal(t, at(100), g.open(moved).Position())
	stranger := connector.Task{Connector: "another", UID: 7, Epoch: 9}
	_, err := Sink.OpenSink(t.Context(), g.config(), stranger)
	require.True(t, connector.IsPermanent(err), "%v", err)
	require.ErrorContains(t, err, "position.table")
}

// TestCutSessionLosesAndDoublesNothing ends the session at each point of a batch and lets the next owner go on from
// where the target says it stands.
func TestCutSessionLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		cut  func(g *target, kill func()) (prepare func(s connector.Sink), reached func(string))
	}{
		{"before the batch", func(_ *target, kill func()) (func(connector.Sink), func(string)) {
			return func(connector.Sink) { kill() }, nil
		}},
		{"between rows and position", func(_ *target, kill func()) (func(connector.Sink), func(string)) {
			return nil, func(string) { kill() }
		}},
		{"within the rows", func(g *target, _ func()) (func(connector.Sink), func(string)) {
			g.exec(`create function die() returns trigger language plpgsql as $$ begin
				if new.id = 60 then perform pg_terminate_backend(pg_backend_pid()); end if; return new; end $$;
				create trigger die before insert on t for each row execute function die()`)
			return nil, nil
		}},
		{"within the commit", func(g *target, _ func()) (func(connector.Sink), func(string)) {
			g.exec(`create function die() returns trigger language plpgsql as $$ begin
				perform pg_terminate_backend(pg_backend_pid()); return null; end $$;
				create constraint trigger die after insert on t deferrable initially deferred for each row when (new.id = 60) execute function die()`)
			return nil, nil
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newTarget(t)
			g.exec("create table t (id integer, name text)")
			kill := func() {
				require.NotZero(t, g.count("select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity where datname = current_database() and application_name = 'gantry/7/0/1'"))
			}
			prepare, reached := tt.cut(g, kill)
			first := task(1)
			armed := false
			first.Reached = func(p string) {
				if armed && reached != nil {
					reached(p)
				}
			}
			s := g.open(first)
			write(t, s, hundred(0))
			armed = true
			if prepare != nil {
				prepare(s)
			}
			err := s.Write(t.Context(), hundred(50))
			require.Error(t, err)
			require.False(t, connector.IsPermanent(err), "%v", err)
			require.Error(t, s.Write(t.Context(), hundred(50)), "a lost session stays lost")
			g.exec("drop trigger if exists die on t")
			s = g.open(task(2))
			require.Equal(t, at(50), s.Position())
			write(t, s, hundred(50))
			require.Equal(t, 100, g.count("select count(distinct id) from t"))
			require.Equal(t, 100, g.count("select count(*) from t"))
		})
	}
}

// hundred is fifty rows with ids from start on.
func hundred(start int) connector.Batch {
	var records []connector.Record
	for i := range 50 {
		records = append(records, row(start+i, "x"))
	}
	return batch(start+50, records...)
}

// wire stands between the sink and the server.
type wire struct {
	listener net.Listener
	running  sync.WaitGroup
	client   chan net.Conn // the first connection
	server   net.Conn
}

// newWire gives a wire and the database's URL through it.
func newWire(t *testing.T, url string) (*wire, string) {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	address := net.JoinHostPort(config.Host, fmt.Sprint(config.Port))
	w := &wire{client: make(chan net.Conn, 1)}
	w.listener, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w.server, err = net.Dial("tcp", address)
	require.NoError(t, err)
	w.running.Go(func() {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.client <- client
		w.running.Go(func() { _, _ = io.Copy(w.server, client) })
		_, _ = io.Copy(client, w.server)
	})
	t.Cleanup(func() {
		_, _ = w.listener.Close(), w.server.Close()
		w.running.Wait()
	})
	return w, strings.Replace(url, address, w.listener.Addr().String(), 1)
}

// cut takes the sink's end away. The server notices nothing, and is not reached for a cancel request either.
func (w *wire) cut() { _, _ = w.listener.Close(), (<-w.client).Close() }

// TestCommitWhoseAnswerIsLost cuts the wire when COMMIT has been sent: the target has the batch, the owner cannot know.
func TestCommitWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	w, url := newWire(t, g.url)
	s := g.open(task(1), "connection.url", url)
	write(t, s, hundred(0))
	g.exec("create function wait() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(1); return null; end $$")
	g.exec("create constraint trigger wait after insert on t deferrable initially deferred for each row execute function wait()")
	g.exec("select pg_advisory_lock(1)")
	failed := make(chan error, 1)
	go func() { failed <- s.Write(t.Context(), hundred(50)) }()
	g.await("select count(*) from pg_stat_activity where datname = current_database() and application_name = 'gantry/7/0/1' and wait_event = 'advisory' and query = 'commit'")
	w.cut()
	err := <-failed
	require.Error(t, err)
	require.False(t, connector.IsPermanent(err))
	require.ErrorContains(t, s.Write(t.Context(), hundred(50)), "opened again")
	g.exec("select pg_advisory_unlock(1)")
	g.await("select 1 where (select count(*) from t) = 100")
	young := g.open(task(1)) // the same epoch: only the sink is opened again
	require.Equal(t, at(100), young.Position())
	write(t, young, hundred(100))
	require.Equal(t, 150, g.count("select count(*) from t"))
}

// TestCommitOnItsWayIsWaitedForOrEnded opens the sink again while the old session's COMMIT is still running.
func TestCommitOnItsWayIsWaitedForOrEnded(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	w, url := newWire(t, g.url)
	s := g.open(task(1), "connection.url", url)
	write(t, s, hundred(0))
	g.exec("create function wait() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(1); return null; end $$")
	g.exec("create constraint trigger wait after insert on t deferrable initially deferred for each row when (new.id = 60) execute function wait()")
	g.exec("select pg_advisory_lock(1)")
	failed := make(chan error, 1)
	go func() { failed <- s.Write(t.Context(), hundred(50)) }()
	g.await("select count(*) from pg_stat_activity where datname = current_database() and application_name = 'gantry/7/0/1' and wait_event = 'advisory' and query = 'commit'")
	w.cut()
	require.Error(t, <-failed)
	young := g.open(task(1)) // ends the old session, or would wait for its lock
	require.Equal(t, at(50), young.Position())
	g.exec("select pg_advisory_unlock(1)")
	write(t, young, hundred(50))
	require.Equal(t, 100, g.count("select count(*) from t"))
}

// await asks until the query's number is not zero.
func (g *target) await(sql string) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), 30*time.Second)
	defer cancel()
	for {
		var n int
		err := g.conn.QueryRow(ctx, sql).Scan(&n)
		if err == nil && n > 0 {
			return
		}
		if err != nil && err != pgx.ErrNoRows {
			require.NoError(g.t, err, sql)
		}
	}
}

func TestCancelledWriteEndsWithinASecondAndTakesNothing(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	s := g.open(task(1))
	write(t, s, hundred(0))
	g.exec("begin; lock table t")
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() { failed <- s.Write(ctx, hundred(50)) }()
	g.await("select count(*) from pg_stat_activity where datname = current_database() and application_name = 'gantry/7/0/1' and wait_event_type = 'Lock'")
	start := time.Now()
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	require.NoError(t, s.Close())
	require.Less(t, time.Since(start), time.Second)
	g.exec("rollback")
	require.Equal(t, 50, g.count("select count(*) from t"))
	g.await("select 1 - count(*) from pg_stat_activity where datname = current_database() and application_name = 'gantry/7/0/1'")
}

func TestDeadlockIsTriedAgain(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	s := g.open(task(1), upsertByID...)
	write(t, s, batch(1, row(1, "a"), row(2, "b")))
	g.exec("create function clash() returns trigger language plpgsql as $$ begin raise 'clash' using errcode = '40P01'; end $$")
	g.exec("create trigger clash before update on t for each row execute function clash()")
	err := s.Write(t.Context(), batch(2, row(1, "c")))
	require.Error(t, err)
	require.False(t, connector.IsPermanent(err))
	var bad *connector.RecordError
	require.NotErrorAs(t, err, &bad)
	g.exec("drop trigger clash on t")
	write(t, s, batch(2, row(1, "c"))) // the same sink goes on
	require.Equal(t, "(1,c)\n(2,b)", g.text("select * from t order by id"))
}

func TestWrongAccessIsPermanentAndNamesTheRemedy(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	role := fmt.Sprintf("r%d", time.Now().UnixNano())
	g.exec("create role " + role + " login password 'right'")
	t.Cleanup(func() {
		_, err := g.conn.Exec(context.Background(), "drop owned by "+role+" cascade; drop role "+role)
		require.NoError(t, err)
	})
	for _, tt := range []struct {
		config []string
		says   string
	}{
		{[]string{"connection.user", role, "connection.password", "wr0ng"}, "connection.password"},
		{[]string{"connection.url", strings.Replace(g.url, "/test_", "/none_", 1)}, "create the database"},
		{[]string{"connection.user", role, "connection.password", "right"}, "position.table"},
		{[]string{"position.table", "nowhere.positions"}, "position.table"},
	} {
		_, err := Sink.OpenSink(t.Context(), g.config(tt.config...), task(1))
		require.True(t, connector.IsPermanent(err), "%v", err)
		require.ErrorContains(t, err, tt.says)
		require.NotContains(t, err.Error(), "wr0ng")
	}
}

func TestConfigIsCheckedAsAWhole(t *testing.T) {
	t.Parallel()
	require.Equal(t, connector.ExactlyOnce, Sink.Guarantee(map[string]string{"connection.url": "postgres://localhost/x"}))
	for name, config := range map[string]map[string]string{
		"connection.url": {},
		"pk.mode":        {"connection.url": "postgres://localhost/x", "insert.mode": "upsert"},
		"pk.fields":      {"connection.url": "postgres://localhost/x", "pk.mode": "record_value"},
		"table":          {"connection.url": "postgres://localhost/x", "table": "a.b.c"},
		"position.table": {"connection.url": "postgres://localhost/x", "position.table": `"open`},
		"insert.mode":    {"connection.url": "postgres://localhost/x", "insert.mode": "merge"},
	} {
		require.ErrorContains(t, Sink.Check(config), name)
	}
	require.NoError(t, Sink.Check(map[string]string{"connection.url": "jdbc:postgresql://localhost:5432/x?sslmode=disable", "connection.user": "me"}))
	require.NoError(t, Sink.Check(map[string]string{"connection.url": "${env:TARGET}"}))
}
