package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/internal/devstack/devstacktest"
)

// keys is how many keys the records of one input file have.
const keys = 20

// filler makes records as long as real ones.
const filler = "the quick brown fox jumps over the lazy dog and comes back again"

// line is record id of input file number n as CSV. Files have keys of their own, because there is no order between files.
func line(n int, id int64) string {
	return fmt.Sprintf("%d,f%d-k%02d,%s\n", id, n, id*7919%keys, filler)
}

// writeInput writes records from to to-1 as CSV.
func writeInput(t *testing.T, path string, n int, from, to int64) {
	t.Helper()
	var b strings.Builder
	for id := from; id < to; id++ {
		b.WriteString(line(n, id))
	}
	require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o644))
}

// pipe is a copy of CSV files through a topic to the sinks that a test asks for.
type pipe struct {
	*env
	topic *rawTopic
	db    *pgx.Conn // of the Postgres sink, if there is one
	out   string    // folder of the file sink, if there is one
}

const (
	source       = "source"
	postgresSink = "to-postgres"
	fileSink     = "to-file"
	table        = "copied"
)

func newPipe(e *env) *pipe {
	return &pipe{env: e, topic: newRawTopic(e.t, e.stack, devstacktest.Topic(e.t, "e2e"))}
}

// sourceConfig reads files as CSV, by small sends, so that a copy takes long enough to be interrupted.
func (p *pipe) sourceConfig(files string, more config) config {
	return with(config{
		"connector.class": "FileSource", "file": files, "format": "csv", "csv.header": "false",
		"csv.columns": "id,key,text", "csv.types": "id:int64,key:string,text:string", "key.fields": "key",
		"key.converter": "string", "topic": p.topic.name, "topic.queues": "4",
		"batch.max.records": "10", "checkpoint.interval.ms": "100",
	}, more)
}

func (p *pipe) startSource(files string, more config) {
	p.t.Helper()
	p.client.put(source, p.sourceConfig(files, more))
}

// startPostgresSink writes to a table that notes the order in which its rows were inserted.
func (p *pipe) startPostgresSink(more config) {
	p.t.Helper()
	p.db = p.connect()
	_, err := p.db.Exec(p.t.Context(), "create table "+table+" (seq bigserial, id bigint, key text, text text)")
	require.NoError(p.t, err)
	p.client.put(postgresSink, p.postgresConfig(more))
}

func (p *pipe) postgresConfig(more config) config {
	return with(config{
		"connector.class": "PostgresSink", "topics": p.topic.name, "key.converter": "string",
		"connection.url": p.targetURL(), "connection.password": "${env:" + passwordVariable + "}",
		"table": table, "batch.max.records": "100", "checkpoint.interval.ms": "100", "tasks.max": "2",
	}, more)
}

func (p *pipe) startFileSink(more config) {
	p.t.Helper()
	p.out = p.path("out")
	require.NoError(p.t, os.MkdirAll(p.out, 0o755))
	p.client.put(fileSink, p.fileSinkConfig(more))
}

func (p *pipe) fileSinkConfig(more config) config {
	return with(config{
		"connector.class": "FileSink", "topics": p.topic.name, "key.converter": "string",
		"file": filepath.Join(p.out, "copied-${task}.jsonl"), "format": "json",
		"batch.max.records": "100", "checkpoint.interval.ms": "100", "tasks.max": "2",
	}, more)
}

func with(c, more config) config {
	for k, v := range more {
		c[k] = v
	}
	return c
}

// rows is how many rows the Postgres sink has written.
func (p *pipe) rows() (n int64) {
	p.t.Helper()
	require.NoError(p.t, p.db.QueryRow(p.t.Context(), "select count(*) from "+table).Scan(&n))
	return n
}

// lines is how many lines the file sink's files have.
func (p *pipe) lines() (n int64) {
	p.t.Helper()
	for _, path := range p.outputs() {
		b, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue // replaced in the meantime
		}
		require.NoError(p.t, err)
		n += int64(strings.Count(string(b), "\n"))
	}
	return n
}

func (p *pipe) outputs() []string {
	p.t.Helper()
	paths, err := filepath.Glob(filepath.Join(p.out, "*.jsonl"))
	require.NoError(p.t, err)
	slices.Sort(paths)
	return paths
}

// arrived is how many records the slowest of the parts has.
func (p *pipe) arrived() int64 {
	n := p.topic.count()
	if p.db != nil {
		n = min(n, p.rows())
	}
	if p.out != "" {
		n = min(n, p.lines())
	}
	return n
}

// awaitRecords waits until at least n records are everywhere.
func (p *pipe) awaitRecords(n int64) {
	p.t.Helper()
	looks := 0
	await(p.t, fmt.Sprintf("%d records at every end", n), func() error {
		if got := p.arrived(); got < n {
			if looks++; looks%40 == 0 {
				if err := p.anyTrouble(); err != nil {
					return err
				}
			}
			return fmt.Errorf("there are %d", got)
		}
		return nil
	})
}

// awaitInTopic waits until the topic has n messages, however far the sinks are.
func (p *pipe) awaitInTopic(n int64) {
	p.t.Helper()
	await(p.t, fmt.Sprintf("%d messages in the topic", n), func() error {
		if got := p.topic.count(); got < n {
			return fmt.Errorf("there are %d", got)
		}
		return nil
	})
}

// anyTrouble is hopeless: a task that has failed stays so.
func (p *pipe) anyTrouble() error {
	for _, name := range []string{source, postgresSink, fileSink} {
		if trouble := p.client.trouble(name); trouble != "" {
			return &hopeless{fmt.Errorf("%s has failed: %s", name, trouble)}
		}
	}
	return nil
}

// requireExactlyOnce waits until all records have arrived, stops the workers, and looks at the raw queues and the sinks: each
// record from 0 to want-1 must be there once, in order per key. It returns the verdict on the topic.
func (p *pipe) requireExactlyOnce(want int) *verdict {
	p.t.Helper()
	p.awaitRecords(int64(want))
	p.stopWorkers()
	v := judge(p.topic.read())
	p.t.Logf("topic: %d messages, of them %d fences, %d dropped by the readers' rule; %d doubles before it, %d after it",
		v.messages, v.fences, v.dropped, v.rawDoubles, len(v.doubles))
	v.requireExactly(p.t, "topic", want)
	if p.db != nil {
		p.judgeTable().requireExactly(p.t, "Postgres", want)
	}
	if p.out != "" {
		p.judgeFiles().requireExactly(p.t, "files", want)
	}
	return v
}

func (p *pipe) judgeTable() *verdict {
	p.t.Helper()
	v := newVerdict()
	found, err := p.db.Query(p.t.Context(), "select id, key, text from "+table+" order by seq")
	require.NoError(p.t, err)
	var r row
	_, err = pgx.ForEachRow(found, []any{&r.ID, &r.Key, &r.Text}, func() error {
		v.add(table, "", r)
		v.look(r)
		return nil
	})
	require.NoError(p.t, err)
	return v
}

// taskOf is the part of a file's name that says which task wrote it. There is order within a task's files only: when the
// number of tasks changes, a queue may move from one to another.
var taskOf = regexp.MustCompile(`^copied-\d+`)

func (p *pipe) judgeFiles() *verdict {
	p.t.Helper()
	v := newVerdict()
	for _, path := range p.outputs() {
		lane := taskOf.FindString(filepath.Base(path))
		f, err := os.Open(path)
		require.NoError(p.t, err)
		defer f.Close() //nolint:errcheck // only read
		s := bufio.NewScanner(f)
		for s.Scan() {
			var r row
			if err := json.Unmarshal(s.Bytes(), &r); err != nil {
				v.problems = append(v.problems, fmt.Sprintf("%s: %v: %s", path, err, s.Text()))
				continue
			}
			v.add(filepath.Base(path), lane, r)
			v.look(r)
		}
		require.NoError(p.t, s.Err())
	}
	return v
}

// look checks what a record says against its number.
func (v *verdict) look(r row) {
	if r.Text != filler || !strings.HasSuffix(r.Key, fmt.Sprintf("-k%02d", r.ID*7919%keys)) {
		v.problems = append(v.problems, fmt.Sprintf("record %d is %+v", r.ID, r))
	}
}
