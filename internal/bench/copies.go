package bench

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// copyQueues is how many queues the topics have that are not read in order.
const copyQueues = 4

// copyBenches are the ways through Gantry that are measured beside the raw rates of their stages.
var copyBenches = []struct {
	name string
	run  func(ctx context.Context, l *lab) (*copyResult, error)
}{
	{FileToTopic, fileToTopic},
	{TopicToPostgres, topicToPostgres},
	{FileToFile, fileToFile},
}

// fileToTopic copies lines into four queues.
func fileToTopic(ctx context.Context, l *lab) (*copyResult, error) {
	path, err := l.linesFile()
	if err != nil {
		return nil, err
	}
	r := newCopyResult(fmt.Sprintf("file to topic: %d lines of %d bytes, %d queues, 1 task", l.Lines, lineBytes, copyQueues), "read", "send")
	for n := range l.Rounds {
		topic := fmt.Sprintf("bench-lines-%d", n)
		source := map[string]string{"connector.class": "FileSource", "file": path, "format": "lines", "topic": topic,
			"topic.queues": strconv.Itoa(copyQueues), "queue.unkeyed": "spread"}
		var s stored
		var cpu time.Duration
		used, err := l.withWorker(ctx, fmt.Sprintf("%s-%d", FileToTopic, n), func() (err error) {
			before := treeCPU()
			if err := l.api.put(ctx, topic, source); err != nil {
				return err
			}
			if s, err = l.awaitTopic(ctx, topic, l.Lines, topic); err != nil {
				return err
			}
			cpu = treeCPU() - before
			return l.api.remove(ctx, topic)
		})
		if err != nil {
			return nil, err
		}
		r.add(measured{s.rate(), perMillion(cpu, l.Lines), s.sustained()}, used, l.Lines)
		messages, err := l.sample(ctx, topic)
		if err != nil {
			return nil, err
		}
		err = r.addRaw(
			func() (measured, error) { return rawRead(path) },
			func() (measured, error) { return l.rawSend(ctx, topic+"-raw", messages, copyQueues, l.Lines) })
		if err != nil {
			return nil, err
		}
		if err := l.dropTopics(ctx, topic, topic+"-raw"); err != nil {
			return nil, err
		}
		l.sayf("file to topic, round %d of %d: %s (load %s)", n+1, l.Rounds, r.last(), load())
	}
	return r, nil
}

// topicToPostgres copies the flights table from four queues into a table that the sink creates.
func topicToPostgres(ctx context.Context, l *lab) (*copyResult, error) {
	path, rows, err := l.flightsFile()
	if err != nil {
		return nil, err
	}
	const topic = "bench-flights"
	source := map[string]string{"connector.class": "FileSource", "file": path, "format": "csv", "csv.null": "NA", "topic": topic,
		"topic.queues": strconv.Itoa(copyQueues), "queue.unkeyed": "spread"}
	fill, err := l.withWorker(ctx, "flights", func() (err error) {
		if err := l.api.put(ctx, topic, source); err != nil {
			return err
		}
		s, err := l.awaitTopic(ctx, topic, rows, topic)
		l.sayf("file to topic, for comparison: %d flights as CSV with inferred types: %s", rows, perSecond(s.rate()))
		return errors.Join(err, l.api.remove(ctx, topic))
	})
	if err != nil {
		return nil, err
	}
	l.sayf("  peak memory of that worker %s, CPU %s", megabytes(fill.peak), cpuPerMillion(fill.cpu, rows))
	r := newCopyResult(fmt.Sprintf("topic to Postgres: %d flights (19 columns), %d queues, 1 task", rows, copyQueues), "pull", "COPY")
	for n := range l.Rounds {
		table := fmt.Sprintf("flights_%d", n)
		var took, cpu time.Duration
		used, err := l.withWorker(ctx, fmt.Sprintf("%s-%d", TopicToPostgres, n), func() (err error) {
			before := treeCPU()
			if err := l.api.put(ctx, table, l.postgresSink(topic, table)); err != nil {
				return err
			}
			if took, err = l.awaitRows(ctx, table, rows); err != nil {
				return err
			}
			cpu = treeCPU() - before
			return l.api.remove(ctx, table)
		})
		if err != nil {
			return nil, err
		}
		r.add(measured{rate: rate(rows, took), cpu: perMillion(cpu, rows)}, used, rows)
		err = r.addRaw(
			func() (measured, error) { return l.rawPull(ctx, topic) },
			func() (measured, error) { return l.rawCopy(ctx, table) })
		if err != nil {
			return nil, err
		}
		if _, err := l.target.Exec(ctx, "drop table "+table); err != nil {
			return nil, err
		}
		l.sayf("topic to Postgres, round %d of %d: %s (load %s)", n+1, l.Rounds, r.last(), load())
	}
	return r, l.dropTopics(ctx, topic)
}

func (l *lab) postgresSink(topic, table string) map[string]string {
	return map[string]string{"connector.class": "PostgresSink", "topics": topic, "table": table, "auto.create": "true",
		"connection.url":      fmt.Sprintf("postgres://gantry@%s/%s?sslmode=disable", l.stack.PostgresAddress, targetDatabase),
		"connection.password": "${env:" + passwordVariable + "}"}
}

// awaitRows waits until a table holds so many rows, and returns the time from the first commit to the last.
func (l *lab) awaitRows(ctx context.Context, table string, rows int) (time.Duration, error) {
	size, still, looked := int64(0), time.Now(), time.Now()
	err := poll(ctx, copyBound, fmt.Sprintf("%s has %d rows", table, rows), func() (bool, error) {
		if time.Since(looked) > time.Second {
			looked = time.Now()
			if err := l.api.failed(ctx, table); err != nil {
				return false, err
			}
		}
		var now int64 // counting takes the cores away from the copy: only once the table has stopped growing
		if err := l.target.QueryRow(ctx, "select coalesce(pg_relation_size(to_regclass($1)), 0)", table).Scan(&now); err != nil {
			return false, err
		}
		if now > 0 {
			l.moving()
		}
		if now != size || now == 0 {
			size, still = now, time.Now()
			return false, nil
		}
		if time.Since(still) < 300*time.Millisecond {
			return false, nil
		}
		still = time.Now()
		var n int
		err := l.target.QueryRow(ctx, "select count(*) from "+pgx.Identifier{table}.Sanitize()).Scan(&n)
		if n > rows {
			err = fmt.Errorf("table %s has %d rows, and the topic has %d records", table, n, rows)
		}
		return n == rows, err
	})
	if err != nil {
		return 0, err
	}
	var seconds float64
	err = l.target.QueryRow(ctx, `select extract(epoch from max(at) - min(at))::float8
		from (select pg_xact_commit_timestamp(xmin) at from `+pgx.Identifier{table}.Sanitize()+` group by xmin) x`).Scan(&seconds)
	return time.Duration(seconds * float64(time.Second)), err
}

// fileToFile copies lines through a topic of one queue into another file, in order.
func fileToFile(ctx context.Context, l *lab) (*copyResult, error) {
	path, err := l.linesFile()
	if err != nil {
		return nil, err
	}
	r := newCopyResult(fmt.Sprintf("file to topic to file: %d lines of %d bytes, 1 queue, in order", l.Lines, lineBytes), "read", "send", "pull", "write")
	r.orientation = kafkaConnect
	for n := range l.Rounds {
		topic := fmt.Sprintf("bench-chain-%d", n)
		out := l.path(fmt.Sprintf("copy-%d.txt", n))
		var took, cpu time.Duration
		used, err := l.withWorker(ctx, fmt.Sprintf("%s-%d", FileToFile, n), func() (err error) {
			before := treeCPU()
			took, err = l.chain(ctx, topic, path, out)
			cpu = treeCPU() - before
			return errors.Join(err, sameFiles(path, out), l.api.remove(ctx, topic+"-in"), l.api.remove(ctx, topic+"-out"))
		})
		if err != nil {
			return nil, err
		}
		r.add(measured{rate: rate(l.Lines, took), cpu: perMillion(cpu, l.Lines)}, used, l.Lines)
		messages, err := l.sample(ctx, topic)
		if err != nil {
			return nil, err
		}
		err = r.addRaw(
			func() (measured, error) { return rawRead(path) },
			func() (measured, error) { return l.rawSend(ctx, topic+"-raw", messages, 1, l.Lines) },
			func() (measured, error) { return l.rawPull(ctx, topic) },
			func() (measured, error) { return rawWrite(l.path("raw.txt"), l.Lines) })
		if err != nil {
			return nil, err
		}
		if err := errors.Join(l.dropTopics(ctx, topic, topic+"-raw"), os.Remove(out)); err != nil {
			return nil, err
		}
		l.sayf("file to topic to file, round %d of %d: %s (load %s)", n+1, l.Rounds, r.last(), load())
	}
	return r, nil
}

// chain copies one file into another and returns the time from the first record in the topic to the last in the file.
func (l *lab) chain(ctx context.Context, topic, from, to string) (time.Duration, error) {
	if _, err := l.createTopic(ctx, topic, 1); err != nil {
		return 0, err
	}
	source := map[string]string{"connector.class": "FileSource", "file": from, "format": "lines", "topic": topic}
	sink := map[string]string{"connector.class": "FileSink", "file": to, "format": "lines", "topics": topic}
	if err := errors.Join(l.api.put(ctx, topic+"-out", sink), l.api.put(ctx, topic+"-in", source)); err != nil {
		return 0, err
	}
	info, err := os.Stat(from)
	if err != nil {
		return 0, err
	}
	looked := time.Now()
	err = poll(ctx, copyBound, fmt.Sprintf("%s has %d bytes", to, info.Size()), func() (bool, error) {
		if time.Since(looked) > time.Second {
			looked = time.Now()
			if err := l.api.failed(ctx, topic+"-in", topic+"-out"); err != nil {
				return false, err
			}
		}
		now, err := os.Stat(to)
		if errors.Is(err, os.ErrNotExist) {
			return false, nil
		}
		l.moving()
		return err == nil && now.Size() >= info.Size(), err
	})
	if err != nil {
		return 0, err
	}
	now, err := os.Stat(to)
	if err != nil {
		return 0, err
	}
	s, err := l.stored(ctx, topic, l.Lines)
	return now.ModTime().Sub(s.first), err
}

func sameFiles(a, b string) error {
	var sums [2]string
	for i, path := range []string{a, b} {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		h := sha256.New()
		_, err = io.Copy(h, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		sums[i] = string(h.Sum(nil))
	}
	if sums[0] != sums[1] {
		return fmt.Errorf("the copy %s differs from %s", b, a)
	}
	return nil
}

func (l *lab) dropTopics(ctx context.Context, topics ...string) error {
	var errs []error
	for _, t := range topics {
		errs = append(errs, l.rocketmq.DeleteTopic(ctx, t))
	}
	return errors.Join(errs...)
}
