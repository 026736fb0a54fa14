package rocketmq

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// A frame is u32 length of the rest, u32 codec<<24 | header length, header, body. Codec 0 is JSON, the only one used here.
const (
	frameLimit = 256 << 20 // more is a broken stream, not a message
	// protocolVersion is RocketMQ 4.9.4's ordinal, from which on name servers write routes as proper JSON.
	protocolVersion = 401
	flagResponse    = 1
)

// The request codes used here, from RocketMQ's RequestCode.java.
const (
	reqPull           = 11
	reqCommitOffset   = 15
	reqCreateTopic    = 17
	reqRuntimeInfo    = 28
	reqOffsetByTime   = 29
	reqMaxOffset      = 30
	reqMinOffset      = 31
	reqHeartbeat      = 34
	reqRoute          = 105
	reqClusterInfo    = 106
	reqDeleteInBroker = 215
	reqDeleteInNamesv = 216
	reqTopicConfig    = 351
)

// field is one of a request's extra fields. A slice of them is cheaper than a map, and there are never many.
type field struct{ name, value string }

func intField(name string, value int64) field { return field{name, strconv.FormatInt(value, 10)} }

type request struct {
	code   int
	fields []field
	body   []byte
}

type credentials struct{ accessKey, secretKey string }

// sign adds the access key and a signature: HMAC-SHA1 over the fields' values, sorted by name, and the body.
func (c credentials) sign(r *request) {
	if c.accessKey == "" {
		return
	}
	r.fields = append(slices.Clone(r.fields), field{"AccessKey", c.accessKey})
	slices.SortFunc(r.fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
	mac := hmac.New(sha1.New, []byte(c.secretKey))
	for _, f := range r.fields {
		mac.Write([]byte(f.value))
	}
	mac.Write(r.body)
	r.fields = append(r.fields, field{"Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil))})
}

// appendFrame encodes a request, or with flagResponse the answer to one, with the number that ties the two together.
func appendFrame(b []byte, r *request, opaque int32, flag int) []byte {
	start := len(b)
	b = append(b, make([]byte, 8)...)
	b = append(b, `{"code":`...)
	b = strconv.AppendInt(b, int64(r.code), 10)
	b = append(b, `,"language":"GO","version":`...)
	b = strconv.AppendInt(b, protocolVersion, 10)
	b = append(b, `,"opaque":`...)
	b = strconv.AppendInt(b, int64(opaque), 10)
	b = append(b, `,"flag":`...)
	b = strconv.AppendInt(b, int64(flag), 10)
	b = append(b, `,"extFields":{`...)
	for i, f := range r.fields {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSONString(b, f.name)
		b = append(b, ':')
		b = appendJSONString(b, f.value)
	}
	b = append(b, "}}"...)
	binary.BigEndian.PutUint32(b[start+4:], uint32(len(b)-start-8))
	b = append(b, r.body...)
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-4))
	return b
}

func appendJSONString(b []byte, s string) []byte {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f || s[i] == '"' || s[i] == '\\' {
			quoted, _ := json.Marshal(s) // a string always has a JSON form
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// response is the answer to a request; a request that comes in has the same form.
type response struct {
	Code   int               `json:"code"`
	Opaque int32             `json:"opaque"`
	Flag   int               `json:"flag"`
	Remark string            `json:"remark"`
	Fields map[string]string `json:"extFields"`
	body   []byte
}

// int returns a numeric field.
func (r *response) int(name string) (int64, error) {
	n, err := strconv.ParseInt(r.Fields[name], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("response field %q is %q, not a number", name, r.Fields[name])
	}
	return n, nil
}

// readFrame reads one frame. The body is a buffer of its own, never reused.
func readFrame(r *bufio.Reader) (*response, error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(head[:4])
	headerLength := binary.BigEndian.Uint32(head[4:]) & 0xffffff
	if codec := head[4]; codec != 0 {
		return nil, fmt.Errorf("frame has header codec %d, only JSON (0) is understood", codec)
	}
	if length > frameLimit || length < 4+headerLength {
		return nil, fmt.Errorf("broken frame: length %d, header length %d", length, headerLength)
	}
	header := make([]byte, headerLength)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, err
	}
	var resp response
	if err := json.Unmarshal(header, &resp); err != nil {
		return nil, fmt.Errorf("broken frame header: %w", err)
	}
	resp.body = make([]byte, length-4-headerLength)
	if _, err := io.ReadFull(r, resp.body); err != nil {
		return nil, err
	}
	return &resp, nil
}
