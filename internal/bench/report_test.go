package bench

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPossibleRateOfStages(t *testing.T) {
	t.Parallel()
	sum, how := possible([]float64{300, 600})
	if runtime.NumCPU() >= 6 {
		require.InDelta(t, 300, sum, 0.01, "each stage has cores of its own")
		return
	}
	require.InDelta(t, 200, sum, 0.01, how)
}

func TestReportSaysWhatWasMissedAndByHowMuch(t *testing.T) {
	t.Parallel()
	r := newCopyResult("a way", "read")
	for _, gantry := range []float64{50, 70, 60} {
		r.add(measured{rate: gantry}, usage{peak: memoryLimit + 1, cpu: time.Second}, 500_000)
		require.NoError(t, r.addRaw(func() (measured, error) { return measured{rate: 100}, nil }))
	}
	var out bytes.Buffer
	r.print(&out)
	require.Contains(t, out.String(), "0.60   target at least 0.8: MISSED by 0.20; rounds: 0.50, 0.70, 0.60")
	require.Contains(t, out.String(), "target at most 150 MB: MISSED by 1 MB")
	require.Contains(t, out.String(), "2.00 s   of the worker for a million records")
	require.NotContains(t, out.String(), "CPU, all", "it was not measured")
}

// What the broker does after its acknowledgement takes the cores, so it counts; what it acknowledged is told as well.
func TestSendsCountUntilTheirMessagesCanBePulled(t *testing.T) {
	t.Parallel()
	r := newCopyResult("a way", "send")
	r.add(measured{rate: 60, readable: 45}, usage{}, 1)
	require.NoError(t, r.addRaw(func() (measured, error) { return measured{rate: 100, readable: 50}, nil }))
	var out bytes.Buffer
	r.print(&out)
	require.Contains(t, out.String(), "0.90   target at least 0.8: met")
	require.Regexp(t, `acknowledged +0\.1 k/s .*: ratio 0\.60`, out.String())
}

func TestFailoversAreJudgedByTheWorst(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	printFailovers(&out, []failoverResult{
		{"kill -9", killedLimit, []time.Duration{3 * time.Second, 4 * time.Second}},
		{"SIGTERM", handOverLimit, []time.Duration{200 * time.Millisecond, 1300 * time.Millisecond}},
	})
	require.Contains(t, out.String(), "4.00 s at most   target at most 5s: met; ms: 3000, 4000")
	require.Contains(t, out.String(), "1.30 s at most   target at most 1s: MISSED by 300ms; ms: 200, 1300")
}

func TestRawFileRates(t *testing.T) {
	t.Parallel()
	l := &lab{Options: Options{Dir: t.TempDir(), Lines: 1000, Out: &bytes.Buffer{}}}
	require.NoError(t, os.Mkdir(l.path(""), 0o755))
	path, err := l.linesFile()
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, l.Lines*lineBytes, info.Size())
	m, err := rawRead(path)
	require.NoError(t, err)
	require.Positive(t, m.rate)
	copied := filepath.Join(l.Dir, "written")
	m, err = rawWrite(copied, l.Lines)
	require.NoError(t, err)
	require.Positive(t, m.rate)
	require.NoFileExists(t, copied)
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	good := Options{Lines: 1000, Rows: 1000, Rounds: 1, Failures: 1}
	o, err := good.withDefaults()
	require.NoError(t, err)
	require.Equal(t, All, o.Only)
	bad := good
	bad.Only = []string{"all"}
	_, err = bad.withDefaults()
	require.ErrorContains(t, err, "choose from file-topic, topic-postgres, file-topic-file, failover")
	bad = good
	bad.Rounds = 0
	_, err = bad.withDefaults()
	require.ErrorContains(t, err, "rounds is 0")
}
