// Package catalogtest gives each test a catalog of its own: a migrated database on the shared test stack, gone at Cleanup.
// Imported by tests only; it knows nothing that catalog does not export.
package catalogtest

import (
	"context"
	"testing"
	"time"

	"github.com/gantry-connect/gantry/catalog"
	"github.com/gantry-connect/gantry/internal/devstack/devstacktest"
)

const setupWithin = time.Minute

// New opens a fresh, migrated catalog. Cleanup closes it; close keepers before.
func New(t testing.TB) *catalog.Catalog {
	t.Helper()
	return Open(t, URL(t))
}

// URL migrates a fresh database and returns its URL, for tests that open it more than once, or look into its tables.
func URL(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setupWithin)
	defer cancel()
	url := devstacktest.Database(t)
	if _, _, err := catalog.Migrate(ctx, url); err != nil {
		t.Fatalf("migrate a fresh catalog: %v", err)
	}
	return url
}

// Open opens the migrated catalog at url. Cleanup closes it.
func Open(t testing.TB, url string) *catalog.Catalog {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setupWithin)
	defer cancel()
	c, err := catalog.Open(ctx, catalog.Config{URL: url})
	if err != nil {
		t.Fatalf("open a fresh catalog: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}
