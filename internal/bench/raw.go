package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/gantry-connect/gantry/rocketmq"
)

const (
	rawBatch = 1000 // messages of one send, as many as Gantry's default
	pullMax  = 1024 // messages of one pull, as many as Gantry asks for
)

// rate is records in a second.
func rate(records int, d time.Duration) float64 { return float64(records) / max(d.Seconds(), 1e-9) }

// rawRead reads a file line by line.
func rawRead(path string) (float64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close() //nolint:errcheck // only read
	lines := 0
	start := time.Now()
	for s := bufio.NewScanner(f); s.Scan(); {
		lines++
	}
	return rate(lines, time.Since(start)), nil
}

// rawWrite writes as many bytes as a file of lines has, in blocks of 256 KiB, and syncs at the end.
func rawWrite(path string, lines int) (_ float64, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(path)) }()
	block := make([]byte, 256<<10)
	start := time.Now()
	for left := lines * lineBytes; left > 0; left -= len(block) {
		if _, err := f.Write(block[:min(left, len(block))]); err != nil {
			return 0, err
		}
	}
	err = f.Sync()
	return rate(lines, time.Since(start)), err
}

// warmUpMessages are enough for the broker's JIT to have compiled what sends and pulls need.
const warmUpMessages = 600_000

// warmUp has the broker store and give out messages that nobody counts, so that the first measurement finds it as the
// others do.
func (l *lab) warmUp(ctx context.Context) error {
	l.sayf("warming up with %d messages", warmUpMessages)
	const topic = "bench-warm-up"
	messages := slices.Repeat([]rocketmq.Message{{Body: make([]byte, 200)}}, rawBatch)
	if _, err := l.rawSend(ctx, topic, messages, copyQueues, warmUpMessages); err != nil {
		return err
	}
	if _, err := l.rawPull(ctx, topic); err != nil {
		return err
	}
	return l.dropTopics(ctx, topic)
}

// rawSend sends the messages that Gantry sent once more, to as many queues of a new topic, one batch in flight for each.
func (l *lab) rawSend(ctx context.Context, topic string, sample []rocketmq.Message, queues, count int) (float64, error) {
	all, err := l.createTopic(ctx, topic, queues)
	if err != nil {
		return 0, err
	}
	var sent atomic.Int64
	start := time.Now()
	g, gctx := errgroup.WithContext(ctx) // owns the senders
	for _, q := range all {
		g.Go(func() error {
			for sent.Add(int64(len(sample))) <= int64(count) {
				_, err := l.rocketmq.Send(gctx, q, sample)
				for ; rocketmq.IsNotStored(err) && gctx.Err() == nil; _, err = l.rocketmq.Send(gctx, q, sample) {
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return 0, fmt.Errorf("send to %s: %w", topic, err)
	}
	return rate(count/len(sample)*len(sample), time.Since(start)), nil
}

func (l *lab) createTopic(ctx context.Context, topic string, queues int) ([]rocketmq.Queue, error) {
	if err := l.rocketmq.CreateTopic(ctx, rocketmq.Topic{Name: topic, Queues: queues, MessageType: "NORMAL"}); err != nil {
		return nil, err
	}
	return l.rocketmq.Queues(ctx, topic)
}

// rawPull reads a whole topic, one puller for each queue.
func (l *lab) rawPull(ctx context.Context, topic string) (float64, error) {
	all, err := l.rocketmq.Queues(ctx, topic)
	if err != nil {
		return 0, err
	}
	var messages atomic.Int64
	start := time.Now()
	g, gctx := errgroup.WithContext(ctx) // owns the pullers
	for _, q := range all {
		g.Go(func() error {
			at, end, err := l.rocketmq.Bounds(gctx, q)
			for err == nil && at < end {
				var p rocketmq.Pull
				p, err = l.rocketmq.Pull(gctx, q, at, pullMax)
				messages.Add(int64(len(p.Messages)))
				at = p.Next
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return 0, fmt.Errorf("pull %s: %w", topic, err)
	}
	return rate(int(messages.Load()), time.Since(start)), nil
}

// sample is a batch of the messages that Gantry has put into a topic, to be sent again.
func (l *lab) sample(ctx context.Context, topic string) ([]rocketmq.Message, error) {
	all, err := l.rocketmq.Queues(ctx, topic)
	if err != nil {
		return nil, err
	}
	var sample []rocketmq.Message
	for at := int64(0); len(sample) < rawBatch; {
		p, err := l.rocketmq.Pull(ctx, all[0], at, rawBatch-len(sample))
		if err != nil {
			return nil, err
		}
		for _, m := range p.Messages {
			out := rocketmq.Message{Key: m.Key, Tag: m.Tag, Body: m.Body}
			for name, value := range m.Properties.All() {
				if strings.HasPrefix(name, "gantry-") {
					out.Properties = append(out.Properties, rocketmq.Property{Name: name, Value: value})
				}
			}
			sample = append(sample, out)
		}
		if at = p.Next; at >= p.Max {
			break
		}
	}
	if len(sample) == 0 {
		return nil, fmt.Errorf("topic %s is empty", topic)
	}
	return sample, nil
}

// rawCopy lets Postgres COPY the rows of a table, as text made beforehand, from a file into an empty table of the same
// definition.
func (l *lab) rawCopy(ctx context.Context, table string) (_ float64, err error) {
	path := l.path(table + ".copy")
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(path)) }()
	from, to := pgx.Identifier{table}.Sanitize(), pgx.Identifier{table + "-raw"}.Sanitize()
	if _, err := l.target.PgConn().CopyTo(ctx, f, "copy "+from+" to stdout"); err != nil {
		return 0, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	if _, err := l.target.Exec(ctx, "create table "+to+" (like "+from+" including all)"); err != nil {
		return 0, err
	}
	start := time.Now()
	tag, err := l.target.PgConn().CopyFrom(ctx, f, "copy "+to+" from stdin")
	took := time.Since(start)
	if err != nil {
		return 0, err
	}
	_, err = l.target.Exec(ctx, "drop table "+to)
	return rate(int(tag.RowsAffected()), took), err
}
