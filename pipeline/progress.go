package pipeline

import (
	"sync"
	"sync/atomic"
	"time"
)

// Progress is what a running job tells about itself. All of it may be read from any goroutine.
type Progress struct {
	records, bytes, retries, skipped, filtered, drops, bad, deadLetters, doubles, losses atomic.Int64
	lagRecords, lagBytes                                                                 atomic.Int64
	lastRecord, beat                                                                     atomic.Int64 // Unix nanoseconds; 0 is never

	mu       sync.Mutex
	working  map[string]time.Time // calls into the connector that are under way, by name
	alive    time.Time            // when one of them last said that it goes on
	retrying map[string]retryState
	commits  int64
	commit   time.Time
}

type retryState struct {
	since time.Time
	err   error
}

// NewProgress returns a Progress with nothing done.
func NewProgress() *Progress {
	p := &Progress{working: map[string]time.Time{}, retrying: map[string]retryState{}}
	p.lagRecords.Store(-1)
	p.lagBytes.Store(-1)
	return p
}

// Snapshot is a Progress at one moment.
type Snapshot struct {
	Records, Bytes         int64 // acknowledged by the broker (source), taken by the target (sink); bytes of message bodies
	LagRecords, LagBytes   int64 // left to copy; -1 unknown. A sink's counts messages in its queues, also those that are no records
	LastRecordAt           time.Time
	Retries                int64 // sends, pulls and catalog calls that were tried again
	Skipped                int64 // records that a read-back had found in the topic
	Filtered               int64 // records that the transforms left out
	Dropped                int64 // messages that the readers' rule took out
	Bad                    int64 // records given up under errors.tolerance = all, those of DeadLetters included
	DeadLetters            int64 // records sent to the dead-letter topic
	MayDouble              int64 // times that the protocol could not rule out doubles and went on, as exactly.once allows
	Losses                 int64 // times that the broker had lost acknowledged messages and the task went on, as exactly.once allows
	RetryingSince          time.Time
	RetryingWhat           string
	LastError              error // of what is being retried; nil if nothing is
	Commits                int64
	LastCommit             time.Time
	ConnectorCall          string    // the longest call into the source or sink under way; empty if none is
	ConnectorCallStartedAt time.Time // zero if none is
}

// Snapshot returns the present state.
func (p *Progress) Snapshot() Snapshot {
	s := Snapshot{
		Records: p.records.Load(), Bytes: p.bytes.Load(), LagRecords: p.lagRecords.Load(), LagBytes: p.lagBytes.Load(),
		Retries: p.retries.Load(), Skipped: p.skipped.Load(), Filtered: p.filtered.Load(), Dropped: p.drops.Load(), Bad: p.bad.Load(),
		DeadLetters: p.deadLetters.Load(), MayDouble: p.doubles.Load(), Losses: p.losses.Load(), LastRecordAt: timeOf(p.lastRecord.Load()),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Commits, s.LastCommit = p.commits, p.commit
	for what, r := range p.retrying {
		if s.RetryingSince.IsZero() || r.since.Before(s.RetryingSince) {
			s.RetryingSince, s.RetryingWhat, s.LastError = r.since, what, r.err
		}
	}
	for name, since := range p.working {
		if s.ConnectorCallStartedAt.IsZero() || since.Before(s.ConnectorCallStartedAt) {
			s.ConnectorCall, s.ConnectorCallStartedAt = name, since
		}
	}
	return s
}

// Beat is when the job last did anything: came back from a call into the connector, the broker or the catalog, even a failed
// one; while a call into the connector is under way, it is no later than its start, or than the last time that it said to be
// alive (connector.Task.Alive). A watchdog takes a job for hung when Beat is old: an idle job beats, because its pulls come back
// and its source says that it waits.
func (p *Progress) Beat() time.Time {
	beat := timeOf(p.beat.Load())
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sign := range p.working {
		if p.alive.After(sign) {
			sign = p.alive
		}
		if sign.Before(beat) {
			beat = sign
		}
	}
	return beat
}

// Alive notes that a call into the connector goes on; see connector.Task.Working.
func (p *Progress) Alive() {
	p.tick()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.alive = time.Now()
}

func timeOf(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos)
}

func (p *Progress) tick() { p.beat.Store(time.Now().UnixNano()) }

// The calls into a connector, as Snapshot.ConnectorCall names them.
const (
	callRead      = "read"
	callCommitted = "committed"
	callWrite     = "write"
	callFlush     = "flush"
)

// enter notes that a call into the connector begins; the returned function that it has come back.
func (p *Progress) enter(call string) func() {
	p.mu.Lock()
	p.working[call] = time.Now()
	p.mu.Unlock()
	p.tick()
	return func() {
		p.mu.Lock()
		delete(p.working, call)
		p.mu.Unlock()
		p.tick()
	}
}

func (p *Progress) copied(records, bytes int64) {
	p.records.Add(records)
	p.bytes.Add(bytes)
	now := time.Now().UnixNano()
	p.lastRecord.Store(now)
	p.beat.Store(now)
}

func (p *Progress) committed() {
	p.tick()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.commits++
	p.commit = time.Now()
}

// failing notes that what failed with err and will be tried again.
func (p *Progress) failing(what string, err error) {
	p.retries.Add(1)
	p.tick()
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.retrying[what]
	if r.since.IsZero() {
		r.since = time.Now()
	}
	r.err = err
	p.retrying[what] = r
}

// recovered notes that what works again.
func (p *Progress) recovered(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.retrying, what)
}
