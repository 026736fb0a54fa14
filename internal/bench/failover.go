package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gantry-connect/gantry/client"
)

const (
	tickName  = "ticks"      // of topic, table and source
	tickSink  = "ticks-sink" // of the sink
	tickEvery = 20 * time.Millisecond

	killedLimit   = 5 * time.Second
	handOverLimit = time.Second
)

// failures are the ways in which a worker is taken away.
var failures = []struct {
	name   string
	signal syscall.Signal
	limit  time.Duration
}{
	{"kill -9", syscall.SIGKILL, killedLimit},
	{"SIGTERM", syscall.SIGTERM, handOverLimit},
	{"SIGSTOP", syscall.SIGSTOP, killedLimit},
}

// failoverResult is what one kind of failure cost.
type failoverResult struct {
	name  string
	limit time.Duration
	gaps  []time.Duration // without records at the sink, from the signal on
}

// failover takes the worker away that runs a source of 50 records a second and its sink, while a second worker idles.
func (l *lab) failover(ctx context.Context) ([]failoverResult, error) {
	l.sayf("failover: a counter of one record each %s, through a topic, into Postgres; source and sink run on the worker that fails", tickEvery)
	owner, err := l.worker(ctx, 100)
	if err != nil {
		return nil, err
	}
	if err := l.startTicks(ctx); err != nil {
		return nil, err
	}
	var all []failoverResult
	for _, f := range failures {
		r := failoverResult{name: f.name, limit: f.limit}
		for n := range l.Failures {
			if err := l.awaitOwner(ctx, owner); err != nil { // or the standby would take what nobody has yet
				return nil, err
			}
			// The standby's capacity makes its fair share small, so that the owner keeps both tasks.
			standby, err := l.worker(ctx, 2)
			if err != nil {
				return nil, err
			}
			if err := l.awaitOwner(ctx, owner); err != nil {
				return nil, err
			}
			gap, err := l.takeAway(ctx, owner, standby, f.signal)
			if err != nil {
				return nil, fmt.Errorf("%s, run %d: %w", f.name, n+1, err)
			}
			r.gaps = append(r.gaps, gap)
			l.sayf("failover by %s, run %d of %d: %d ms without records (load %s)", f.name, n+1, l.Failures, gap.Milliseconds(), load())
			if owner, err = l.replace(ctx, owner, standby); err != nil {
				return nil, err
			}
		}
		all = append(all, r)
	}
	return all, l.checkTicks(ctx, owner)
}

func (l *lab) startTicks(ctx context.Context) error {
	source := map[string]string{"connector.class": "CounterSource", "counter.interval.ms": fmt.Sprint(tickEvery.Milliseconds()),
		"topic": tickName, "topic.queues": "1"}
	if _, err := l.createTopic(ctx, tickName, 1); err != nil {
		return err
	}
	return errors.Join(l.api.put(ctx, tickName, source), l.api.put(ctx, tickSink, l.postgresSink(tickName, tickName)))
}

// awaitOwner waits until both tasks run on a worker and records have arrived for a second.
func (l *lab) awaitOwner(ctx context.Context, p *process) error {
	var since time.Time
	return poll(ctx, startBound, "both tasks run on "+p.name, func() (bool, error) {
		for _, name := range []string{tickName, tickSink} {
			s, err := l.api.Status(ctx, name)
			if err != nil {
				return false, err
			}
			if len(s.Tasks) != 1 || s.Tasks[0].State != client.Running || s.Tasks[0].WorkerID != p.name {
				since = time.Time{}
				return false, nil
			}
		}
		if since.IsZero() {
			since = time.Now()
		}
		if time.Since(since) < time.Second {
			return false, nil
		}
		var last time.Time
		err := l.target.QueryRow(ctx, "select coalesce((select pg_xact_commit_timestamp(xmin) from "+tickName+" order by number desc limit 1), 'epoch')").Scan(&last)
		return last.After(since), err
	})
}

// takeAway sends the signal, waits until the standby has both tasks, and returns the longest time without records.
func (l *lab) takeAway(ctx context.Context, owner, standby *process, signal syscall.Signal) (time.Duration, error) {
	start := time.Now()
	if err := owner.cmd.Process.Signal(signal); err != nil {
		return 0, err
	}
	if err := l.awaitOwner(ctx, standby); err != nil {
		return 0, err
	}
	rows, err := l.target.Query(ctx, `select distinct pg_xact_commit_timestamp(xmin) at from `+tickName+`
		where pg_xact_commit_timestamp(xmin) >= $1 order by at`, start)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	gap, last := time.Duration(0), start
	for rows.Next() {
		var at time.Time
		if err := rows.Scan(&at); err != nil {
			return 0, err
		}
		gap, last = max(gap, at.Sub(last)), at
	}
	return gap, rows.Err()
}

// replace ends the worker that was taken away, and gives the tasks from the standby to a new worker.
func (l *lab) replace(ctx context.Context, old, standby *process) (*process, error) {
	_ = old.cmd.Process.Signal(syscall.SIGCONT) // a frozen worker has to wake up to end; others do not mind
	if err := old.stop(); err != nil {
		return nil, err
	}
	fresh, err := l.worker(ctx, 100)
	if err != nil {
		return nil, err
	}
	return fresh, standby.stop()
}

// checkTicks stops the source and compares what arrived with what was sent.
func (l *lab) checkTicks(ctx context.Context, owner *process) error {
	if err := l.awaitOwner(ctx, owner); err != nil {
		return err
	}
	if err := l.api.remove(ctx, tickName); err != nil {
		return err
	}
	var rows, different, numbers, before int64
	err := poll(ctx, startBound, "the sink has nothing more to write", func() (bool, error) {
		before = rows
		err := l.target.QueryRow(ctx, "select count(*), count(distinct number), max(number) + 1 from "+tickName).Scan(&rows, &different, &numbers)
		return err == nil && rows == before && different == numbers, err
	})
	if err != nil {
		return fmt.Errorf("%d numbers were counted, %d arrived: %w", numbers, different, err)
	}
	l.sayf("failover: %d numbers were counted through %d failures; %d missing and %d doubled at the sink",
		numbers, len(failures)*l.Failures, numbers-different, rows-different)
	return l.api.remove(ctx, tickSink)
}

func printFailovers(w io.Writer, results []failoverResult) {
	if len(results) == 0 {
		return
	}
	fmt.Fprintln(w, "failover: longest time without a record at the sink, from the signal on")
	for _, r := range results {
		worst := slices.Max(r.gaps)
		var values []string
		for _, g := range r.gaps {
			values = append(values, fmt.Sprint(g.Milliseconds()))
		}
		line(w, r.name, fmt.Sprintf("%.2f s at most", worst.Seconds()), against(worst <= r.limit, fmt.Sprintf("at most %s", r.limit), (worst-r.limit).Round(time.Millisecond).String())+
			"; ms: "+strings.Join(values, ", "))
	}
}
