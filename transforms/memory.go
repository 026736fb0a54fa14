package transforms

import "github.com/gantry-connect/gantry/connector"

// memory hands out pieces of larger allocations for the values that transforms make, so that a record costs a fraction of
// an allocation. A piece is never handed out twice; an allocation is free once no record refers to it.
type memory struct {
	values []connector.Value
	bytes  []byte
}

const (
	valuesAtOnce = 256 // 6 KiB
	bytesAtOnce  = 4096
	scalarBytes  = 40 // of most numbers and moments as text
)

// list is n null values.
func (m *memory) list(n int) []connector.Value {
	if len(m.values) < n {
		m.values = make([]connector.Value, max(n, valuesAtOnce))
	}
	list := m.values[:n:n]
	m.values = m.values[n:]
	return list
}

// begin is an empty buffer to append about size bytes to; done takes what became of it.
func (m *memory) begin(size int) []byte {
	if cap(m.bytes) < size {
		m.bytes = make([]byte, 0, max(size, bytesAtOnce))
	}
	return m.bytes[:0]
}

// done keeps what was appended to begin's buffer out of the next one's reach. It may have been moved as it grew.
func (m *memory) done(b []byte) []byte {
	if cap(b) == cap(m.bytes) {
		m.bytes = m.bytes[len(b):len(b):cap(m.bytes)]
	}
	return b[:len(b):len(b)]
}
