package postgres

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/postgres/pgtest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// connect returns a connection, which ends with the test.
func connect(t testing.TB, text string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(context.Background(), text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func openAt(t testing.TB, text string, o Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), text, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// openNew returns a store in a schema of its own, and its URL.
func openNew(t testing.TB) (*Store, string) {
	t.Helper()
	text := pgtest.Schema(t)
	return openAt(t, text, Options{}), text
}

func looks(m vedette.MonitorID, from time.Time, n int, step time.Duration) []vedette.Result {
	all := make([]vedette.Result, n)
	for i := range all {
		at := from.Add(time.Duration(i) * step)
		all[i] = vedette.Result{ID: vedette.NewID(at), Monitor: m, StartedAt: at, State: vedette.Up, Code: 200}
	}
	return all
}

func found(results ...vedette.Result) vedette.Batch {
	return vedette.Batch{Found: vedette.Found{Results: results}}
}

func write(t testing.TB, s *Store, b vedette.Batch) {
	t.Helper()
	if err := s.Write(context.Background(), b); err != nil {
		t.Fatal(err)
	}
}

func history(t testing.TB, s *Store, id vedette.MonitorID, n int) []vedette.Result {
	t.Helper()
	got, err := s.History(context.Background(), id, vedette.Span{N: n})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// number returns the one number that a query gives.
func one[T any](t testing.TB, c *pgx.Conn, sql string, args ...any) (got T) {
	t.Helper()
	if err := c.QueryRow(context.Background(), sql, args...).Scan(&got); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return got
}

func monitorID(i int) vedette.MonitorID { return vedette.MonitorID(fmt.Sprintf("shop/%05d", i)) }
