package file

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// What is stored must be readable by every later release: these texts may be added to, not changed.
func TestWhatIsStoredLooksAlwaysTheSame(t *testing.T) {
	t.Parallel()
	for want, id := range map[connector.Partition]identity{
		`{"file":"/data/a.csv","inode":"18446744073709551615"}`:                   {File: "/data/a.csv", Inode: 1<<64 - 1},
		`{"file":"/data/a.csv","incarnation":2,"inode":"7"}`:                      {File: "/data/a.csv", Inode: 7, Incarnation: 2},
		`{"file":"/data/a.csv","from":1000,"inode":"7","to":2000}`:                {File: "/data/a.csv", Inode: 7, From: 1000, To: 2000},
		`{"file":"/data/a.csv","from":0,"incarnation":1,"inode":"7","to":100000}`: {File: "/data/a.csv", Inode: 7, To: 100000, Incarnation: 1},
	} {
		require.Equal(t, want, id.partition())
	}
	full := progress{Position: 123, Line: 4, Head: "1024-abc", Tail: "256-def", Types: "a:int32,b:string", Size: 500, Done: true}
	text := connector.Offset(`{"done":true,"head":"1024-abc","line":4,"position":123,"size":500,"tail":"256-def","types":"a:int32,b:string"}`)
	require.Equal(t, text, full.offset())
	require.Equal(t, connector.Offset(`{"position":0}`), progress{}.offset())
	all, err := readPosition(connector.Position{identity{File: "x", Inode: 7}.partition(): text})
	require.NoError(t, err)
	require.Equal(t, []known{{identity{File: "x", Inode: 7}, full}}, all)
	require.Equal(t, "5-2cx78rn3c97sh", fingerprint([]byte("hello")))
	for partition, offset := range map[connector.Partition]connector.Offset{`{"table":"x"}`: `{"position":1}`, `{"file":"x","inode":"1"}`: `{"position":-1}`} {
		_, err := readPosition(connector.Position{partition: offset})
		require.ErrorContains(t, err, "position of")
	}
}

func TestSidecarLooksAlwaysTheSame(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.csv")
	sink := openTestSink(t, map[string]string{"file": path, "format": "csv"}, connector.Task{Connector: "copy", UID: 5, Epoch: 9, Generation: 2})
	writeAll(t, sink, childRecord(1))
	require.NoError(t, sink.Close())
	text := fileText(t, path+".gantry")
	before, rest, found := strings.Cut(text, `,"since":`)
	require.True(t, found)
	_, after, _ := strings.Cut(rest, "}")
	require.Equal(t, `{"connector":"copy","uid":5,"task":0,"epoch":9,"generation":2,"clean":true,"position":{"{\"rocketmq_queue\":0}":"{\"rocketmq_offset\":1}"},`+
		`"files":{"":{"segment":1,"length":78,"columns":["value"]`, before)
	require.Equal(t, "}}\n", after)
}
