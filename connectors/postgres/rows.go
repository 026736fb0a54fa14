package postgres

import (
	"io"

	"github.com/gantry-connect/gantry/connector"
)

// copyHeader begins Postgres's binary COPY format: signature, flags, length of the header extension.
const copyHeader = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// copyChunk is about how much is encoded ahead of what the connection has taken; one row may exceed it.
const copyChunk = 64 << 10

// rowReader gives a group's rows in the binary COPY format. They are encoded while the server takes in the ones before,
// into one buffer that is reused from batch to batch.
type rowReader struct {
	records []connector.Record
	group   *group
	deletes bool // the rows are those before the change
	next    int  // index into group.rows

	buffer []byte
	sent   int  // bytes of buffer that have been read
	ended  bool // the trailer is in buffer
	fault  *connector.RecordError
}

func (r *rowReader) start(records []connector.Record, g *group, deletes bool) {
	r.records, r.group, r.deletes = records, g, deletes
	r.next, r.sent, r.ended, r.fault = 0, 0, false, nil
	r.buffer = append(r.buffer[:0], copyHeader...)
}

// Read implements io.Reader.
func (r *rowReader) Read(p []byte) (int, error) {
	if r.sent == len(r.buffer) {
		if r.ended {
			return 0, io.EOF
		}
		r.buffer, r.sent = r.buffer[:0], 0
	}
	if !r.ended && r.sent == 0 {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.buffer[r.sent:])
	r.sent += n
	return n, nil
}

func (r *rowReader) fill() (err error) {
	g := r.group
	for r.next < len(g.rows) && len(r.buffer) < copyChunk-1024 {
		i := g.rows[r.next]
		r.next++
		if i < 0 {
			continue
		}
		record := &r.records[i]
		row := record.After.Value
		if r.deletes {
			row = record.Before.Value
		}
		if r.buffer, err = g.shape.appendRow(r.buffer, record.Key.Value, row); err != nil {
			r.fault = &connector.RecordError{Index: int(i), Err: err}
			return r.fault
		}
	}
	if r.next == len(g.rows) {
		r.buffer = append(r.buffer, 0xff, 0xff)
		r.ended = true
	}
	return nil
}
