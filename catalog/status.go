package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// States that are shown for connectors and tasks.
const (
	StatusUnassigned = "UNASSIGNED"
	StatusRunning    = "RUNNING"
	StatusPaused     = "PAUSED"
	StatusStopped    = "STOPPED"
	StatusFailed     = "FAILED"
	StatusRestarting = "RESTARTING"
)

// TaskStatus is what one task says of itself.
type TaskStatus struct {
	UID           int64
	Task          int
	State         string // one of the Status… constants
	Worker        string
	Epoch         int64  // of the owner that says so
	Trace         string // why it failed; empty if it has not
	Records       int64  // copied by this owner
	Bytes         int64
	LagRecords    int64 // -1 if unknown
	LagBytes      int64 // -1 if unknown
	RatePerSecond float64
	LastRecordAt  *time.Time
	NextRetryAt   *time.Time
	Retries       int64
	Filtered      int64      // records that a transform has dropped
	Bad           int64      // records that were given up, those of DeadLetters included
	DeadLetters   int64      // records that were sent to the dead-letter topic
	Retrying      string     // what is being tried again, and why; empty if nothing is
	RetryingSince *time.Time // nil if nothing is
	UpdatedAt     time.Time  // set by the catalog
	Silent        bool       // set by the catalog: it has said nothing for 10 s

	// What all owners together have committed; set by the catalog.
	CommittedRecords, CommittedBytes int64
}

// ConnectorStatus is how a connector is seen.
type ConnectorStatus struct {
	State     string // one of the Status… constants
	Worker    string
	Trace     string
	UpdatedAt time.Time // set by the catalog
}

// ReportStatus stores what many tasks say of themselves, in one statement. What an owner says that has a lower epoch than
// the one that spoke last is dropped, and so is what is said of a connector that is gone.
func (c *Catalog) ReportStatus(ctx context.Context, all []TaskStatus) error {
	if len(all) == 0 {
		return nil
	}
	_, err := c.pool.Exec(ctx, `
		insert into gantry.task_status as old (uid, task, state, worker, epoch, trace, records, bytes, lag_records, lag_bytes,
			rate_per_second, last_record_at, next_retry_at, retries, filtered, bad, dead_letters, retrying, retrying_since)
		select distinct on (n.uid, n.task) n.*
		from unnest(@uid::bigint[], @task::integer[], @state::text[], @worker::text[], @epoch::bigint[], @trace::text[],
			@records::bigint[], @bytes::bigint[], @lag_records::bigint[], @lag_bytes::bigint[], @rate::double precision[],
			@last::timestamptz[], @next::timestamptz[], @retries::bigint[], @filtered::bigint[], @bad::bigint[],
			@dead_letters::bigint[], @retrying::text[], @retrying_since::timestamptz[])
			as n(uid, task, state, worker, epoch, trace, records, bytes, lag_records, lag_bytes, rate, last, next, retries,
			     filtered, bad, dead_letters, retrying, retrying_since)
		join gantry.connectors using (uid)
		order by n.uid, n.task, n.epoch desc
		on conflict (uid, task) do update
		set state = excluded.state, worker = excluded.worker, epoch = excluded.epoch, trace = excluded.trace,
		    records = excluded.records, bytes = excluded.bytes, lag_records = excluded.lag_records,
		    lag_bytes = excluded.lag_bytes, rate_per_second = excluded.rate_per_second,
		    last_record_at = excluded.last_record_at, next_retry_at = excluded.next_retry_at, retries = excluded.retries,
		    filtered = excluded.filtered, bad = excluded.bad, dead_letters = excluded.dead_letters,
		    retrying = excluded.retrying, retrying_since = excluded.retrying_since,
		    updated_at = clock_timestamp()
		where old.epoch <= excluded.epoch`, statusArrays(all))
	if err != nil {
		return fmt.Errorf("report the status of %d tasks: %w", len(all), err)
	}
	return nil
}

func statusArrays(all []TaskStatus) pgx.StrictNamedArgs {
	return pgx.StrictNamedArgs{
		"uid":         column(all, func(s TaskStatus) int64 { return s.UID }),
		"task":        column(all, func(s TaskStatus) int { return s.Task }),
		"state":       column(all, func(s TaskStatus) string { return s.State }),
		"worker":      column(all, func(s TaskStatus) string { return s.Worker }),
		"epoch":       column(all, func(s TaskStatus) int64 { return s.Epoch }),
		"trace":       column(all, func(s TaskStatus) string { return storable(s.Trace) }),
		"records":     column(all, func(s TaskStatus) int64 { return s.Records }),
		"bytes":       column(all, func(s TaskStatus) int64 { return s.Bytes }),
		"lag_records": column(all, func(s TaskStatus) int64 { return s.LagRecords }),
		"lag_bytes":   column(all, func(s TaskStatus) int64 { return s.LagBytes }),
		"rate":        column(all, func(s TaskStatus) float64 { return s.RatePerSecond }),
		"last":        column(all, func(s TaskStatus) *time.Time { return s.LastRecordAt }),
		"next":        column(all, func(s TaskStatus) *time.Time { return s.NextRetryAt }),
		"retries":     column(all, func(s TaskStatus) int64 { return s.Retries }),

		"filtered":       column(all, func(s TaskStatus) int64 { return s.Filtered }),
		"bad":            column(all, func(s TaskStatus) int64 { return s.Bad }),
		"dead_letters":   column(all, func(s TaskStatus) int64 { return s.DeadLetters }),
		"retrying":       column(all, func(s TaskStatus) string { return storable(s.Retrying) }),
		"retrying_since": column(all, func(s TaskStatus) *time.Time { return s.RetryingSince }),
	}
}

// column turns rows into one array parameter of a statement.
func column[T, V any](rows []T, value func(T) V) []V {
	values := make([]V, len(rows))
	for i, row := range rows {
		values[i] = value(row)
	}
	return values
}

// storable makes any text one that Postgres takes: foreign errors hold anything.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// TaskStatuses reads what a connector's tasks said last, by task number.
func (c *Catalog) TaskStatuses(ctx context.Context, uid int64) ([]TaskStatus, error) {
	rows, err := c.pool.Query(ctx, `
		select s.uid, s.task, `+statusColumns+`
		from gantry.task_status s left join gantry.tasks t using (uid, task) where s.uid = @uid order by s.task`,
		pgx.StrictNamedArgs{"uid": uid})
	if err != nil {
		return nil, fmt.Errorf("read the status of the tasks of connector with uid %d: %w", uid, err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[TaskStatus])
	if err != nil {
		return nil, fmt.Errorf("read the status of the tasks of connector with uid %d: %w", uid, err)
	}
	return all, nil
}

// SetConnectorStatus stores how a connector is seen; it does nothing for one that is gone. That one has failed is an event, once.
func (c *Catalog) SetConnectorStatus(ctx context.Context, uid int64, s ConnectorStatus) error {
	_, err := c.pool.Exec(ctx, `
		with told as (
			insert into gantry.events (uid, connector, task, kind, author, detail)
			select c.uid, c.name, null, @event::text, '', @trace::text
			from gantry.connectors c left join gantry.connector_status old using (uid)
			where c.uid = @uid and @state::text = @failed::text
			  and (old.state, old.trace) is distinct from (@state::text, @trace::text))
		insert into gantry.connector_status (uid, state, worker, trace)
		select uid, @state::text, @worker::text, @trace::text from gantry.connectors where uid = @uid
		on conflict (uid) do update
		set state = excluded.state, worker = excluded.worker, trace = excluded.trace, updated_at = clock_timestamp()`,
		pgx.StrictNamedArgs{"uid": uid, "state": s.State, "worker": s.Worker, "trace": storable(s.Trace),
			"failed": StatusFailed, "event": EventFailed})
	if err != nil {
		return fmt.Errorf("set the status of connector with uid %d: %w", uid, err)
	}
	return nil
}

// ConnectorStatus reads how a connector is seen; ErrNotFound if nobody has said yet.
func (c *Catalog) ConnectorStatus(ctx context.Context, uid int64) (ConnectorStatus, error) {
	what := fmt.Sprintf("read the status of connector with uid %d", uid)
	rows, err := c.pool.Query(ctx, "select state, worker, trace, updated_at from gantry.connector_status where uid = @uid",
		pgx.StrictNamedArgs{"uid": uid})
	if err != nil {
		return ConnectorStatus{}, fmt.Errorf("%s: %w", what, err)
	}
	return oneRow[ConnectorStatus](rows, what)
}

// NoteFailure counts one more failed start of a task and returns how many there have been in a row. ErrNotFound if the
// task was never claimed.
func (c *Catalog) NoteFailure(ctx context.Context, uid int64, task int, failure error) (n int, err error) {
	err = c.pool.QueryRow(ctx, `
		with failed as (
			update gantry.tasks set failures = failures + 1, failure = @failure::text
			where uid = @uid and task = @task returning uid, task, failures),
		told as (
			insert into gantry.events (uid, connector, task, kind, author, detail)
			select uid, c.name, f.task, @event::text, '', @failure::text from failed f join gantry.connectors c using (uid))
		select failures from failed`,
		pgx.StrictNamedArgs{"uid": uid, "task": task, "failure": storable(failure.Error()), "event": EventFailed}).Scan(&n)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return 0, fmt.Errorf("count a failure of task %d of connector with uid %d: %w", task, uid, err)
	}
	return n, nil
}

// NoteHealthy says that a task works again: failures are counted from zero.
func (c *Catalog) NoteHealthy(ctx context.Context, uid int64, task int) error {
	_, err := c.pool.Exec(ctx, `
		update gantry.tasks set failures = 0, failure = '' where uid = @uid and task = @task and failures > 0`,
		pgx.StrictNamedArgs{"uid": uid, "task": task})
	if err != nil {
		return fmt.Errorf("note that task %d of connector with uid %d works: %w", task, uid, err)
	}
	return nil
}
