package file

import (
	"errors"
	"unicode/utf8"

	"github.com/gantry-connect/gantry/connector"
)

var (
	textSchema  = connector.Of(connector.String)
	bytesSchema = connector.Of(connector.Bytes)
)

var errNotUTF8 = errors.New("the line is not valid UTF-8; recode the file, or use format=bytes")

// line is the line that data begins with, without its end, and how many bytes it takes; 0 if its end is not there.
func line(data []byte, final bool) ([]byte, int) {
	i := indexNewline(data)
	n := i + 1
	if i < 0 {
		if !final {
			return nil, 0
		}
		i, n = len(data), len(data)
	}
	if i > 0 && data[i-1] == '\r' {
		i--
	}
	return data[:i:i], n
}

// lineRows makes each line a text, or bytes if raw.
type lineRows struct{ raw bool }

func (*lineRows) expect(int) {}

func (l *lineRows) row(data []byte, final bool, r *connector.Record) (int, int, error) {
	text, n := line(data, final)
	if n == 0 {
		return 0, 0, nil
	}
	if l.raw {
		r.After = connector.Datum{Schema: bytesSchema, Value: connector.BytesValue(text)}
		return n, 1, nil
	}
	if !utf8.Valid(text) {
		return n, 1, errNotUTF8
	}
	r.After = connector.Datum{Schema: textSchema, Value: connector.TextOf(text)}
	return n, 1, nil
}
