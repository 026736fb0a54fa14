package e2e

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gantry-connect/gantry/internal/devstack"
)

// The reader of raw queues speaks just enough of RocketMQ's remoting protocol to ask for offsets and messages. It shares
// nothing with Gantry: no client, no decoder.

// stored is one message as the broker has it.
type stored struct {
	offset     int64
	at         time.Time // when the broker stored it
	body       []byte
	properties map[string]string
}

// Request and response codes, from RocketMQ's RequestCode.java and ResponseCode.java.
const (
	requestPull      = 11
	requestMaxOffset = 30
	requestMinOffset = 31
	requestRoute     = 105

	answerFound    = 0
	answerNoTopic  = 17
	answerNotFound = 19
	answerAgain    = 20
)

// rawTopic reads one topic. It is used by one goroutine at a time.
type rawTopic struct {
	t      *testing.T
	name   string
	stack  devstack.Info
	queues int
	broker *rawLink
}

func newRawTopic(t *testing.T, stack devstack.Info, name string) *rawTopic {
	t.Helper()
	r := &rawTopic{t: t, name: name, stack: stack, broker: dialRaw(t, stack.BrokerAddress)}
	return r
}

var readQueues = regexp.MustCompile(`"readQueueNums":\s*(\d+)`)

// exists reports whether the name server knows the topic, and learns how many queues it has.
func (r *rawTopic) exists() bool {
	r.t.Helper()
	if r.queues > 0 {
		return true
	}
	ns := dialRaw(r.t, r.stack.NameServer)
	defer ns.conn.Close() //nolint:errcheck // only read
	code, _, body := ns.ask(requestRoute, map[string]string{"topic": r.name})
	if code == answerNoTopic {
		return false
	}
	m := readQueues.FindSubmatch(body)
	if code != answerFound || m == nil {
		r.t.Fatalf("route of %s: code %d, %s", r.name, code, body)
	}
	r.queues, _ = strconv.Atoi(string(m[1]))
	return true
}

// count is how many messages the topic holds, whatever they are; 0 if there is no such topic yet.
func (r *rawTopic) count() (n int64) {
	r.t.Helper()
	if !r.exists() {
		return 0
	}
	for q := range r.queues {
		n += r.offset(requestMaxOffset, q) - r.offset(requestMinOffset, q)
	}
	return n
}

func (r *rawTopic) offset(request, queue int) int64 {
	r.t.Helper()
	code, fields, body := r.broker.ask(request, map[string]string{"topic": r.name, "queueId": strconv.Itoa(queue)})
	n, err := strconv.ParseInt(fields["offset"], 10, 64)
	if code != answerFound || err != nil {
		r.t.Fatalf("offset of %s/%d: code %d, %v, %s", r.name, queue, code, fields, body)
	}
	return n
}

// read returns everything that the queues hold now.
func (r *rawTopic) read() [][]stored {
	r.t.Helper()
	if !r.exists() {
		r.t.Fatalf("there is no topic %s", r.name)
	}
	all := make([][]stored, r.queues)
	for q := range r.queues {
		end := r.offset(requestMaxOffset, q)
		for next := r.offset(requestMinOffset, q); next < end; {
			var got []stored
			got, next = r.pull(q, next)
			all[q] = append(all[q], got...)
		}
	}
	return all
}

func (r *rawTopic) pull(queue int, offset int64) (got []stored, next int64) {
	r.t.Helper()
	code, fields, body := r.broker.ask(requestPull, map[string]string{
		"consumerGroup": "e2e-checker", "topic": r.name, "queueId": strconv.Itoa(queue), "queueOffset": strconv.FormatInt(offset, 10),
		"maxMsgNums": "1024", "sysFlag": "4", "commitOffset": "0", "suspendTimeoutMillis": "0", "subscription": "*", "subVersion": "0",
		"expressionType": "TAG",
	})
	next, err := strconv.ParseInt(fields["nextBeginOffset"], 10, 64)
	if err != nil {
		r.t.Fatalf("pull %s/%d at %d: code %d, %v, %s", r.name, queue, offset, code, fields, body)
	}
	switch code {
	case answerFound:
		if got, err = readMessages(body); err != nil {
			r.t.Fatalf("pull %s/%d at %d: %v", r.name, queue, offset, err)
		}
		for len(got) > 0 && got[0].offset < offset {
			got = got[1:]
		}
	case answerNotFound, answerAgain:
	default:
		r.t.Fatalf("pull %s/%d at %d: code %d, %v", r.name, queue, offset, code, fields)
	}
	return got, max(next, offset)
}

// readMessages reads messages in the form of RocketMQ's MessageDecoder.java.
func readMessages(b []byte) ([]stored, error) {
	var all []stored
	for len(b) > 0 {
		if len(b) < 4 || int(binary.BigEndian.Uint32(b)) > len(b) {
			return nil, errors.New("a message is cut short")
		}
		size := binary.BigEndian.Uint32(b)
		m, err := readMessage(b[:size])
		if err != nil {
			return nil, err
		}
		all = append(all, m)
		b = b[size:]
	}
	return all, nil
}

func readMessage(b []byte) (m stored, err error) {
	defer func() {
		if recover() != nil { // a slice beyond the message's end
			err = errors.New("a message is malformed")
		}
	}()
	topicLength := 1
	if magic := binary.BigEndian.Uint32(b[4:]); magic == 0xDAA320AB {
		topicLength = 2
	} else if magic != 0xDAA320A7 {
		return m, fmt.Errorf("a message begins with %x", magic)
	}
	m.offset = int64(binary.BigEndian.Uint64(b[20:]))
	flags := binary.BigEndian.Uint32(b[36:])
	if flags&1 != 0 {
		return m, errors.New("a message is compressed, which this reader does not know")
	}
	bornHost, storeHost := 8, 8
	if flags&0x10 != 0 {
		bornHost = 20
	}
	if flags&0x20 != 0 {
		storeHost = 20
	}
	b = b[48+bornHost:]
	m.at = time.UnixMilli(int64(binary.BigEndian.Uint64(b)))
	b = b[8+storeHost+4+8:]
	length := binary.BigEndian.Uint32(b)
	m.body = append([]byte(nil), b[4:4+length]...)
	b = b[4+length:]
	if topicLength == 1 {
		b = b[1+int(b[0]):]
	} else {
		b = b[2+int(binary.BigEndian.Uint16(b)):]
	}
	m.properties = map[string]string{}
	for _, item := range strings.Split(string(b[2:2+binary.BigEndian.Uint16(b)]), "\x02") {
		if name, value, ok := strings.Cut(item, "\x01"); ok {
			m.properties[name] = value
		}
	}
	return m, nil
}

// rawLink is a connection with one request at a time.
type rawLink struct {
	t      *testing.T
	conn   net.Conn
	r      *bufio.Reader
	opaque int
}

func dialRaw(t *testing.T, address string) *rawLink {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatalf("connect to RocketMQ: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &rawLink{t: t, conn: conn, r: bufio.NewReader(conn)}
}

// ask sends a request and waits for its answer.
func (l *rawLink) ask(code int, fields map[string]string) (answer int, out map[string]string, body []byte) {
	l.t.Helper()
	l.opaque++
	header, err := json.Marshal(map[string]any{"code": code, "language": "OTHER", "version": 401, "opaque": l.opaque, "flag": 0, "extFields": fields})
	if err == nil {
		frame := binary.BigEndian.AppendUint32(nil, uint32(4+len(header)))
		frame = binary.BigEndian.AppendUint32(frame, uint32(len(header))) // the first byte, 0, says that the header is JSON
		_ = l.conn.SetDeadline(time.Now().Add(patience))
		_, err = l.conn.Write(append(frame, header...))
	}
	for err == nil {
		var h struct {
			Code, Opaque, Flag int
			ExtFields          map[string]string
		}
		var size [8]byte
		if _, err = io.ReadFull(l.r, size[:]); err != nil {
			break
		}
		headerLength := binary.BigEndian.Uint32(size[4:]) & 0xFFFFFF
		payload := make([]byte, binary.BigEndian.Uint32(size[:])-4)
		if _, err = io.ReadFull(l.r, payload); err != nil {
			break
		}
		if err = json.Unmarshal(payload[:headerLength], &h); err == nil && h.Flag&1 == 1 && h.Opaque == l.opaque {
			return h.Code, h.ExtFields, payload[headerLength:]
		}
	}
	l.t.Fatalf("ask RocketMQ (code %d): %v", code, err)
	return 0, nil, nil
}
