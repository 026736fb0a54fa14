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

// measured is how fast something was, and what it cost.
type measured struct {
	rate float64       // records a second
	cpu  time.Duration // of all processes of the bench, for a million records; 0 if unknown
	// readable is the rate up to when the broker had indexed everything, so that it could be pulled; 0 where the broker stores
	// nothing. It acknowledges messages long before it has worked them off.
	readable float64
}

// done is the rate up to when nothing was left to do.
func (m measured) done() float64 {
	if m.readable > 0 {
		return m.readable
	}
	return m.rate
}

// measure runs f, which says how many records it has moved.
func measure(f func() (records int, err error)) (measured, error) {
	cpu, start := treeCPU(), time.Now()
	records, err := f()
	took := time.Since(start)
	return measured{rate: rate(records, took), cpu: perMillion(treeCPU()-cpu, records)}, err
}

func perMillion(d time.Duration, records int) time.Duration {
	return time.Duration(float64(d) * 1e6 / float64(max(records, 1)))
}

// rate is records in a second.
func rate(records int, d time.Duration) float64 { return float64(records) / max(d.Seconds(), 1e-9) }

// rawRead reads a file line by line.
func rawRead(path string) (measured, error) {
	f, err := os.Open(path)
	if err != nil {
		return measured{}, err
	}
	defer f.Close() //nolint:errcheck // only read
	return measure(func() (lines int, err error) {
		s := bufio.NewScanner(f)
		for s.Scan() {
			lines++
		}
		return lines, s.Err()
	})
}

// rawWrite writes as many bytes as a file of lines has, in blocks of 256 KiB, and syncs at the end.
func rawWrite(path string, lines int) (_ measured, err error) {
	f, err := os.Create(path)
	if err != nil {
		return measured{}, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(path)) }()
	block := make([]byte, 256<<10)
	return measure(func() (int, error) {
		for left := lines * lineBytes; left > 0; left -= len(block) {
			if _, err := f.Write(block[:min(left, len(block))]); err != nil {
				return 0, err
			}
		}
		return lines, f.Sync()
	})
}

// warmUpMessages are enough for the broker's JIT to have compiled what sends and pulls need.
const warmUpMessages = 1_500_000

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
func (l *lab) rawSend(ctx context.Context, topic string, sample []rocketmq.Message, queues, count int) (measured, error) {
	all, err := l.createTopic(ctx, topic, queues)
	if err != nil {
		return measured{}, err
	}
	cpu, start, whole := treeCPU(), time.Now(), count/len(sample)*len(sample)
	m, err := measure(func() (int, error) {
		var begun atomic.Int64
		g, gctx := errgroup.WithContext(ctx) // owns the senders
		for _, q := range all {
			g.Go(func() error {
				for begun.Add(int64(len(sample))) <= int64(count) {
					if err := l.sendOnce(gctx, q, sample); err != nil {
						return err
					}
				}
				return nil
			})
		}
		return whole, g.Wait()
	})
	if err != nil {
		return measured{}, fmt.Errorf("send to %s: %w", topic, err)
	}
	err = l.settle(ctx, topic, whole)
	m.readable, m.cpu = rate(whole, time.Since(start)), perMillion(treeCPU()-cpu, whole)
	return m, err
}

// settle waits until the broker has indexed what it has acknowledged, which can take it as long as storing it: the next
// measurement must not share the cores with that.
func (l *lab) settle(ctx context.Context, topic string, messages int) error {
	return poll(ctx, copyBound, "the broker has indexed "+topic, func() (bool, error) {
		n, err := l.count(ctx, topic)
		return n >= messages, err
	})
}

// sendOnce sends a batch, again if a busy machine made that fail: nobody minds what comes twice.
func (l *lab) sendOnce(ctx context.Context, q rocketmq.Queue, batch []rocketmq.Message) error {
	for {
		_, err := l.rocketmq.Send(ctx, q, batch)
		if err == nil || rocketmq.IsPermanent(err) || ctx.Err() != nil {
			return err
		}
	}
}

func (l *lab) createTopic(ctx context.Context, topic string, queues int) ([]rocketmq.Queue, error) {
	if err := l.rocketmq.CreateTopic(ctx, rocketmq.Topic{Name: topic, Queues: queues, MessageType: "NORMAL"}); err != nil {
		return nil, err
	}
	return l.rocketmq.Queues(ctx, topic)
}

// rawPull reads a whole topic, one puller for each queue.
func (l *lab) rawPull(ctx context.Context, topic string) (measured, error) {
	all, err := l.rocketmq.Queues(ctx, topic)
	if err != nil {
		return measured{}, err
	}
	m, err := measure(func() (int, error) {
		var messages atomic.Int64
		g, gctx := errgroup.WithContext(ctx) // owns the pullers
		for _, q := range all {
			g.Go(func() error {
				at, end, err := l.rocketmq.Bounds(gctx, q)
				for err == nil && at < end {
					var p rocketmq.Pull
					p, err = l.rocketmq.Pull(gctx, q, at, pullMax)
					messages.Add(int64(len(p.Messages)))
					at = p.Next
					p.Release()
				}
				return err
			})
		}
		err := g.Wait()
		return int(messages.Load()), err
	})
	if err != nil {
		return measured{}, fmt.Errorf("pull %s: %w", topic, err)
	}
	return m, nil
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
func (l *lab) rawCopy(ctx context.Context, table string) (_ measured, err error) {
	path := l.path(table + ".copy")
	f, err := os.Create(path)
	if err != nil {
		return measured{}, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(path)) }()
	from, to := pgx.Identifier{table}.Sanitize(), pgx.Identifier{table + "-raw"}.Sanitize()
	if _, err := l.target.PgConn().CopyTo(ctx, f, "copy "+from+" to stdout"); err != nil {
		return measured{}, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return measured{}, err
	}
	if _, err := l.target.Exec(ctx, "create table "+to+" (like "+from+" including all)"); err != nil {
		return measured{}, err
	}
	m, err := measure(func() (int, error) {
		tag, err := l.target.PgConn().CopyFrom(ctx, f, "copy "+to+" from stdin")
		return int(tag.RowsAffected()), err
	})
	if err != nil {
		return measured{}, err
	}
	_, err = l.target.Exec(ctx, "drop table "+to)
	return m, err
}
