package rocketmq

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

const (
	// batchOverhead is what one message adds to a batch beside body and properties: size, magic, CRC, flag, body length, properties length.
	batchOverhead = 22
	// storeOverhead is what the broker's log adds, at most: its header with IPv6 hosts, and the properties that the broker appends.
	storeOverhead = 256
	// storeSlack is what the broker allows the stored form of a batch above maxMessageSize.
	storeSlack = 64 << 10
	// maxProperties is below the broker's 32,767 by what the broker itself appends.
	maxProperties = 32000
)

// reservedProperties have a meaning for brokers or clients: a message that carried one could be delayed, hidden or taken for
// something else. From RocketMQ's MessageConst.java.
var reservedProperties = map[string]bool{
	keysProperty: true, tagsProperty: true, "WAIT": true, "DELAY": true, "RETRY_TOPIC": true, "REAL_TOPIC": true, "REAL_QID": true,
	"TRAN_MSG": true, "PGROUP": true, "MIN_OFFSET": true, "MAX_OFFSET": true, "UNIQ_KEY": true, "MSG_REGION": true, "TRACE_ON": true,
	"CLUSTER": true, "MSG_TYPE": true, "EXTEND_UNIQ_INFO": true, "MAX_RECONSUME_TIMES": true, "CONSUME_START_TIME": true,
	"TRAN_PREPARED_QUEUE_OFFSET": true, "TRANSACTION_CHECK_TIMES": true, "CHECK_IMMUNITY_TIME_IN_SECONDS": true,
	"INSTANCE_ID": true, "CORRELATION_ID": true, "REPLY_TO_CLIENT": true, "TTL": true, "ARRIVE_TIME": true, "PUSH_REPLY_TIME": true,
	"INNER_NUM": true, "INNER_BASE": true, "DUP_INFO": true, "INNER_MULTI_DISPATCH": true, "INNER_MULTI_QUEUE_OFFSET": true,
	"TIMER_DELIVER_MS": true, "TIMER_DELAY_SEC": true, "TIMER_DELAY_MS": true, "TIMER_IN_MS": true, "TIMER_OUT_MS": true,
	"TIMER_ENQUEUE_MS": true, "TIMER_DEQUEUE_MS": true, "TIMER_ROLL_TIMES": true, "TIMER_DELAY_LEVEL": true, "TIMER_DEL_UNIQKEY": true,
	"POP_CK": true, "POP_CK_OFFSET": true, "__CRC32#": true, "__STARTDELIVERTIME": true, "__BORNHOST": true, "__transactionId__": true,
}

// Size returns how many bytes of a batch the message takes. Client.BatchFits says whether a batch with such a sum is accepted.
func (m *Message) Size() int { return batchOverhead + len(m.Body) + m.propertiesSize() }

func (m *Message) propertiesSize() int {
	n := 0
	if m.Key != "" {
		n += len(keysProperty) + len(m.Key) + 2
	}
	if m.Tag != "" {
		n += len(tagsProperty) + len(m.Tag) + 2
	}
	for i := range m.Properties {
		n += len(m.Properties[i].Name) + len(m.Properties[i].Value) + 2
	}
	return n
}

// check refuses what the broker would refuse, or worse, store as something else.
func (m *Message) check() error {
	if len(m.Body) == 0 {
		return ErrEmptyBody
	}
	if hasSeparator(m.Key) || hasSeparator(m.Tag) {
		return errors.New("key or tag contains byte 0x01 or 0x02, which RocketMQ uses as separators; encode it")
	}
	for i := range m.Properties {
		p := &m.Properties[i]
		switch {
		case p.Name == "" || p.Value == "":
			return fmt.Errorf("property %q=%q: RocketMQ stores no empty names or values; leave it out or encode it", p.Name, p.Value)
		case hasSeparator(p.Name) || hasSeparator(p.Value):
			return fmt.Errorf("property %q contains byte 0x01 or 0x02, which RocketMQ uses as separators; encode it", p.Name)
		case mayBeReserved(p.Name) && reservedProperties[p.Name]:
			return fmt.Errorf("property name %s is reserved by RocketMQ; choose another", p.Name)
		}
	}
	if n := m.propertiesSize(); n > maxProperties {
		return fmt.Errorf("properties, key and tag take %d bytes; RocketMQ stores at most %d: %w", n, maxProperties, ErrTooLarge)
	}
	return nil
}

// mayBeReserved spares most names the look-up: those that RocketMQ gives a meaning begin with a capital or an underscore.
func mayBeReserved(name string) bool { return name[0] < 'a' }

func hasSeparator(s string) bool {
	return strings.IndexByte(s, nameEnd) >= 0 || strings.IndexByte(s, valueEnd) >= 0
}

// appendTo encodes a checked message as a part of a batch.
func (m *Message) appendTo(b []byte) []byte {
	properties := m.propertiesSize()
	b = binary.BigEndian.AppendUint32(b, uint32(batchOverhead+len(m.Body)+properties))
	b = append(b, make([]byte, 12)...) // magic, CRC and flag: the broker fills in the first two
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.Body)))
	b = append(b, m.Body...)
	b = binary.BigEndian.AppendUint16(b, uint16(properties))
	if m.Key != "" {
		b = appendProperty(b, keysProperty, m.Key)
	}
	if m.Tag != "" {
		b = appendProperty(b, tagsProperty, m.Tag)
	}
	for i := range m.Properties {
		b = appendProperty(b, m.Properties[i].Name, m.Properties[i].Value)
	}
	return b
}

// batchFits reports whether messages of so many bytes in sum (Message.Size) go into one batch: brokers bound it as sent and as stored.
func batchFits(count, bytes, topicLength, limit int) bool {
	return bytes <= limit && bytes+count*(storeOverhead-batchOverhead+topicLength) <= limit+storeSlack
}

// appendBatch checks and encodes a batch. Its error is about message index, or about the batch as a whole (-1).
func appendBatch(b []byte, topic string, msgs []Message, limit int) (batch []byte, index int, err error) {
	total := 0
	for i := range msgs {
		if err := msgs[i].check(); err != nil {
			return b, i, err
		}
		size := msgs[i].Size()
		if total += size; !batchFits(1, size, len(topic), limit) {
			return b, i, fmt.Errorf("it takes %d bytes, the limit is %d: %w", size, limit, ErrTooLarge)
		}
	}
	if !batchFits(len(msgs), total, len(topic), limit) {
		return b, -1, fmt.Errorf("%d messages take %d bytes, the limit with the broker's overhead is %d; send fewer at a time: %w",
			len(msgs), total, limit, ErrTooLarge)
	}
	for i := range msgs {
		b = msgs[i].appendTo(b)
	}
	return b, -1, nil
}
