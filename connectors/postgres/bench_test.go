package postgres

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

const benchRows = 100_000

// BenchmarkWrite measures whole batches, each a transaction with its position, against plain COPY of the same rows on the
// same server, as text made beforehand, the form psql's \copy sends: once all rows in one statement (of-copy), once in
// batches of the same size, each its own transaction (of-batched-copy). Every COPY costs Postgres about half a
// millisecond beside its rows, so the second is what a sink that commits batches can reach.
func BenchmarkWrite(b *testing.B) {
	for _, mode := range []string{modeInsert, modeUpsert, modeUpdate} {
		for _, size := range []int{500, 2000, 10_000} {
			b.Run(fmt.Sprintf("%s/%d", mode, size), func(b *testing.B) { benchmarkWrite(b, mode, size) })
		}
	}
}

func benchmarkWrite(b *testing.B, mode string, size int) {
	g := newTarget(b)
	records := flightRows(benchRows, true)
	config := []string{"table", "flights"}
	if mode != modeInsert {
		config = append(config, "insert.mode", mode, "pk.mode", "record_value", "pk.fields", "id")
	}
	var ours, plain, batched time.Duration
	epoch := int64(0)
	for b.Loop() {
		g.exec("drop table if exists flights")
		epoch++
		if mode == modeUpdate {
			fill := g.open(task(epoch), "table", "flights", "insert.mode", modeUpsert, "pk.mode", "record_value", "pk.fields", "id")
			write(b, fill, connector.Batch{Records: records, Next: at(0)})
			require.NoError(b, fill.Close())
			epoch++
		}
		s := g.open(task(epoch), config...)
		runtime.GC()
		start := time.Now()
		for i := 0; i < benchRows; i += size {
			write(b, s, connector.Batch{Records: records[i : i+size], Next: at(i + size)})
		}
		ours += time.Since(start)
		require.NoError(b, s.Close())
		require.Equal(b, benchRows, g.count("select count(*) from flights"))
		plain += plainCopy(b, g, benchRows)
		batched += plainCopy(b, g, size)
	}
	rate := func(d time.Duration) float64 { return float64(b.N) * benchRows / d.Seconds() }
	b.ReportMetric(rate(ours), "rows/s")
	b.ReportMetric(rate(plain), "copy-rows/s")
	b.ReportMetric(rate(ours)/rate(plain), "of-copy")
	b.ReportMetric(rate(ours)/rate(batched), "of-batched-copy")
	b.ReportMetric(0, "ns/op")
}

// plainCopy takes the rows out of flights and copies them into an empty table of the same definition.
func plainCopy(b *testing.B, g *target, size int) (took time.Duration) {
	g.exec("drop table if exists plain")
	g.exec("create table plain (like flights including all)")
	var parts []*bytes.Buffer
	for i := 0; i < benchRows; i += size {
		part := new(bytes.Buffer)
		_, err := g.conn.PgConn().CopyTo(b.Context(), part, fmt.Sprintf("copy (select * from flights where id >= %d and id < %d) to stdout", i, i+size))
		require.NoError(b, err)
		parts = append(parts, part)
	}
	runtime.GC()
	start := time.Now()
	for _, part := range parts {
		_, err := g.conn.PgConn().CopyFrom(b.Context(), part, "copy plain from stdin")
		require.NoError(b, err)
	}
	return time.Since(start)
}

// BenchmarkEncode is the sink's own share: rows to COPY's binary form.
func BenchmarkEncode(b *testing.B) {
	records := flightRows(2000, false)
	schema := records[0].After.Schema
	fields, err := (&Config{PKMode: pkNone}).rowFields(nil, schema)
	require.NoError(b, err)
	t := &table{direct: true}
	for _, f := range fields {
		oid := map[connector.Type]uint32{connector.Int64: oidInt8, connector.String: oidText, connector.TimestampTZ: oidTimestamptz}[f.schema.Type]
		t.columns = append(t.columns, column{name: f.name, oid: oid, base: oid, kind: 'b'})
	}
	g := &group{shape: newShape(t, fields, nil, schema, forInsert, "")}
	for i := range records {
		g.rows = append(g.rows, int32(i))
	}
	var r rowReader
	b.ReportAllocs()
	for b.Loop() {
		r.start(records, g, false)
		n, err := io.Copy(io.Discard, onlyReader{&r})
		require.NoError(b, err)
		b.SetBytes(n)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(records)), "ns/row")
}

type onlyReader struct{ io.Reader }
