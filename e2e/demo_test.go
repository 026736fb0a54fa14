package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"

	"github.com/gantry-connect/gantry/internal/devstack/devstacktest"
)

// flightTables are the tables of nycflights13 with the Postgres types of their columns, in the order of the files.
var flightTables = map[string]string{
	"airlines": "carrier text, name text",
	"airports": "faa text, name text, lat float8, lon float8, alt int4, tz int2, dst text, tzone text",
	"planes":   "tailnum text, year int4, type text, manufacturer text, model text, engines int4, seats int4, speed int4, engine text",
	"weather": "origin text, year int4, month int4, day int4, hour int4, temp float8, dewp float8, humid float8, wind_dir int4, " +
		"wind_speed float8, wind_gust float8, precip float8, pressure float8, visib float8, time_hour timestamptz",
	"flights": "year int4, month int4, day int4, dep_time int4, sched_dep_time int4, dep_delay int4, arr_time int4, sched_arr_time int4, " +
		"arr_delay int4, carrier text, flight int4, tailnum text, origin text, dest text, air_time int4, distance int4, hour int4, " +
		"minute int4, time_hour timestamptz",
}

// gantryTypes are FileSource's names for Postgres types.
var gantryTypes = strings.NewReplacer(" text", ":string", " float8", ":float64", " int4", ":int32", " int2", ":int16",
	" timestamptz", ":timestamptz", ", ", ",")

// TestRealTablesArriveValueByValue copies the New York flights tables into tables that the sink creates, with four sink
// tasks. Postgres itself loads the files and compares.
func TestRealTablesArriveValueByValue(t *testing.T) {
	t.Parallel()
	e := start(t)
	e.startWorker()
	var topics []string
	byTopic := map[string]string{} // the topic, which is also the target's table, by the table's name
	for name, columns := range flightTables {
		topic := devstacktest.Topic(t, name)
		byTopic[name] = topic
		topics = append(topics, topic)
		c := config{"connector.class": "FileSource", "file": unpacked(t, e, name), "format": "csv", "csv.null": "NA",
			"csv.types": gantryTypes.Replace(columns), "topic": topic, "topic.queues": "4"}
		if name == "flights" {
			c["queue.unkeyed"] = "spread"
		}
		e.client.put(name, c)
	}
	e.client.put(postgresSink, config{"connector.class": "PostgresSink", "topics": strings.Join(topics, ","), "tasks.max": "4",
		"connection.url": e.targetURL(), "connection.password": "${env:" + passwordVariable + "}", "table": "${topic}",
		"insert.mode": "insert", "auto.create": "true"})
	db := e.connect()
	total := 0
	for name, columns := range flightTables {
		load(t, db, name, columns, e.path(name+".csv"))
	}
	for name := range flightTables {
		var want, got int
		require.NoError(t, db.QueryRow(t.Context(), "select count(*) from "+expected(name)).Scan(&want))
		total += want
		await(t, "all rows of "+name, func() error {
			err := db.QueryRow(t.Context(), "select count(*) from "+pgx.Identifier{byTopic[name]}.Sanitize()).Scan(&got)
			if err == nil && got < want {
				err = fmt.Errorf("there are %d of %d", got, want)
			}
			if trouble := e.client.trouble(postgresSink) + e.client.trouble(name); err != nil && trouble != "" {
				return &hopeless{fmt.Errorf("%w; %s", err, trouble)}
			}
			return err
		})
	}
	e.stopWorkers()
	for name, columns := range flightTables {
		compare(t, db, name, columns, byTopic[name])
	}
	t.Logf("%d rows", total)
}

func expected(name string) string { return "expected_" + name }

// unpacked returns the table's file as plain CSV.
func unpacked(t *testing.T, e *env, name string) string {
	t.Helper()
	packed := filepath.Join("..", "data", "nycflights13", name+".csv")
	var in io.Reader
	f, err := os.Open(packed)
	if os.IsNotExist(err) {
		f, err = os.Open(packed + ".xz")
		require.NoError(t, err)
		in, err = xz.NewReader(f)
	} else {
		in = f
	}
	require.NoError(t, err)
	defer f.Close() //nolint:errcheck // only read
	out, err := os.Create(e.path(name + ".csv"))
	require.NoError(t, err)
	_, err = io.Copy(out, in)
	require.NoError(t, err)
	require.NoError(t, out.Close())
	return out.Name()
}

// load lets Postgres read a file by itself.
func load(t *testing.T, db *pgx.Conn, name, columns, path string) {
	t.Helper()
	_, err := db.Exec(t.Context(), fmt.Sprintf("create table %s (%s)", expected(name), columns))
	require.NoError(t, err)
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close() //nolint:errcheck // only read
	tag, err := db.PgConn().CopyFrom(context.WithoutCancel(t.Context()), f, "copy "+expected(name)+" from stdin with (format csv, header, null 'NA')")
	require.NoError(t, err)
	require.Positive(t, tag.RowsAffected())
}

// compare counts rows that only one of the two tables has, doubles included, and compares the columns' names and types.
func compare(t *testing.T, db *pgx.Conn, name, columns, copied string) {
	t.Helper()
	a, b := expected(name), pgx.Identifier{copied}.Sanitize()
	for _, pair := range [][2]string{{a, b}, {b, a}} {
		var n int
		require.NoError(t, db.QueryRow(t.Context(), fmt.Sprintf("select count(*) from (table %s except all table %s) d", pair[0], pair[1])).Scan(&n))
		require.Zero(t, n, "rows of %s that %s has not", pair[0], pair[1])
	}
	const shape = `select string_agg(column_name || ' ' || udt_name, ', ' order by ordinal_position)
		from information_schema.columns where table_schema = 'public' and table_name = $1`
	var got string
	require.NoError(t, db.QueryRow(t.Context(), shape, copied).Scan(&got))
	require.Equal(t, columns, got, "columns of %s", name)
}
