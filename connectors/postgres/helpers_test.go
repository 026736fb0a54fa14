package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/internal/devstack/devstacktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// target is a database of the test's own with a second connection to look at it.
type target struct {
	t    testing.TB
	url  string
	conn *pgx.Conn
}

func newTarget(t testing.TB) *target {
	t.Helper()
	url := devstacktest.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return &target{t, url, conn}
}

func (g *target) exec(sql string, args ...any) {
	g.t.Helper()
	_, err := g.conn.Exec(g.t.Context(), sql, args...)
	require.NoError(g.t, err)
}

// text is the query's rows as text, for comparison: one line per row, columns separated by |.
func (g *target) text(sql string, args ...any) string {
	g.t.Helper()
	var out *string
	require.NoError(g.t, g.conn.QueryRow(g.t.Context(), "select string_agg(q::text, E'\n') from ("+sql+") q", args...).Scan(&out))
	if out == nil {
		return ""
	}
	return *out
}

func (g *target) scalar(sql string) (text string) {
	g.t.Helper()
	require.NoError(g.t, g.conn.QueryRow(g.t.Context(), sql).Scan(&text))
	return text
}

func (g *target) count(sql string) (n int) {
	g.t.Helper()
	require.NoError(g.t, g.conn.QueryRow(g.t.Context(), sql).Scan(&n))
	return n
}

// config is a sink's config for the table t, created on demand, with further keys.
func (g *target) config(more ...string) map[string]string {
	c := map[string]string{"connection.url": g.url, "table": "t", "auto.create": "true"}
	for i := 0; i < len(more); i += 2 {
		c[more[i]] = more[i+1]
	}
	return c
}

func task(epoch int64) connector.Task {
	return connector.Task{Connector: "c", UID: 7, Number: 0, Epoch: epoch}
}

func (g *target) open(task connector.Task, more ...string) connector.Sink {
	g.t.Helper()
	s, err := Sink.OpenSink(g.t.Context(), g.config(more...), task)
	require.NoError(g.t, err)
	g.t.Cleanup(func() { _ = s.Close() })
	return s
}

const queue0 connector.Partition = `{"rocketmq_queue":0}`

func at(offset int) connector.Position {
	return connector.Position{queue0: connector.Offset(fmt.Sprintf(`{"rocketmq_offset":%d}`, offset))}
}

// batch is records that bring queue 0 to an offset.
func batch(offset int, records ...connector.Record) connector.Batch {
	for i := range records {
		if records[i].Topic == "" {
			records[i].Topic = "topic"
		}
	}
	return connector.Batch{Records: records, Next: at(offset)}
}

var person = connector.StructOf("public.person",
	connector.Field{Name: "id", Schema: connector.Of(connector.Int32)},
	connector.Field{Name: "name", Schema: connector.OptionalOf(connector.String)})

func row(id int, name string) connector.Record {
	return connector.Record{After: connector.Datum{Schema: person, Value: connector.ListValue([]connector.Value{
		connector.IntValue(int64(id)), connector.TextValue(name)})}}
}

func gone(id int, name string) connector.Record {
	r := row(id, name)
	r.Op, r.Before, r.After = connector.Delete, r.After, connector.Datum{}
	return r
}

func write(t testing.TB, s connector.Sink, b connector.Batch) {
	t.Helper()
	require.NoError(t, s.Write(t.Context(), b))
}

// flights is the shape of the New York flights table.
var flights = func() *connector.Schema {
	s := connector.StructOf("flights")
	for _, name := range []string{"year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay"} {
		s.Fields = append(s.Fields, connector.Field{Name: name, Schema: connector.OptionalOf(connector.Int64)})
	}
	for _, f := range []struct {
		name string
		t    connector.Type
	}{{"carrier", connector.String}, {"flight", connector.Int64}, {"tailnum", connector.String}, {"origin", connector.String}, {"dest", connector.String},
		{"air_time", connector.Int64}, {"distance", connector.Int64}, {"hour", connector.Int64}, {"minute", connector.Int64},
		{"time_hour", connector.TimestampTZ}, {"id", connector.Int64}} {
		s.Fields = append(s.Fields, connector.Field{Name: f.name, Schema: connector.OptionalOf(f.t)})
	}
	return s
}()

// flightRows are n rows of 19 columns like those of the flights table; with key they have an id as 20th.
func flightRows(n int, key bool) []connector.Record {
	random := rand.New(rand.NewPCG(1, 2))
	schema := &connector.Schema{Type: connector.Struct, Name: "flights", Fields: flights.Fields[:19]}
	if key {
		schema.Fields = flights.Fields
	}
	start := time.Date(2013, 1, 1, 0, 0, 0, 0, time.UTC)
	records := make([]connector.Record, n)
	for i := range records {
		when := start.Add(time.Duration(i) * 94 * time.Second)
		number := func(limit int64) connector.Value { return connector.IntValue(random.Int64N(limit)) }
		v := []connector.Value{
			connector.IntValue(2013), connector.IntValue(int64(when.Month())), connector.IntValue(int64(when.Day())),
			number(2400), number(2400), number(60), number(2400), number(2400), number(60),
			connector.TextValue([]string{"UA", "AA", "B6", "DL"}[random.IntN(4)]), number(6000),
			connector.TextValue(fmt.Sprintf("N%05d", random.IntN(99999))), connector.TextValue("EWR"),
			connector.TextValue([]string{"IAH", "MIA", "BQN", "ATL"}[random.IntN(4)]),
			number(400), number(3000), number(24), number(60), connector.TimeValue(when.Truncate(time.Hour))}
		if random.IntN(40) == 0 {
			v[3], v[5], v[6], v[8], v[14] = connector.Null, connector.Null, connector.Null, connector.Null, connector.Null
		}
		if key {
			v = append(v, connector.IntValue(int64(i)))
		}
		records[i] = connector.Record{Topic: "flights", After: connector.Datum{Schema: schema, Value: connector.ListValue(v)}}
	}
	return records
}
