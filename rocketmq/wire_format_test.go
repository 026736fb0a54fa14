package rocketmq

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

// stored is a message in the form in which brokers hand it out.
type stored struct {
	magic   uint32
	flags   uint32
	offset  int64
	topic   string
	body    []byte
	props   Properties
	born    int64
	written int64
}

func (s stored) encode() []byte {
	b := binary.BigEndian.AppendUint32(nil, s.magic)
	b = append(b, make([]byte, 12)...) // CRC, queue, flag
	b = binary.BigEndian.AppendUint64(b, uint64(s.offset))
	b = append(b, make([]byte, 8)...)
	b = binary.BigEndian.AppendUint32(b, s.flags)
	b = binary.BigEndian.AppendUint64(b, uint64(s.born))
	b = append(b, make([]byte, hostLength(s.flags, flagBornHostV6))...)
	b = binary.BigEndian.AppendUint64(b, uint64(s.written))
	b = append(b, make([]byte, hostLength(s.flags, flagStoreHostV6))...)
	b = append(b, make([]byte, 12)...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.body)))
	b = append(b, s.body...)
	if s.magic == magicV2 {
		b = binary.BigEndian.AppendUint16(b, uint16(len(s.topic)))
	} else {
		b = append(b, byte(len(s.topic)))
	}
	b = append(b, s.topic...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(s.props)))
	b = append(b, s.props...)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b)+4)), b...)
}

func zlibbed(t *testing.T, body string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, err := w.Write([]byte(body))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func zstded(t *testing.T, body string) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	defer w.Close()
	return w.EncodeAll([]byte(body), nil)
}

func TestDecodeReadsEveryStoredForm(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("Gantry ", 1000)
	for _, tt := range []struct {
		name string
		in   stored
		body string
		err  string
	}{
		{"plain", stored{magic: magicV1, body: []byte("x")}, "x", ""},
		{"IPv6 hosts", stored{magic: magicV1, flags: flagBornHostV6 | flagStoreHostV6, body: []byte("x")}, "x", ""},
		{"long topic", stored{magic: magicV2, topic: strings.Repeat("t", 300), body: []byte("x")}, "x", ""},
		{"zlib of old producers", stored{magic: magicV1, flags: flagCompressed, body: zlibbed(t, long)}, long, ""},
		{"zlib", stored{magic: magicV1, flags: flagCompressed | compressionZlib<<compressionShift, body: zlibbed(t, long)}, long, ""},
		{"zstd", stored{magic: magicV1, flags: flagCompressed | compressionZstd<<compressionShift, body: zstded(t, long)}, long, ""},
		{"broken zlib", stored{magic: magicV1, flags: flagCompressed, body: []byte("oh")}, "oh", "inflate"},
		{"lz4", stored{magic: magicV1, flags: flagCompressed | compressionLZ4<<compressionShift, body: []byte("oh")}, "oh", "LZ4"},
		{"unknown compression", stored{magic: magicV1, flags: flagCompressed | 7<<compressionShift, body: []byte("oh")}, "oh", "unknown compression 7"},
		{"inner batch", stored{magic: magicV1, flags: 1 << 7, body: []byte("oh")}, "oh", "inner batch"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.in.offset, tt.in.born, tt.in.written = 1<<40, 1_700_000_000_123, 1_700_000_000_456
			tt.in.props = EncodeProperties(Property{"KEYS", "k"}, Property{"p", "v"}, Property{"TAGS", "tag"})
			memory, err := decodeMessages(Queue{"t", "b", 3}, append(tt.in.encode(), tt.in.encode()...))
			require.NoError(t, err)
			got := *memory
			require.Len(t, got, 2)
			m := got[1]
			require.Equal(t, tt.body, string(m.Body))
			require.Equal(t, Queue{"t", "b", 3}, m.Queue)
			require.Equal(t, int64(1<<40), m.Offset)
			require.Equal(t, "k", m.Key)
			require.Equal(t, "tag", m.Tag)
			require.Equal(t, "v", m.Property("p"))
			require.Empty(t, m.Property("q"))
			require.Equal(t, time.UnixMilli(1_700_000_000_123), m.Born)
			require.Equal(t, time.UnixMilli(1_700_000_000_456), m.Stored)
			if tt.err == "" {
				require.NoError(t, m.Err)
			} else {
				require.ErrorContains(t, m.Err, tt.err)
			}
		})
	}
}

func TestDecodeRefusesWhatIsCutShort(t *testing.T) {
	t.Parallel()
	whole := stored{magic: magicV1, topic: "topic", body: []byte("body"), props: EncodeProperties(Property{"p", "v"})}.encode()
	for n := 1; n < len(whole); n++ {
		cut := bytes.Clone(whole[:n])
		_, err := decodeMessages(Queue{}, cut)
		require.Error(t, err, "cut to %d bytes", n)
		if n >= 4 { // also when the size says that this is all of it
			binary.BigEndian.PutUint32(cut, uint32(n))
			_, err = decodeMessages(Queue{}, cut)
			require.Error(t, err, "cut to %d bytes with that size", n)
		}
	}
	_, err := decodeMessages(Queue{}, stored{magic: 7, body: make([]byte, 64)}.encode())
	require.ErrorContains(t, err, "magic")
}

// What a pull has released comes again empty: nothing of an older message may show through a later one.
func TestReleasedMemoryIsEmpty(t *testing.T) {
	t.Parallel()
	unreadable := stored{magic: magicV1, flags: flagCompressed, body: []byte("oh"), props: EncodeProperties(Property{"KEYS", "k"}, Property{"TAGS", "tag"})}.encode()
	for count := 100; count > 0; count-- { // other tests may take the memory in between
		memory, err := decodeMessages(Queue{}, bytes.Repeat(unreadable, count))
		require.NoError(t, err)
		p := Pull{Messages: (*memory)[count/2:], memory: memory}
		require.Error(t, p.Messages[0].Err)
		p.Release()
		require.Nil(t, p.Messages)
		p.Release()
		memory, err = decodeMessages(Queue{}, bytes.Repeat(stored{magic: magicV1, body: []byte("x")}.encode(), count))
		require.NoError(t, err)
		require.Len(t, *memory, count)
		for _, m := range *memory {
			require.Equal(t, Received{Body: []byte("x"), Born: time.UnixMilli(0), Stored: time.UnixMilli(0)}, m)
		}
		p = Pull{memory: memory}
		p.Release()
	}
}

func FuzzDecodeMessages(f *testing.F) {
	f.Add(stored{magic: magicV1, topic: "topic", body: []byte("body"), props: EncodeProperties(Property{"p", "v"})}.encode())
	f.Add(stored{magic: magicV2, flags: flagCompressed, topic: "topic", body: []byte("body")}.encode())
	f.Fuzz(func(t *testing.T, body []byte) {
		messages, err := decodeMessages(Queue{}, body)
		if (err == nil) != (messages != nil) {
			t.Fatal("messages and an error, or neither")
		}
		if err == nil && len(*messages)*minStored > len(body) {
			t.Fatalf("%d messages out of %d bytes", len(*messages), len(body))
		}
	})
}

func FuzzReadFrame(f *testing.F) {
	f.Add(appendFrame(nil, &request{code: reqPull, fields: []field{{"a", "b"}}, body: []byte("body")}, 7, 0))
	f.Add([]byte{0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 4 && binary.BigEndian.Uint32(b) > 1<<20 {
			return // an honest length that only costs memory
		}
		if resp, err := readFrame(bufio.NewReader(bytes.NewReader(b))); err == nil && len(resp.body) > len(b) {
			t.Fatal("the body is larger than the frame")
		}
	})
}

func TestFramesKeepEveryField(t *testing.T) {
	t.Parallel()
	odd := "quote \" backslash \\ newline \n ünïcode \u2028"
	b := appendFrame(nil, &request{code: 11, fields: []field{{"plain", "text"}, {odd, odd}}, body: []byte("the body")}, 42, flagResponse)
	got, err := readFrame(bufio.NewReader(bytes.NewReader(b)))
	require.NoError(t, err)
	require.Equal(t, &response{Code: 11, Opaque: 42, Flag: 1, Fields: map[string]string{"plain": "text", odd: odd}, body: []byte("the body")}, got)
}

// The expected signature was made with `openssl dgst -sha1 -hmac`, over the values in the order of their names, then the body.
func TestSignatureCoversFieldsAndBody(t *testing.T) {
	t.Parallel()
	r := request{fields: []field{{"topic", "topicA"}, {"queueId", "5"}, {"consumerGroup", "group1"}}, body: []byte("BODY")}
	credentials{}.sign(&r)
	require.Len(t, r.fields, 3, "no credentials, no signature")
	credentials{"AK", "secret"}.sign(&r)
	require.Equal(t, field{"Signature", "xdHoGfnBIef9QJRsAeFEsa3UFyU="}, r.fields[len(r.fields)-1])
	require.Contains(t, r.fields, field{"AccessKey", "AK"})
}

func TestQuoteKeysMakesRocketMQsTextJSON(t *testing.T) {
	t.Parallel()
	text := `{"a":{0:"1.2.3.4:1",12:"{3:x,4:y}"},"n":[1,2,{5:6}],"s":"q\"{7:8"}`
	var got any
	require.NoError(t, json.Unmarshal(quoteKeys([]byte(text)), &got))
	require.Equal(t, map[string]any{
		"a": map[string]any{"0": "1.2.3.4:1", "12": "{3:x,4:y}"},
		"n": []any{1.0, 2.0, map[string]any{"5": 6.0}},
		"s": `q"{7:8`,
	}, got)
}

func TestKindsOfSendErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  string // as the library reports it
		kind Kind
	}{
		{"CODE: 2, DESC: [TIMEOUT_CLEAN_QUEUE]broker busy", NotStored},
		{"CODE: 14, DESC: disk full", NotStored},
		{"CODE: 17, DESC: no topic", NotStored},
		{"CODE: 13, DESC: the message is illegal", Permanent},
		{"CODE: 16, DESC: no permission\nsecond line", Permanent},
		{"CODE: 1, DESC: java.lang.RuntimeException: message body size exceeded, org.apache.rocketmq.store.MessageExtEncoder.encode(x)", Permanent},
		{"CODE: 1, DESC: something threw", Unsure},
		{"CODE: -7, DESC: what is this", Unsure},
		{"request timeout", Unsure},
		{"topic=x route info not found", NotStored},
	} {
		err := newError("send to", Queue{}, kindOfSend(libraryError(errors.New(tt.err), "broker")), errors.New(tt.err))
		require.Equal(t, tt.kind, err.Kind, tt.err)
		require.Equal(t, tt.kind == Unsure, IsUnsure(err))
		require.Equal(t, tt.kind == Permanent, IsPermanent(err))
		require.Equal(t, tt.kind == NotStored, IsNotStored(err))
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	valid := Config{NameServers: []string{"127.0.0.1:9876"}}
	require.NoError(t, valid.WithDefaults().validate())
	for name, change := range map[string]func(*Config){
		"no name server":  func(c *Config) { c.NameServers = nil },
		"no port":         func(c *Config) { c.NameServers = []string{"localhost"} },
		"half a login":    func(c *Config) { c.AccessKey = "me" },
		"group with dots": func(c *Config) { c.Group = "a.b" },
		"short timeout":   func(c *Config) { c.SendTimeout = time.Millisecond },
		"connections":     func(c *Config) { c.Connections = -1 },
		"message size":    func(c *Config) { c.MaxMessageBytes = 1 },
	} {
		cfg := valid
		change(&cfg)
		_, err := Open(cfg)
		require.Error(t, err, name)
	}
}

// The check of every message passes over names that cannot be reserved.
func TestReservedNamesAreFound(t *testing.T) {
	t.Parallel()
	for name := range reservedProperties {
		m := Message{Body: []byte("x"), Properties: []Property{{Name: "mine", Value: "v"}, {Name: name, Value: "v"}}}
		require.ErrorContains(t, m.check(), name)
	}
}
