package rocketmqconnect

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf16"
)

// Translate gives a position the form that Gantry's connector of the same purpose has for it; a position that is not known to
// differ stays as it is. The error says why that cannot be done here.
func Translate(class string, p Position) (Position, error) {
	if class = class[strings.LastIndexByte(class, '.')+1:]; strings.TrimSuffix(class, "Connector") != "FileSource" {
		return p, nil
	}
	path, ok := p.Partition["filename"].(string)
	number, isNumber := p.Offset["nextPosition"].(json.Number)
	if !ok || !isNumber {
		return p, errors.New("a file's position has filename and nextPosition")
	}
	characters, err := strconv.ParseInt(number.String(), 10, 64)
	if err != nil || characters < 0 {
		return p, fmt.Errorf("nextPosition %s is no count of characters", number)
	}
	f, err := os.Open(path)
	if err != nil {
		return p, fmt.Errorf("the file has to be looked at, and cannot be from here: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return p, fmt.Errorf("the file has to be looked at, and cannot be from here: %w", err)
	}
	bytes, lines, err := bytesOf(f, characters)
	if err != nil {
		return p, fmt.Errorf("%s: %w", path, err)
	}
	inode := info.Sys().(*syscall.Stat_t).Ino
	return Position{
		Partition: map[string]any{"file": path, "inode": strconv.FormatUint(inode, 10)},
		Offset:    map[string]any{"position": bytes, "line": lines},
	}, nil
}

// bytesOf is how many bytes so many characters take, as Java counts characters, and how many lines they are.
func bytesOf(r io.Reader, characters int64) (bytes, lines int64, err error) {
	in := bufio.NewReader(r)
	last := '\n'
	for characters > 0 {
		char, size, err := in.ReadRune()
		if err == io.EOF {
			return 0, 0, fmt.Errorf("it ends %d characters before the position: it is not the file that was read", characters)
		}
		if err != nil {
			return 0, 0, err
		}
		characters -= int64(max(1, utf16.RuneLen(char)))
		bytes += int64(size)
		if last = char; char == '\n' {
			lines++
		}
	}
	if last != '\n' {
		return 0, 0, fmt.Errorf("the position, byte %d, is not at the beginning of a line", bytes)
	}
	return bytes, lines, nil
}
