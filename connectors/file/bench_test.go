package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"

	"github.com/gantry-connect/gantry/connector"
)

// flights writes the uncompressed flights table into a fresh folder.
func flights(t testing.TB) string {
	t.Helper()
	file, err := os.Open("../../data/nycflights13/flights.csv.xz")
	require.NoError(t, err)
	defer file.Close()
	r, err := xz.NewReader(file)
	require.NoError(t, err)
	data, err := io.ReadAll(r)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "flights.csv")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

func benchmarkRead(b *testing.B, config map[string]string) {
	info, err := os.Stat(config["file"])
	require.NoError(b, err)
	b.SetBytes(info.Size())
	b.ReportAllocs()
	rows := 0
	for b.Loop() {
		src, err := Source.OpenSource(b.Context(), config, connector.Task{})
		require.NoError(b, err)
		for {
			batch, err := src.Read(b.Context(), 1000)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			rows += len(batch.Records)
		}
		src.Close()
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkReadLines100Bytes(b *testing.B) {
	path := filepath.Join(b.TempDir(), "lines.txt")
	var text bytes.Buffer
	for i := range 500_000 {
		fmt.Fprintf(&text, "%099d\n", i)
	}
	require.NoError(b, os.WriteFile(path, text.Bytes(), 0o600))
	benchmarkRead(b, map[string]string{"file": path})
}

const flightTypes = "year:int32,month:int32,day:int32,dep_time:int32,sched_dep_time:int32,dep_delay:float64,arr_time:int32," +
	"sched_arr_time:int32,arr_delay:float64,carrier:string,flight:int32,tailnum:string,origin:string,dest:string," +
	"air_time:float64,distance:float64,hour:int32,minute:int32,time_hour:timestamptz"

func BenchmarkReadFlightsTyped(b *testing.B) {
	benchmarkRead(b, map[string]string{"file": flights(b), "format": "csv", "csv.null": "NA", "csv.types": flightTypes})
}

func BenchmarkReadFlightsInferred(b *testing.B) {
	benchmarkRead(b, map[string]string{"file": flights(b), "format": "csv", "csv.null": "NA"})
}

func BenchmarkReadFlightsXZ(b *testing.B) {
	benchmarkRead(b, map[string]string{"file": "../../data/nycflights13/flights.csv.xz", "format": "csv", "csv.null": "NA", "csv.types": flightTypes})
}
