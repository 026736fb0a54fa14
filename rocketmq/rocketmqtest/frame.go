package rocketmqtest

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// frame is one message of RocketMQ's remoting protocol, with its JSON header kept as it came.
type frame struct {
	header []byte
	body   []byte

	code     int
	opaque   int32
	response bool
}

func readFrame(r *bufio.Reader) (*frame, error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	length, headerLength := binary.BigEndian.Uint32(head[:4]), binary.BigEndian.Uint32(head[4:])
	if head[4] != 0 || length < 4+headerLength || length > 1<<28 {
		return nil, fmt.Errorf("broken frame, or a header that is not JSON: % x", head)
	}
	payload := make([]byte, length-4)
	if _, err := io.ReadFull(r, payload); err != nil {
		return nil, err
	}
	f := &frame{header: payload[:headerLength], body: payload[headerLength:]}
	var h struct {
		Code   int   `json:"code"`
		Opaque int32 `json:"opaque"`
		Flag   int   `json:"flag"`
	}
	if err := json.Unmarshal(f.header, &h); err != nil {
		return nil, err
	}
	f.code, f.opaque, f.response = h.Code, h.Opaque, h.Flag&1 != 0
	return f, nil
}

func (f *frame) bytes() []byte {
	b := make([]byte, 8, 8+len(f.header)+len(f.body))
	binary.BigEndian.PutUint32(b, uint32(4+len(f.header)+len(f.body)))
	binary.BigEndian.PutUint32(b[4:], uint32(len(f.header)))
	return append(append(b, f.header...), f.body...)
}

// answer is a response made here, in place of the broker's.
func answer(opaque int32, code int, remark string) *frame {
	header, err := json.Marshal(map[string]any{
		"code": code, "language": "JAVA", "version": 401, "opaque": opaque, "flag": 1, "remark": remark, "extFields": map[string]string{},
	})
	if err != nil {
		panic(err) // numbers and strings always have a JSON form
	}
	return &frame{header: header, code: code, opaque: opaque, response: true}
}
