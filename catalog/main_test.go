package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/catalog/catalogtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// within bounds every wait of a test; it is met only by a defect.
const within = 30 * time.Second

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	t.Cleanup(cancel)
	return ctx
}

// fixture is a catalog with a connection beside it that looks into its tables.
type fixture struct {
	*catalog.Catalog
	url   string
	names atomic.Int64
}

func newFixture(t testing.TB) *fixture {
	url := catalogtest.URL(t)
	return &fixture{Catalog: catalogtest.Open(t, url), url: url}
}

// connect opens one more connection to the catalog's database.
func (f *fixture) connect(t testing.TB) *pgx.Conn {
	conn, err := pgx.Connect(testContext(t), f.url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (f *fixture) exec(t testing.TB, sql string, args ...any) {
	_, err := f.connect(t).Exec(testContext(t), sql, args...)
	require.NoError(t, err)
}

func read[T any](t testing.TB, f *fixture, sql string, args ...any) (value T) {
	require.NoError(t, f.connect(t).QueryRow(testContext(t), sql, args...).Scan(&value))
	return value
}

// connector makes a connector with a plan of that many tasks, whose hashes are "h0", "h1", …
func (f *fixture) connector(t testing.TB, tasks int) catalog.Connector {
	ctx := testContext(t)
	c, err := f.CreateConnector(ctx, catalog.NewConnector{
		Name: fmt.Sprintf("c%d", f.names.Add(1)), Class: "FileSource", Kind: "source", Author: "ada",
		Config: map[string]string{"topic": "t"},
	})
	require.NoError(t, err)
	var plan []catalog.PlannedTask
	for n := range tasks {
		plan = append(plan, catalog.PlannedTask{Number: n, Hash: fmt.Sprintf("h%d", n)})
	}
	_, err = f.SavePlan(ctx, c.UID, c.Revision, plan)
	require.NoError(t, err)
	c, err = f.Connector(ctx, c.Name)
	require.NoError(t, err)
	return c
}

func (f *fixture) keeper(t testing.TB, worker string) *catalog.Keeper {
	k, err := f.StartKeeper(testContext(t), worker)
	require.NoError(t, err)
	t.Cleanup(k.Close)
	return k
}

// frozen is a keeper that renews nothing until it is told to.
func (f *fixture) frozen(t testing.TB) *catalog.Keeper {
	k := f.StartKeeperEvery(time.Hour)
	t.Cleanup(k.Close)
	return k
}

var attempts atomic.Int64

// claim is an activity's first attempt.
func claim(t testing.TB, k *catalog.Keeper, uid int64, task int) *catalog.Lease {
	l, err := k.Claim(testContext(t), request(uid, task))
	require.NoError(t, err)
	return l
}

func request(uid int64, task int) catalog.ClaimRequest {
	return catalog.ClaimRequest{
		UID: uid, Task: task, Owner: "w", Attempt: fmt.Sprintf("a%d", attempts.Add(1)), AttemptNo: 1,
	}
}

const partition = `{"file":"a"}`

func at(n int) map[string]string { return map[string]string{partition: fmt.Sprintf(`{"n":%d}`, n)} }

func commit(t testing.TB, l *catalog.Lease, position map[string]string) error {
	return l.Commit(testContext(t), catalog.Checkpoint{Position: position, Records: 1, Bytes: 10})
}

// later runs f in a goroutine that the test waits for; the channel has its error.
func later(t testing.TB, f func() error) <-chan error {
	result, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		result <- f()
	}()
	t.Cleanup(func() { <-ended })
	return result
}

func await(t testing.TB, result <-chan error) error {
	t.Helper()
	select {
	case err := <-result:
		return err
	case <-time.After(within):
		return errors.New("still waiting")
	}
}

func awaitClosed(t testing.TB, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(within):
		require.FailNow(t, "never came", what)
	}
}

func eventually(t testing.TB, condition func() bool, what string) {
	t.Helper()
	require.Eventually(t, condition, within, 5*time.Millisecond, what)
}
