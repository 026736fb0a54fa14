package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gantry-connect/gantry/migrations"
)

// Config says where the catalog is.
type Config struct {
	// URL is a Postgres connection string, as libpq understands it.
	URL string
	// MaxConns bounds the pool. Default: 8. Each Keeper has two connections of its own beside it.
	MaxConns int
	// Logger gets lost and regained connections. Default: nothing is logged.
	Logger *slog.Logger
}

// WithDefaults returns c with every unset field filled in.
func (c Config) WithDefaults() Config {
	if c.MaxConns == 0 {
		c.MaxConns = 8
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	if c.URL == "" {
		return errors.New("catalog.url is empty: give a Postgres connection string")
	}
	if c.MaxConns < 1 {
		return fmt.Errorf("the catalog's pool is to have %d connections: at least 1 is needed", c.MaxConns)
	}
	return nil
}

// silentTransaction is after how long the server ends a transaction whose client says nothing, so that a frozen process
// holds no locks.
const silentTransaction = 10 * time.Second

// Catalog is an open catalog. All methods may be called from any goroutine.
type Catalog struct {
	pool *pgxpool.Pool
	conn *pgx.ConnConfig // for the connections that keepers reserve
	log  *slog.Logger
}

// unreadable is why catalog.url cannot be read, without its text: pgx masks passwords in some places only.
func unreadable(err error) error {
	text := err.Error()
	return fmt.Errorf("read catalog.url: %s", strings.TrimPrefix(text[strings.LastIndexByte(text, '`')+1:], ": "))
}

// Open connects and checks that the catalog's version is this binary's: ErrNotMigrated or ErrNewerCatalog if it is not.
func Open(ctx context.Context, c Config) (*Catalog, error) {
	c = c.WithDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	pc, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, unreadable(err)
	}
	pc.MaxConns = int32(c.MaxConns)
	params := pc.ConnConfig.RuntimeParams
	if params["application_name"] == "" {
		params["application_name"] = "gantry"
	}
	params["idle_in_transaction_session_timeout"] = fmt.Sprint(silentTransaction.Milliseconds())
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("open the catalog: %w", err)
	}
	cat := &Catalog{pool: pool, conn: pc.ConnConfig, log: c.Logger}
	if err := cat.checkVersion(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("open the catalog in database %s on %s: %w", pc.ConnConfig.Database, pc.ConnConfig.Host, err)
	}
	return cat, nil
}

// Close closes every connection of the pool; it waits for those in use. Close keepers first.
func (c *Catalog) Close() { c.pool.Close() }

// Ping asks the database for a sign of life.
func (c *Catalog) Ping(ctx context.Context) error { return c.pool.Ping(ctx) }

func (c *Catalog) checkVersion(ctx context.Context) error {
	var version int64
	var dirty bool
	err := c.pool.QueryRow(ctx, "select version, dirty from gantry.schema_migrations").Scan(&version, &dirty)
	latest := int64(migrations.Latest())
	switch {
	case sqlState(err) == codeUndefinedTable || errors.Is(err, pgx.ErrNoRows):
		return ErrNotMigrated
	case err != nil:
		return err
	case dirty:
		return fmt.Errorf("migration %d was interrupted: %w; it says what is in the way", version, ErrNotMigrated)
	case version < latest:
		return fmt.Errorf("it has version %d of %d: %w", version, latest, ErrNotMigrated)
	case version > latest:
		return fmt.Errorf("it has version %d, this binary knows %d: %w", version, latest, ErrNewerCatalog)
	}
	return nil
}

// change runs f in a transaction that has locked the connector's row, and returns the connector as f has left it.
// where names the row: by name or by uid.
func (c *Catalog) change(ctx context.Context, where string, key any, f func(pgx.Tx, *Connector) error) (Connector, error) {
	var conn Connector
	err := pgx.BeginFunc(ctx, c.pool, func(tx pgx.Tx) error {
		var uid int64
		err := tx.QueryRow(ctx, "select uid from gantry.connectors where "+where+" = @key for no key update",
			pgx.StrictNamedArgs{"key": key}).Scan(&uid)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("connector %v: %w", key, ErrNotFound)
		}
		if err != nil {
			return err
		}
		if conn, err = readConnector(ctx, tx, byUID, uid); err != nil {
			return err
		}
		if err := f(tx, &conn); err != nil {
			return err
		}
		conn, err = readConnector(ctx, tx, byUID, uid)
		return err
	})
	return conn, err
}

// oneRow reads the only row of a query by the names of its columns; ErrNotFound if there is none.
func oneRow[T any](rows pgx.Rows, what string) (T, error) {
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[T])
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return row, fmt.Errorf("%s: %w", what, err)
	}
	return row, nil
}
