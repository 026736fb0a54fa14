package file

import (
	"encoding/json"
	"fmt"
	"hash/crc64"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/gantry-connect/gantry/connector"
)

// identity names a partition: a file, or a shard of one. The path is where the file was first seen. The device's number
// is left out: it changes with reboots and between hosts that share a file system.
type identity struct {
	File        string `json:"file"`
	Inode       uint64 `json:"inode,string"`
	Incarnation int    `json:"incarnation,omitempty"` // how often the file was truncated and begun again
	From        int64  `json:"from,omitempty"`        // of a shard, in bytes
	To          int64  `json:"to,omitempty"`          // of a shard; 0: the whole file
}

func (id identity) partition() connector.Partition {
	doc := map[string]any{"file": id.File, "inode": strconv.FormatUint(id.Inode, 10)}
	if id.Incarnation > 0 {
		doc["incarnation"] = id.Incarnation
	}
	if id.To > 0 {
		doc["from"], doc["to"] = id.From, id.To
	}
	p, err := connector.MakePartition(doc)
	if err != nil {
		panic(err) // cannot happen: strings and numbers only
	}
	return p
}

// progress is how far a partition has been read and how to know its file again.
type progress struct {
	Position int64  `json:"position"`        // bytes of the uncompressed stream
	Line     int64  `json:"line,omitempty"`  // lines before Position; unknown in a shard that does not begin the file
	Head     string `json:"head,omitempty"`  // fingerprint of the file's first bytes, as they are on disk
	Tail     string `json:"tail,omitempty"`  // fingerprint of the last bytes before Position
	Types    string `json:"types,omitempty"` // of the columns, so that every reading gives the same schema
	Size     int64  `json:"size,omitempty"`  // of the file when it was read to its end
	Done     bool   `json:"done,omitempty"`  // rotated away and read to its end: never to be looked at again
}

func (p progress) offset() connector.Offset {
	doc := map[string]any{"position": p.Position}
	for name, text := range map[string]string{"head": p.Head, "tail": p.Tail, "types": p.Types} {
		if text != "" {
			doc[name] = text
		}
	}
	if p.Line > 0 {
		doc["line"] = p.Line
	}
	if p.Size > 0 {
		doc["size"] = p.Size
	}
	if p.Done {
		doc["done"] = true
	}
	o, err := connector.MakeOffset(doc)
	if err != nil {
		panic(err) // cannot happen: strings, numbers and bools only
	}
	return o
}

// known is a partition that has been read before.
type known struct {
	identity
	progress
}

// readPosition takes from a connector's position what is a file's.
func readPosition(pos connector.Position) ([]known, error) {
	var all []known
	for partition, offset := range pos {
		var k known
		if err := json.Unmarshal([]byte(partition), &k.identity); err != nil || k.File == "" {
			return nil, connector.Permanent(fmt.Errorf("position of %s: not a file's partition; it needs file and inode", partition))
		}
		if err := json.Unmarshal([]byte(offset), &k.progress); err != nil || k.Position < 0 {
			return nil, connector.Permanent(fmt.Errorf("position of %s: %s is not a file's offset; it needs position, in bytes", partition, offset))
		}
		all = append(all, k)
	}
	return all, nil
}

// checkOffset looks at one partition's position as an operator has written it.
func checkOffset(p connector.Partition, o connector.Offset) error {
	_, err := readPosition(connector.Position{p: o})
	return err
}

const (
	headBytes = 1024 // fingerprinted at a file's beginning
	tailBytes = 256  // fingerprinted before the position, at most
)

var crcTable = crc64.MakeTable(crc64.ECMA)

// fingerprint is length-checksum. It guards against accidents, not against forgers.
func fingerprint(b []byte) string {
	return strconv.Itoa(len(b)) + "-" + strconv.FormatUint(crc64.Checksum(b, crcTable), 36)
}

// printed is how many bytes a fingerprint covers.
func printed(print string) int64 {
	length, _, _ := strings.Cut(print, "-")
	n, err := strconv.ParseInt(length, 10, 32)
	if err != nil || n < 0 || n > headBytes {
		return 0
	}
	return n
}

// holds reports whether the bytes of file from offset on are those that print was made of.
func holds(file io.ReaderAt, offset int64, print string) (bool, error) {
	n := printed(print)
	if n == 0 {
		return true, nil
	}
	if offset < 0 {
		return false, nil
	}
	b := make([]byte, n)
	if got, err := file.ReadAt(b, offset); int64(got) < n {
		if err == io.EOF {
			return false, nil
		}
		return false, err
	}
	return fingerprint(b) == print, nil
}

func headOf(file io.ReaderAt) (string, error) {
	b := make([]byte, headBytes)
	n, err := file.ReadAt(b, 0)
	if err != nil && err != io.EOF {
		return "", err
	}
	return fingerprint(b[:n]), nil
}

func inodeOf(info fs.FileInfo) uint64 {
	return info.Sys().(*syscall.Stat_t).Ino
}

// findInode looks for a file with that inode in a folder; "" if there is none.
func findInode(folder string, inode uint64) (string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if info, err := e.Info(); err == nil && inodeOf(info) == inode {
			return filepath.Join(folder, e.Name()), nil
		}
	}
	return "", nil
}
