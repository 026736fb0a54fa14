package catalog

import (
	"context"
	"time"

	"github.com/golang-migrate/migrate/v4"
)

// MigrationLock is the advisory lock of one that migrates.
const MigrationLock = migrationLock

// MigrateDown undoes every migration.
func MigrateDown(ctx context.Context, url string) error {
	return withMigrator(ctx, url, func(m *migrate.Migrate) error { return m.Down() })
}

// StartKeeperEvery starts a keeper that renews that seldom by itself: one that is as good as frozen in between.
func (c *Catalog) StartKeeperEvery(every time.Duration) *Keeper {
	k := c.newKeeper("frozen")
	k.every = every
	k.run()
	return k
}

// Thaw makes the keeper renew now.
func (k *Keeper) Thaw() { k.renewSoon() }

// Queued is how many commits wait or are under way.
func (k *Keeper) Queued() int {
	k.commits.mu.Lock()
	defer k.commits.mu.Unlock()
	return len(k.commits.queue)
}

// Sequence numbers of the lease's commits, so that a test can repeat one.
func (l *Lease) SetSeq(n int64) { l.seq.Store(n) }
