package activities

import (
	"slices"
	"sync/atomic"
	"time"
)

// latencyBounds are the upper bounds of the buckets in which commits are counted, in seconds.
var latencyBounds = [...]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}

// latency counts how long something took. It may be used from any goroutine.
type latency struct {
	count, nanos atomic.Int64
	buckets      [len(latencyBounds)]atomic.Int64 // each without those below it
}

func (l *latency) observe(took time.Duration) {
	l.count.Add(1)
	l.nanos.Add(int64(took))
	if at, _ := slices.BinarySearch(latencyBounds[:], took.Seconds()); at < len(latencyBounds) {
		l.buckets[at].Add(1)
	}
}

// Latency is how long something took so far.
type Latency struct {
	Count   uint64
	Seconds float64            // in all
	Buckets map[float64]uint64 // how many took at most so many seconds
}

func (l *latency) read() Latency {
	read := Latency{Seconds: time.Duration(l.nanos.Load()).Seconds(), Buckets: make(map[float64]uint64, len(latencyBounds))}
	sum := uint64(0)
	for i, bound := range latencyBounds {
		sum += uint64(l.buckets[i].Load())
		read.Buckets[bound] = sum
	}
	read.Count = max(sum, uint64(l.count.Load())) // counted last, so it may lag behind
	return read
}

// Commits is how long commits of positions took, of all tasks that were with this worker.
func (a *Activities) Commits() Latency { return a.commits.read() }
