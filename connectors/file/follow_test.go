package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// reader reads one task of a source and keeps what it committed, so that it can be stopped and started again.
type reader struct {
	t         *testing.T
	config    map[string]string
	src       connector.Source
	committed connector.Position
}

func newReader(t *testing.T, config map[string]string) *reader {
	t.Helper()
	r := &reader{t: t, config: config, committed: connector.Position{}}
	r.start()
	t.Cleanup(func() { r.src.Close() })
	return r
}

func (r *reader) start() {
	r.t.Helper()
	tasks, err := Source.TaskConfigs(r.t.Context(), r.config, 1)
	require.NoError(r.t, err)
	r.src, err = Source.OpenSource(r.t.Context(), tasks[0], connector.Task{Position: maps.Clone(r.committed)})
	require.NoError(r.t, err)
}

func (r *reader) restart() {
	r.t.Helper()
	require.NoError(r.t, r.src.Close())
	r.start()
}

// lines reads until it has n lines.
func (r *reader) lines(n int) []string {
	r.t.Helper()
	var out []string
	for len(out) < n {
		b, err := r.read()
		require.NoError(r.t, err, "after %q", out)
		out = append(out, texts(b.Records)...)
	}
	return out
}

func (r *reader) read() (connector.Batch, error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	b, err := r.src.Read(ctx, 100)
	maps.Copy(r.committed, b.Next)
	return b, err
}

// nothing checks that no line comes for a few polls.
func (r *reader) nothing() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 100*time.Millisecond)
	defer cancel()
	for {
		b, err := r.src.Read(ctx, 100)
		require.Empty(r.t, texts(b.Records))
		maps.Copy(r.committed, b.Next)
		if err != nil {
			require.ErrorIs(r.t, err, context.DeadlineExceeded)
			return
		}
	}
}

// until calls done, which takes a moment each time, until it says so.
func until(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); {
		require.True(t, time.Now().Before(deadline), "it did not come about within 20 s")
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	_, err = file.WriteString(text)
	require.NoError(t, err)
	require.NoError(t, file.Close())
}

func following(path string, keys ...string) map[string]string {
	config := map[string]string{"file": path, "follow": "true", "poll.interval.ms": "10", "rotate.wait.ms": "50"}
	for i := 0; i < len(keys); i += 2 {
		config[keys[i]] = keys[i+1]
	}
	return config
}

func TestFollowCountsALineOnceItsEndIsThere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.log")
	r := newReader(t, following(path))
	r.nothing() // no file yet
	appendTo(t, path, "")
	r.nothing()
	appendTo(t, path, "one\ntw")
	require.Equal(t, []string{"one"}, r.lines(1))
	r.nothing()
	r.restart()
	r.nothing()
	appendTo(t, path, "o\nthree\n")
	require.Equal(t, []string{"two", "three"}, r.lines(2))
	r.restart()
	r.nothing()
}

func TestFollowReadsARenamedFileToItsEndBeforeItsSuccessor(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart %v", restart), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "app.log")
			appendTo(t, path, "a1\n")
			r := newReader(t, following(path))
			require.Equal(t, []string{"a1"}, r.lines(1))
			if restart {
				require.NoError(t, r.src.Close())
			}
			appendTo(t, path, "a2\n")
			require.NoError(t, os.Rename(path, path+".1"))
			appendTo(t, path, "b1\n")
			appendTo(t, path+".1", "a3\nlast without end")
			if restart {
				r.start()
			}
			require.Equal(t, []string{"a2", "a3", "b1"}, r.lines(3))
			require.Equal(t, []string{"last without end"}, r.lines(1), "once nobody has written to it for rotate.wait.ms")
			until(t, func() bool { r.nothing(); return strings.Contains(fmt.Sprint(r.committed), `"done":true`) })
			r.restart()
			r.nothing()
			appendTo(t, path, "b2\n")
			require.Equal(t, []string{"b2"}, r.lines(1))
		})
	}
}

func TestFollowReadsEachFileOfAPatternOnceThoughNamesShift(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "app.log")
	appendTo(t, path, "a1\n")
	r := newReader(t, following(filepath.Join(folder, "app.log*")))
	require.Equal(t, []string{"a1"}, r.lines(1))
	require.NoError(t, os.Rename(path, path+".1"))
	appendTo(t, path, "b1\n")
	require.Equal(t, []string{"b1"}, r.lines(1))
	r.restart()
	require.NoError(t, os.Rename(path+".1", path+".2"))
	require.NoError(t, os.Rename(path, path+".1"))
	appendTo(t, path+".2", "a2\n")
	require.Equal(t, []string{"a2"}, r.lines(1))
	require.NoError(t, os.Remove(path+".2"))
	appendTo(t, path, "c1\n") // perhaps with the inode of the file that is gone
	require.Equal(t, []string{"c1"}, r.lines(1))
	r.restart()
	r.nothing()
}

func TestSharesOfAPatternAreDisjointAndComplete(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for i := range 20 {
		appendTo(t, filepath.Join(folder, fmt.Sprint(i)), fmt.Sprintf("%d\n", i))
	}
	tasks, err := Source.TaskConfigs(t.Context(), following(filepath.Join(folder, "*")), 3)
	require.NoError(t, err)
	require.Len(t, tasks, 3)
	seen := map[string]int{}
	var sources []connector.Source
	for number, config := range tasks {
		src, err := Source.OpenSource(t.Context(), config, connector.Task{Number: number})
		require.NoError(t, err)
		defer src.Close()
		sources = append(sources, src)
	}
	round := func() {
		for _, src := range sources {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			for b, err := src.Read(ctx, 100); err == nil; b, err = src.Read(ctx, 100) {
				for _, text := range texts(b.Records) {
					seen[text]++
				}
			}
			cancel()
		}
	}
	until(t, func() bool { round(); return len(seen) == 20 })
	round() // in which a second reading would show
	require.Len(t, seen, 20)
	for text, times := range seen {
		require.Equal(t, 1, times, text)
	}
}

func TestTruncationIsFoundAndActedOn(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "x\n", "other and much longer than before\n"} {
		for _, running := range []bool{true, false} {
			t.Run(fmt.Sprintf("%q running %v", content, running), func(t *testing.T) {
				t.Parallel()
				path := filepath.Join(t.TempDir(), "app.log")
				start := func(policy string) *reader {
					require.NoError(t, os.WriteFile(path, []byte("one\ntwo\n"), 0o600))
					r := newReader(t, following(path, "truncated", policy))
					require.Equal(t, []string{"one", "two"}, r.lines(2))
					r.nothing()
					if !running {
						require.NoError(t, r.src.Close())
					}
					require.NoError(t, os.WriteFile(path, []byte(content), 0o600)) // truncates in place
					if !running {
						r.start()
					}
					return r
				}
				r := start("fail")
				_, err := r.read()
				require.ErrorContains(t, err, "truncated=restart")
				require.True(t, connector.IsPermanent(err))

				r = start("restart")
				if content == "" {
					r.nothing()
					appendTo(t, path, "x\n")
					require.Equal(t, []string{"x"}, r.lines(1))
				} else {
					require.Equal(t, []string{strings.TrimSuffix(content, "\n")}, r.lines(1))
				}
				r.restart()
				r.nothing()
				appendTo(t, path, "y\n")
				require.Equal(t, []string{"y"}, r.lines(1))
			})
		}
	}
}

func TestACopyOfAFileThatIsGoneGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "table.txt")
	write(t, path, "one\ntwo\n")
	require.NoError(t, os.Link(path, filepath.Join(t.TempDir(), "kept"))) // so that its inode is not used again
	r := newReader(t, map[string]string{"file": path})
	require.Equal(t, []string{"one", "two"}, r.lines(2))
	write(t, path+".new", "one\ntwo\nthree\n")
	require.NoError(t, os.Rename(path+".new", path))
	r.restart()
	require.Equal(t, []string{"three"}, r.lines(1))

	require.NoError(t, os.Link(path, filepath.Join(t.TempDir(), "kept"))) // so that its inode is not used again
	write(t, path+".new", "one\nTWO\nthree\n")
	require.NoError(t, os.Rename(path+".new", path))
	r.restart()
	require.Equal(t, []string{"one", "TWO", "three"}, r.lines(3), "another file of that name")
}

func TestAFileReadToItsEndIsNotReadAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "in.gz")
	require.NoError(t, os.WriteFile(path, compressed(t, "gzip", "one\ntwo\n"), 0o600))
	r := newReader(t, map[string]string{"file": path})
	require.Equal(t, []string{"one", "two"}, r.lines(2))
	b, err := r.read()
	require.NoError(t, err)
	require.Empty(t, b.Records)
	require.Contains(t, fmt.Sprint(b.Next), `"size"`)
	r.restart()
	_, err = r.read()
	require.True(t, errors.Is(err, io.EOF), "%v", err)
	require.Zero(t, r.src.(connector.Lagger).Lag().Bytes)
}
