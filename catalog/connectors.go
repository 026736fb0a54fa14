package catalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
)

// State is what is wanted of a connector.
type State string

// The states that can be wanted.
const (
	StateRunning State = "RUNNING"
	StatePaused  State = "PAUSED"  // tasks hold still
	StateStopped State = "STOPPED" // tasks end, positions stay
	StateDeleted State = "DELETED" // on its way out, until Forget
)

// Connector is what is wanted of a connector, by its newest config revision.
type Connector struct {
	UID                int64 // never reused
	Name               string
	Class              string
	Kind               string // source or sink
	Desired            State
	Revision           int64             // of the config, from 1
	Config             map[string]string // as the user gave it
	Labels             map[string]string // for selectors and access
	Generation         int64             // of the plan; 0 = never planned
	PlannedRevision    int64             // the config revision that the plan was made from
	PositionGeneration int64             // raised by each edit of the position by an operator
	RestartSeq         int64             // of the last restart that was asked for
	Emptied            bool              // stopped since it last ran: it counts as having no tasks
	KeepsPositions     bool              // of a deleted one: they stay for the next of its name
	Author             string            // of the last change
	Created            time.Time
	Updated            time.Time
}

// NewConnector is what CreateConnector needs to know. Kind is source or sink; Desired is StateRunning if empty.
type NewConnector struct {
	Name    string
	Class   string
	Kind    string
	Config  map[string]string
	Labels  map[string]string
	Desired State
	Author  string
}

const (
	selectConnector = `
		select c.uid, c.name, c.class, c.kind, c.desired, c.revision, r.config, c.generation, c.planned_revision,
		       c.position_generation, c.restart_seq, c.emptied, c.keeps_positions, c.labels, c.author, c.created_at as created, c.updated_at as updated
		from gantry.connectors c join gantry.revisions r on r.uid = c.uid and r.number = c.revision`
	byUID  = " where c.uid = @key"
	byName = " where c.name = @key"
)

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func readConnector(ctx context.Context, q querier, where string, key any) (Connector, error) {
	rows, err := q.Query(ctx, selectConnector+where, pgx.StrictNamedArgs{"key": key})
	if err != nil {
		return Connector{}, err
	}
	conn, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Connector])
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	return conn, err
}

// Connector reads a connector by name, also one that is being deleted; ErrNotFound if there is none.
func (c *Catalog) Connector(ctx context.Context, name string) (Connector, error) {
	conn, err := readConnector(ctx, c.pool, byName, name)
	if err != nil {
		return Connector{}, fmt.Errorf("read connector %s: %w", name, err)
	}
	return conn, nil
}

// ConnectorByUID reads a connector by uid, also one that is being deleted; ErrNotFound if it was forgotten.
func (c *Catalog) ConnectorByUID(ctx context.Context, uid int64) (Connector, error) {
	conn, err := readConnector(ctx, c.pool, byUID, uid)
	if err != nil {
		return Connector{}, fmt.Errorf("read connector with uid %d: %w", uid, err)
	}
	return conn, nil
}

// Connectors reads all connectors by name, also those that are being deleted.
func (c *Catalog) Connectors(ctx context.Context) ([]Connector, error) {
	rows, err := c.pool.Query(ctx, selectConnector+" order by c.name")
	if err != nil {
		return nil, fmt.Errorf("list the connectors: %w", err)
	}
	conns, err := pgx.CollectRows(rows, pgx.RowToStructByName[Connector])
	if err != nil {
		return nil, fmt.Errorf("list the connectors: %w", err)
	}
	return conns, nil
}

// CreateConnector makes a connector with its first config revision. It takes over the positions that one of its name and
// kind has left behind. ErrExists if the name is taken: of several that create the same name at once, exactly one succeeds.
func (c *Catalog) CreateConnector(ctx context.Context, n NewConnector) (Connector, error) {
	if n.Desired == "" {
		n.Desired = StateRunning
	}
	var uid int64
	err := c.pool.QueryRow(ctx, `
		with made as (
			insert into gantry.connectors (name, class, kind, desired, labels, author)
			values (@name, @class::text, @kind::text, @desired::text, @labels, @author::text)
			on conflict (name) do nothing
			returning uid, name),
		revised as (
			insert into gantry.revisions (uid, number, class, config, author)
			select uid, 1, @class::text, @config::jsonb, @author::text from made),
		told as (
			insert into gantry.events (uid, connector, kind, author, detail)
			select uid, name, @event::text, @author::text, @class::text || ', ' || @desired::text from made),
		kept as (
			delete from gantry.kept_positions k using made where k.connector = made.name and k.kind = @kind::text
			returning k.partition, k."offset"),
		resumed as (
			insert into gantry.positions (uid, partition, "offset") select made.uid, kept.partition, kept."offset" from made, kept)
		select uid from made`,
		pgx.StrictNamedArgs{
			"name": n.Name, "class": n.Class, "kind": n.Kind, "desired": n.Desired, "author": n.Author,
			"config": configDocument(n.Config), "labels": configDocument(n.Labels), "event": EventCreated,
		}).Scan(&uid)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrExists
	}
	if err != nil {
		return Connector{}, fmt.Errorf("create connector %s: %w", n.Name, err)
	}
	return c.ConnectorByUID(ctx, uid)
}

// configDocument keeps a nil map from becoming a JSON null.
func configDocument(config map[string]string) map[string]string {
	if config == nil {
		return map[string]string{}
	}
	return config
}

// PutConfig gives a connector its next config revision. An unchanged config makes none, so that it may be put again and
// again. ErrNotFound, ErrDeleting, ErrKindFixed.
func (c *Catalog) PutConfig(ctx context.Context, name, class, kind string, config map[string]string, author string) (Connector, error) {
	return c.ChangeConfig(ctx, name, author, func(Connector) (NextConfig, error) {
		return NextConfig{Class: class, Kind: kind, Config: config}, nil
	})
}

// NextConfig is a config that shall replace a connector's.
type NextConfig struct {
	Class  string
	Kind   string // source or sink
	Config map[string]string
}

// ChangeConfig is PutConfig with a config that next makes from the one in force; nobody else changes the connector
// meanwhile. An error of next changes nothing and is returned wrapped.
func (c *Catalog) ChangeConfig(ctx context.Context, name, author string, next func(now Connector) (NextConfig, error)) (Connector, error) {
	conn, err := c.change(ctx, "name", name, func(tx pgx.Tx, conn *Connector) error {
		if conn.Desired == StateDeleted {
			return ErrDeleting
		}
		now := *conn
		now.Config = maps.Clone(conn.Config) // next may change it
		to, err := next(now)
		switch {
		case err != nil:
			return err
		case conn.Kind != to.Kind:
			return fmt.Errorf("from %s to %s: %w", conn.Kind, to.Kind, ErrKindFixed)
		case conn.Class == to.Class && maps.Equal(conn.Config, to.Config):
			return nil
		}
		return tx.SendBatch(ctx, revisionBatch(*conn, to, author)).Close()
	})
	if err != nil {
		return Connector{}, fmt.Errorf("put the config of connector %s: %w", name, err)
	}
	return conn, nil
}

func revisionBatch(conn Connector, to NextConfig, author string) *pgx.Batch {
	b := &pgx.Batch{}
	b.Queue(`insert into gantry.revisions (uid, number, class, config, author)
		values (@uid, @number, @class, @config, @author)`, pgx.StrictNamedArgs{
		"uid": conn.UID, "number": conn.Revision + 1, "class": to.Class, "config": configDocument(to.Config), "author": author,
	})
	b.Queue(`update gantry.connectors
		set revision = @number, class = @class, author = @author, updated_at = clock_timestamp() where uid = @uid`,
		pgx.StrictNamedArgs{"uid": conn.UID, "number": conn.Revision + 1, "class": to.Class, "author": author})
	queueEvent(b, Event{UID: conn.UID, Connector: conn.Name, Kind: EventConfigured, Author: author,
		Detail: fmt.Sprintf("revision %d", conn.Revision+1)})
	return b
}

// SetDesired says what is wanted of a connector from now on; StateDeleted is DeleteConnector. ErrNotFound, ErrDeleting.
func (c *Catalog) SetDesired(ctx context.Context, name string, state State, author string) (Connector, error) {
	return c.SetDesiredOnce(ctx, name, state, author, "")
}

// SetDesiredOnce is SetDesired for a wish that may come again under the same key, within a day: it changes nothing then, whatever
// else is wanted by that time, of whatever has the name.
func (c *Catalog) SetDesiredOnce(ctx context.Context, name string, state State, author, key string) (Connector, error) {
	conn, err := c.change(ctx, "name", name, func(tx pgx.Tx, conn *Connector) error {
		if isNew, err := takeKey(ctx, tx, key); err != nil || !isNew {
			return err
		}
		switch conn.Desired {
		case state:
			return nil
		case StateDeleted:
			return ErrDeleting
		}
		b := &pgx.Batch{}
		b.Queue(`update gantry.connectors
			set desired = @desired::text, emptied = @desired::text = 'STOPPED' or (emptied and @desired::text = 'PAUSED'),
			    author = @author, updated_at = clock_timestamp() where uid = @uid`,
			pgx.StrictNamedArgs{"uid": conn.UID, "desired": state, "author": author})
		queueEvent(b, Event{UID: conn.UID, Connector: conn.Name, Kind: EventDesired, Author: author,
			Detail: fmt.Sprintf("%s, was %s", state, conn.Desired)})
		return tx.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return Connector{}, fmt.Errorf("set connector %s to %s: %w", name, state, err)
	}
	return conn, nil
}

// DeleteConnector starts the deletion of a connector: nothing can change it any more. The name stays taken until Forget.
// Deleting it again does nothing. ErrNotFound.
func (c *Catalog) DeleteConnector(ctx context.Context, name, author string) error {
	_, err := c.SetDesired(ctx, name, StateDeleted, author)
	return err
}

// Forget removes what is left of a deleted connector, positions included unless they are to be kept, and frees its name. What remains are its events,
// its fences, and that neither its uid nor its writers' numbers nor their epochs come again. An owner that is still there
// is fenced. Forgetting it again does nothing; one that is not deleted is refused.
func (c *Catalog) Forget(ctx context.Context, uid int64) error {
	err := pgx.BeginFunc(ctx, c.pool, func(tx pgx.Tx) error {
		var name string
		var desired State
		err := tx.QueryRow(ctx, "select name, desired from gantry.connectors where uid = @uid for update",
			pgx.StrictNamedArgs{"uid": uid}).Scan(&name, &desired)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if desired != StateDeleted {
			return fmt.Errorf("connector %s is wanted %s: delete it first", name, desired)
		}
		args := pgx.StrictNamedArgs{"uid": uid}
		b := &pgx.Batch{}
		queueKeep(b, uid)
		b.Queue(`with gone as (delete from gantry.tasks where uid = @uid returning epoch)
			update gantry.epoch_floor set epoch = greatest(epoch, (select max(epoch) from gone))`, args)
		b.Queue("delete from gantry.connectors where uid = @uid", args)
		queueEvent(b, Event{UID: uid, Connector: name, Kind: EventForgotten})
		return tx.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return fmt.Errorf("forget connector with uid %d: %w", uid, err)
	}
	return nil
}
