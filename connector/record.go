package connector

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Op is what happened to the row that a record tells of.
type Op uint8

// The operations. A record without a change history, such as a line of a file, is an Insert.
const (
	Insert    Op = iota // After
	Update              // After, and Before where the system gives it
	Delete              // Before or Key
	Read                // After: a row met while reading a snapshot
	Truncate            // neither: all rows of the table are gone
	Tombstone           // Key only: compaction may forget the key; not a null
)

var opNames = [...]string{"insert", "update", "delete", "read", "truncate", "tombstone"}

// String is the operation's name.
func (o Op) String() string {
	if int(o) < len(opNames) {
		return opNames[o]
	}
	return fmt.Sprintf("op(%d)", uint8(o))
}

// Mark identifies a record within its partition: two readings of the same record give the same mark, whatever the
// batch size, and different records have different marks. Offset never falls in source order; Index orders the
// records of one Offset.
type Mark struct {
	Offset uint64 // e.g. the byte offset of a line, the LSN of a commit
	Index  uint32 // e.g. the row's number within the commit
}

// Partition names one independent stream of a source: a file, a table, a shard. It is a JSON object in canonical form
// (see MakePartition), as REST shows it, and is used as a map key.
type Partition string

// Offset says how far a partition has been copied: a JSON object in canonical form, understood by its connector alone.
type Offset string

// Position is how far a task has come, by partition.
type Position map[Partition]Offset

// MakePartition gives the canonical JSON of an object whose members are strings, numbers, bools or null.
func MakePartition(doc map[string]any) (Partition, error) {
	text, err := canonical(doc)
	return Partition(text), err
}

// MakeOffset gives the canonical JSON of an object whose members are strings, numbers, bools or null.
func MakeOffset(doc map[string]any) (Offset, error) {
	text, err := canonical(doc)
	return Offset(text), err
}

// canonical relies on encoding/json: keys sorted, no white space. Text that JSON cannot hold is refused, as two names
// that differ there only would become one partition.
func canonical(doc map[string]any) (string, error) {
	out := make(map[string]any, len(doc))
	for k, v := range doc {
		text := ""
		switch t := v.(type) {
		case nil, bool, int, int32, int64, uint32, uint64, float64:
		case string:
			text = t
		case json.Number:
			v = number(t)
		case map[string]any, []any:
			return "", fmt.Errorf("%q holds an object or a list: positions are made of strings, numbers and bools", k)
		default:
			return "", fmt.Errorf("%q holds a %T: positions are made of strings, numbers and bools", k, v)
		}
		if !utf8.ValidString(k) || !utf8.ValidString(text) {
			return "", fmt.Errorf("%q = %q is not valid UTF-8: positions are JSON", k, text)
		}
		out[k] = v
	}
	text, err := json.Marshal(out)
	return string(text), err
}

// number gives 1.0 and 1e0 the form that the number 1 has.
func number(n json.Number) any {
	if strings.ContainsAny(n.String(), ".eE") {
		if f, err := n.Float64(); err == nil {
			return f
		}
	}
	return n
}

// Header is a typed note on a record.
type Header struct {
	Name  string
	Value Datum
}

// Record is one piece of data on its way.
type Record struct {
	Op     Op
	Key    Datum // what identifies the row; absent where there is none
	Before Datum
	After  Datum
	// Topic is where the record goes when it is not the connector's topic (source), or where it came from (sink).
	Topic   string
	Headers []Header
	Time    time.Time // when it happened in the source system; zero if unknown

	Partition Partition // of the source
	Mark      Mark      // of the source, within Partition
	TxID      string    // the source's transaction; empty if none
	TxIndex   uint64    // of the record in that transaction

	Size int // about how many bytes of memory the record holds on to; 0 lets the pipeline estimate
}

// Batch is a run of records and the position behind its last one.
type Batch struct {
	Records []Record
	Next    Position // of every partition that has a record here, and of those that moved without one
}
