package file

import "io"

const (
	defaultBlock = 256 << 10 // read at once: large enough that a system call costs nothing per line
	batchBytes   = 1 << 20   // of input in one batch; bounds its memory whatever the limit in records
)

// feed hands out the bytes of a stream in blocks. What has been handed out is never written again, so records can share
// it; a block that is used up is left to the records that point into it.
type feed struct {
	r     io.Reader
	block []byte // filled up to its length
	next  int    // index of the first byte not yet taken
	at    int64  // offset in the stream of block[next]
	size  int    // of a new block
}

// rest is what has been read and not yet taken.
func (f *feed) rest() []byte { return f.block[f.next:] }

// take moves n bytes on.
func (f *feed) take(n int) { f.next += n; f.at += int64(n) }

// more reads once behind rest, which stays as it is but may move to a new block. It returns io.EOF when there is
// nothing; calling it again asks the stream again.
func (f *feed) more() error {
	if free := cap(f.block) - len(f.block); free < 1+f.size/8 {
		rest := f.rest()
		block := make([]byte, len(rest), max(f.size, 2*len(rest)))
		copy(block, rest)
		f.block, f.next = block, 0
	}
	n, err := f.r.Read(f.block[len(f.block):cap(f.block)])
	f.block = f.block[:len(f.block)+n]
	if n > 0 {
		return nil // an error along with data comes again
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}
