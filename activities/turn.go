package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/pipeline"
	"github.com/gantry-connect/gantry/workflows"
)

// releaseWithin: a lease that cannot be given back runs out by itself in 3 s.
const releaseWithin = 2 * time.Second

// turn is one run of RunTask.
type turn struct {
	a          *Activities
	in         workflows.RunTaskInput
	info       activity.Info
	log        *slog.Logger
	began      time.Time
	workerStop <-chan struct{}
	shed       chan struct{} // closed when the worker has more than its share
	retry      pipeline.CommonConfig

	orphan atomic.Bool // its attempt counts no more

	stopBeats context.CancelFunc
	beats     sync.WaitGroup

	mu      sync.Mutex
	lease   *catalog.Lease // from the moment it copies
	job     *job
	shedded bool
	history Heartbeat // what earlier attempts have left
	rate    rate
	healthy bool // earlier failures are forgotten

	// What the workflow was last told, see news.
	toldAt      time.Time
	toldTrouble bool
	tellNext    time.Duration
}

// Heartbeat is the details of RunTask's heartbeats: for people, and for the next attempt.
type Heartbeat struct {
	Worker     string            `json:"worker"`
	Epoch      int64             `json:"epoch,omitempty"`
	Position   map[string]string `json:"position,omitempty"` // some partitions of it
	Records    int64             `json:"records"`
	Bytes      int64             `json:"bytes"`
	Rate       float64           `json:"recordsPerSecond"`
	LagRecords int64             `json:"lagRecords"` // -1 unknown
	LagBytes   int64             `json:"lagBytes"`   // -1 unknown
	Retrying   string            `json:"retrying,omitempty"`

	// Crashes counts the attempts in a row that ended without telling why and without a record, this one excluded.
	Crashes int `json:"crashes,omitempty"`
	// LastCrash is the last panic or hang among them; empty if none left a word.
	LastCrash string `json:"lastCrash,omitempty"`
	// Ended says that the attempt itself reported how it ended.
	Ended bool `json:"ended,omitempty"`
	// FailingSince is when the first of the failures in a row happened.
	FailingSince *time.Time `json:"failingSince,omitempty"`
}

func (a *Activities) newTurn(ctx context.Context, in workflows.RunTaskInput) *turn {
	t := &turn{a: a, in: in, info: activity.GetInfo(ctx), began: time.Now(), workerStop: activity.GetWorkerStopChannel(ctx),
		shed: make(chan struct{}), log: a.log.With("connector", in.Connector, "task", in.Task)}
	if activity.HasHeartbeatDetails(ctx) {
		var last Heartbeat
		if err := activity.GetHeartbeatDetails(ctx, &last); err == nil { // what another version wrote is not needed
			t.history.FailingSince = last.FailingSince
			t.history.Crashes, t.history.LastCrash = last.Crashes, last.LastCrash
			if !last.Ended {
				t.history.Crashes++
			}
			if last.Records > 0 {
				t.history.Crashes, t.history.LastCrash = 0, ""
			}
		}
	}
	bctx, stop := context.WithCancel(ctx)
	t.stopBeats = stop
	activity.RecordHeartbeat(bctx, t.heartbeat(false)) // at once: a start that kills its worker has to leave a trace
	t.beats.Go(func() {
		tick := time.NewTicker(a.config.HeartbeatEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				// Once the context has ended nothing is sent any more: after an outage the server then hands the task on.
				activity.RecordHeartbeat(bctx, t.heartbeat(false))
			case <-bctx.Done():
				return
			}
		}
	})
	a.turns.add(t)
	return t
}

// end waits for what the turn has started, except for an abandoned job.
func (t *turn) end() {
	t.stopBeats()
	t.beats.Wait()
	t.a.turns.remove(t)
}

func (t *turn) own(lease *catalog.Lease, j *job) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lease, t.job = lease, j
}

// release gives the task back, also when the activity's context has ended.
func (t *turn) release(ctx context.Context, lease *catalog.Lease, settled bool) {
	if err := giveBack(ctx, lease, settled); err != nil {
		t.log.Warn("release the task; its lease runs out by itself", "error", err)
	}
}

func giveBack(ctx context.Context, lease *catalog.Lease, settled bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseWithin)
	defer cancel()
	if settled {
		return lease.Release(ctx)
	}
	return lease.ReleaseUnclean(ctx)
}

// tooManyCrashes stops a task that would kill one worker after the other.
func (t *turn) tooManyCrashes() error {
	if t.history.Crashes <= t.a.config.MaxCrashes {
		return nil
	}
	last := t.history.LastCrash
	if last == "" {
		last = "nothing, as when their worker died"
	}
	return fmt.Errorf("%w: the last %d starts ended in a crash, without a record copied; mend the cause and restart the task; the last one said: %s",
		errGaveUp, t.history.Crashes, last)
}

// snapshot is the progress, and the lease it was made under.
func (t *turn) snapshot() (pipeline.Snapshot, *catalog.Lease, *job) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.job == nil {
		return pipeline.Snapshot{LagRecords: -1, LagBytes: -1}, nil, nil
	}
	s := t.job.progress.Snapshot()
	s.LastError = t.job.scrub.Load().Error(s.LastError)
	t.rate.update(s.Records, time.Now())
	return s, t.lease, t.job
}

func (t *turn) heartbeat(ended bool) Heartbeat {
	s, lease, j := t.snapshot()
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.history
	h.Worker, h.Records, h.Bytes, h.Rate, h.Ended = t.a.config.Worker, s.Records, s.Bytes, t.rate.perSecond, ended
	h.LagRecords, h.LagBytes = s.LagRecords, s.LagBytes
	if lease != nil {
		h.Epoch, h.Position = lease.Start().Epoch, j.ledger.summary()
	}
	if s.LastError != nil {
		h.Retrying = cut(s.RetryingWhat+": "+s.LastError.Error(), 300)
	}
	return h
}

// look is called regularly while the task copies.
func (t *turn) look(ctx context.Context, now time.Time) {
	s, lease, _ := t.snapshot()
	if t.healthy || lease == nil || now.Sub(t.began) < t.a.config.HealthyAfter || !s.RetryingSince.IsZero() {
		return
	}
	nctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteWithin)
	defer cancel()
	if err := t.a.Catalog.NoteHealthy(nctx, t.in.UID, t.in.Task); err != nil {
		return // the next look tries again
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.healthy = true
	t.history.Crashes, t.history.LastCrash, t.history.FailingSince = 0, "", nil
}

// stalled reports whether the job gives no sign of life although it should.
func (t *turn) stalled(now time.Time, j *job) bool {
	last := j.progress.Beat()
	if last.Before(t.began) {
		last = t.began
	}
	return now.Sub(last) > t.a.config.StallTimeout
}

// failed notes a failure, shows it, and says what the server is told.
func (t *turn) failed(ctx context.Context, err error) error {
	if isFenced(err) || errors.Is(err, catalog.ErrStaleAttempt) {
		t.log.Info("let go of the task", "error", err)
		return toTemporal(err, failure{})
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return err // out of Temporal's reach, and nothing went wrong with the task
	}
	ctx = context.WithoutCancel(ctx)
	if err = t.givenUp(err); !connector.IsPermanent(err) && !errors.Is(err, errGaveUp) {
		return t.retried(ctx, err)
	}
	t.log.Error("the task has failed", "error", err)
	t.say(catalog.StatusFailed, err, time.Time{})
	nctx, cancel := context.WithTimeout(ctx, noteWithin)
	defer cancel()
	if rerr := t.a.ReportStatuses(nctx); rerr != nil {
		t.log.Warn("report that the task has failed; it is reported again", "error", rerr)
	}
	if rerr := t.a.Catalog.RecordEvent(nctx, catalog.Event{UID: t.in.UID, Connector: t.in.Connector, Task: &t.in.Task,
		Kind: catalog.EventFailed, Detail: err.Error()}); rerr != nil {
		t.log.Warn("record an event", "kind", catalog.EventFailed, "error", rerr)
	}
	return toTemporal(err, failure{})
}

// givenUp makes err final once the task has been failing for too long.
func (t *turn) givenUp(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.history.FailingSince == nil {
		now := time.Now()
		t.history.FailingSince = &now
	}
	limit := t.retry.RetryTimeout
	if since := time.Since(*t.history.FailingSince); limit >= 0 && t.retry.Name != "" && since > limit {
		return fmt.Errorf("%w after %v, as errors.retry.timeout says: %w", errGaveUp, since.Round(time.Second), err)
	}
	return err
}

func (t *turn) retried(ctx context.Context, err error) error {
	nctx, cancel := context.WithTimeout(ctx, noteWithin)
	defer cancel()
	n, nerr := t.a.Catalog.NoteFailure(nctx, t.in.UID, t.in.Task, err)
	if nerr != nil {
		n = int(t.info.Attempt) // the catalog is away or the task was never claimed; attempts grow too
	}
	retry := toTemporal(err, failure{consecutive: n, longest: t.retry.RetryDelayMax})
	delay := failure{consecutive: n, longest: t.retry.RetryDelayMax}.delay()
	t.log.Warn("the task failed and is tried again", "error", err, "failures", n)
	t.tellRetry(t.say(catalog.StatusRestarting, err, time.Now().Add(delay)), n)
	crashed := isCrash(err)
	if crashed {
		t.mu.Lock()
		t.history.LastCrash = cut(err.Error(), 300)
		t.mu.Unlock()
	}
	activity.RecordHeartbeat(ctx, t.heartbeat(!crashed)) // sent with the failure
	return retry
}

// jittered keeps tasks that began together from ending together.
func jittered(d time.Duration) time.Duration { return d - d/10 + rand.N(d/5+1) }

// rate is records per second over the last few seconds.
type rate struct {
	at        time.Time
	records   int64
	perSecond float64
}

func (r *rate) update(records int64, now time.Time) {
	since := now.Sub(r.at)
	switch {
	case r.at.IsZero():
		r.at, r.records = now, records
	case since >= time.Second:
		r.perSecond = float64(records-r.records) / since.Seconds()
		r.at, r.records = now, records
	}
}
