package catalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// LogLevel is how much all processes are to log of a component.
type LogLevel struct {
	Logger string
	Level  string
	Change int64 // rises with each change, by whomever
}

// SetLogLevel says how much all processes are to log of a component from now on. Processes that start later do not take it
// over: they begin with their own settings.
func (c *Catalog) SetLogLevel(ctx context.Context, logger, level string) error {
	_, err := c.pool.Exec(ctx, `
		insert into gantry.log_levels (logger, level) values (@logger, @level)
		on conflict (logger) do update
		set level = excluded.level, change = nextval('gantry.log_changes'), set_at = clock_timestamp()`,
		pgx.StrictNamedArgs{"logger": logger, "level": level})
	if err != nil {
		return fmt.Errorf("set the log level of %s to %s: %w", logger, level, err)
	}
	return nil
}

// LogLevels reads what was changed after a change, oldest first; -1 reads everything.
func (c *Catalog) LogLevels(ctx context.Context, after int64) ([]LogLevel, error) {
	rows, err := c.pool.Query(ctx, "select logger, level, change from gantry.log_levels where change > @after order by change",
		pgx.StrictNamedArgs{"after": after})
	if err != nil {
		return nil, fmt.Errorf("read the log levels: %w", err)
	}
	levels, err := pgx.CollectRows(rows, pgx.RowToStructByName[LogLevel])
	if err != nil {
		return nil, fmt.Errorf("read the log levels: %w", err)
	}
	return levels, nil
}

// LastLogChange is the newest change's number, 0 if there was none: where a process that starts begins to follow.
func (c *Catalog) LastLogChange(ctx context.Context) (change int64, err error) {
	err = c.pool.QueryRow(ctx, "select change from gantry.log_levels order by change desc limit 1").Scan(&change)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the newest change of the log levels: %w", err)
	}
	return change, nil
}
