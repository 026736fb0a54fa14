package catalog

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

func (k *Keeper) addWaiting(cl *claim) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended {
		return ErrClosed
	}
	k.waiting[cl.token] = cl
	signal(k.came)
	return nil
}

func (k *Keeper) dropWaiting(cl *claim) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.waiting, cl.token)
}

func (k *Keeper) claims() []*claim {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make([]*claim, 0, len(k.waiting))
	for _, cl := range k.waiting {
		all = append(all, cl)
	}
	return all
}

// watchWaiting looks, for all claims that wait, which tasks have become free: one query for all of them, and none while
// nobody waits. An error needs no report: the next look may meet none, and the claims have contexts of their own.
func (k *Keeper) watchWaiting(ctx context.Context) {
	tick := time.NewTicker(claimPoll)
	defer tick.Stop()
	var told time.Time // when the claimants' rows were last kept alive
	for {
		claims := k.claims()
		if len(claims) == 0 {
			select {
			case <-k.came:
				continue
			case <-ctx.Done():
				return
			}
		}
		if time.Since(told) > claimantEvery {
			told = time.Now()
			k.keepWaiting(ctx, claims)
		}
		k.wakeFree(ctx, claims)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (k *Keeper) keepWaiting(ctx context.Context, claims []*claim) {
	ctx, cancel := context.WithTimeout(ctx, claimantEvery)
	defer cancel()
	_, _ = k.catalog.pool.Exec(ctx, `
		update gantry.claimants set waits_until = clock_timestamp() + @wait::interval where token = any(@token::uuid[])`,
		pgx.StrictNamedArgs{
			"wait": claimantFor, "token": column(claims, func(cl *claim) pgtype.UUID { return cl.token }),
		})
}

// wakeFree wakes the claims whose task is free, whose attempt has been overtaken, or whose task is gone.
func (k *Keeper) wakeFree(ctx context.Context, claims []*claim) {
	ctx, cancel := context.WithTimeout(ctx, claimantEvery)
	defer cancel()
	rows, err := k.catalog.pool.Query(ctx, `
		select w.token
		from unnest(@uid::bigint[], @task::integer[], @token::uuid[], @attempt::text[], @attempt_no::integer[])
			as w(uid, task, token, attempt, attempt_no)
		left join gantry.leases l using (uid, task)
		where l.uid is null or l.token is null or l.expires_at <= clock_timestamp()
		   or (l.attempt = w.attempt and l.attempt_no > w.attempt_no)
		   or exists (select from gantry.claimants c
		              where c.uid = w.uid and c.task = w.task and c.attempt = w.attempt and c.attempt_no > w.attempt_no
		                and c.waits_until > clock_timestamp())`,
		pgx.StrictNamedArgs{
			"uid":        column(claims, func(cl *claim) int64 { return cl.req.UID }),
			"task":       column(claims, func(cl *claim) int { return cl.req.Task }),
			"token":      column(claims, func(cl *claim) pgtype.UUID { return cl.token }),
			"attempt":    column(claims, func(cl *claim) string { return cl.req.Attempt }),
			"attempt_no": column(claims, func(cl *claim) int { return cl.req.AttemptNo }),
		})
	if err != nil {
		return
	}
	free, err := pgx.CollectRows(rows, pgx.RowTo[pgtype.UUID])
	if err != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, token := range free {
		if cl, waits := k.waiting[token]; waits {
			signal(cl.free)
		}
	}
}
