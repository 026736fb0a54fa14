package file

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

const childEnv = "GANTRY_FILE_SINK_CHILD" // the config of a sink, as JSON, that the test binary writes to until it is killed

const childPartition = connector.Partition(`{"rocketmq_queue":0}`)

// childRecord is record id: a line of a length that varies.
func childRecord(id int64) connector.Record {
	text := fmt.Sprintf("%08d %s", id, strings.Repeat("x", int(id*7919%97)))
	return connector.Record{Topic: "t", After: connector.Datum{Schema: textSchema, Value: connector.TextValue(text)}}
}

func childBatch(from, n int64) connector.Batch {
	b := connector.Batch{Next: connector.Position{childPartition: connector.Offset(fmt.Sprintf(`{"rocketmq_offset":%d}`, from+n))}}
	for id := from; id < from+n; id++ {
		b.Records = append(b.Records, childRecord(id))
	}
	return b
}

func childReached(pos connector.Position) (n int64) {
	if offset, ok := pos[childPartition]; ok {
		_, _ = fmt.Sscanf(string(offset), `{"rocketmq_offset":%d}`, &n)
	}
	return n
}

// sinkChild writes, flushes and now and then starts a new owner, as fast as it can, until it is killed.
func sinkChild() {
	var config map[string]string
	if err := json.Unmarshal([]byte(os.Getenv(childEnv)), &config); err != nil {
		panic(err)
	}
	ctx := context.Background()
	fmt.Println("begun") // from here on it may be killed
	for {
		sink, err := Sink.OpenSink(ctx, config, connector.Task{UID: 1, Epoch: time.Now().UnixMicro()})
		if err != nil {
			fmt.Println(err)
			os.Exit(3)
		}
		at := childReached(sink.Position())
		for range 5 {
			for range 3 {
				n := rand.Int64N(20)
				err = sink.Write(ctx, childBatch(at, n))
				at += n
			}
			if err == nil {
				err = sink.Flush(ctx)
			}
			if err != nil {
				fmt.Println(err)
				os.Exit(4)
			}
		}
		if rand.IntN(2) == 0 {
			sink.Close()
		} else {
			_ = sink.Write(ctx, childBatch(at, 5)) // an owner that dies without a word
		}
	}
}

// TestAfterAnyKillTheFilesHoldExactlyThePosition kills a process that opens, writes, rolls, flushes and closes all the
// time, and looks at what the next owner finds.
func TestAfterAnyKillTheFilesHoldExactlyThePosition(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string]map[string]string{
		"one file": {}, "rolling": {"roll.bytes": "2000"}, "by topic": {"file": "${topic}.txt"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			file := "out.txt"
			if keys["file"] != "" {
				file = keys["file"]
			}
			config := map[string]string{"file": filepath.Join(folder, file), "format": "lines"}
			if keys["roll.bytes"] != "" {
				config["roll.bytes"] = keys["roll.bytes"]
			}
			var last int64
			for kill := range 25 {
				killChild(t, config, time.Duration(5+rand.IntN(60))*time.Millisecond)
				sink, err := Sink.OpenSink(t.Context(), config, connector.Task{UID: 1, Epoch: time.Now().UnixMicro()})
				require.NoError(t, err)
				at := childReached(sink.Position())
				require.GreaterOrEqual(t, at, last)
				last = at
				var want strings.Builder
				for id := range at {
					r := childRecord(id)
					want.WriteString(r.After.Value.Text() + "\n")
				}
				got := strings.Join(contents(t, config), "")
				require.True(t, want.String() == got, "after kill %d: %d bytes where position %d means %d", kill, len(got), at, want.Len())
				if kill%2 == 0 {
					require.NoError(t, sink.Close())
				} else {
					defer sink.Close()
				}
			}
			require.NotZero(t, last, "the child never got to write")
		})
	}
}

// killChild starts the child and kills it some time after it has begun its work, however long that took.
func killChild(t *testing.T, config map[string]string, after time.Duration) {
	t.Helper()
	state, output := runChild(t, config, after, func(child *os.Process) { _ = child.Kill() })
	status, ok := state.Sys().(syscall.WaitStatus)
	require.True(t, ok && status.Signaled(), "the child ended by itself: %v\n%s", state, output)
}

// runChild starts the child, does something to it some time after it has begun its work, and waits for its end.
func runChild(t *testing.T, config map[string]string, after time.Duration, do func(*os.Process)) (state *os.ProcessState, output string) {
	t.Helper()
	text, err := json.Marshal(config)
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewReader(out)
	first, err := lines.ReadString('\n')
	require.NoError(t, err, "the child ended before it began: %s", first)
	defer func() { _ = cmd.Process.Kill() }() // if it has not ended
	<-time.After(after)
	do(cmd.Process)
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	_ = cmd.Wait() // how it ended is the caller's to judge
	return cmd.ProcessState, first + string(rest)
}
