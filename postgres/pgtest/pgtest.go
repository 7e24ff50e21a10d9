// Package pgtest gives tests a schema of their own on a real PostgreSQL.
package pgtest

import (
	"context"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
)

// Schema returns the URL of a new schema on the server of VEDETTE_TEST_POSTGRES, which goes with
// the test. Without that server the test is skipped, unless CI is true.
func Schema(t testing.TB) string {
	t.Helper()
	server := os.Getenv("VEDETTE_TEST_POSTGRES")
	switch {
	case server != "":
	case os.Getenv("CI") == "true":
		t.Fatal("VEDETTE_TEST_POSTGRES is not set: run dev/services up")
	default:
		t.Skip("VEDETTE_TEST_POSTGRES is not set: run dev/services up")
	}
	name := "test_" + strings.ReplaceAll(vedette.NewID(time.Now()).String(), "-", "")
	Exec(t, server, "create schema "+name)
	t.Cleanup(func() { Exec(t, server, "drop schema "+name+" cascade") })
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String()
}

// Exec runs statements on a connection of its own.
func Exec(t testing.TB, url, sql string) {
	t.Helper()
	ctx := context.Background() // also when the test is over
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	if _, err := c.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// Query returns the one number that a query gives.
func Query(t testing.TB, url, sql string, args ...any) (n int64) {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	if err := c.QueryRow(ctx, sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}
