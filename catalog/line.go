package catalog

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	reconnectFirst = 10 * time.Millisecond
	reconnectMost  = 500 * time.Millisecond // well below a lease, so that an outage of a second costs no lease
	connectWithin  = 2 * time.Second
)

// line is a connection reserved for one purpose, made anew when it breaks. Used by one goroutine.
type line struct {
	config *pgx.ConnConfig
	log    *slog.Logger
	conn   *pgx.Conn
	down   bool          // reported
	pause  time.Duration // before the next attempt to connect
}

// do connects if need be and calls f, both within a time that keeps a silent network from holding the goroutine. outage
// says that err speaks of the connection or the server, not of what was asked; do has then hung up, and has waited before
// it returns, longer each time.
func (l *line) do(ctx context.Context, within time.Duration, f func(context.Context, *pgx.Conn) error) (outage bool, err error) {
	err = l.connect(ctx)
	outage = err != nil
	if err == nil {
		fctx, cancel := context.WithTimeout(ctx, within)
		err = f(fctx, l.conn)
		cancel()
		outage = err != nil && (l.conn.IsClosed() || isOutage(err))
	}
	switch {
	case !outage:
		l.pause = 0
		if l.down {
			l.down = false
			l.log.Info("the catalog answers again")
		}
		return false, err
	case ctx.Err() != nil:
		return true, err
	}
	l.hangUp()
	if !l.down {
		l.down = true
		l.log.Warn("the catalog does not answer, trying again", "error", err)
	}
	l.pause = min(max(2*l.pause, reconnectFirst), reconnectMost)
	select {
	case <-time.After(l.pause):
	case <-ctx.Done():
	}
	return true, err
}

func (l *line) connect(ctx context.Context) error {
	if l.conn != nil && !l.conn.IsClosed() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, l.config.Copy())
	if err != nil {
		return fmt.Errorf("connect to the catalog: %w", err)
	}
	l.conn = conn
	return nil
}

// hangUp closes the connection; it says goodbye only if that takes no time.
func (l *line) hangUp() {
	if l.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_ = l.conn.Close(ctx) // it is given up either way
	l.conn = nil
}
