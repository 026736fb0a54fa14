package file

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"
	"go.uber.org/goleak"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/connector/conformance"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		sinkChild()
	}
	goleak.VerifyTestMain(m)
}

// compressed is data as a file of that compression.
func compressed(t testing.TB, compression, data string) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch compression {
	case "gzip":
		w = gzip.NewWriter(&out)
	case "xz":
		w, err = xz.NewWriter(&out)
	case "zstd":
		w, err = zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
	default:
		return []byte(data)
	}
	require.NoError(t, err)
	_, err = io.WriteString(w, data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func write(t testing.TB, path, data string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(data), 0o600))
}

// tiny is a FileSource that reads a few bytes at once, so that every row crosses block borders.
func tiny(blockBytes int) connector.Plugin {
	spec := sourceSpec
	spec.Open = func(ctx context.Context, c *SourceConfig, task connector.Task) (connector.Source, error) {
		c.blockBytes = blockBytes
		return openSource(ctx, c, task)
	}
	return connector.NewSource(spec)
}

func texts(records []connector.Record) []string {
	var out []string
	for _, r := range records {
		out = append(out, r.After.Value.Text())
	}
	return out
}

func TestSourceConformance(t *testing.T) {
	t.Parallel()
	lines := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "line %d %s\n", i, strings.Repeat("x", i%50))
		}
		return b.String()
	}
	rows := "id,name,at\n"
	for i := range 40 {
		rows += fmt.Sprintf("%d,\"a \"\"%d\"\"\r\nb,c\",2013-01-%02dT05:00:00Z\r\n", i, i, i%28+1)
	}
	docs := ""
	for i := range 40 {
		docs += fmt.Sprintf("{\"id\": %d, \"name\": \"n\\u00e9 %d\"}\n\n", i%7, i)
	}
	files := func(config map[string]string, contents ...string) func(*testing.T) map[string]string {
		return func(t *testing.T) map[string]string {
			folder := t.TempDir()
			for i, data := range contents {
				require.NoError(t, os.WriteFile(filepath.Join(folder, fmt.Sprintf("in-%d", i)), []byte(data), 0o600))
			}
			config["file"] = filepath.Join(folder, "in-*")
			return config
		}
	}
	pack := func(compression, data string) string { return string(compressed(t, compression, data)) }
	type keys = map[string]string
	for _, tt := range []struct {
		name    string
		config  func(*testing.T) map[string]string
		records int
		endless bool
		block   int
	}{
		{"lines", files(keys{}, lines(100)), 100, false, 0},
		{"lines in tiny blocks", files(keys{}, lines(100)), 100, false, 3},
		{"lines without a last line end", files(keys{}, lines(50)+"rest"), 51, false, 7},
		{"several files", files(keys{}, lines(20), lines(30), "", lines(1), lines(9)), 60, false, 0},
		{"shards", files(keys{"shard.bytes": "37"}, lines(60), lines(3)), 63, false, 16},
		{"followed", files(keys{"follow": "true", "poll.interval.ms": "10"}, lines(20), lines(10)), 30, true, 0},
		{"csv", files(keys{"format": "csv", "key.fields": "id"}, rows), 40, false, 0},
		{"csv in tiny blocks", files(keys{"format": "csv", "key.fields": "id,at"}, rows), 40, false, 5},
		{"csv with a mark", files(keys{"format": "csv"}, "\ufeff"+rows), 40, false, 1},
		{"csv.gz", files(keys{"format": "csv"}, pack("gzip", rows)), 40, false, 0},
		{"csv.xz", files(keys{"format": "csv"}, pack("xz", rows)), 40, false, 64},
		{"csv.zst", files(keys{"format": "csv"}, pack("zstd", rows)), 40, false, 9},
		{"json", files(keys{"format": "json", "key.fields": "id"}, docs), 40, false, 11},
		{"json.gz", files(keys{"format": "json", "key.fields": "id,name"}, pack("gzip", docs)), 40, false, 0},
		{"compressed and followed", files(keys{"follow": "true", "poll.interval.ms": "10"}, pack("zstd", lines(20))), 20, true, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			conformance.Source(t, conformance.SourceHarness{Plugin: tiny(tt.block), Config: tt.config, Records: tt.records, Endless: tt.endless})
		})
	}
}

func TestADamagedFileIsAPermanentErrorAndAShortOneIsNot(t *testing.T) {
	t.Parallel()
	for _, compression := range []string{"gzip", "xz", "zstd"} {
		whole := compressed(t, compression, strings.Repeat("one more line\n", 1000))
		damage := func(at int) []byte {
			b := bytes.Clone(whole)
			b[at] ^= 0xff
			return b
		}
		for _, tt := range []struct {
			name      string
			data      []byte
			permanent bool
		}{
			{"damaged at its beginning", damage(len(whole) / 8), true},
			{"damaged in the middle", damage(len(whole) / 2), true},
			{"cut short", whole[:len(whole)/2], false},
		} {
			t.Run(compression+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				path := filepath.Join(t.TempDir(), "in")
				require.NoError(t, os.WriteFile(path, tt.data, 0o600))
				r := newReader(t, map[string]string{"file": path})
				var err error
				for err == nil {
					_, err = r.read()
				}
				require.NotErrorIs(t, err, io.EOF)
				require.ErrorContains(t, err, path)
				require.Equal(t, tt.permanent, connector.IsPermanent(err), "%v", err)
			})
		}
	}
}
