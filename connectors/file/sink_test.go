package file

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/connector/conformance"
)

// contents is all of a sink's files, in the order of their names.
func contents(t *testing.T, config map[string]string) []string {
	t.Helper()
	ext := filepath.Ext(config["file"])
	paths, err := filepath.Glob(strings.TrimSuffix(strings.NewReplacer("${topic}", "*", "${task}", "0").Replace(config["file"]), ext) + "*" + ext)
	require.NoError(t, err)
	var all []string
	for _, path := range paths {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		all = append(all, string(data))
	}
	return all
}

func jsonIDs(t *testing.T, config map[string]string) (ids []int64) {
	for _, text := range contents(t, config) {
		for line := range strings.Lines(text) {
			var row struct {
				ID   int64
				Name *string
			}
			require.NoError(t, json.Unmarshal([]byte(line), &row))
			require.Equal(t, row.ID%5 == 0, row.Name == nil, "null name of %d", row.ID)
			ids = append(ids, row.ID)
		}
	}
	return ids
}

func csvIDs(t *testing.T, config map[string]string) (ids []int64) {
	for _, text := range contents(t, config) {
		if text == "" {
			continue
		}
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		require.NoError(t, err)
		require.Equal(t, []string{"id", "name"}, rows[0])
		for _, row := range rows[1:] {
			id, err := strconv.ParseInt(row[0], 10, 64)
			require.NoError(t, err)
			ids = append(ids, id)
		}
	}
	return ids
}

func lineIDs(t *testing.T, config map[string]string) (ids []int64) {
	for _, text := range contents(t, config) {
		for line := range strings.Lines(text) {
			id, err := strconv.ParseInt(strings.TrimSuffix(line, "\n"), 10, 64)
			require.NoError(t, err)
			ids = append(ids, id)
		}
	}
	return ids
}

func TestSinkConformance(t *testing.T) {
	t.Parallel()
	number := func(id int64) connector.Record {
		return connector.Record{After: connector.Datum{Schema: connector.Of(connector.Int64), Value: connector.IntValue(id)}}
	}
	deleted := func() connector.Record { return connector.Record{Op: connector.Delete} }
	for _, tt := range []struct {
		name     string
		file     string
		keys     map[string]string
		contents func(*testing.T, map[string]string) []int64
		record   func(int64) connector.Record
	}{
		{"json", "out.json", map[string]string{}, jsonIDs, nil},
		{"json by topic", "${topic}/out.json", map[string]string{}, jsonIDs, nil},
		{"json that rolls", "out.json", map[string]string{"roll.bytes": "100"}, jsonIDs, nil},
		{"csv", "out.csv", map[string]string{"format": "csv"}, csvIDs, nil},
		{"csv that rolls by topic", "out-${topic}-${task}.csv", map[string]string{"format": "csv", "roll.bytes": "150"}, csvIDs, nil},
		{"lines", "out.txt", map[string]string{"format": "lines"}, lineIDs, number},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			conformance.Sink(t, conformance.SinkHarness{Plugin: Sink, Contents: tt.contents, Record: tt.record, Bad: deleted,
				Config: func(t *testing.T) map[string]string {
					config := map[string]string{"file": filepath.Join(t.TempDir(), tt.file)}
					for k, v := range tt.keys {
						config[k] = v
					}
					return config
				}})
		})
	}
}
