package postgres

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gantry-connect/gantry/connector"
)

// found runs a check and gives the findings that are errors or warnings as "code subject".
func (g *target) found(config map[string]string, topics ...string) (codes []string, all []connector.Finding) {
	g.t.Helper()
	all, err := Sink.Probe(g.t.Context(), config, connector.Surroundings{Topics: topics})
	require.NoError(g.t, err)
	for _, f := range all {
		require.NotEmpty(g.t, f.Message)
		if f.Severity == connector.SeverityError || f.Severity == connector.SeverityWarning {
			codes = append(codes, f.Code+" "+f.Subject)
			require.NotEmpty(g.t, f.Remedy, "%+v", f)
		}
	}
	return codes, all
}

// Each remedy is SQL that mends what the finding says: after carrying all of them out nothing is found any more.
func TestAProbeSaysWhatIsMissingAndMendsIt(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	role := fmt.Sprintf("probe_%d", rand.Uint32())
	g.exec(fmt.Sprintf("create role %s login password 'sesame'", role))
	t.Cleanup(func() {
		g.conn2(t, "drop owned by "+role)
		g.conn2(t, "drop role "+role)
	})
	g.exec("revoke create on schema public from public")
	g.exec("create table orders (id int, name text)")
	u, err := url.Parse(g.url)
	require.NoError(t, err)
	u.User = url.UserPassword(role, "sesame")
	config := map[string]string{"connection.url": u.String(), "table": "${topic}", "insert.mode": "upsert", "pk.mode": "record_value",
		"pk.fields": "id", "delete.enabled": "true", "position.table": "meta.positions"}
	codes, all := g.found(config, "orders", "lines")
	require.Equal(t, []string{"missing-schema schema meta", "missing-schema schema meta",
		`missing-privilege table "orders"`, `missing-key table "orders"`, `missing-table table "lines"`}, codes)
	done := map[string]bool{}
	for _, f := range all {
		if strings.HasSuffix(f.Remedy, ";") && !done[f.Remedy] {
			done[f.Remedy] = true
			g.exec(f.Remedy)
		}
	}
	g.exec("grant usage on schema public to " + role)
	config["auto.create"] = "true"
	codes, all = g.found(config, "orders", "lines")
	require.Equal(t, []string{"missing-privilege schema public"}, codes)
	for _, f := range all {
		if f.Code == "missing-privilege" {
			g.exec(f.Remedy)
		}
	}
	codes, _ = g.found(config, "orders", "lines")
	require.Empty(t, codes)
	require.Zero(t, g.count("select count(*) from pg_class where relname = 'lines'"), "a check creates nothing")

	g.exec("create schema closed")
	g.exec("create table closed.t (id int primary key)")
	elsewhere := maps.Clone(config)
	elsewhere["table"] = "closed.t"
	codes, all = g.found(elsewhere)
	require.Equal(t, []string{"missing-privilege schema closed"}, codes)
	g.exec(all[len(all)-1].Remedy)
	codes, _ = g.found(elsewhere)
	require.Equal(t, []string{`missing-privilege table "closed"."t"`}, codes)

	config["auto.evolve"] = "true"
	codes, _ = g.found(config, "orders")
	require.Equal(t, []string{`missing-privilege table "orders"`}, codes, "only the owner may change columns")
}

// conn2 runs a statement at Cleanup, when the test's context has ended.
func (g *target) conn2(t *testing.T, sql string) {
	t.Helper()
	_, err := g.conn.Exec(context.WithoutCancel(t.Context()), sql)
	require.NoError(t, err)
}

func TestAProbeSaysWhyThereIsNoConnection(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	u, err := url.Parse(g.url)
	require.NoError(t, err)
	at := func(change func(u *url.URL)) map[string]string {
		v := *u
		change(&v)
		return map[string]string{"connection.url": v.String(), "table": "t"}
	}
	for code, config := range map[string]map[string]string{
		"missing-database": at(func(u *url.URL) { u.Path = "/none" }),
		"unreachable":      at(func(u *url.URL) { u.Host = "127.0.0.1:1" }),
	} {
		codes, all := g.found(config)
		require.Len(t, codes, 1)
		require.True(t, strings.HasPrefix(codes[0], code+" "), "%+v", all)
	}
}
