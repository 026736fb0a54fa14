package control

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
)

// maxPartitionBytes is what the catalog takes for a partition.
const maxPartitionBytes = 2000

// Offsets is how far every partition has been copied. For a sink the offsets have the names that RocketMQ's users know.
func (s *Service) Offsets(ctx context.Context, name string) ([]PartitionOffset, error) {
	c, err := s.find(ctx, name)
	if err != nil {
		return nil, err
	}
	positions, err := s.progress.Positions(ctx, c.UID)
	if err != nil {
		return nil, translate(err, name)
	}
	return offsetsOf(c, positions)
}

// offsetsOf is a connector's positions in the form in which operators see and edit them.
func offsetsOf(c catalog.Connector, positions map[string]string) ([]PartitionOffset, error) {
	partitions := slices.Sorted(maps.Keys(positions))
	out := make([]PartitionOffset, 0, len(partitions))
	for _, p := range partitions {
		var po PartitionOffset
		if err := json.Unmarshal([]byte(p), &po.Partition); err != nil {
			return nil, fmt.Errorf("partition %s of %s: %w", p, c.Name, err)
		}
		if err := json.Unmarshal([]byte(positions[p]), &po.Offset); err != nil {
			return nil, fmt.Errorf("offset of %s of %s: %w", p, c.Name, err)
		}
		if offset, ok := po.Offset[keyOffset]; ok && c.Kind == string(connector.KindSink) {
			po.Offset = Document{keyOffset: offset} // what else is there concerns nobody but the task
		}
		out = append(out, po)
	}
	return out, nil
}

// AlterOffsets sets how far partitions have been copied; one whose Offset is nil begins afresh. Partitions that are not
// named stay as they are. The connector has to be stopped; while its tasks are still ending this waits; see whenSettled.
func (s *Service) AlterOffsets(ctx context.Context, name string, offsets []PartitionOffset, author string) error {
	if len(offsets) == 0 {
		return &RequestError{Reason: "Partitions / offsets need to be provided for an alter offsets request"}
	}
	c, err := s.findStopped(ctx, name)
	if err != nil {
		return err
	}
	edits, err := s.positionEdits(ctx, c, offsets)
	if err != nil {
		return err
	}
	return s.editPositions(ctx, c, catalog.AnyGeneration, false, edits, author)
}

// ResetOffsets makes every partition begin afresh. The connector has to be stopped; see AlterOffsets.
func (s *Service) ResetOffsets(ctx context.Context, name, author string) error {
	c, err := s.findStopped(ctx, name)
	if err != nil {
		return err
	}
	return s.editPositions(ctx, c, catalog.AnyGeneration, true, nil, author)
}

func (s *Service) findStopped(ctx context.Context, name string) (catalog.Connector, error) {
	c, err := s.find(ctx, name)
	if err == nil && c.Desired != catalog.StateStopped {
		err = notStopped(name)
	}
	return c, err
}

func notStopped(name string) error {
	return requestError("Connectors must be in the STOPPED state before their offsets can be modified. "+
		"This can be done for the specified connector by issuing a 'PUT' request to the '/connectors/%s/stop' endpoint", name)
}

// editPositions edits the position; expected is the generation that it must have, or catalog.AnyGeneration.
func (s *Service) editPositions(ctx context.Context, c catalog.Connector, expected int64, reset bool, edits []catalog.PositionEdit, author string) error {
	return s.whenSettled(ctx, c, func() error {
		_, err := s.connectors.EditPositions(ctx, c.UID, expected, reset, edits, author)
		return err
	})
}

// positionEdits turns offsets as operators write them into changes of the catalog's positions. The error is a
// *RequestError where the offsets are at fault; most of its texts are Kafka Connect's.
func (s *Service) positionEdits(ctx context.Context, c catalog.Connector, offsets []PartitionOffset) ([]catalog.PositionEdit, error) {
	parse := s.sourceEdit(c)
	if c.Kind == string(connector.KindSink) {
		brokers, err := s.brokersOf(ctx, c)
		if err != nil {
			return nil, err
		}
		parse = func(po PartitionOffset) (catalog.PositionEdit, error) { return sinkEdit(brokers, po) }
	}
	edits := make([]catalog.PositionEdit, len(offsets))
	seen := map[string]bool{}
	for i, po := range offsets {
		var err error
		if edits[i], err = parse(po); err != nil {
			return nil, err
		}
		if seen[edits[i].Partition] {
			return nil, requestError("The partition %s is given more than once", edits[i].Partition)
		}
		seen[edits[i].Partition] = true
	}
	return edits, nil
}

// sourceEdit reads a source's partition and offset, whose form the connector decides.
func (s *Service) sourceEdit(c catalog.Connector) func(PartitionOffset) (catalog.PositionEdit, error) {
	return func(po PartitionOffset) (catalog.PositionEdit, error) {
		if len(po.Partition) == 0 {
			return catalog.PositionEdit{}, requestError("The partition for a source connector offset cannot be null or missing")
		}
		partition, err := connector.MakePartition(po.Partition)
		if err != nil {
			return catalog.PositionEdit{}, requestError("partition: %v", err)
		}
		if len(partition) > maxPartitionBytes {
			return catalog.PositionEdit{}, requestError("partition %.60s… has %d bytes: at most %d are possible", partition, len(partition), maxPartitionBytes)
		}
		edit := catalog.PositionEdit{Partition: string(partition)}
		if po.Offset == nil {
			return edit, nil
		}
		offset, err := connector.MakeOffset(po.Offset)
		if err != nil {
			return catalog.PositionEdit{}, requestError("offset of %s: %v", partition, err)
		}
		if plugin, err := s.plugins.Find(c.Class); err == nil {
			if err := plugin.CheckOffset(partition, offset); err != nil {
				return catalog.PositionEdit{}, requestError("%v", err)
			}
		}
		text := string(offset)
		edit.Offset = &text
		return edit, nil
	}
}

// The keys of a sink's partitions and offsets, and those that Kafka Connect's users know for them.
const (
	keyTopic, keyBroker, keyQueue, keyOffset = "rocketmq_topic", "rocketmq_broker", "rocketmq_queue", "rocketmq_offset"
	kafkaTopic, kafkaPartition, kafkaOffset  = "kafka_topic", "kafka_partition", "kafka_offset"
)

func requestError(format string, args ...any) *RequestError {
	return &RequestError{Reason: fmt.Sprintf(format, args...)}
}

// sinkEdit reads a sink's partition and offset, under RocketMQ's names or Kafka's. brokers are those that have queues of a
// topic.
func sinkEdit(brokers map[string][]string, po PartitionOffset) (catalog.PositionEdit, error) {
	var none catalog.PositionEdit
	if po.Partition == nil {
		return none, requestError("The partition for a sink connector offset cannot be null or missing")
	}
	topicValue, hasTopic := either(po.Partition, keyTopic, kafkaTopic)
	queueValue, hasQueue := either(po.Partition, keyQueue, kafkaPartition)
	if !hasTopic || !hasQueue {
		return none, requestError("The partition for a sink connector offset must contain the keys '%s', '%s' and '%s', or '%s' and '%s'",
			keyTopic, keyBroker, keyQueue, kafkaTopic, kafkaPartition)
	}
	topic, ok := topicValue.(string)
	if !ok || topic == "" {
		return none, requestError("Topic names must be valid strings and may not be null or empty: %s", asWritten(topicValue))
	}
	queue, err := wholeNumber(queueValue)
	if err != nil || queue < 0 || queue > maxQueue {
		return none, requestError("Failed to parse the following partition value in the provided offsets: '%s'. Partition values for sink connectors need to be integers.", asWritten(queueValue))
	}
	broker, err := brokerOf(brokers, topic, po.Partition[keyBroker])
	if err != nil {
		return none, err
	}
	partition, err := connector.MakePartition(map[string]any{keyTopic: topic, keyBroker: broker, keyQueue: queue})
	if err != nil {
		return none, requestError("partition: %v", err)
	}
	edit := catalog.PositionEdit{Partition: string(partition)}
	if po.Offset == nil {
		return edit, nil
	}
	offsetValue, ok := either(po.Offset, keyOffset, kafkaOffset)
	if !ok {
		return none, requestError("The offset for a sink connector should either be null or contain the key '%s' or '%s'", keyOffset, kafkaOffset)
	}
	offset, err := wholeNumber(offsetValue)
	if err != nil || offset < 0 {
		return none, requestError("Failed to parse the following offset value in the provided offsets: '%s'. Offset values for sink connectors need to be integers.", asWritten(offsetValue))
	}
	text := fmt.Sprintf(`{"%s":%d}`, keyOffset, offset)
	edit.Offset = &text
	return edit, nil
}

// asWritten is a value of a request as its sender wrote it, texts without their quotes.
func asWritten(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	doc, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v) // it came as JSON, so it always is
	}
	return string(doc)
}

// maxQueue is the highest number that RocketMQ has room for.
const maxQueue = 1<<31 - 1

func either(doc map[string]any, key, other string) (any, bool) {
	if v, ok := doc[key]; ok {
		return v, true
	}
	v, ok := doc[other]
	return v, ok
}

// wholeNumber reads a JSON number, or a text that holds one.
func wholeNumber(v any) (int64, error) {
	switch t := v.(type) {
	case json.Number:
		return strconv.ParseInt(t.String(), 10, 64)
	case string:
		return strconv.ParseInt(strings.TrimSpace(t), 10, 64)
	}
	return 0, fmt.Errorf("%v is no whole number", v)
}

// brokerOf is the broker that is named or, if there is none, the only one that has queues of the topic.
func brokerOf(brokers map[string][]string, topic string, named any) (string, error) {
	if named != nil {
		broker, ok := named.(string)
		if !ok || broker == "" {
			return "", requestError("%s = %s: must be a broker's name", keyBroker, asWritten(named))
		}
		return broker, nil
	}
	switch known := brokers[topic]; len(known) {
	case 1:
		return known[0], nil
	case 0:
		return "", requestError("no broker is known to have queues of topic %s for this connector: name it as %s", topic, keyBroker)
	default:
		return "", requestError("topic %s has queues on several brokers (%s): name one as %s", topic, strings.Join(known, ", "), keyBroker)
	}
}

// brokersOf are the brokers of each topic that a sink reads, by its plan and its positions.
func (s *Service) brokersOf(ctx context.Context, c catalog.Connector) (map[string][]string, error) {
	plan, err := s.progress.Plan(ctx, c.UID)
	if err != nil {
		return nil, translate(err, c.Name)
	}
	positions, err := s.progress.Positions(ctx, c.UID)
	if err != nil {
		return nil, translate(err, c.Name)
	}
	brokers := map[string][]string{}
	add := func(topic, broker string) {
		if topic != "" && broker != "" && !slices.Contains(brokers[topic], broker) {
			brokers[topic] = append(brokers[topic], broker)
		}
	}
	for _, t := range plan {
		for _, q := range t.Queues {
			add(q.Topic, q.Broker)
		}
	}
	for p := range positions {
		var queue struct {
			Topic  string `json:"rocketmq_topic"`
			Broker string `json:"rocketmq_broker"`
		}
		if err := json.Unmarshal([]byte(p), &queue); err == nil {
			add(queue.Topic, queue.Broker)
		}
	}
	for _, names := range brokers {
		sort.Strings(names)
	}
	return brokers, nil
}
