package catalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Revision is one version of a connector's config.
type Revision struct {
	Number int64 // from 1
	Class  string
	Config map[string]string
	Author string
	At     time.Time
}

// Change is one key that differs between two revisions. Old or New is nil where the key is absent.
type Change struct {
	Key      string
	Old, New *string
}

// Diff is what r changes compared with before, by key.
func (r Revision) Diff(before Revision) []Change {
	var changes []Change
	for key, value := range r.Config {
		old, had := before.Config[key]
		switch {
		case !had:
			changes = append(changes, Change{Key: key, New: &value})
		case old != value:
			changes = append(changes, Change{Key: key, Old: &old, New: &value})
		}
	}
	for key, old := range before.Config {
		if _, has := r.Config[key]; !has {
			changes = append(changes, Change{Key: key, Old: &old})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return cmp.Compare(a.Key, b.Key) })
	return changes
}

// Revisions reads the newest configs that a connector has had, newest first, at most limit: those with a number below the given
// one, which is 0 to begin with the newest. Every connector has one; there is none if it is gone.
func (c *Catalog) Revisions(ctx context.Context, uid, below int64, limit int) ([]Revision, error) {
	rows, err := c.pool.Query(ctx, `
		select number, class, config, author, at from gantry.revisions
		where uid = @uid and (@below::bigint = 0 or number < @below) order by number desc limit @limit`,
		pgx.StrictNamedArgs{"uid": uid, "below": below, "limit": limit})
	if err != nil {
		return nil, fmt.Errorf("list the revisions of connector with uid %d: %w", uid, err)
	}
	revisions, err := pgx.CollectRows(rows, pgx.RowToStructByName[Revision])
	if err != nil {
		return nil, fmt.Errorf("list the revisions of connector with uid %d: %w", uid, err)
	}
	return revisions, nil
}

// RevisionConfig reads the config of one revision, for settling what was written under it; ErrNotFound.
func (c *Catalog) RevisionConfig(ctx context.Context, uid, number int64) (Revision, error) {
	rows, err := c.pool.Query(ctx, `
		select number, class, config, author, at from gantry.revisions where uid = @uid and number = @number`,
		pgx.StrictNamedArgs{"uid": uid, "number": number})
	if err != nil {
		return Revision{}, fmt.Errorf("read revision %d of connector with uid %d: %w", number, uid, err)
	}
	return oneRow[Revision](rows, fmt.Sprintf("read revision %d of connector with uid %d", number, uid))
}
