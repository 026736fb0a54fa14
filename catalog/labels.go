package catalog

import (
	"context"
	"fmt"
	"maps"

	"github.com/jackc/pgx/v5"
)

// EventLabelled says that a connector's labels were changed.
const EventLabelled EventKind = "labelled"

// PutLabels replaces a connector's labels. ErrNotFound, ErrDeleting.
func (c *Catalog) PutLabels(ctx context.Context, name string, labels map[string]string, author string) (Connector, error) {
	conn, err := c.change(ctx, "name", name, func(tx pgx.Tx, conn *Connector) error {
		switch {
		case conn.Desired == StateDeleted:
			return ErrDeleting
		case maps.Equal(conn.Labels, labels):
			return nil
		}
		b := &pgx.Batch{}
		b.Queue("update gantry.connectors set labels = @labels, author = @author, updated_at = clock_timestamp() where uid = @uid",
			pgx.StrictNamedArgs{"uid": conn.UID, "labels": configDocument(labels), "author": author})
		queueEvent(b, Event{UID: conn.UID, Connector: conn.Name, Kind: EventLabelled, Author: author,
			Detail: fmt.Sprintf("%d labels", len(labels))})
		return tx.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return Connector{}, fmt.Errorf("put the labels of connector %s: %w", name, err)
	}
	return conn, nil
}

// ConnectorLabels reads a connector's labels; nil without an error if there is no such connector.
func (c *Catalog) ConnectorLabels(ctx context.Context, name string) (map[string]string, error) {
	rows, err := c.pool.Query(ctx, "select labels from gantry.connectors where name = @name", pgx.StrictNamedArgs{"name": name})
	if err != nil {
		return nil, fmt.Errorf("read the labels of connector %s: %w", name, err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[map[string]string])
	if err != nil {
		return nil, fmt.Errorf("read the labels of connector %s: %w", name, err)
	}
	if len(all) == 0 {
		return nil, nil
	}
	return all[0], nil
}
