package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/internal/failpoint"
	"github.com/gantry-connect/gantry/rocketmq/rocketmqtest"
)

// visit says how a copy gets to a failpoint.
type visit struct {
	nth string // "@n": the visit that counts, so that the copy is under way; empty for the first
	how situation
}

// situation is what must happen beside an ordinary copy.
type situation int

const (
	ordinary situation = iota
	unclean            // an earlier owner was killed
	drain              // the worker is asked to stop
	lostAck            // the broker's answer to a send does not arrive
)

// visits has every failpoint; TestFailpointsAreTheDocumentedOnes sees to that.
var visits = map[failpoint.Point]visit{
	failpoint.SourceClaimed:      {},
	failpoint.SourceFenced:       {how: unclean, nth: "@2"}, // one queue is fenced, a second one just so
	failpoint.SourceReadBack:     {how: unclean},
	failpoint.SourceOpened:       {},
	failpoint.SourceBeforeSend:   {nth: "@100"},
	failpoint.SourceSent:         {nth: "@100"},
	failpoint.SourceUnsure:       {how: lostAck},
	failpoint.SourceBeforeCommit: {nth: "@4"},
	failpoint.SourceCommitted:    {nth: "@4"},
	failpoint.SourceDrained:      {how: drain},
	failpoint.SinkClaimed:        {},
	failpoint.SinkOpened:         {},
	failpoint.SinkPulled:         {nth: "@20"},
	failpoint.SinkWriting:        {nth: "@5"},
	failpoint.SinkWritten:        {nth: "@3"},
	failpoint.SinkCommitted:      {nth: "@3"},
	failpoint.SinkDrained:        {how: drain},
}

// TestNothingIsLostOrDoubledAtAnyFailpoint kills one worker and freezes another at every named point of the protocol; a
// second worker, without failpoints, has to finish the copy.
func TestNothingIsLostOrDoubledAtAnyFailpoint(t *testing.T) {
	t.Parallel()
	for _, point := range failpoint.Points() {
		sinks := []string{postgresSink}
		if strings.HasPrefix(string(point), "sink/") {
			sinks = append(sinks, fileSink) // alone, so that it is the one to get there
		}
		for _, sink := range sinks {
			for _, action := range []string{"kill", "freeze"} {
				name := strings.Join([]string{string(point), action}, "/")
				if len(sinks) > 1 {
					name += "/" + sink
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					stopAt(t, point, action, sink)
				})
			}
		}
	}
}

func stopAt(t *testing.T, point failpoint.Point, action, sink string) {
	v, ok := visits[point]
	require.True(t, ok, "nothing is known about how to get to %s", point)
	p := newPipe(start(t))
	f := startFeed(t, p.path("input.csv"), burst)
	var earlier, w *process
	arm := failpoint.Env + "=" + string(point) + "=" + action + v.nth
	switch v.how {
	case unclean:
		earlier = p.startWorker()
	case lostAck:
		wire := rocketmqtest.New(t, p.stack.NameServer)
		wire.OnSend(100, rocketmqtest.CutAck)
		p.nameServer = wire.NameServer()
		w = p.startWorker(arm)
		p.nameServer = p.stack.NameServer
	default:
		w = p.startWorker(arm)
	}
	if sink == fileSink {
		p.startFileSink(nil)
	} else {
		p.startPostgresSink(nil)
	}
	p.startSource(p.path("input.csv"), following())
	switch v.how {
	case unclean:
		p.awaitInTopic(burst)
		earlier.kill()
		w = p.startWorker(arm)
	case drain:
		p.awaitRecords(burst)
		w.term()
	}
	if action == "kill" {
		w.awaitKilled()
		p.startWorker()
	} else {
		w.awaitFrozen()
		second := p.startWorker()
		p.awaitOwner(second.name)
		w.thaw()
	}
	p.awaitRecords(p.topic.count() + 500)
	p.requireExactlyOnce(f.end())
}

// burst is how many records the input has from the start; more come as long as the test takes.
const burst = 2000

// documented finds the first cell of a table's row that names a failpoint.
var documented = regexp.MustCompile("(?m)^\\|\\s*`((?:source|sink)/[a-z-]+)`")

func TestFailpointsAreTheDocumentedOnes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "docs", "exactly-once.md"))
	require.NoError(t, err)
	var names, points []string
	for _, m := range documented.FindAllStringSubmatch(string(text), -1) {
		names = append(names, m[1])
	}
	for _, p := range failpoint.Points() {
		points = append(points, string(p))
		require.Contains(t, visits, p, "no test goes to %s", p)
	}
	require.Equal(t, points, names, "docs/exactly-once.md lists the points of internal/failpoint, in their order")
	require.Len(t, visits, len(points))
}
