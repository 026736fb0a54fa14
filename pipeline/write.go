package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/gantry-connect/gantry/connector"
)

// write hands runs to the target as one batch, whose position says where to go on after it.
func (s *Sink) write(ctx context.Context, runs []*pulled) error {
	var charge int64
	records, messages := joined(runs)
	next := make(connector.Position, len(runs))
	for i, r := range runs {
		charge += r.charge
		for j := range r.bad {
			if err := s.give(ctx, &r.bad[j].message, r.bad[j].err); err != nil {
				return err
			}
		}
		if i == len(runs)-1 || !laterRun(runs[i+1:], r.from) {
			next[r.from.partition] = offsetOf(r.next, &r.rules)
		}
	}
	defer s.buffer.give(charge)
	if err := s.hand(ctx, records, messages, next); err != nil {
		return err
	}
	for p, o := range next {
		s.moved[p] = o
	}
	bytes := int64(0)
	for _, r := range runs {
		bytes += r.bytes
	}
	s.written.records += int64(len(records))
	s.written.bytes += bytes
	if len(records) > 0 {
		s.progress.copied(int64(len(records)), bytes)
	}
	if len(runs) > 1 {
		batchSlices.put(records)
	}
	for _, r := range runs {
		runSlices.put(r.records)
	}
	return nil
}

// joined is the records of all runs, with their messages.
func joined(runs []*pulled) ([]connector.Record, []*Received) {
	if len(runs) == 1 {
		return runs[0].records, runs[0].messages
	}
	n := 0
	for _, r := range runs {
		n += len(r.records)
	}
	records, messages := batchSlices.get(n), make([]*Received, 0, n)
	for _, r := range runs {
		records, messages = append(records, r.records...), append(messages, r.messages...)
	}
	return records, messages
}

func laterRun(runs []*pulled, q *sinkQueue) bool {
	for _, r := range runs {
		if r.from == q {
			return true
		}
	}
	return false
}

// hand calls the sink until it has taken every record but those that are given up.
func (s *Sink) hand(ctx context.Context, records []connector.Record, messages []*Received, next connector.Position) error {
	for {
		if err := awaitLease(ctx, s.retry, s.job.Lease); err != nil {
			return err
		}
		leave := s.progress.enter(callWrite)
		err := s.sink.Write(ctx, connector.Batch{Records: records, Next: next})
		leave()
		if err == nil {
			return nil
		}
		var bad *connector.RecordError
		if !errors.As(err, &bad) || bad.Index < 0 || bad.Index >= len(records) {
			return fmt.Errorf("write %d records to the target: %w", len(records), err)
		}
		if err := s.give(ctx, messages[bad.Index], &stageError{stageWrite, bad.Err}); err != nil {
			return err
		}
		records = without(records, bad.Index)
		messages = without(messages, bad.Index)
	}
}

// without copies: the slice is still the run's.
func without[T any](list []T, i int) []T {
	out := make([]T, 0, len(list)-1)
	return append(append(out, list[:i]...), list[i+1:]...)
}

// give gives a bad record up, if that is allowed. Its dead letter, if there is a topic for it, is stored before the position
// moves past the record: at least once.
func (s *Sink) give(ctx context.Context, m *Received, bad *stageError) error {
	c := badRecord{stage: bad.stage, err: bad.err, topic: m.Topic, partition: m.Broker + "/" + strconv.Itoa(m.ID),
		offset: strconv.FormatInt(m.Offset, 10), message: m}
	if err := s.errors.check(&c); err != nil {
		return err
	}
	topic := s.config.DeadLetterTopic
	if topic == "" {
		return nil
	}
	if s.lanes == nil {
		err := s.retry.do(ctx, "look up the queues of topic "+topic, func() (err error) {
			s.lanes, err = s.job.Queues.Queues(ctx, topic)
			return err
		})
		if err != nil {
			return err
		}
		if len(s.lanes) == 0 {
			return connector.Permanent(fmt.Errorf("dead-letter topic %s has no queues", topic))
		}
	}
	s.letters.reset()
	letter := s.errors.letter(&c, &s.letters)
	letter.Properties = letter.Properties[1:] // no stamp: a dead letter may come twice
	q := s.lanes[queueFor(c.partition, len(s.lanes))]
	err := s.retry.do(ctx, "send a dead letter to "+q.String(), func() error {
		if err := awaitLease(ctx, s.retry, s.job.Lease); err != nil {
			return err
		}
		_, err := s.job.Broker.Send(ctx, q, []Message{letter})
		return err
	})
	if err != nil {
		return err
	}
	s.progress.deadLetters.Add(1)
	return nil
}
