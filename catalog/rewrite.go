package catalog

import (
	"context"
	"fmt"
	"maps"

	"github.com/jackc/pgx/v5"
)

// RewriteConfigs changes the values of every config, in revisions and plans, by f, and says how many configs it has changed.
// It makes no revisions and no plans: f must keep what a value means, as sealing a secret with another key does. One
// connector is changed at a time, as a whole or not at all; an error leaves those before it changed.
func (c *Catalog) RewriteConfigs(ctx context.Context, f func(connector, key, value string) (string, error)) (changed int, err error) {
	all, err := c.Connectors(ctx)
	if err != nil {
		return 0, err
	}
	for _, conn := range all {
		n := 0
		err := pgx.BeginFunc(ctx, c.pool, func(tx pgx.Tx) error {
			n = 0
			// Whoever puts a config or a plan locks the same row.
			if _, err := tx.Exec(ctx, "select from gantry.connectors where uid = @uid for no key update", pgx.StrictNamedArgs{"uid": conn.UID}); err != nil {
				return err
			}
			for _, table := range []struct{ name, key string }{{"revisions", "number"}, {"planned_tasks", "task"}} {
				m, err := rewriteTable(ctx, tx, table.name, table.key, conn, f)
				if err != nil {
					return err
				}
				n += m
			}
			return nil
		})
		if err != nil {
			return changed, fmt.Errorf("rewrite the configs of connector %s: %w", conn.Name, err)
		}
		changed += n
	}
	return changed, nil
}

type storedConfig struct {
	Key    int64
	Config map[string]string
}

func rewriteTable(ctx context.Context, tx pgx.Tx, table, key string, conn Connector, f func(connector, key, value string) (string, error)) (changed int, err error) {
	rows, err := tx.Query(ctx, fmt.Sprintf("select %s::bigint as key, config from gantry.%s where uid = @uid", key, table), pgx.StrictNamedArgs{"uid": conn.UID})
	if err != nil {
		return 0, err
	}
	configs, err := pgx.CollectRows(rows, pgx.RowToStructByName[storedConfig])
	if err != nil {
		return 0, err
	}
	for _, s := range configs {
		config := maps.Clone(s.Config)
		for k, value := range config {
			if config[k], err = f(conn.Name, k, value); err != nil {
				return 0, err
			}
		}
		if maps.Equal(config, s.Config) {
			continue
		}
		if _, err := tx.Exec(ctx, fmt.Sprintf("update gantry.%s set config = @config where uid = @uid and %s = @key", table, key),
			pgx.StrictNamedArgs{"uid": conn.UID, "key": s.Key, "config": configDocument(config)}); err != nil {
			return 0, err
		}
		changed++
	}
	return changed, nil
}
