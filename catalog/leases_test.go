package catalog_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/catalog"
)

func TestOfTwoClaimantsOneWins(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := f.connector(t, 1)
	a, b := f.keeper(t, "a"), f.keeper(t, "b")
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	leases := make(chan *catalog.Lease, 2)
	var results []<-chan error
	for _, k := range []*catalog.Keeper{a, b} {
		results = append(results, later(t, func() error {
			l, err := k.Claim(ctx, request(c.UID, 0))
			leases <- l
			return err
		}))
	}
	winner := <-leases
	require.NotNil(t, winner)
	awaitClosed(t, winner.Wanted(), "the winner is told of the other")
	require.Equal(t, catalog.ReasonClaimant, winner.Reason())
	require.NoError(t, commit(t, winner, at(1)), "and owns the task until it lets go")
	select {
	case <-leases:
		require.Fail(t, "two own the task")
	default:
	}
	cancel()
	require.Nil(t, <-leases)
	var failed error
	for _, r := range results {
		if err := await(t, r); err != nil {
			failed = err
		}
	}
	require.ErrorIs(t, failed, context.Canceled)
	require.Zero(t, read[int](t, f, "select count(*) from gantry.claimants"), "one that gave up waits no more")
}

func TestAHandOverOnReleaseIsPrompt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := f.connector(t, 1)
	a, b := f.keeper(t, "a"), f.keeper(t, "b")
	fastest := time.Hour
	for range 5 { // the fastest, because the machine may be busy
		first := claim(t, a, c.UID, 0)
		var second *catalog.Lease
		result := later(t, func() (err error) {
			second, err = b.Claim(testContext(t), request(c.UID, 0))
			return err
		})
		awaitClosed(t, first.Wanted(), "the owner is told")
		start := time.Now()
		require.NoError(t, first.Release(testContext(t)))
		require.NoError(t, await(t, result))
		fastest = min(fastest, time.Since(start))
		require.Greater(t, second.Start().Epoch, first.Start().Epoch)
		require.NoError(t, second.Release(testContext(t)))
	}
	t.Logf("release to claim: %v", fastest)
	require.Less(t, fastest, 100*time.Millisecond)
}

func TestALeaseExpiresByTheDatabasesClock(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := f.connector(t, 1)
	owner := claim(t, f.frozen(t), c.UID, 0)
	expires := read[time.Time](t, f, "select expires_at from gantry.leases")
	next := claim(t, f.keeper(t, "b"), c.UID, 0)
	granted := read[time.Time](t, f, "select granted_at from gantry.epochs where epoch = $1", next.Start().Epoch)
	require.False(t, granted.Before(expires), "granted %v before the lease expired", expires.Sub(granted))
	require.Less(t, granted.Sub(expires), 2*time.Second)
	require.False(t, owner.Valid(), "the owner's own deadline is the shorter one")
}

func TestAFrozenOwnerThatThawsIsFenced(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := f.connector(t, 1)
	frozen := f.frozen(t)
	old := claim(t, frozen, c.UID, 0)
	require.NoError(t, commit(t, old, at(1)))
	owner := claim(t, f.keeper(t, "b"), c.UID, 0)
	require.Equal(t, at(1), owner.Start().Position)
	require.NoError(t, commit(t, owner, at(5)))

	require.LessOrEqual(t, old.Remaining(), time.Duration(0))
	require.False(t, time.Now().Before(old.Deadline()))
	require.ErrorIs(t, old.Wait(testContext(t)), catalog.ErrFenced)
	awaitClosed(t, old.Lost(), "lost")
	require.ErrorIs(t, commit(t, old, at(2)), catalog.ErrFenced)
	got, err := f.Positions(testContext(t), c.UID)
	require.NoError(t, err)
	require.Equal(t, at(5), got)
	require.NoError(t, old.Release(testContext(t)), "releasing what is lost takes nothing from the owner")
	require.NoError(t, commit(t, owner, at(6)))
}

func TestAnOwnerWhoseLeaseRanOutGoesOnIfNobodyTookIt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := f.connector(t, 1)
	l := claim(t, f.frozen(t), c.UID, 0)
	require.True(t, l.Valid())
	require.InDelta(t, l.Remaining().Seconds(), time.Until(l.Deadline()).Seconds(), 0.1)
	eventually(t, func() bool { return !l.Valid() }, "the lease runs out")
	require.NoError(t, l.Wait(testContext(t)))
	require.True(t, l.Valid())
	require.NoError(t, commit(t, l, at(1)))
	require.Equal(t, l.Start().Epoch, read[int64](t, f, "select epoch from gantry.tasks"))
}

func TestALeaseIsRenewedForAsLongAsItIsHeld(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := f.connector(t, 3)
	k := f.keeper(t, "a")
	var leases []*catalog.Lease
	for n := range 3 {
		leases = append(leases, claim(t, k, c.UID, n))
	}
	first := k.Stats().Renewals
	start := time.Now()
	eventually(t, func() bool {
		for _, l := range leases {
			require.True(t, l.Valid())
		}
		return k.Stats().Renewals >= first+5
	}, "five renewals")
	require.Greater(t, time.Since(start), 1500*time.Millisecond, "one round trip for all leases, every 0.75 s")
	require.True(t, read[bool](t, f, "select bool_and(expires_at > clock_timestamp()) from gantry.leases"))
}

func TestAClaimByAnOlderAttemptIsRefused(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 1)
	k := f.keeper(t, "a")
	attempt := func(n int) catalog.ClaimRequest {
		return catalog.ClaimRequest{UID: c.UID, Owner: "a", Attempt: "activity", AttemptNo: n}
	}
	owner, err := k.Claim(ctx, attempt(2))
	require.NoError(t, err)
	f.exec(t, "alter table gantry.claimants add constraint refused check (attempt_no > 1)")
	f.exec(t, "alter table gantry.epochs add constraint refused check (attempt_no > 1)")
	_, err = k.Claim(ctx, attempt(1))
	require.ErrorIs(t, err, catalog.ErrStaleAttempt, "while the later one owns the task")
	renewals := k.Stats().Renewals
	eventually(t, func() bool { return k.Stats().Renewals >= renewals+2 }, "renewals")
	require.Equal(t, catalog.ReasonNone, owner.Reason(), "a refused claim disturbs nobody")
	require.NoError(t, owner.Release(ctx))
	_, err = k.Claim(ctx, attempt(1))
	require.ErrorIs(t, err, catalog.ErrStaleAttempt, "after the later one has released it")

	owner, err = k.Claim(ctx, attempt(2))
	require.NoError(t, err, "an attempt may claim again")
	third := later(t, func() error { _, err := k.Claim(ctx, attempt(3)); return err })
	eventually(t, func() bool { return read[int](t, f, "select count(*) from gantry.claimants") == 1 }, "the third waits")
	fourth := later(t, func() error { _, err := k.Claim(ctx, attempt(4)); return err })
	require.ErrorIs(t, await(t, third), catalog.ErrStaleAttempt, "while both wait")
	require.NoError(t, owner.Release(ctx))
	require.NoError(t, await(t, fourth))
}

func TestAnOwnerLearnsWhyItIsNotWanted(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	k := f.keeper(t, "a")
	for name, tt := range map[string]struct {
		change func(c catalog.Connector) error
		reason catalog.Reason
	}{
		"paused": {func(c catalog.Connector) error {
			_, err := f.SetDesired(ctx, c.Name, catalog.StatePaused, "ada")
			return err
		}, catalog.ReasonDesired},
		"deleted": {func(c catalog.Connector) error { return f.DeleteConnector(ctx, c.Name, "ada") }, catalog.ReasonDesired},
		"planned anew": {func(c catalog.Connector) error {
			_, err := f.SavePlan(ctx, c.UID, 1, []catalog.PlannedTask{{Number: 0, Hash: "other"}})
			return err
		}, catalog.ReasonPlan},
		"planned away": {func(c catalog.Connector) error {
			_, err := f.SavePlan(ctx, c.UID, 1, nil)
			return err
		}, catalog.ReasonPlan},
	} {
		c := f.connector(t, 1)
		l := claim(t, k, c.UID, 0)
		settler, err := k.Claim(ctx, catalog.ClaimRequest{UID: c.UID, Task: 1, Owner: "a", Attempt: "settle", Settle: true})
		require.NoError(t, err)
		require.Equal(t, catalog.ReasonNone, l.Reason(), name)
		require.NoError(t, tt.change(c), name)
		awaitClosed(t, l.Wanted(), name)
		require.Equal(t, tt.reason, l.Reason(), name)
		require.Equal(t, catalog.ReasonNone, settler.Reason(), "a settler works on what is not wanted")
		require.NoError(t, commit(t, l, at(1)), "it still owns the task, and drains")
	}
}

func TestAForgottenTaskFencesItsOwner(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 1)
	l := claim(t, f.keeper(t, "a"), c.UID, 0)
	waiting := later(t, func() error { _, err := f.keeper(t, "b").Claim(ctx, request(c.UID, 0)); return err })
	awaitClosed(t, l.Wanted(), "the other waits")
	require.NoError(t, f.DeleteConnector(ctx, c.Name, "ada"))
	require.NoError(t, f.Forget(ctx, c.UID))
	awaitClosed(t, l.Lost(), "the owner is told")
	require.ErrorIs(t, commit(t, l, at(1)), catalog.ErrFenced)
	require.ErrorIs(t, await(t, waiting), catalog.ErrNotFound)
}

func TestAnEpochNeverFallsAndAWriterStays(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 2)
	k := f.keeper(t, "a")
	next := func(uid int64) catalog.LeaseStart {
		l := claim(t, k, uid, 0)
		require.NoError(t, l.Release(ctx))
		return l.Start()
	}
	clock := read[int64](t, f, "select (extract(epoch from clock_timestamp()) * 1000000)::bigint")
	first := next(c.UID)
	require.GreaterOrEqual(t, first.Epoch, clock, "the clock's microseconds")
	second := next(c.UID)
	require.Greater(t, second.Epoch, first.Epoch)

	ahead := clock + int64(24*time.Hour/time.Microsecond) // as if the clock had fallen back by a day
	f.exec(t, "update gantry.tasks set epoch = $1", ahead)
	third := next(c.UID)
	require.Equal(t, ahead+1, third.Epoch, "a clock that is behind")

	_, err := f.SavePlan(ctx, c.UID, 1, nil)
	require.NoError(t, err)
	_, err = f.SavePlan(ctx, c.UID, 1, []catalog.PlannedTask{{Number: 0, Hash: "back"}})
	require.NoError(t, err)
	fourth := next(c.UID)
	require.Equal(t, ahead+2, fourth.Epoch, "a plan that dropped the task for a while")
	require.Equal(t, first.Writer, fourth.Writer)

	require.NoError(t, f.DeleteConnector(ctx, c.Name, "ada"))
	require.NoError(t, f.Forget(ctx, c.UID))
	again, err := f.CreateConnector(ctx, catalog.NewConnector{Name: c.Name, Class: c.Class, Kind: c.Kind, Author: "ada"})
	require.NoError(t, err)
	fifth := next(again.UID)
	require.Greater(t, fifth.Epoch, fourth.Epoch, "a connector that was forgotten and created again")
	require.NotEqual(t, first.Writer, fifth.Writer, "a writer is never reused")
}

func TestTheHistoryOfEpochsTellsWhoOwnedATask(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	c := f.connector(t, 1)
	k := f.keeper(t, "a")
	first := claim(t, k, c.UID, 0)
	require.NoError(t, first.Release(ctx))
	f.exec(t, "update gantry.epochs set ended_at = ended_at - interval '1 day'")
	claim(t, k, c.UID, 0)
	require.Equal(t, 2, read[int](t, f, "select count(*) from gantry.epochs"))
	require.True(t, read[bool](t, f, "select released from gantry.epochs where epoch = $1", first.Start().Epoch))
	require.NoError(t, f.Prune(ctx, time.Hour))
	require.Equal(t, 1, read[int](t, f, "select count(*) from gantry.epochs"), "the owner's stays")
}

// Installations may share topics and targets: a reader would take equal writers for owners of one task, a target equal
// uids for one connector.
func TestTwoInstallationsShareNeitherUidsNorWriters(t *testing.T) {
	t.Parallel()
	var uids []int64
	var writers []uint32
	for range 2 {
		f := newFixture(t)
		c := f.connector(t, 1)
		uids = append(uids, c.UID)
		writers = append(writers, claim(t, f.keeper(t, "w"), c.UID, 0).Start().Writer)
		require.Less(t, c.UID, int64(1)<<53, "a number that JSON clients can hold")
	}
	require.NotEqual(t, uids[0], uids[1])
	require.NotEqual(t, writers[0], writers[1])
}
