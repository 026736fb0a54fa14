package rocketmqconnect

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// write makes a file as the worker does.
func write(t *testing.T, path string, entries map[string]string) {
	t.Helper()
	encoded := map[string]string{}
	for key, value := range entries {
		encoded[base64.StdEncoding.EncodeToString([]byte(key))] = base64.StdEncoding.EncodeToString([]byte(value))
	}
	text, err := json.Marshal(encoded)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, text, 0o644))
}

func TestAStoreIsRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "config", "connectorConfig.json"), map[string]string{
		"in":  `{"epoch":1700000000000,"properties":{"connector.class":"org.example.S","connect.topicname":"t","max.tasks":"2","task.id":"0","connect.schema":null},"targetState":"PAUSED"}`,
		"out": `{"epoch":1,"properties":{"connector.class":"K","connect.topicnames":"a;b","task.group.id":"g"},"targetState":"STARTED"}`,
	})
	write(t, filepath.Join(dir, "config", "position.json"), map[string]string{
		`{"namespace":"in","partition":{"table":"t"}}`:   `{"offset":{"incrementing":9007199254740993}}`,
		`{"namespace":"gone","partition":{"table":"t"}}`: `{"offset":{"incrementing":1}}`,
		`{"partition":{}}`: `{"offset":{}}`, // the worker's own, of every start
	})
	for _, given := range []string{dir, filepath.Join(dir, "config")} {
		all, err := Read(given)
		require.NoError(t, err)
		require.Len(t, all, 2)
		require.Equal(t, Connector{Name: "in", State: "PAUSED",
			Config: map[string]string{"connector.class": "org.example.S", "connect.topicname": "t", "max.tasks": "2"},
			Positions: []Position{{Partition: map[string]any{"table": "t"},
				Offset: map[string]any{"incrementing": json.Number("9007199254740993")}}}}, all[0])
		require.Equal(t, "connect-in", all[0].Group())
		require.False(t, all[0].IsSink())
		require.Equal(t, "g", all[1].Group())
		require.True(t, all[1].IsSink())
		require.Equal(t, "K", all[1].Class())
	}
}

func TestAStoreThatCannotBeReadSaysWhy(t *testing.T) {
	t.Parallel()
	_, err := Read(t.TempDir())
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "storePathRootDir")

	dir := t.TempDir()
	path := filepath.Join(dir, "connectorConfig.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"!":"x"}`), 0o644))
	_, err = Read(dir)
	require.ErrorContains(t, err, "is not base64")
	require.NoError(t, os.WriteFile(path, []byte(`[]`), 0o644))
	_, err = Read(dir)
	require.ErrorContains(t, err, "no JSON object")
	write(t, path, map[string]string{"c": "nonsense"})
	_, err = Read(dir)
	require.ErrorContains(t, err, `connector "c"`)

	require.NoError(t, os.WriteFile(path, nil, 0o644))
	write(t, path+".bak", map[string]string{"c": `{"properties":{}}`})
	all, err := Read(dir)
	require.NoError(t, err)
	require.Len(t, all, 1, "the copy before the last write")
}

func TestPositionsOfFilesBecomeBytes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "in.txt")
	require.NoError(t, os.WriteFile(path, []byte("abc\nnäïve\n😀\nlast\n"), 0o644))
	at := func(next string) Position {
		return Position{Partition: map[string]any{"filename": path}, Offset: map[string]any{"nextPosition": json.Number(next)}}
	}
	for next, want := range map[string]struct{ bytes, lines int64 }{"0": {0, 0}, "4": {4, 1}, "10": {12, 2}, "13": {17, 3}, "18": {22, 4}} {
		got, err := Translate("org.apache.rocketmq.connect.file.FileSourceConnector", at(next))
		require.NoError(t, err, next)
		require.Equal(t, path, got.Partition["file"])
		require.NotEmpty(t, got.Partition["inode"])
		require.Equal(t, want.bytes, got.Offset["position"], next)
		require.Equal(t, want.lines, got.Offset["line"], next)
	}
	for next, says := range map[string]string{"3": "not at the beginning of a line", "99": "not the file that was read", "-1": "no count"} {
		_, err := Translate("FileSource", at(next))
		require.ErrorContains(t, err, says)
	}
	gone := at("4")
	gone.Partition["filename"] = path + ".gone"
	_, err := Translate("FileSource", gone)
	require.ErrorIs(t, err, os.ErrNotExist)
	other := Position{Partition: map[string]any{"table": "t"}, Offset: map[string]any{"incrementing": json.Number("7")}}
	same, err := Translate("org.example.JdbcSourceConnector", other)
	require.NoError(t, err)
	require.Equal(t, other, same)
}

func FuzzReadingAStore(f *testing.F) {
	f.Add(`{"Yw==":"e30="}`)
	f.Add(`{"Yw==":"bnVsbA=="}`)
	f.Fuzz(func(t *testing.T, text string) {
		entries, err := decodeFile("f", []byte(text))
		if err != nil {
			return
		}
		for _, e := range entries {
			if c, err := readConnector(e); err == nil {
				require.NotNil(t, c.Config)
			}
			if _, _, err := readPosition(e); err != nil {
				require.NotEmpty(t, strings.TrimSpace(err.Error()))
			}
		}
	})
}
