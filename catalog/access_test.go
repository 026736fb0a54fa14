package catalog_test

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/catalog"
)

func tokenHash(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

func TestATokenIsFoundByItsHashUntilItIsRevoked(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	made, err := f.CreateToken(ctx, catalog.Token{Name: "ci", Role: "editor", Scope: "a*", Author: "ada"}, tokenHash("one"), time.Hour)
	require.NoError(t, err)
	require.Equal(t, "ada", made.Author)
	require.WithinDuration(t, time.Now().Add(time.Hour), *made.Expires, time.Minute)
	require.Nil(t, made.Used)
	_, err = f.CreateToken(ctx, catalog.Token{Name: "ci", Role: "admin", Author: "ada"}, tokenHash("two"), 0)
	require.ErrorIs(t, err, catalog.ErrExists)
	_, err = f.CreateToken(ctx, catalog.Token{Name: "x", Role: "god", Author: "ada"}, tokenHash("two"), 0)
	require.Error(t, err)

	_, err = f.UseToken(ctx, tokenHash("one"))
	require.NoError(t, err)
	used, err := f.UseToken(ctx, tokenHash("one"))
	require.NoError(t, err)
	require.Equal(t, "ci", used.Name)
	require.Equal(t, "a*", used.Scope)
	require.False(t, used.Expired)
	require.WithinDuration(t, time.Now(), *used.Used, time.Minute)
	_, err = f.UseToken(ctx, tokenHash("two"))
	require.ErrorIs(t, err, catalog.ErrNotFound)

	f.exec(t, "update gantry.tokens set expires_at = clock_timestamp() - interval '1 second'")
	used, err = f.UseToken(ctx, tokenHash("one"))
	require.NoError(t, err)
	require.True(t, used.Expired)
	forever, err := f.CreateToken(ctx, catalog.Token{Name: "forever", Role: "viewer", Scope: "*", Author: "ada"}, tokenHash("three"), 0)
	require.NoError(t, err)
	require.Nil(t, forever.Expires)
	require.False(t, forever.Expired)
	all, err := f.Tokens(ctx)
	require.NoError(t, err)
	require.Len(t, all, 2)

	require.NoError(t, f.RevokeToken(ctx, "ci"))
	_, err = f.UseToken(ctx, tokenHash("one"))
	require.ErrorIs(t, err, catalog.ErrNotFound)
	require.ErrorIs(t, f.RevokeToken(ctx, "ci"), catalog.ErrNotFound)
}

func TestTheAuditTrailIsReadNewestFirstAndPruned(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	for i, who := range []string{"ann", "bob", "ann"} {
		require.NoError(t, f.RecordAudit(ctx, catalog.AuditEntry{Principal: who, Operation: "put-config", Connector: "c\x00" + who, Path: "/x", Method: "PUT", Status: 200 + i}))
	}
	all, err := f.Audit(ctx, catalog.AuditFilter{Limit: 10})
	require.NoError(t, err)
	require.Equal(t, []int{202, 201, 200}, []int{all[0].Status, all[1].Status, all[2].Status})
	older, err := f.Audit(ctx, catalog.AuditFilter{Limit: 10, Before: all[0].ID, Principal: "ann"})
	require.NoError(t, err)
	require.Equal(t, all[2:], older)
	bobs, err := f.Audit(ctx, catalog.AuditFilter{Limit: 10, Connector: all[1].Connector})
	require.NoError(t, err)
	require.Equal(t, all[1:2], bobs)
	require.Error(t, f.RecordAudit(ctx, catalog.AuditEntry{Principal: "eve"}, catalog.AuditEntry{Principal: "eve", Status: 1 << 40}))
	none, err := f.Audit(ctx, catalog.AuditFilter{Limit: 10, Principal: "eve"})
	require.NoError(t, err)
	require.Empty(t, none, "all or none")
	f.exec(t, "update gantry.audit set at = at - interval '2 hours' where principal = 'bob'")
	n, err := f.PruneAudit(ctx, time.Hour)
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
}

func TestRewritingConfigsMakesNoRevision(t *testing.T) {
	t.Parallel()
	f, ctx := newFixture(t), testContext(t)
	first, second := f.connector(t, 0), f.connector(t, 0)
	for _, c := range []catalog.Connector{first, second} {
		_, err := f.PutConfig(ctx, c.Name, c.Class, c.Kind, map[string]string{"password": "old", "topic": "t"}, "ada")
		require.NoError(t, err)
		_, err = f.SavePlan(ctx, c.UID, 2, []catalog.PlannedTask{{Number: 0, Hash: "h", Config: map[string]string{"password": "old"}}})
		require.NoError(t, err)
	}
	renew := func(connector, key, value string) (string, error) {
		if key == "password" {
			value = strings.Replace(value, "old", "new for "+connector, 1)
		}
		return value, nil
	}
	n, err := f.RewriteConfigs(ctx, renew)
	require.NoError(t, err)
	require.Equal(t, 4, n, "the second revision and the plan of each")
	for _, c := range []catalog.Connector{first, second} {
		now, err := f.Connector(ctx, c.Name)
		require.NoError(t, err)
		require.Equal(t, map[string]string{"password": "new for " + c.Name, "topic": "t"}, now.Config)
		require.EqualValues(t, 2, now.Revision)
		plan, err := f.Plan(ctx, c.UID)
		require.NoError(t, err)
		require.Equal(t, "new for "+c.Name, plan[0].Config["password"])
		require.Equal(t, "h", plan[0].Hash)
	}
	n, err = f.RewriteConfigs(ctx, renew)
	require.NoError(t, err)
	require.Zero(t, n)
	_, err = f.RewriteConfigs(ctx, func(connector, _, value string) (string, error) {
		if connector == second.Name {
			return "", errors.New("no key opens it")
		}
		return value + "!", nil
	})
	require.ErrorContains(t, err, "rewrite the configs of connector "+second.Name)
	now, err := f.Connector(ctx, second.Name)
	require.NoError(t, err)
	require.Equal(t, "new for "+second.Name, now.Config["password"], "a connector is changed as a whole or not at all")
}
