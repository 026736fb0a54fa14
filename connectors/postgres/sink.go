package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gantry-connect/gantry/connector"
)

// Sink is the PostgresSink.
var Sink = connector.NewSink(connector.SinkSpec[Config]{
	Class:   "PostgresSink",
	Version: "1.0.0",
	Doc: "Writes records to tables of a Postgres database: as new rows, or by primary key. Tables can be created and evolved from the " +
		"records' schemas. The position is kept in the target and moves in the transaction that writes the rows, so that each record " +
		"of the topic arrives exactly once.",
	Check:     check,
	Guarantee: func(*Config) connector.Guarantee { return connector.ExactlyOnce },
	Probe:     look,
	Open:      open,
})

// sink writes each batch in one transaction and holds nothing back. Flush makes the transactions durable.
type sink struct {
	task      connector.Task
	conn      *pgx.Conn
	positions *positions
	tables    *tables
	arranger  arranger
	rows      rowReader
	warned    map[connector.Op]bool // of operations that are ignored
	begun     bool                  // the transaction at hand
	filled    map[*shape]bool       // staging tables that hold rows of it
	unsynced  bool                  // transactions were committed that a crash of the target may take back
	lost      error                 // why nothing can be written any more until the sink is opened again
}

func open(ctx context.Context, c *Config, task connector.Task) (connector.Sink, error) {
	if task.Logger == nil {
		task.Logger = slog.New(slog.DiscardHandler)
	}
	config, err := c.connection(task)
	if err != nil {
		return nil, &connector.ConfigError{Field: "connection.url", Reason: fmt.Sprintf("is no connection to Postgres: %v", err)}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, interrupted(ctx, classify(err))
	}
	s := &sink{task: task, conn: conn, tables: newTables(c, conn), warned: map[connector.Op]bool{}}
	s.arranger = arranger{tables: s.tables, config: c, ignored: s.ignored}
	if s.positions, err = newPositions(conn, task, c.PositionTable); err == nil {
		err = s.positions.claim(ctx)
	}
	if err != nil {
		err = fmt.Errorf("claim the position of task %d of connector %s in database %s: %w", task.Number, task.Connector, config.Database, classify(err))
		return nil, errors.Join(interrupted(ctx, err), s.Close())
	}
	return s, nil
}

// interrupted prefers the end of ctx to what it did to a statement.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// Position implements connector.Sink.
func (s *sink) Position() connector.Position { return maps.Clone(s.positions.current) }

// Flush implements connector.Sink. What a session commits becomes durable in the order of its commits, so one that waits for
// the target's disk, and for its standbys if the target is set up so, covers all before it.
func (s *sink) Flush(ctx context.Context) error {
	if err := interrupted(ctx, s.lost); err != nil || !s.unsynced {
		return err
	}
	err := s.positions.sync(ctx)
	if errors.Is(err, connector.ErrFenced) {
		s.lost = err
	}
	if s.conn.IsClosed() && s.lost == nil {
		s.lost = s.whyLost(ctx, err)
		err = s.lost
	}
	if err != nil {
		return interrupted(ctx, classify(err))
	}
	s.unsynced = false
	return nil
}

// Close implements connector.Sink.
func (s *sink) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = s.conn.Close(ctx) // what goes wrong with a session that is given up changes nothing: Write has told what is durable
	select {
	case <-s.conn.PgConn().CleanupDone():
	case <-ctx.Done(): // the target does not answer; pgx gives up by itself
	}
	return nil
}

func (s *sink) ignored(op connector.Op) {
	if !s.warned[op] {
		s.warned[op] = true
		s.task.Logger.Warn("ignored, because delete.enabled is false; further ones are not logged", "operation", op.String())
	}
}

// Write implements connector.Sink: one transaction with the rows and, last, the position.
func (s *sink) Write(ctx context.Context, b connector.Batch) error {
	if err := interrupted(ctx, s.lost); err != nil {
		return err
	}
	if len(b.Records) == 0 && len(b.Next) == 0 {
		return nil
	}
	err := s.write(ctx, b, false)
	if sqlState(err) == oneRowTwice {
		err = s.write(ctx, b, true)
	}
	if stale(err) {
		if forgot := s.tables.forget(ctx); forgot != nil {
			err = forgot
		} else {
			err = s.write(ctx, b, false)
		}
	}
	if blamable(err) {
		err = s.blame(ctx, b.Records, err)
	}
	if s.conn.IsClosed() && s.lost == nil {
		s.lost = s.whyLost(ctx, err)
		err = s.lost
	}
	if err == nil {
		return nil // even if ctx has ended since
	}
	return interrupted(ctx, classify(err))
}

// whyLost tells a session that a newer owner has ended from one that broke. What cannot be found out is a broken one:
// whoever opens the sink again is told.
func (s *sink) whyLost(ctx context.Context, cause error) error {
	broken := fmt.Errorf("the session with the target has ended and the sink must be opened again: %w", cause)
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	config := s.conn.Config()
	config.RuntimeParams["application_name"] = "gantry" // not a session of the task, which a newer owner would end too
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return broken
	}
	epoch, err := s.positions.epoch(ctx, conn)
	_ = conn.Close(ctx)
	if err == nil && epoch > s.task.Epoch {
		return s.positions.fenced("write")
	}
	return broken
}

func (s *sink) write(ctx context.Context, b connector.Batch, single bool) error {
	stages, err := s.arranger.arrange(ctx, b.Records, single)
	if err != nil {
		return err
	}
	s.begin()
	if err := s.apply(ctx, b.Records, stages); err != nil {
		return s.rollback(ctx, err)
	}
	s.task.At("sink/writing")
	return s.commit(ctx, b.Next)
}

// beginning starts a transaction. It is sent along with the transaction's first statement, to save a round trip. The COMMIT does
// not wait for the disk: rows and position become durable together or not at all, and Flush waits.
const beginning = "begin isolation level read committed read write; set local synchronous_commit = off"

func (s *sink) begin() { s.begun, s.filled = false, map[*shape]bool{} }

// begunNow sends the beginning if nothing has been sent before.
func (s *sink) begunNow(ctx context.Context) error {
	if s.begun {
		return nil
	}
	s.begun = true
	_, err := s.conn.Exec(ctx, beginning)
	return err
}

// commit sends the move of the position and the COMMIT together. If the connection breaks here nobody knows whether
// they have happened; the next owner reads it from the target.
func (s *sink) commit(ctx context.Context, next connector.Position) error {
	move, args := s.positions.move(next)
	if err := s.begunNow(ctx); err != nil {
		return err
	}
	batch := &pgx.Batch{}
	batch.Queue(move, args...)
	batch.Queue("commit")
	results := s.conn.SendBatch(ctx, batch)
	_, moveErr := results.Exec()
	if moveErr != nil {
		_ = results.Close() // repeats moveErr
		if sqlState(moveErr) == "22012" {
			s.lost = s.positions.fenced("write")
			return s.rollback(ctx, s.lost)
		}
		return s.rollback(ctx, fmt.Errorf("move the position in %s: %w", s.positions.table, moveErr))
	}
	tag, err := results.Exec()
	if closed := results.Close(); err == nil {
		err = closed
	}
	if err != nil { // a deferred constraint, or an unknown outcome
		return s.rollback(ctx, fmt.Errorf("commit: %w", err))
	}
	if tag.String() != "COMMIT" {
		return fmt.Errorf("commit: the target answered %s", tag)
	}
	s.positions.moved(next)
	s.unsynced = true
	return nil
}

// rollback ends the transaction and gives back why.
func (s *sink) rollback(ctx context.Context, why error) error {
	if s.conn.IsClosed() || s.conn.PgConn().TxStatus() == 'I' {
		return why
	}
	if _, err := s.conn.Exec(ctx, "rollback"); err != nil && !s.conn.IsClosed() {
		_ = s.conn.Close(ctx) // a session in a state that nobody knows must not be used again
	}
	return why
}

// apply carries out the stages in the open transaction.
func (s *sink) apply(ctx context.Context, records []connector.Record, stages []*stage) error {
	for _, st := range stages {
		if st.truncate {
			if err := s.begunNow(ctx); err != nil {
				return err
			}
			if _, err := s.conn.Exec(ctx, "truncate table "+st.table.name.String()); err != nil {
				return fmt.Errorf("truncate table %s: %w", st.table.name, err)
			}
		}
		for _, g := range st.deletes {
			if err := s.send(ctx, records, g, true); err != nil {
				return err
			}
		}
		for _, g := range st.writes {
			if err := s.send(ctx, records, g, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// send brings the rows of one group into the table.
func (s *sink) send(ctx context.Context, records []connector.Record, g *group, deletes bool) error {
	if s.filled[g.shape] {
		if _, err := s.conn.Exec(ctx, "truncate pg_temp."+g.shape.stage); err != nil {
			return fmt.Errorf("empty the staging table: %w", err)
		}
	}
	sql := g.shape.copyTo
	if !s.begun {
		s.begun = true
		sql = beginning + "; " + sql
	}
	s.rows.start(records, g, deletes)
	_, err := s.conn.PgConn().CopyFrom(ctx, &s.rows, sql)
	if sqlState(err) == "57014" && s.rows.fault != nil { // COPY ended by its reader; after other errors pgx may still be reading
		return s.rows.fault
	}
	if err != nil {
		return fmt.Errorf("copy rows to table %s: %w", g.shape.table.name, err)
	}
	if g.shape.finish == "" {
		return nil
	}
	s.filled[g.shape] = g.shape.create != ""
	if _, err := s.conn.Exec(ctx, g.shape.finish); err != nil {
		return fmt.Errorf("write to table %s: %w", g.shape.table.name, err)
	}
	return nil
}

// oneRowTwice is Postgres's code for two rows of one statement that have the same key. Keys that differ in their bytes may be
// equal to Postgres, such as the decimals 1.0 and 1.00; then one record is written after the other.
const oneRowTwice = "21000"

// blame finds the record that makes a batch fail: the one without which the records before it pass. What it tries it
// rolls back.
func (s *sink) blame(ctx context.Context, records []connector.Record, cause error) error {
	good, bad := 0, len(records)
	for good+1 < bad {
		middle := (good + bad) / 2
		err := s.try(ctx, records[:middle])
		switch {
		case err == nil:
			good = middle
		case blamable(err):
			bad, cause = middle, err
		default:
			return err
		}
	}
	return &connector.RecordError{Index: bad - 1, Err: errors.New(describe(cause))}
}

func (s *sink) try(ctx context.Context, records []connector.Record) error {
	err := s.rehearse(ctx, records, false)
	if sqlState(err) == oneRowTwice {
		err = s.rehearse(ctx, records, true)
	}
	return err
}

// rehearse does what write does, but for the position, and rolls it back.
func (s *sink) rehearse(ctx context.Context, records []connector.Record, single bool) error {
	stages, err := s.arranger.arrange(ctx, records, single)
	if err != nil {
		return err
	}
	s.begin()
	if err := s.apply(ctx, records, stages); err != nil {
		return s.rollback(ctx, err)
	}
	if err := s.begunNow(ctx); err != nil {
		return err
	}
	_, err = s.conn.Exec(ctx, "set constraints all immediate")
	return s.rollback(ctx, err)
}
