package file

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/gantry-connect/gantry/connector"
)

var magics = []struct {
	compression string
	bytes       []byte
}{
	{"gzip", []byte{0x1f, 0x8b}},                // RFC 1952, 2.3.1
	{"xz", []byte{0xfd, '7', 'z', 'X', 'Z', 0}}, // the .xz file format, 2.1.1.1
	{"zstd", []byte{0x28, 0xb5, 0x2f, 0xfd}},    // RFC 8878, 3.1.1
}

// detect tells by a file's first bytes how it is compressed. No text begins like that: two of the marks hold bytes that
// are not UTF-8, and the third begins with the control character 0x1f.
func detect(file io.ReaderAt) (string, error) {
	var first [6]byte
	n, err := file.ReadAt(first[:], 0)
	if err != nil && err != io.EOF {
		return "", err
	}
	for _, m := range magics {
		if bytes.HasPrefix(first[:n], m.bytes) {
			return m.compression, nil
		}
	}
	return "none", nil
}

// decompress wraps r. The second result lets go of what the decompressor holds.
func decompress(compression string, r io.Reader) (io.Reader, func(), error) {
	nothing := func() {}
	switch compression {
	case "gzip":
		z, err := gzip.NewReader(r)
		return z, nothing, err
	case "xz":
		z, err := xz.NewReader(bufio.NewReaderSize(r, defaultBlock))
		return z, nothing, err
	case "zstd":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1)) // 1: no goroutines of its own
		if err != nil {
			return nil, nothing, err
		}
		return z, z.Close, nil
	}
	return nil, nothing, fmt.Errorf("unknown compression %q", compression)
}

// unpacker is a decompressor whose errors say whether trying again may help.
type unpacker struct{ r io.Reader }

func (u unpacker) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	return n, damaged(err)
}

// damaged makes a decompressor's error permanent: such bytes do not heal. A file that cannot be read may come back, and one
// that ends too soon may still be on its way.
func damaged(err error) error {
	var unread *fs.PathError
	if err == nil || errors.As(err, &unread) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return connector.Permanent(err)
}

// counter counts what passes, to estimate how far a compressed file has been read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
