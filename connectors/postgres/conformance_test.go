package postgres

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
	"github.com/gantry-connect/gantry/connector/conformance"
)

func TestSinkConforms(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][]string{
		"insert": nil,
		"upsert": {"insert.mode", "upsert", "pk.mode", "record_key", "pk.fields", "id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conformance.Sink(t, conformance.SinkHarness{
				Plugin:   Sink,
				Config:   func(t *testing.T) map[string]string { return newTarget(t).config(keys...) },
				Contents: contents,
				Bad: func() connector.Record {
					r := row(2, "never\x00stored")
					r.Key = connector.Datum{Schema: connector.Of(connector.Int64), Value: connector.IntValue(2)}
					return r
				},
			})
		})
	}
}

func contents(t *testing.T, config map[string]string) (ids []int64) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), config["connection.url"])
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	rows, err := conn.Query(t.Context(), "select id from t order by id")
	if err == nil {
		ids, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	}
	if sqlState(err) == "42P01" { // nothing has been written yet
		return nil
	}
	require.NoError(t, err)
	return ids
}
