package pipeline

import (
	"fmt"

	"github.com/gantry-connect/gantry/connector"
)

// Transformer changes records on their way: a source's after they were read, a sink's before they are written. It is used by
// one goroutine at a time.
type Transformer interface {
	// Apply changes rec, which is the caller's; it leaves Partition and Mark alone, and the memory that values share.
	// A record that is not kept is left out, and the position moves past it. An error says that the record is bad.
	Apply(rec *connector.Record) (keep bool, err error)
}

// maxTopicName is the longest name of a topic that brokers take, in bytes.
const maxTopicName = 127

// transformed applies a source's transforms. The error is a *stageError.
func (s *Source) transformed(rec *connector.Record) (keep bool, err error) {
	if s.transform == nil {
		return true, nil
	}
	topic := rec.Topic
	if topic == "" {
		topic = s.config.Topic
		rec.Topic = topic
	}
	keep, err = s.transform.Apply(rec)
	switch {
	case err != nil:
		err = &stageError{stageTransform, err}
	case !keep:
		s.progress.filtered.Add(1)
	case rec.Topic != topic:
		if err = CheckTopic(rec.Topic); err != nil {
			err = &stageError{stageTransform, err}
			rec.Topic = topic
		}
	}
	return keep, err
}

// CheckTopic says what is wrong with the name of a topic that a transform has made.
func CheckTopic(name string) error {
	if topicName(name) {
		return nil
	}
	return fmt.Errorf("%.200q is no name of a topic: use 1 to %d letters, digits and any of %%|_-", name, maxTopicName)
}

// topicName reports whether brokers take a topic of that name.
func topicName(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '%', c == '|', c == '_', c == '-':
		default:
			return false
		}
	}
	return name != "" && len(name) <= maxTopicName
}

// take adds a record to a run, as its queue's transforms make it, unless they leave it out. The error is a *stageError.
func (s *Sink) take(c *pulled, t Transformer, rec connector.Record) (keep bool, err error) {
	c.records = append(c.records, rec)
	if t == nil {
		return true, nil
	}
	last := len(c.records) - 1 // changed where it is: a record by itself would have to live on the heap
	if keep, err = t.Apply(&c.records[last]); err != nil {
		err = &stageError{stageTransform, err}
	} else if !keep {
		s.progress.filtered.Add(1)
	}
	if !keep || err != nil {
		c.records = c.records[:last]
	}
	return keep, err
}
